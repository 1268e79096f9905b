//! [`TokenBudgetLayer`]: under the quota before the service has to refuse.
//!
//! The service sets aside `input + maxTokens` of the tokens per minute when it admits a call, and
//! settles when the call ends, by `input + output × burndown` (BEDROCK.md §3.2). Whoever does not
//! keep the same account is refused at a small part of the quota, or leaves most of it unused.
//!
//! * [`Quotas`] holds a ledger for each [`QuotaKey`](crate::QuotaKey): what the quota is, what is
//!   drawn of it, and what refusals taught of it.
//! * A call that does not fit waits in line: by priority, fairly between tenants, never past its
//!   deadline, nor so long that its answer would come after it.
//! * What it holds rides in the response until that is finished, and is settled then.

mod adopt;
mod allowance;
mod asking;
mod calibration;
mod charge;
mod error;
mod estimate;
mod event;
pub mod future;
mod gate;
mod hold;
mod invalid;
mod late;
mod layer;
mod learning;
mod ledger;
mod ledger_of;
mod open_calls;
mod promise;
mod queue;
mod quota;
mod quotas;
mod room;
mod route_gate;
mod routes;
mod settlement;
mod slow;
mod snapshot;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod turnstile;
mod window;

pub(crate) use self::quota::MAX_QUOTA;
pub use self::{
    adopt::Adoption,
    charge::{FailureCharge, FailureCharges},
    error::{BudgetExhausted, ExhaustedReason},
    estimate::{Estimate, SizeEstimator, TokenCount, TokenEstimator},
    event::TokenBudgetEvent,
    invalid::InvalidQuota,
    layer::{TokenBudget, TokenBudgetLayer},
    quota::{DailyReset, Quota, QuotaPace, QuotaShare, QuotaWindow},
    quotas::Quotas,
    snapshot::QuotaSnapshot,
};
