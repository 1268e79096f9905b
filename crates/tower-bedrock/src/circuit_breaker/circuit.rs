//! A circuit that many calls share: the state machine behind a lock.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    task::Waker,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    breaker::Breaker,
    breakers::Settings,
    bypass::Bypass,
    error::CircuitOpen,
    event::{CircuitEvent, CircuitTransition},
    line::{Line, Look, Sign},
    outcome::{Change, Outcome, Refused, Ticket, View},
    snapshot::CircuitState,
};
use crate::{
    call::CallContext,
    error::Error,
    retry::uniform,
    route::Route,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// The state machine of one route, and what all that use it share.
pub(super) struct Circuit {
    route: Route,
    settings: Arc<Settings>,
    bypass: Bypass,
    breaker: Mutex<Breaker>,
    /// Locked before the breaker, where both are.
    line: Mutex<Line>,
    watched: OnceLock<watch::Sender<CircuitState>>,
}

/// The state machine, of whoever has the lock. Nobody goes past it meanwhile.
struct Held<'a> {
    breaker: MutexGuard<'a, Breaker>,
    circuit: &'a Circuit,
}

impl Circuit {
    pub(super) fn new(route: Route, settings: Arc<Settings>) -> Self {
        let now = Instant::now();
        let breaker = Breaker::new(now, settings.policy);
        let bypass = Bypass::new(now, &breaker);
        bypass.open(&breaker);
        Self {
            route,
            bypass,
            breaker: Mutex::new(breaker),
            line: Mutex::new(Line::new(now)),
            watched: OnceLock::new(),
            settings,
        }
    }

    /// What it stands for.
    #[inline]
    pub(super) const fn route(&self) -> &Route {
        &self.route
    }

    #[inline]
    pub(super) const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The way past its lock.
    #[inline]
    pub(super) const fn bypass(&self) -> &Bypass {
        &self.bypass
    }

    /// Asks for admission, in the lane of this thread.
    pub(super) fn admit(self: &Arc<Self>, lane: usize) -> Result<Ticket, Refused> {
        if let Some(generation) = self.bypass.passes() {
            return Ok(self.bypass.admit(lane, generation));
        }
        let now = Instant::now();
        self.change(|breaker| breaker.admit(now))
    }

    /// Refuses a call that would not be admitted now, and leaves it be if it would.
    pub(super) fn refuse_early(&self) -> Result<(), Option<Duration>> {
        if self.passes() {
            return Ok(());
        }
        self.lock().refuse_early(Instant::now())
    }

    /// Refuses a call that was admitted by `ticket`, has stood in line since, and is no longer
    /// welcome.
    pub(super) fn ask_again(&self, ticket: Ticket, call: &CallContext) -> Result<(), Error> {
        if self.passes() {
            return Ok(());
        }
        let asked = self.lock().ask_again(Instant::now(), ticket);
        asked.map_err(|retry_in| self.refuse(call, retry_in))
    }

    pub(super) fn refuse(&self, call: &CallContext, retry_in: Option<Duration>) -> Error {
        let refusal = CircuitOpen::new(self.route.clone(), retry_in);
        self.settings.bus.tell(&CircuitEvent::Refused {
            call,
            refusal: &refusal,
        });
        Error::from(refusal).with_context(call)
    }

    /// Has somebody stand in line who was refused, unless `most` do already, and returns the number
    /// drawn.
    pub(super) fn join(&self, most: usize) -> Option<u64> {
        let mut line = self.line();
        if line.len() >= most {
            return None;
        }
        let number = line.join();
        self.lock().waits_instead();
        Some(number)
    }

    /// Has `number` stand in line again, who went and was refused.
    pub(super) fn rejoin(&self, number: u64) {
        self.line().rejoin(number);
        self.lock().waits_instead();
    }

    /// Whether it is the turn of `number`.
    pub(super) fn look(&self, number: u64, now: Instant, deadline: Instant, waker: &Waker) -> Look {
        let mut line = self.line();
        let view = self.lock().view(now);
        let (look, retired) = line.look(number, now, deadline, &view, waker);
        let next = match look {
            Look::Come(_) => line.first(),
            Look::Wait(_) | Look::Never => None,
        };
        drop(line);
        // Dropping or waking a waker may run anything, even something that comes back here.
        drop(retired);
        next.into_iter().for_each(Waker::wake);
        look
    }

    /// `number` leaves the line.
    pub(super) fn leave(&self, number: u64) {
        let mut line = self.line();
        let retired = line.leave(number);
        let next = line.first();
        drop(line);
        drop(retired);
        next.into_iter().for_each(Waker::wake);
    }

    /// One who stood in line, and whose turn came in `round`, is back.
    pub(super) fn back(&self, round: u32, sign: Sign) {
        let mut line = self.line();
        line.back(Instant::now(), round, sign);
        let next = line.first();
        drop(line);
        next.into_iter().for_each(Waker::wake);
    }

