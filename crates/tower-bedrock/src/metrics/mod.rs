//! Counters, gauges and histograms of what the layers see and do, through the [`metrics`](::metrics)
//! facade.
//!
//! Attempts are counted below the retry layer, in CloudWatch's words, so that nothing is hidden by a
//! retry that went well. Every attempt that went out counts in exactly one of
//! [`INVOCATIONS`](names::INVOCATIONS), [`INVOCATION_THROTTLES`](names::INVOCATION_THROTTLES),
//! [`INVOCATION_CLIENT_ERRORS`](names::INVOCATION_CLIENT_ERRORS),
//! [`INVOCATION_SERVER_ERRORS`](names::INVOCATION_SERVER_ERRORS),
//! [`INVOCATION_TRANSPORT_ERRORS`](names::INVOCATION_TRANSPORT_ERRORS) and
//! [`INVOCATIONS_DROPPED`](names::INVOCATIONS_DROPPED).

mod attempts;
pub mod buckets;
mod cache;
mod calls;
mod describe;
mod handle;
mod labels;
mod listeners;
pub mod names;
mod recorder;
mod report;
#[cfg(test)]
mod tests;

pub use self::{
    attempts::{AttemptMetrics, AttemptMetricsLayer},
    calls::{CallMetrics, CallMetricsLayer},
    describe::describe,
    handle::Metrics,
    names::{Metric, MetricGroup, MetricKind, MetricUnit},
    report::MetricsReporter,
};

/// The futures of the layers.
pub mod future {
    pub use super::{
        attempts::ResponseFuture as AttemptFuture, calls::ResponseFuture as CallFuture,
    };
}
