//! What discovery counts by itself.

use ::metrics::Label;

use super::{names::QUOTA_DISCOVERY_FAILURES, recorder};
use crate::route::Region;

/// Counts something that was not read. As many regions are labelled as were asked for.
pub(crate) fn discovery_failed(region: &Region, action: &'static str) {
    let labels = vec![
        Label::new("region", region.to_string()),
        Label::from_static_parts("action", action),
    ];
    recorder::counter(&QUOTA_DISCOVERY_FAILURES, labels).increment(1);
}
