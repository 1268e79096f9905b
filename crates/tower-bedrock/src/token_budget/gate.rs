//! The one place of a key where calls are admitted: ledger and queue behind a lock.

use std::{collections::HashMap, task::Waker, time::Duration};

use tokio::time::Instant;

use super::{
    calibration::Calibration,
    error::{BudgetExhausted, ExhaustedReason},
    estimate::Estimate,
    hold::Hold,
    ledger::Ledger,
    open_calls::OpenCalls,
    queue::{Place, WaitQueue, Waiter},
    quota::Quota,
    room::Room,
    terms::{Draw, Need, Terms},
    turnstile::Turnstile,
};
use crate::{
    answer_time::AnswerTime,
    call::CallContext,
    cause::Limit,
    route::QuotaKey,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The longest wait of a call that has no deadline at a layer that sets none.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// What tokio's timers can tell apart.
const TICK: u64 = 1_000_000;
/// How long after its alarm somebody else keeps the timer, if anybody comes by.
const PATIENCE: u64 = 100 * TICK;

/// Ledger and queue of one key.
#[derive(Debug)]
pub(super) struct Gate {
    key: QuotaKey,
    /// When the ledger's time starts.
    start: Instant,
    /// Whether a call without `maxTokens` was seen.
    has_unbounded: AtomicBool,
    /// Where calls of its routes go since they were found to be counted by another key.
    successor: OnceLock<Arc<Self>>,
    /// What is known of the ledger without its lock.
    pub(super) room: Room,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) open: OpenCalls,
    pub(super) queue: WaitQueue,
    pub(super) terms: Terms,
    pub(super) calibration: Calibration,
    pub(super) answers: AnswerTime,
    pub(super) quota: Option<Quota>,
    /// Whether the quota was read of the account, not set by hand.
    pub(super) is_adopted: bool,
    /// What became of waiters that have not asked since.
    pub(super) verdicts: HashMap<u64, Verdict>,
    /// Wakers that are not needed any more. Dropping one may run anything, even something that comes
    /// back here, so they are dropped when the lock is released.
    pub(super) retired: Vec<Waker>,
    /// Whose future keeps the timer for all that wait, and when it is set to go off.
    pub(super) keeper: Option<Place>,
    pub(super) alarm: u64,
}

/// What became of a waiter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// What it draws is reserved for it.
    Granted,
    Refused(BudgetExhausted),
}

/// How the calls of a layer stand in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Whether they wait at all.
    pub(super) waits: bool,
    /// How many may wait at a gate.
    pub(super) max_waiting: usize,
    /// How long a call may wait.
    pub(super) max_wait: Duration,
}

/// What came of asking for admission.
#[derive(Debug)]
pub(super) enum Admission {
    Admitted(Hold),
    Waits(Turnstile, Draw),
    Refused(BudgetExhausted),
}

impl Gate {
    pub(super) fn new(
        key: QuotaKey,
        start: Instant,
        ledger: Ledger,
        terms: Terms,
        calibration: Calibration,
    ) -> Self {
        Self {
            key,
            start,
            has_unbounded: AtomicBool::new(false),
            successor: OnceLock::new(),
            room: Room::unknown(),
            state: Mutex::new(State {
                ledger,
                open: OpenCalls::default(),
                queue: WaitQueue::default(),
                terms,
                calibration,
                answers: AnswerTime::default(),
                quota: None,
                is_adopted: false,
                verdicts: HashMap::new(),
                retired: Vec::new(),
                keeper: None,
                alarm: u64::MAX,
            }),
        }
    }

    pub(super) const fn key(&self) -> &QuotaKey {
        &self.key
    }

    /// The gate that calls of its routes go through now.
    #[inline]
    pub(super) fn current(self: &Arc<Self>) -> &Arc<Self> {
        self.successor.get().unwrap_or(self)
    }

    /// Sends calls to come through `successor`; those that are under way or wait here end here.
    pub(super) fn give_way(self: &Arc<Self>, successor: &Arc<Self>) {
        if !Arc::ptr_eq(self, successor) {
            self.successor.get_or_init(|| Arc::clone(successor));
        }
    }

