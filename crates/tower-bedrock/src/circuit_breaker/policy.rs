//! When a circuit opens, for how long, and what closes it.

use std::time::Duration;

use super::invalid::InvalidCircuitPolicy;

/// Answers take 10 to 120 s, so a shorter window would hold too few outcomes of one route.
const WINDOW: Duration = Duration::from_secs(60);
/// With fewer calls, one or two failures of luck would be half of them.
const MIN_CALLS: u32 = 10;
/// Of a healthy model a few in a hundred fail; when half do, retries double the load and gain
/// nothing.
const FAILURE_RATE: f64 = 0.5;
/// A route that is called once a minute never has ten calls in its window; ten failures in a row
/// say the same of it.
const CONSECUTIVE_FAILURES: u32 = 10;
/// Long enough to let a queue in front of a model drain, short enough to matter little if it was a
/// short fault.
const COOLDOWN: Duration = Duration::from_secs(5);
/// A route that heals is asked within ten seconds, and with a probe of as long it is back within half
/// a minute (RELIABILITY.md §2.7, row 1).
const MAX_COOLDOWN: Duration = Duration::from_secs(10);
/// A whole window of health takes one doubling back.
const COOLDOWN_DECAY: Duration = WINDOW;
/// The same bound as that of the retries' hints: a quota's minute.
const MAX_SERVER_HINT: Duration = Duration::from_secs(60);
/// Most answers, or their first event, are there by then. A probe that is not goes on, but another
/// may go beside it.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// Half a minute of forty calls a second; each keeps its prompt.
const MAX_WAITING: usize = 1_000;
/// An outage that lasts longer is none to be waited for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// When a circuit opens, for how long, and what closes it.
///
/// | | by default |
/// |---|---|
/// | opens when so many of the calls fail | 50 % over 60 s, with at least 10 calls |
/// | … or so many in a row | 10 |
/// | … or so many are slow | not looked at |
/// | stays open | 5, 10, 10 … s, from half of that to the whole, evenly |
/// | … and if the server says for how long | at least that, up to 60 s |
/// | lets through when half-open | 1 probe at a time |
/// | closes after | 1 good probe |
/// | has wait for it | 1000 calls, for 60 s at most |
///
/// What fails is told by the row of its cause in the [`Reactions`](crate::Reactions) table:
/// throttles, auth and validation never count. The rate counts outcomes as they come in, in exact
/// numbers, over a window that slides by a sixtieth of its length; failures in a row count however
/// far they are apart.
///
/// A failure may come back in milliseconds and an answer take a minute. So failures that come back
/// within ten seconds or so are held against the calls that were sent in that time and are still under
/// way, too: of a hundred calls at once, ten that fail quickly open nothing, and half of them do.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_bedrock::{CircuitBreakers, CircuitPolicy};
///
/// let policy = CircuitPolicy::new()
///     .with_failure_rate(0.3)
///     .with_min_calls(20)
///     .with_slow_calls(Duration::from_secs(45), 0.8)
///     .with_cooldown(Duration::from_secs(2), Duration::from_secs(15));
/// let breakers = CircuitBreakers::new().with_policy(policy)?;
/// # let _ = breakers;
/// # Ok::<(), tower_bedrock::InvalidCircuitPolicy>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CircuitPolicy {
    pub(super) window: Duration,
    pub(super) min_calls: u32,
    pub(super) failure_rate: Option<f64>,
    pub(super) consecutive_failures: Option<u32>,
    pub(super) slow_calls: Option<SlowCalls>,
    pub(super) count_deadlines: bool,
    pub(super) ask_again_when_sent: bool,
    pub(super) cooldown: Duration,
    pub(super) max_cooldown: Duration,
    pub(super) has_jitter: bool,
    pub(super) cooldown_decay: Duration,
    pub(super) max_server_hint: Duration,
    pub(super) probes: u32,
    pub(super) successes_to_close: u32,
    pub(super) probe_limit: Duration,
    pub(super) max_waiting: usize,
    pub(super) max_wait: Duration,
}

/// When a call is slow, and how many may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SlowCalls {
    pub(super) longer_than: Duration,
    pub(super) rate: f64,
}

