//! What a failed call costs.

use crate::cause::Cause;

/// What is drawn of the quota by a call that failed and did not tell its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCharge {
    /// Nothing, not even a request: the service refused it, or never saw it.
    Nothing,
    /// Its input, as it was estimated.
    Input,
    /// What it holds, until that has aged out: nobody knows what was done.
    Hold,
}

/// What failed calls cost, by cause.
///
/// A stream that failed after it had begun is not asked for here: it is charged its input and the
/// output that came of it.
///
/// | cause | cost |
/// |---|---|
/// | refused by the service: throttled, overloaded, not ready, no capacity, invalid, not allowed, not found | nothing |
/// | refused by one of our own layers | nothing |
/// | no connection | nothing |
/// | internal error, failed model, blocked content | the input |
/// | timeouts, streams that failed, stalled or were cut before they began, unknown causes | the hold |
///
/// # Example
///
/// ```
/// use tower_bedrock::{Cause, FailureCharge, FailureCharges, Quotas, TokenBudgetLayer};
///
/// // A proxy ends the calls that we give up on: what times out has generated next to nothing.
/// let charges = FailureCharges::default().with(Cause::Timeout, FailureCharge::Input);
/// let layer = TokenBudgetLayer::new(Quotas::new()).with_failure_charges(charges);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureCharges([FailureCharge; Cause::ALL.len()]);

impl FailureCharge {
    /// The default charge for `cause`.
    #[must_use]
    pub const fn of(cause: Cause) -> Self {
        match cause {
            Cause::RequestRate
            | Cause::TokenRate
            | Cause::TokensPerDay
            | Cause::Throttled
            | Cause::AccountLimit
            | Cause::ModelOverloaded
            | Cause::ModelNotReady
            | Cause::CapacityExceeded
            | Cause::ServiceUnavailable
            | Cause::Connect
            | Cause::ContextTooLong
            | Cause::ProfileRequired
            | Cause::InvalidRequest
            | Cause::AccessDenied
            | Cause::Credentials
            | Cause::NotFound
            | Cause::CircuitOpen
            | Cause::BudgetExhausted
            | Cause::PoolSaturated
            | Cause::NoRouteAllowed => Self::Nothing,
            Cause::Internal | Cause::ModelFailed | Cause::ContentBlocked => Self::Input,
            // The deadline may have cut a call that was sent.
            Cause::ModelTimeout
            | Cause::StreamFailed
            | Cause::StreamTruncated
            | Cause::StreamStalled
            | Cause::Timeout
            | Cause::DeadlineExceeded
            | Cause::Unknown => Self::Hold,
        }
    }
}

impl FailureCharges {
    /// The table with another row for `cause`.
    #[must_use]
    pub const fn with(mut self, cause: Cause, charge: FailureCharge) -> Self {
        self.0[cause as usize] = charge;
        self
    }

    /// The row of `cause`.
    #[must_use]
    pub const fn get(&self, cause: Cause) -> FailureCharge {
        self.0[cause as usize]
    }
}

impl Default for FailureCharges {
    fn default() -> Self {
        let mut rows = [FailureCharge::Hold; Cause::ALL.len()];
        for &cause in Cause::ALL {
            rows[cause as usize] = FailureCharge::of(cause);
        }
        Self(rows)
    }
}