    /// Whether this is the first call without `maxTokens`.
    pub(super) fn is_first_unbounded(&self) -> bool {
        !self.has_unbounded.load(Ordering::Relaxed)
            && !self.has_unbounded.swap(true, Ordering::Relaxed)
    }

    /// The ledger's time at `now`.
    #[inline]
    pub(super) fn time(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The instant of a ledger's time; `None` if there is no such instant.
    pub(super) fn instant(&self, time: u64) -> Option<Instant> {
        self.start.checked_add(Duration::from_nanos(time))
    }

    /// Changes the state at `now`, lets everybody go who can go then, and wakes them.
    pub(super) fn at<T>(&self, now: Instant, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let time = self.time(now);
        state.ledger.advance(time);
        let mut woken = Vec::new();
        if state.alarm <= time {
            state.let_go(&mut woken);
        }
        let result = change(&mut state);
        if woken.is_empty() && state.is_at_rest() {
            self.room.shrink(&state);
            return result;
        }
        self.let_go(state, woken);
        result
    }

    /// Lets everybody go who can go now, and wakes them.
    #[cold]
    fn let_go(&self, mut state: MutexGuard<'_, State>, mut woken: Vec<Waker>) {
        state.let_go(&mut woken);
        self.room.shrink(&state);
        let retired = std::mem::take(&mut state.retired);
        drop(state);
        drop(retired);
        for waker in woken {
            waker.wake();
        }
    }

    /// How much is lost with it if nobody holds it: the less, the sooner it is forgotten. `None` if it
    /// has to stay: a quota that was set for it, or what is drawn of one that was adopted.
    ///
    /// Without a quota, what is drawn decides nothing. What is lost is a limit that refusals have
    /// taught, that the day is used up, and what is known of estimates: of those that were called
    /// often, more.
    pub(super) fn how_missed(&self, now: Instant) -> Option<(bool, u64)> {
        let mut state = self.lock();
        state.ledger.advance(self.time(now));
        let has_quota = state.quota.is_some();
        let is_by_hand = has_quota && !state.is_adopted;
        if is_by_hand || has_quota && !state.ledger.is_idle() || !state.queue.is_empty() {
            return None;
        }
        Some((state.ledger.is_limited(), state.calibration.observed()))
    }

    /// Looks at the state at `now`, and changes nothing but the time.
    pub(super) fn look<T>(&self, now: Instant, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.ledger.advance(self.time(now));
        self.room.grow(&state);
        look(&mut state)
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a call that needs `need` if it fits with room to spare, for an input of half as much
    /// again, and nobody waits.
    pub(super) fn admit_with_room(
        self: Arc<Self>,
        now: Instant,
        call: &CallContext,
        need: Need,
        line: Line,
    ) -> Option<Hold> {
        let mut state = self.lock();
        state.ledger.advance(self.time(now));
        let draw = state.draw(need);
        let spare = match need.input {
            Estimate::Tokens(_) => 0,
            Estimate::Size(_) => draw.input / 2,
        };
        if !state.has_room(draw.tokens.saturating_add(spare)) {
            return None;
        }
        let key = state.draw_now(draw, line, call);
        self.room.shrink(&state);
        drop(state);
        Some(Hold::new(self, key))
    }

    /// Admits a call that needs `need`, or puts it in line, or refuses it.
    pub(super) fn admit(
        self: &Arc<Self>,
        now: Instant,
        call: &CallContext,
        need: Need,
        line: Line,
    ) -> Admission {
        let mut state = self.lock();
        state.ledger.advance(self.time(now));
        let draw = state.draw(need);
        if state.has_room(draw.tokens) {
            let key = state.draw_now(draw, line, call);
            self.room.shrink(&state);
            drop(state);
            return Admission::Admitted(Hold::new(Arc::clone(self), key));
        }
        drop(state);
        match self.stand_in_line(now, call, draw.tokens, line) {
            Ok(turnstile) => Admission::Waits(turnstile, draw),
            Err(refusal) => Admission::Refused(refusal),
        }
    }

    /// Has a call that draws `tokens` wait for its turn.
    pub(super) fn stand_in_line(
        self: &Arc<Self>,
        now: Instant,
        call: &CallContext,
        tokens: u64,
        line: Line,
    ) -> Result<Turnstile, BudgetExhausted> {
        let max_wait = call.max_wait.unwrap_or(Duration::MAX).min(line.max_wait);
        let longest = self.time(now.checked_add(max_wait).unwrap_or(now + NEVER));
        let (place, deadline) = self.at(now, |state| {
            let in_time = call
                .deadline
                .map(|deadline| state.latest_start(self.time(deadline)));
            let deadline = in_time.map_or(longest, |in_time| in_time.min(longest));
            let place = state.join(call, tokens, deadline, line)?;
            Ok((place, deadline))
        })?;
        let gate = Arc::clone(self);
        Ok(Turnstile::new(gate, place, call, tokens, deadline))
    }
}

impl State {
    /// Whether `tokens` can be drawn now, and nobody waits.
    #[inline]
    pub(super) fn has_room(&self, tokens: u64) -> bool {
        self.queue.is_empty() && self.ledger.fits(tokens)
    }

    /// What a call draws that needs `need`.
    #[inline]
    pub(super) fn draw(&self, need: Need) -> Draw {
        let input = self.calibration.tokens(need.input);
        Draw {
            estimate: need.input,
            input,
            tokens: self.terms.hold(input, need.max_output),
        }
    }

    /// Until when a call may wait that is to be answered by `deadline`. One that goes later would use
    /// quota for an answer that nobody hears.
    pub(super) fn latest_start(&self, deadline: u64) -> u64 {
        let left = deadline.saturating_sub(self.ledger.now());
        deadline - self.answers.reserve(left)
    }

    /// Has a call that fits draw, and go at once. Returns the key it is open by.
    #[inline]
    fn draw_now(&mut self, draw: Draw, line: Line, call: &CallContext) -> u64 {
        self.ledger.admitted(draw.tokens);
        let sent = self.ledger.send_at_once(draw.tokens);
        self.open.open(draw, sent, line, call)
    }

    /// Whether nobody waits, or has waited, who is to be told or let go.
    #[inline]
    fn is_at_rest(&self) -> bool {
        self.queue.is_empty() && self.keeper.is_none() && self.retired.is_empty()
    }

    fn join(
        &mut self,
        call: &CallContext,
        tokens: u64,
        deadline: u64,
        line: Line,
    ) -> Result<Place, BudgetExhausted> {
        if let Some(refusal) = self.never_fits(tokens) {
            return Err(refusal);
        }
        let tenant = call.tenant.as_ref();
        let ahead = self.queue.ahead(call.priority, tenant, tokens);
        let (then, limit) = self.ledger.expected(ahead, tokens);
        let wait = self.until(then);
        let refuse = |reason| Err(BudgetExhausted::new(limit, reason, Some(wait)));
        let closed = self.ledger.closed_until();
        if closed.is_some_and(|until| until > deadline) {
            return refuse(ExhaustedReason::DayUsedUp);
        }
        if !line.waits || call.max_wait == Some(Duration::ZERO) {
            return refuse(ExhaustedReason::WouldWait);
        }
        let waiting = self.queue.len();
        if waiting >= line.max_waiting {
            return refuse(ExhaustedReason::QueueFull { waiting });
        }
        if then > deadline || deadline <= self.ledger.now() {
            return refuse(ExhaustedReason::Deadline);
        }
        let waiter = Waiter {
            tokens,
            deadline,
            waker: None,
        };
        Ok(self.queue.join(call.priority, tenant, waiter))
    }

    fn never_fits(&self, needed: u64) -> Option<BudgetExhausted> {
        let (limit, quota) = self.ledger.exceeds(needed)?;
        let reason = ExhaustedReason::TooLarge { needed, quota };
        Some(BudgetExhausted::new(limit, reason, None))
    }

    fn until(&self, then: u64) -> Duration {
        Duration::from_nanos(then.saturating_sub(self.ledger.now()))
    }

    /// Refuses who has waited too long, reserves for those who fit, in their turn, and sees to it
    /// that somebody keeps the timer. Tells who is to be woken.
    fn let_go(&mut self, woken: &mut Vec<Waker>) {
        if self.queue.is_empty() {
            self.keeper = None;
            self.alarm = u64::MAX;
            return;
        }
        self.refuse_expired(woken);
        while let Some((_, tokens)) = self.queue.next() {
            let verdict = match self.never_fits(tokens) {
                Some(refusal) => Verdict::Refused(refusal),
                None if self.ledger.fits(tokens) => Verdict::Granted,
                None => break,
            };
            if let Some((place, waiter)) = self.queue.take_next() {
                if let Verdict::Granted = verdict {
                    self.ledger.reserve(tokens);
                }
                self.tell(place, waiter, verdict, woken);
            }
        }
        self.appoint_keeper(woken);
    }

    fn refuse_expired(&mut self, woken: &mut Vec<Waker>) {
        let closed = self.ledger.closed_until();
        let until = closed.unwrap_or(self.ledger.now());
        while let Some((deadline, place)) = self.queue.first_deadline() {
            if deadline > until {
                break;
            }
            let Some(waiter) = self.queue.leave(place) else {
                break;
            };
            let (reason, limit, then) = match closed {
                Some(until) => (ExhaustedReason::DayUsedUp, Limit::TokensPerDay, until),
                None => {
                    let (then, limit) = self.ledger.expected(Default::default(), waiter.tokens);
                    (ExhaustedReason::Deadline, limit, then)
                }
            };
            let refusal = BudgetExhausted::new(limit, reason, Some(self.until(then)));
            self.tell(place, waiter, Verdict::Refused(refusal), woken);
        }
    }

    fn tell(&mut self, place: Place, waiter: Waiter, verdict: Verdict, woken: &mut Vec<Waker>) {
        self.verdicts.insert(place.number, verdict);
        woken.extend(waiter.waker);
    }

    /// When the next thing can happen by time alone.
    fn next_event(&mut self) -> u64 {
        let Some((_, tokens)) = self.queue.next() else {
            return u64::MAX;
        };
        let fits = self
            .ledger
            .not_before(tokens)
            .map_or(u64::MAX, |(at, _)| at);
        let gives_up = self.queue.first_deadline().map_or(u64::MAX, |(at, _)| at);
        // Timers are no finer, and nobody spins on one that is due.
        fits.min(gives_up).max(self.ledger.now() + TICK)
    }

    fn appoint_keeper(&mut self, woken: &mut Vec<Waker>) {
        let Some((next, _)) = self.queue.next() else {
            self.keeper = None;
            self.alarm = u64::MAX;
            return;
        };
        let event = self.next_event();
        // One that does not come when its alarm has gone off is not polled by its task.
        let is_overdue = self.ledger.now() > self.alarm.saturating_add(PATIENCE);
        let kept = self.keeper.filter(|_| !is_overdue);
        let kept = kept.filter(|&keeper| self.queue.waiter_mut(keeper).is_some());
        if kept.is_some() && event >= self.alarm {
            return;
        }
        let keeper = kept.unwrap_or(next);
        self.keeper = Some(keeper);
        // The keeper sets the alarm when it is polled.
        self.alarm = event;
        if let Some(waiter) = self.queue.waiter_mut(keeper) {
            woken.extend(waiter.waker.clone());
        }
    }

    /// Has `place` keep the timer unless somebody else does; returns what to set it to.
    pub(super) fn keep_time(&mut self, place: Place) -> Option<u64> {
        if self.keeper.is_some_and(|keeper| keeper != place) {
            return None;
        }
        self.keeper = Some(place);
        self.alarm = self.next_event();
        Some(self.alarm)
    }

    /// Frees a place in line, and what was reserved for it.
    pub(super) fn withdraw(&mut self, place: Place, tokens: u64) {
        if let Some(waiter) = self.queue.leave(place) {
            self.retired.extend(waiter.waker);
        }
        if let Some(Verdict::Granted) = self.verdicts.remove(&place.number) {
            self.ledger.unreserve(tokens);
        }
    }
}
