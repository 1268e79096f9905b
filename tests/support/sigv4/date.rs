//! The basic format of ISO 8601, which signatures are dated in.

use std::time::{Duration, SystemTime};

/// `20150830T123600Z`, and nothing else.
pub(super) fn parse(date: &str) -> Option<SystemTime> {
    let (day, time) = date.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    if (day.len(), time.len()) != (8, 6) {
        return None;
    }
    let year = number(day.get(..4)?)?;
    let month = number(day.get(4..6)?)?;
    let day = number(day.get(6..)?)?;
    let hour = number(time.get(..2)?)?;
    let minute = number(time.get(2..4)?)?;
    let second = number(time.get(4..)?)?;
    let is_date = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let is_leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let days_of_years: u64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days_of_months: u64 = months.iter().take(usize::try_from(month).ok()? - 1).sum();
    let days = days_of_years + days_of_months + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
