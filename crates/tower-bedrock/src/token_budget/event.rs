//! What a token budget tells those who listen.

use std::time::Duration;

use super::error::BudgetExhausted;
use crate::{call::CallContext, cause::Limit, route::QuotaKey};

/// Something that [`TokenBudgetLayer`](crate::TokenBudgetLayer) decided or found out.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TokenBudgetEvent<'a> {
    /// A call sets no `maxTokens`, so it holds the most that the model generates. Told once for each
    /// key: it is the most common reason for refusals at a low use of the quota.
    #[non_exhaustive]
    MaxTokensUnset {
        /// The call.
        call: &'a CallContext,
        /// What it holds for its output.
        held: u64,
    },
    /// A call goes that had to wait.
    #[non_exhaustive]
    Waited {
        /// The call.
        call: &'a CallContext,
        /// How long it waited.
        waited: Duration,
    },
    /// A call was refused.
    #[non_exhaustive]
    Refused {
        /// The call.
        call: &'a CallContext,
        /// Why.
        refusal: &'a BudgetExhausted,
    },
    /// The service refused a call that the ledger had admitted, and the ledger lowered its limit.
    #[non_exhaustive]
    Learned {
        /// The ledger's key.
        key: &'a QuotaKey,
        /// The limit that was hit.
        limit: Limit,
        /// What is used of it from now on, per minute.
        learned: u64,
    },
    /// The service said that the day's tokens are used up, and the ledger closed.
    #[non_exhaustive]
    DayUsedUp {
        /// The ledger's key.
        key: &'a QuotaKey,
        /// For how long nothing is sent.
        closed_for: Duration,
    },
}
