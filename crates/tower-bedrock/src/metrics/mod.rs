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

pub mod buckets;
mod describe;
pub mod names;

pub use self::{
    describe::describe,
    names::{Metric, MetricGroup, MetricKind, MetricUnit},
};
