//! The layers of a stack that count.

use crate::route::Region;

#[cfg(feature = "metrics")]
mod by_default {
    use super::Region;
    use crate::metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics};

    pub(in crate::stack) type MeteredCalls = CallMetricsLayer;
    pub(in crate::stack) type MeteredAttempts = AttemptMetricsLayer;

    pub(in crate::stack) fn meters(home: Option<&Region>) -> (MeteredCalls, MeteredAttempts) {
        let mut metrics = Metrics::new();
        if let Some(home) = home {
            metrics = metrics.with_home_region(home.clone());
        }
        let calls = CallMetricsLayer::new(metrics.clone());
        (calls, AttemptMetricsLayer::new(metrics))
    }
}

#[cfg(not(feature = "metrics"))]
mod by_default {
    use super::Region;

    pub(in crate::stack) type MeteredCalls = ();
    pub(in crate::stack) type MeteredAttempts = ();

    pub(in crate::stack) const fn meters(_: Option<&Region>) -> (MeteredCalls, MeteredAttempts) {
        ((), ())
    }
}

pub(super) use by_default::{MeteredAttempts, MeteredCalls, meters};
