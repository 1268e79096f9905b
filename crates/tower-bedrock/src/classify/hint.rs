//! How long a server asks to wait.

use std::time::{Duration, SystemTime};

/// Reads the wait that a server asks for out of an answer's headers.
///
/// `header` looks a header up by its name in lower case; `now` stands in for the answer's own
/// `Date` where it has none. Understood are, in this order:
///
/// 1. `x-amz-retry-after`: milliseconds, as AWS's SDKs read it (BEDROCK.md §7.1);
/// 2. `retry-after`: seconds, a fraction allowed;
/// 3. `retry-after`: an HTTP date, in any of its three formats, relative to the answer's `date`. A
///    date in the past is no wait at all.
///
/// `None` if the server asks for nothing, or for nothing that makes sense: what is not a decimal
/// number nor a date, what is negative, what is too long for a [`Duration`]. The wait is as the
/// server wrote it; whoever waits puts a cap on it. Bedrock itself is not known to send either
/// header (BEDROCK.md §2.2); gateways do.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_bedrock::classify::retry_after;
///
/// let headers = [
///     ("date", "Sat, 21 Nov 2026 03:16:16 GMT"),
///     ("retry-after", "Sat, 21 Nov 2026 03:16:46 GMT"),
/// ];
/// let header = |name: &str| {
///     let (_, value) = headers.iter().find(|(known, _)| *known == name)?;
///     Some(*value)
/// };
/// // The answer has a date of its own, so our clock does not matter.
/// let wait = retry_after(header, SystemTime::UNIX_EPOCH);
/// assert_eq!(wait, Some(Duration::from_secs(30)));
/// ```
pub fn retry_after<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Option<Duration> {
    let milliseconds = header("x-amz-retry-after").and_then(|value| decimal(value, 1e-3));
    milliseconds.or_else(|| {
        let value = header("retry-after")?;
        decimal(value, 1.0).or_else(|| {
            let until = date(value)?;
            let from = header("date").and_then(date).unwrap_or(now);
            Some(until.duration_since(from).unwrap_or(Duration::ZERO))
        })
    })
}

/// A number of `unit` seconds each, without sign, exponent or words such as `inf`.
fn decimal(value: &str, unit: f64) -> Option<Duration> {
    let value = value.trim();
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = plain.then_some(value)?.parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

fn date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value.trim()).ok()
}
