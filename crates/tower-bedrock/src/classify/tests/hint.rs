//! What a server may write into its hints, and what comes of it.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use crate::classify::retry_after;

/// 2026-11-21 03:16:16 UTC.
const NOW: Duration = Duration::from_secs(1_795_230_976);

fn hint(headers: &[(&str, &str)]) -> Option<Duration> {
    let header = |name: &str| {
        let (_, value) = headers.iter().find(|(known, _)| *known == name)?;
        Some(*value)
    };
    retry_after(header, SystemTime::UNIX_EPOCH + NOW)
}

/// Milliseconds, as AWS's SDKs read them, to the millisecond.
#[test]
fn x_amz_retry_after_is_in_milliseconds() {
    for (value, wait) in [
        ("0", 0),
        ("1", 1),
        ("250", 250),
        (" 1500 ", 1_500),
        ("394460", 394_460),
    ] {
        let wait = Duration::from_millis(wait);
        assert_eq!(hint(&[("x-amz-retry-after", value)]), Some(wait), "{value}");
    }
}

/// Seconds, a fraction allowed.
#[test]
fn retry_after_is_in_seconds() {
    for (value, wait) in [
        ("0", 0),
        ("1", 1_000),
        ("120", 120_000),
        ("0.5", 500),
        (" 2.25", 2_250),
    ] {
        let wait = Duration::from_millis(wait);
        assert_eq!(hint(&[("retry-after", value)]), Some(wait), "{value}");
    }
}

/// All three formats of an HTTP date, relative to our clock where the answer has no date.
#[test]
fn retry_after_may_be_a_date() {
    for value in [
        "Sat, 21 Nov 2026 03:17:01 GMT",
        "Saturday, 21-Nov-26 03:17:01 GMT",
        "Sat Nov 21 03:17:01 2026",
    ] {
        let wait = hint(&[("retry-after", value)]);
        assert_eq!(wait, Some(Duration::from_secs(45)), "{value}");
    }
}

/// The server's clock counts, not ours: its date minus its date.
#[test]
fn the_answers_own_date_is_the_clock() {
    let until = ("retry-after", "Tue, 01 Jan 2030 00:01:00 GMT");
    let wait = hint(&[until, ("date", "Tue, 01 Jan 2030 00:00:30 GMT")]);
    assert_eq!(wait, Some(Duration::from_secs(30)));
    // A date that is none leaves our clock.
    let until = ("retry-after", "Sat, 21 Nov 2026 03:17:01 GMT");
    let wait = hint(&[until, ("date", "yesterday")]);
    assert_eq!(wait, Some(Duration::from_secs(45)));
}

/// A date that has passed asks for no wait, which is not the same as asking for nothing.
#[test]
fn a_date_in_the_past_is_no_wait() {
    let past = ("retry-after", "Sat, 21 Nov 2026 03:16:15 GMT");
    assert_eq!(hint(&[past]), Some(Duration::ZERO));
    let past = ("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(hint(&[past]), Some(Duration::ZERO));
}

/// The AWS header wins; one that makes no sense leaves the word to the other.
#[test]
fn the_aws_header_wins() {
    let seconds = ("retry-after", "7");
    let wait = hint(&[seconds, ("x-amz-retry-after", "250")]);
    assert_eq!(wait, Some(Duration::from_millis(250)));
    let wait = hint(&[seconds, ("x-amz-retry-after", "soon")]);
    assert_eq!(wait, Some(Duration::from_secs(7)));
}

/// What makes no sense is no hint.
#[test]
fn garbage_is_no_hint() {
    assert_eq!(hint(&[]), None);
    assert_eq!(hint(&[("date", "Tue, 01 Jan 2030 00:00:30 GMT")]), None);
    for value in [
        "",
        " ",
        ".",
        "soon",
        "-1",
        "-0",
        "+1",
        "NaN",
        "nan",
        "inf",
        "infinity",
        "-inf",
        "1e3",
        "0x10",
        "1_000",
        "1,5",
        "10, 20",
        "1.2.3",
        "5s",
        "٣",
        "99999999999999999999999",
        "Sat, 32 Nov 2026 03:17:01 GMT",
        "2026-11-21T03:17:01Z",
    ] {
        assert_eq!(hint(&[("retry-after", value)]), None, "{value:?}");
        assert_eq!(hint(&[("x-amz-retry-after", value)]), None, "{value:?}");
    }
    // A date is none in the header that counts milliseconds.
    let date = "Sat, 21 Nov 2026 03:17:01 GMT";
    assert_eq!(hint(&[("x-amz-retry-after", date)]), None);
}

proptest! {
    /// No header makes it panic.
    #[test]
    fn any_header_is_survived(aws in ".*", standard in ".*", date in ".*") {
        let _ = hint(&[("x-amz-retry-after", &aws), ("retry-after", &standard), ("date", &date)]);
    }

    /// A number of any length is a wait or none, and a longer wait is never read as a shorter one.
    #[test]
    fn numbers_keep_their_order(a in "[0-9]{1,30}(\\.[0-9]{0,12})?", b in "[0-9]{1,18}") {
        let read = |value: &str| hint(&[("retry-after", value)]);
        let number = |value: &str| value.parse::<f64>().unwrap();
        if let (Some(wait_a), Some(wait_b)) = (read(&a), read(&b)) && number(&a) < number(&b) {
            prop_assert!(wait_a <= wait_b, "{a} {b}");
        }
    }

    /// Any date that the server can write is as far away as it says.
    #[test]
    fn dates_are_as_far_away_as_they_say(from in 0_u32.., seconds in 0_u64..10_000_000) {
        let from = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(from));
        let until = from + Duration::from_secs(seconds);
        let wait = hint(&[
            ("date", &httpdate::fmt_http_date(from)),
            ("retry-after", &httpdate::fmt_http_date(until)),
        ]);
        prop_assert_eq!(wait, Some(Duration::from_secs(seconds)));
    }
}
