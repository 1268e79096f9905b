//! [`FallbackLayer`]: another route when a call's own does not answer.

mod cap;
mod choice;
mod error;
mod event;
pub mod future;
mod ladder;
mod layer;
mod rules;

pub use self::{
    error::{FallbackExhausted, NoRouteAllowed, SkipReason, SkippedRoute},
    event::FallbackEvent,
    ladder::{InvalidLadder, Ladder, Rung},
    layer::{Fallback, FallbackLayer},
};
