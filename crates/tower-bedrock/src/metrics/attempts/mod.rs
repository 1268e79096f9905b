//! [`AttemptMetricsLayer`]: counts what is sent, attempt by attempt.

mod attempt;
mod future;
mod handles;
mod kind;
mod layer;

pub use self::{
    future::ResponseFuture,
    layer::{AttemptMetrics, AttemptMetricsLayer},
};

pub(super) use self::handles::{Attempts, PROVIDER};