    /// Refuses a call that has stood in line for as long as it may.
    pub(super) fn refuse_in_line(&self, now: Instant, call: &CallContext) -> Error {
        let view = {
            let mut breaker = self.lock();
            breaker.waited_in_vain();
            breaker.view(now)
        };
        let retry_in = view
            .passage
            .map_or_else(|retry_in| retry_in, |()| Some(Duration::ZERO));
        self.refuse(call, retry_in)
    }

    /// How many stand in line.
    pub(super) fn waiting(&self) -> usize {
        self.line().len()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that was admitted by `ticket` is answered, in time.
    #[inline]
    pub(super) fn answered(self: &Arc<Self>, lane: usize, now: Instant, ticket: Ticket) {
        if !self.bypass.answered(lane, now, ticket) {
            self.settle(now, ticket, Outcome::Success { is_slow: false });
        }
    }

    /// A call that was admitted by `ticket` is over.
    #[cold]
    pub(super) fn settle(self: &Arc<Self>, now: Instant, ticket: Ticket, outcome: Outcome) {
        let draw = |most| self.draw(most);
        self.change(|breaker| ((), breaker.settle(now, ticket, outcome, draw)));
    }

    /// Nobody waits any more for a call that was admitted by `ticket`.
    pub(super) fn abandon(self: &Arc<Self>, now: Instant, ticket: Ticket, outcome: Outcome) {
        let draw = |most| self.draw(most);
        self.change(|breaker| ((), breaker.abandon(now, ticket, outcome, draw)));
    }

    fn draw(&self, most: Duration) -> Duration {
        let jitter = &self.settings.jitter;
        jitter.with(|rng| uniform(most, rng))
    }

    /// Changes it by hand.
    pub(super) fn force(
        self: &Arc<Self>,
        force: impl FnOnce(&mut Breaker, Instant) -> Option<Change>,
    ) {
        let now = Instant::now();
        self.change(|breaker| ((), force(breaker, now)));
    }

    /// Lets nobody through any more: another circuit takes its place.
    pub(super) fn forget(self: &Arc<Self>) {
        self.change(|breaker| {
            let change = breaker.forget();
            ((), change)
        });
        self.tell_line(CircuitState::Closed);
    }

    pub(super) fn view(&self, now: Instant) -> View {
        self.lock().view(now)
    }

    /// Whether calls pass at the moment. Costs less than a [`view`](Self::view).
    pub(super) fn passes(&self) -> bool {
        self.bypass.passes().is_some()
    }

    /// When it was last asked or told anything.
    pub(super) fn last_used(&self) -> Instant {
        self.lock().last_used()
    }

    pub(super) fn state(&self) -> CircuitState {
        self.lock().state()
    }

    pub(super) fn watch(&self) -> watch::Receiver<CircuitState> {
        let sender = self
            .watched
            .get_or_init(|| watch::Sender::new(self.state()));
        let receiver = sender.subscribe();
        self.tell_watchers();
        receiver
    }

    /// Those who watch get to know the state of this moment.
    pub(super) fn tell_watchers(&self) {
        let Some(sender) = self.watched.get() else {
            return;
        };
        // Asked for in there: who tells last knows best.
        sender.send_if_modified(|known| {
            let state = self.state();
            std::mem::replace(known, state) != state
        });
    }

    pub(super) fn is_watched(&self) -> bool {
        (self.watched.get()).is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// Changes the state machine, and tells everybody if its state has changed.
    #[inline]
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut Breaker) -> (T, Option<Change>)) -> T {
        let mut breaker = self.lock();
        let (result, changed) = change(&mut breaker);
        breaker.publish();
        let Some(changed) = changed else {
            return result;
        };
        // In line while the lock is held, so that everybody hears in the order of events; told when
        // it is released, so that they may look at the circuit.
        let transition = CircuitTransition::new(self.route.clone(), changed);
        self.settings.bus.push(Arc::clone(self), transition);
        drop(breaker);
        self.tell_line(changed.to);
        self.settings.bus.deliver();
        result
    }

    /// Those in line hear that the circuit is in another state.
    fn tell_line(&self, state: CircuitState) {
        let mut line = self.line();
        if state == CircuitState::Open {
            line.open(Instant::now());
        }
        let first = line.first();
        drop(line);
        first.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> Held<'_> {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        self.bypass.close(&mut breaker);
        Held {
            breaker,
            circuit: self,
        }
    }
}

impl Held<'_> {
    /// Tells those who look without the lock what has changed.
    fn publish(&self) {
        if let Some(stops) = self.circuit.bypass.publish(&self.breaker) {
            self.circuit.settings.count_stop(stops);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.circuit.bypass.open(&self.breaker);
    }
}

impl Deref for Held<'_> {
    type Target = Breaker;

    fn deref(&self) -> &Breaker {
        &self.breaker
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Breaker {
        &mut self.breaker
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("route", &self.route)
            .field("breaker", &*self.lock())
            .finish_non_exhaustive()
    }
}
