//! How long an open circuit stays open.

use std::time::Duration;

use tokio::time::Instant;

use super::{later, policy::CircuitPolicy};

/// The length of the next cooldown: doubles while the route does not recover, and comes down again
/// while it is healthy.
#[derive(Clone, Debug)]
pub(super) struct Cooldown {
    base: Duration,
    max: Duration,
    has_jitter: bool,
    decay: Duration,
    max_hint: Duration,
    /// How often the base is doubled for the next cooldown.
    doublings: u32,
    /// Since when the circuit has been closed.
    closed_since: Instant,
    /// Before this, a server asked not to be called.
    hinted_until: Option<Instant>,
}

impl Cooldown {
    pub(super) const fn new(start: Instant, policy: &CircuitPolicy) -> Self {
        Self {
            base: policy.cooldown,
            max: policy.max_cooldown,
            has_jitter: policy.has_jitter,
            decay: policy.cooldown_decay,
            max_hint: policy.max_server_hint,
            doublings: 0,
            closed_since: start,
            hinted_until: None,
        }
    }

    /// A server that failed asked to be left alone for so long.
    pub(super) fn hint(&mut self, now: Instant, hint: Option<Duration>) {
        if let Some(hint) = hint {
            let until = later(now, hint.min(self.max_hint));
            self.hinted_until = self.hinted_until.max(Some(until));
        }
    }

    /// The circuit closed.
    pub(super) const fn closed(&mut self, now: Instant) {
        self.closed_since = now;
        self.hinted_until = None;
    }

    /// The circuit was closed until now: each stretch of health takes a doubling back.
    pub(super) fn decay(&mut self, now: Instant) {
        let healthy = now.saturating_duration_since(self.closed_since).as_nanos();
        let stretches = healthy / self.decay.as_nanos().max(1);
        let stretches = u32::try_from(stretches).unwrap_or(u32::MAX);
        self.doublings = self.doublings.saturating_sub(stretches);
    }

    /// The circuit opens: for how long. `draw` takes a time up to the one it is given.
    pub(super) fn next(
        &mut self,
        now: Instant,
        draw: impl FnOnce(Duration) -> Duration,
    ) -> Duration {
        let whole = self.length();
        if whole < self.max {
            self.doublings += 1;
        }
        let hinted = self.hinted_until.take();
        let floor = hinted.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if self.has_jitter {
            let half = whole / 2;
            half.max(floor).saturating_add(draw(whole - half))
        } else {
            whole.max(floor)
        }
    }

    fn length(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}
