//! [`RetryLayer`]: one owner of retries.
//!
//! Each [`Cause`](crate::Cause) has its own answer in the [`Reactions`](crate::Reactions) table: a
//! used-up minute quota is waited for at the pace of a minute, a service short of capacity is asked
//! again shortly and few times, a model that is not loaded is waited for patiently, and what a wait
//! cannot cure is given back at once.
//!
//! Every wait has full jitter ([`Backoff`]), a server's hint is its floor, and it never ends after
//! the call's deadline. What all calls together may retry is bounded by a [`RetryBudget`] that
//! successes fund: jitter spreads load, only the budget bounds it.

mod backoff;
mod budget;
mod event;
pub mod future;
mod jitter;
mod layer;
mod minute;
mod policy;
#[cfg(test)]
mod tests;

pub(crate) use backoff::uniform;

pub use self::{
    backoff::Backoff,
    budget::RetryBudget,
    event::{GaveUp, RetryEvent},
    jitter::Jitter,
    layer::{Retry, RetryLayer},
};
