//! The one place of a key where calls are admitted: its state behind a lock.

use std::{collections::HashMap, sync::OnceLock as UnsharedOnceLock, task::Waker, time::Duration};

use tokio::time::Instant;

use super::{
    calibration::Calibration,
    error::BudgetExhausted,
    estimate::Estimate,
    late::LATE,
    ledger::Ledger,
    open_calls::OpenCalls,
    queue::WaitQueue,
    room::{LeastRoom, Room},
    state::State,
    terms::{Draw, Need, Terms},
    turnstile::Turnstile,
};
use crate::{
    answer_time::AnswerTime,
    call::CallContext,
    reply::Usage,
    route::QuotaKey,
    send_signal::{KnownListener, SendSignal},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The longest wait of a call that has no deadline at a layer that sets none.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

const NANOS: u64 = 1_000_000_000;

/// Ledger and queue of one key.
#[derive(Debug)]
pub(super) struct Gate {
    key: QuotaKey,
    /// By which layers below tell of its calls.
    // Not one of a model checker's: nobody else has the gate when it is set.
    listener: UnsharedOnceLock<KnownListener>,
    /// When the ledger's time starts.
    start: Instant,
    /// Whether a call without `maxTokens` was seen.
    has_unbounded: AtomicBool,
    /// Where calls of its routes go since they were found to be counted by another key.
    successor: OnceLock<Arc<Self>>,
    /// What is known of the ledger without its lock.
    pub(super) room: Room,
    state: Apart<Mutex<State>>,
}

/// What calls write, on cache lines of its own: what they only read stays with those who read it.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

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
    /// By the key that it is open by.
    Admitted(u64),
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
        least: &Arc<LeastRoom>,
    ) -> Self {
        Self {
            key,
            listener: UnsharedOnceLock::new(),
            start,
            has_unbounded: AtomicBool::new(false),
            successor: OnceLock::new(),
            room: Room::unknown(least),
            state: Apart(Mutex::new(State {
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
                is_at_rest: true,
            })),
        }
    }

    /// Hears from now on of calls that are sent later than they were admitted. Before anybody else has it.
    pub(super) fn listen(self: &Arc<Self>) {
        let gate = Arc::downgrade(self);
        self.listener.get_or_init(|| KnownListener::new(&gate));
    }

    /// What tells of the call of `key` if it is sent later than it was admitted.
    #[inline]
    pub(super) fn signal(&self, key: u64) -> Option<SendSignal> {
        let listener = self.listener.get()?;
        Some(listener.signal(key))
    }

    pub(super) const fn key(&self) -> &QuotaKey {
        &self.key
    }

    /// The gate that calls of its routes go through now, if it is another.
    #[inline]
    pub(super) fn successor(&self) -> Option<&Arc<Self>> {
        self.successor.get()
    }

    /// The gate that calls of its routes go through now.
    pub(super) fn current(self: &Arc<Self>) -> &Arc<Self> {
        self.successor().unwrap_or(self)
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
        let seconds = since.as_secs().saturating_mul(NANOS);
        seconds.saturating_add(since.subsec_nanos().into())
    }

    /// The instant of a ledger's time; `None` if there is no such instant.
    pub(super) fn instant(&self, time: u64) -> Option<Instant> {
        self.start.checked_add(Duration::from_nanos(time))
    }

    /// Changes the state at `now`, lets everybody go who can go then, and wakes them.
    #[inline]
    pub(super) fn at<T>(&self, now: Instant, change: impl FnOnce(&mut State) -> T) -> T {
        let time = self.time(now);
        let mut state = self.lock();
        state.ledger.advance(time);
        let mut woken = Vec::new();
        if !state.is_at_rest && state.alarm <= time {
            state.let_go(&mut woken);
        }
        let result = change(&mut state);
        if state.is_at_rest {
            self.room.shrink(&state);
            return result;
        }
        self.let_go(state, woken);
        result
    }

    /// Settles a call of `key` that has used `usage`, while nobody waits. `false` if it has to be done as
    /// anything else is done: then nothing is.
    #[inline]
    pub(super) fn settle_at_rest(
        &self,
        now: Instant,
        key: u64,
        is_first_poll: bool,
        usage: &Usage,
    ) -> bool {
        let time = self.time(now);
        let mut guard = self.lock();
        let state = &mut *guard;
        state.ledger.advance(time);
        if !state.is_at_rest {
            return false;
        }
        let Some((call, sent)) = state.open.sent(key) else {
            return false;
        };
        let (held, took) = (call.draw.tokens, sent.age(state.ledger.now()));
        let used = state.terms.charge(usage);
        if used > held || is_first_poll && took > LATE {
            return false;
        }
        if let Estimate::Size(size) = &call.draw.estimate {
            state.calibration.observe(size, usage.all_input());
        }
        state.answers.observe(took);
        let above = call.above.take();
        state.open.free(key);
        state.ledger.settle(sent, held, used);
        // Who was to be told is dropped when the lock is released.
        drop(guard);
        drop(above);
        true
    }

    /// Lets everybody go who can go now, and wakes them.
    #[cold]
    fn let_go(&self, mut state: MutexGuard<'_, State>, mut woken: Vec<Waker>) {
        state.let_go(&mut woken);
        let retired = std::mem::take(&mut state.retired);
        state.rest();
        self.room.shrink(&state);
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
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a call that needs `need` if it fits with room to spare, for an input of half as much
    /// again, and nobody waits. Returns the key that it is open by.
    #[inline]
    pub(super) fn admit_with_room(
        &self,
        now: Instant,
        call: &CallContext,
        need: Need,
        line: Line,
    ) -> Option<u64> {
        let time = self.time(now);
        let mut state = self.lock();
        state.ledger.advance(time);
        let draw = state.draw(need);
        let spare = match need.input {
            Estimate::Tokens(_) => 0,
            Estimate::Size(_) => draw.input / 2,
        };
        let key = state.draw_now(draw, spare, line, call)?;
        self.room.shrink(&state);
        Some(key)
    }

    /// Admits a call that needs `need`, or puts it in line, or refuses it.
    pub(super) fn admit(
        self: &Arc<Self>,
        now: Instant,
        call: &CallContext,
        need: Need,
        line: Line,
    ) -> Admission {
        let time = self.time(now);
        let mut state = self.lock();
        state.ledger.advance(time);
        let draw = state.draw(need);
        if let Some(key) = state.draw_now(draw, 0, line, call) {
            self.room.shrink(&state);
            return Admission::Admitted(key);
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
