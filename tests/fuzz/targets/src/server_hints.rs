//! How long a server asks to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_bedrock::classify::retry_after;

/// Some time that is not that of the answer.
const NOW: Duration = Duration::from_secs(1_700_000_000);

/// Whatever three headers hold, one a line: `x-amz-retry-after`, `retry-after`, `date`. Whole numbers
/// are read exactly, the more precise header before the other; signs and exponents are no numbers;
/// blanks around a value are none of it; dates count from the answer's own.
pub fn server_hints(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut next = || lines.next().filter(|line| !line.is_empty());
    let (milliseconds, seconds, date) = (next(), next(), next());
    let wait = hint(milliseconds, seconds, date);

    let precise = milliseconds.and_then(whole).map(Duration::from_millis);
    if let Some(expected) = precise {
        assert_near(wait, expected);
    } else if milliseconds.is_none_or(is_no_number) {
        match seconds {
            None => assert_eq!(wait, None),
            Some(value) => {
                if let Some(expected) = whole(value).map(Duration::from_secs) {
                    assert_near(wait, expected);
                }
                if is_no_number(value) && value.trim().len() < 6 {
                    assert_eq!(wait, None, "shorter than any date");
                }
            }
        }
    }

    let padded =
        [milliseconds, seconds, date].map(|value| value.map(|value| format!(" {value}\t")));
    let [milliseconds, seconds, date] = padded.each_ref().map(Option::as_deref);
    assert_eq!(hint(milliseconds, seconds, date), wait);
    dates(data);
}

fn hint(milliseconds: Option<&str>, seconds: Option<&str>, date: Option<&str>) -> Option<Duration> {
    let header = |name: &str| match name {
        "x-amz-retry-after" => milliseconds,
        "retry-after" => seconds,
        "date" => date,
        other => panic!("{other} is nobody's business"),
    };
    retry_after(header, UNIX_EPOCH + NOW)
}

/// A date is as far away as it is from the answer's, whatever our clock says; one that has passed is
/// no wait.
fn dates(data: &[u8]) {
    let [a, b, c, d, e, f, ..] = *data else {
        return;
    };
    let sent = UNIX_EPOCH + Duration::from_secs(u32::from_be_bytes([a, b, c, d]).into());
    let wait = Duration::from_secs(u16::from_be_bytes([e, f]).into());
    let shown = |time: SystemTime| httpdate::fmt_http_date(time);
    let (sent, until) = (shown(sent), shown(sent + wait));
    assert_eq!(hint(None, Some(&until), Some(&sent)), Some(wait));
    assert_eq!(hint(None, Some(&sent), Some(&until)), Some(Duration::ZERO));
}

/// A whole number that a float holds exactly.
fn whole(value: &str) -> Option<u64> {
    let value = value.trim();
    let is_plain = value.len() <= 15 && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| is_plain)
}

fn is_no_number(value: &str) -> bool {
    value.contains(['-', '+', 'e', 'E', 'i', 'n', 'x', '_'])
}

/// To the rounding of a float.
fn assert_near(wait: Option<Duration>, expected: Duration) {
    let wait = wait.expect("a number that makes sense");
    let tolerance = Duration::from_nanos(1) + expected.div_f64(1e15);
    assert!(
        wait.abs_diff(expected) <= tolerance,
        "{wait:?}, not {expected:?}"
    );
}