impl CircuitPolicy {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            window: WINDOW,
            min_calls: MIN_CALLS,
            failure_rate: Some(FAILURE_RATE),
            consecutive_failures: Some(CONSECUTIVE_FAILURES),
            slow_calls: None,
            count_deadlines: true,
            ask_again_when_sent: false,
            cooldown: COOLDOWN,
            max_cooldown: MAX_COOLDOWN,
            has_jitter: true,
            cooldown_decay: COOLDOWN_DECAY,
            max_server_hint: MAX_SERVER_HINT,
            probes: 1,
            successes_to_close: 1,
            probe_limit: PROBE_LIMIT,
            max_waiting: MAX_WAITING,
            max_wait: MAX_WAIT,
        }
    }

    /// Opens when this part of the calls in the window fail: above 0, at most 1. 0.5 by default.
    #[must_use]
    pub const fn with_failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = Some(rate);
        self
    }

    /// Does not open by the rate of failures.
    #[must_use]
    pub const fn without_failure_rate(mut self) -> Self {
        self.failure_rate = None;
        self
    }

    /// Opens after this many failures in a row, at least 1; 10 by default. Time does not matter, and
    /// outcomes that say nothing of the route do not come between.
    #[must_use]
    pub const fn with_consecutive_failures(mut self, failures: u32) -> Self {
        self.consecutive_failures = Some(failures);
        self
    }

    /// Does not open by failures in a row.
    #[must_use]
    pub const fn without_consecutive_failures(mut self) -> Self {
        self.consecutive_failures = None;
        self
    }

    /// Opens when this part of the calls in the window take longer than `longer_than`; off by
    /// default, because long answers are no sign of a sick model.
    ///
    /// Time counts from when the call is sent, not from when it begins to stand in line below, to when
    /// its response is there; for a stream, to its first event, because later the caller sets the pace.
    /// That takes an allocation for each call. A call that gets no answer in time
    /// (`Timeout`, `ModelTimeout`) counts as slow then, and not as a failure any more; so does one
    /// that is dropped after more than `longer_than`.
    #[must_use]
    pub const fn with_slow_calls(mut self, longer_than: Duration, rate: f64) -> Self {
        self.slow_calls = Some(SlowCalls { longer_than, rate });
        self
    }

    /// Looks at the outcomes of this much time, from 1 ms to a day; 60 s by default.
    #[must_use]
    pub const fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Makes nothing of a rate before so many calls are in the window, at least 1; 10 by default.
    #[must_use]
    pub const fn with_min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Whether a call that its own deadline cuts counts as one that got no answer in time, as
    /// [`Cause::Timeout`](crate::Cause::Timeout) does; on by default. Switch it off where deadlines
    /// are shorter than answers may be: they say nothing of the route's health then.
    ///
    /// Cut means dropped at its deadline or later, or answered with `DeadlineExceeded` by a layer
    /// below after it was sent. One whose future is dropped before its deadline never counts as a
    /// failure.
    #[must_use]
    pub const fn count_deadlines(mut self, count: bool) -> Self {
        self.count_deadlines = count;
        self
    }

    /// Stays open for `first`, twice as long each time the route is not better after it, up to
    /// `longest`; from 5 to 10 s by default.
    ///
    /// Each time is drawn evenly between half of that and the whole, so that many processes do not
    /// come back together.
    #[must_use]
    pub const fn with_cooldown(mut self, first: Duration, longest: Duration) -> Self {
        self.cooldown = first;
        self.max_cooldown = longest;
        self
    }

    /// Stays open for exactly as long as [`with_cooldown`](Self::with_cooldown) says.
    #[must_use]
    pub const fn without_cooldown_jitter(mut self) -> Self {
        self.has_jitter = false;
        self
    }

    /// Takes one doubling of the cooldown back for each `stretch` that the circuit has been closed;
    /// 60 s by default. So a route that fails again at once stays open for longer, not as if it were
    /// the first time.
    #[must_use]
    pub const fn with_cooldown_decay(mut self, stretch: Duration) -> Self {
        self.cooldown_decay = stretch;
        self
    }

    /// Follows a server that says for how long not to call it, up to this long; 60 s by default. The
    /// hint of a failure is a floor of the cooldown: jitter comes on top.
    #[must_use]
    pub const fn with_max_server_hint(mut self, longest: Duration) -> Self {
        self.max_server_hint = longest;
        self
    }

    /// Lets this many probes go at a time when half-open, at least 1; 1 by default.
    #[must_use]
    pub const fn with_probes(mut self, probes: u32) -> Self {
        self.probes = probes;
        self
    }

    /// Closes after this many good probes, at least 1; 1 by default. One that fails opens the
    /// circuit again.
    #[must_use]
    pub const fn with_successes_to_close(mut self, successes: u32) -> Self {
        self.successes_to_close = successes;
        self
    }

    /// Waits this long for a probe before its place is free for another; 10 s by default. What comes
    /// of the first still counts.
    #[must_use]
    pub const fn with_probe_limit(mut self, limit: Duration) -> Self {
        self.probe_limit = limit;
        self
    }

    /// Has so many calls wait for an open circuit that have a deadline and no next route; 1000 by
    /// default, since each keeps its prompt. With 0, all are refused at once.
    ///
    /// Refuse at once where the caller has another plan that the stack does not know of: a cached
    /// answer, or a queue of its own.
    #[must_use]
    pub const fn with_max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Has none of them wait for longer than this, whatever its deadline; 60 s by default, at most a
    /// day.
    #[must_use]
    pub const fn with_max_wait(mut self, longest: Duration) -> Self {
        self.max_wait = longest;
        self
    }

    /// Whether a call that stands in line below, in a token budget or a pool, is refused when its turn
    /// comes and its circuit has opened meanwhile; off by default, since it costs every call an
    /// allocation. Switch it on where lines are long and a sick route should get none of them.
    #[must_use]
    pub const fn ask_again_when_sent(mut self, ask: bool) -> Self {
        self.ask_again_when_sent = ask;
        self
    }

    /// When a call counts as slow, if that is looked at.
    #[must_use]
    pub const fn slow_after(&self) -> Option<Duration> {
        match self.slow_calls {
            Some(slow) => Some(slow.longer_than),
            None => None,
        }
    }

    /// Whether it matters when calls are sent.
    pub(super) const fn takes_time(&self) -> bool {
        self.slow_calls.is_some() || self.ask_again_when_sent
    }

    pub(super) fn check(&self) -> Result<(), InvalidCircuitPolicy> {
        use InvalidCircuitPolicy as Invalid;
        let slow_rate = self.slow_calls.map(|slow| slow.rate);
        for (setting, rate) in [
            ("failure rate", self.failure_rate),
            ("rate of slow calls", slow_rate),
        ] {
            // NaN is in no range.
            if let Some(value) = rate.filter(|rate| !(*rate > 0.0 && *rate <= 1.0)) {
                return Err(Invalid::Rate { setting, value });
            }
        }
        for (setting, count) in [
            ("consecutive failures", self.consecutive_failures),
            ("min calls", Some(self.min_calls)),
            ("probes", Some(self.probes)),
            ("successes to close", Some(self.successes_to_close)),
        ] {
            if count == Some(0) {
                return Err(Invalid::Zero { setting });
            }
        }
        for (setting, time) in [
            ("slow calls", self.slow_after()),
            ("cooldown", Some(self.cooldown)),
            ("cooldown decay", Some(self.cooldown_decay)),
            ("probe limit", Some(self.probe_limit)),
        ] {
            if time == Some(Duration::ZERO) {
                return Err(Invalid::Zero { setting });
            }
        }
        for (setting, time) in [
            ("cooldown", self.max_cooldown),
            ("cooldown decay", self.cooldown_decay),
            ("server hint", self.max_server_hint),
            ("probe limit", self.probe_limit),
            ("max wait", self.max_wait),
        ] {
            if time > DAY {
                return Err(Invalid::TooLong {
                    setting,
                    value: time,
                });
            }
        }
        if self.window < MIN_WINDOW || self.window > DAY {
            return Err(Invalid::Window { value: self.window });
        }
        if self.cooldown > self.max_cooldown {
            return Err(Invalid::Cooldown {
                first: self.cooldown,
                longest: self.max_cooldown,
            });
        }
        let (rate, row, slow) = (
            self.failure_rate,
            self.consecutive_failures,
            self.slow_calls,
        );
        if rate.is_none() && row.is_none() && slow.is_none() {
            return Err(Invalid::NeverOpens);
        }
        Ok(())
    }
}

/// Outcomes are counted in sixtieths of it.
const MIN_WINDOW: Duration = Duration::from_millis(1);
/// Longer than any outage that a circuit should sit out by itself.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self::new()
    }
}
