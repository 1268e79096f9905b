//! [`CallMetricsLayer`]: counts what callers ask for and get.

mod call;
mod future;
mod handles;
mod layer;

pub use self::{
    future::ResponseFuture,
    layer::{CallMetrics, CallMetricsLayer},
};

pub(super) use self::handles::Calls;
