//! How long an open circuit stays open.

use std::time::Duration;

use super::{nanos, policy::CircuitPolicy};

/// The length of the next cooldown: doubles while the route does not recover, and comes down again
/// while it is healthy.
#[derive(Clone, Debug)]
pub(super) struct Cooldown {
    base: u64,
    max: u64,
    has_jitter: bool,
    decay: u64,
    max_hint: u64,
    /// How often the base is doubled for the next cooldown.
    doublings: u32,
    /// Since when the circuit has been closed.
    closed_since: u64,
    /// Before this time, a server asked not to be called.
    hinted_until: u64,
}

impl Cooldown {
    pub(super) fn new(policy: &CircuitPolicy) -> Self {
        Self {
            base: nanos(policy.cooldown),
            max: nanos(policy.max_cooldown),
            has_jitter: policy.has_jitter,
            decay: nanos(policy.cooldown_decay),
            max_hint: nanos(policy.max_server_hint),
            doublings: 0,
            closed_since: 0,
            hinted_until: 0,
        }
    }

    /// A server that failed asked to be left alone for so long.
    pub(super) fn hint(&mut self, now: u64, hint: Option<Duration>) {
        if let Some(hint) = hint {
            let until = now.saturating_add(nanos(hint).min(self.max_hint));
            self.hinted_until = self.hinted_until.max(until);
        }
    }

    /// The circuit closed.
    pub(super) fn closed(&mut self, now: u64) {
        self.closed_since = now;
        self.hinted_until = 0;
    }

    /// The circuit was closed until now: each stretch of health takes a doubling back.
    pub(super) fn decay(&mut self, now: u64) {
        let healthy = now.saturating_sub(self.closed_since) / self.decay;
        let healthy = u32::try_from(healthy).unwrap_or(u32::MAX);
        self.doublings = self.doublings.saturating_sub(healthy);
    }

    /// The circuit opens: for how long. `draw` takes a number up to the one it is given.
    pub(super) fn next(&mut self, now: u64, draw: impl FnOnce(u64) -> u64) -> u64 {
        let whole = self.length();
        if whole < self.max {
            self.doublings += 1;
        }
        let floor = std::mem::take(&mut self.hinted_until).saturating_sub(now);
        if self.has_jitter {
            let half = whole / 2;
            half.max(floor).saturating_add(draw(whole - half))
        } else {
            whole.max(floor)
        }
    }

    fn length(&self) -> u64 {
        let factor = 1_u64.checked_shl(self.doublings).unwrap_or(u64::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}
