//! [`FallbackLayer`]: another route when a call's own does not answer.
//!
//! What waiting does not cure, an overloaded model or a region that is down, another region, profile,
//! model or tier may. A [`Ladder`] says which, in their order; where a call's data may be processed
//! says how far down it may go; the [`Reactions`](crate::Reactions) table says when.
//!
//! It is a failover with bounds, not a way around them: each route at most once for a call, the same
//! deadline, the same attempts, and every route under its own circuit and quota.

mod cap;
mod choice;
mod config;
mod descent;
mod error;
mod event;
pub mod future;
mod invalid;
mod ladder;
mod layer;
mod plan;
mod rules;
mod rung;
#[cfg(test)]
mod tests;

pub use self::{
    error::{FallbackExhausted, NoRouteAllowed, SkipReason, SkippedRoute},
    event::FallbackEvent,
    invalid::InvalidLadder,
    ladder::Ladder,
    layer::{Fallback, FallbackLayer},
    rung::Rung,
};
