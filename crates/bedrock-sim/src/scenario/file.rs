//! Scenarios as TOML.

use std::{ops::Range, path::Path, time::Duration};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
    value::Datetime,
};

use super::{
    DailyReset, ModelSpec, QuotaOptions, Scenario, ScenarioError, Window,
    check::{self, Flaw, Place},
    control_plane::ControlPlaneTable,
    fault_table::FaultTable,
};

/// Reads and checks a scenario; other files that it names are looked for in `folder`.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Scenario, ScenarioError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let reason = ScenarioError::new(error.message().trim_end());
        match error.span() {
            Some(span) => reason.at(text, span.start),
            None => reason,
        }
    })?;
    file.into_scenario(folder)
        .and_then(|scenario| check::check(&scenario).map(|()| scenario))
        .map_err(|flaw| {
            // What is missing from the top level is missing from its start on.
            let start = span_of(text, flaw.path).map_or(0, |span| span.start);
            ScenarioError::new(flaw.reason).at(text, start)
        })
}

/// Where a flaw stands in the text: its key, else the table it is missing from.
fn span_of(text: &str, place: Place) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let key_in = |table: &DeTable<'_>, key: &str| {
        table
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)
            .map(|(name, _)| name.span())
    };
    let (array, number, key) = match place {
        Place::Top(key) => return key_in(root.get_ref(), key),
        Place::Model(number, key) => ("model", number, key),
        Place::Fault(number, key) => ("fault", number, key),
    };
    let array = root.get_ref().get(array)?;
    let DeValue::Array(tables) = array.get_ref() else {
        return None;
    };
    let table: &Spanned<DeValue<'_>> = tables.get(number)?;
    let DeValue::Table(entries) = table.get_ref() else {
        return None;
    };
    Some(key_in(entries, key).unwrap_or_else(|| table.span()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    seed: Option<u64>,
    region: Option<String>,
    account: Option<String>,
    window: Option<WindowName>,
    burst_seconds: Option<u64>,
    #[serde(default)]
    reservation_burndown: bool,
    #[serde(default)]
    min_output_reservation: u64,
    #[serde(default)]
    charge_rejected: bool,
    #[serde(default, with = "humantime_serde")]
    enforcement_lag: Duration,
    #[serde(default)]
    tpd_reset: DailyReset,
    starts_at: Option<Datetime>,
    #[serde(default)]
    model: Vec<ModelSpec>,
    #[serde(default)]
    fault: Vec<FaultTable>,
    control_plane: Option<ControlPlaneTable>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum WindowName {
    TokenBucket,
    SlidingWindow,
    FixedMinute,
}

impl File {
    fn into_scenario(self, folder: &Path) -> Result<Scenario, Flaw> {
        let defaults = Scenario::builder().0;
        let quota = QuotaOptions {
            window: window(self.window, self.burst_seconds)?,
            reservation_burndown: self.reservation_burndown,
            min_output_reservation: self.min_output_reservation,
            charge_rejected: self.charge_rejected,
            enforcement_lag: self.enforcement_lag,
            tpd_reset: self.tpd_reset,
            starts_at: self.starts_at.map_or(Ok(Duration::ZERO), time_of_day)?,
        };
        let control_plane = self.control_plane.map(|table| table.into_spec(folder));
        let control_plane = control_plane
            .transpose()
            .map_err(|error| Flaw::new(Place::Top("control_plane"), error.reason().to_owned()))?;
        let control_plane = control_plane.unwrap_or(defaults.control_plane);
        let faults = self.fault.into_iter().enumerate();
        Ok(Scenario {
            seed: self.seed.unwrap_or(defaults.seed),
            region: self.region.unwrap_or(defaults.region),
            account: self.account.unwrap_or(defaults.account),
            quota,
            models: self.model,
            faults: faults
                .map(|(number, table)| table.into_spec(number))
                .collect::<Result<_, _>>()?,
            control_plane,
        })
    }
}

fn window(name: Option<WindowName>, burst_seconds: Option<u64>) -> Result<Window, Flaw> {
    let window = match name.unwrap_or(WindowName::TokenBucket) {
        WindowName::TokenBucket => {
            return Ok(Window::TokenBucket {
                burst_seconds: burst_seconds.unwrap_or(Window::BURST_SECONDS),
            });
        }
        WindowName::SlidingWindow => Window::SlidingWindow,
        WindowName::FixedMinute => Window::FixedMinute,
    };
    match burst_seconds {
        None => Ok(window),
        Some(_) => Err(Flaw::new(
            Place::Top("burst_seconds"),
            "`burst_seconds` is the size of a token bucket, which this `window` has not",
        )),
    }
}

fn time_of_day(time: Datetime) -> Result<Duration, Flaw> {
    match time {
        Datetime {
            date: None,
            time: Some(time),
            offset: None,
        } => Ok(Duration::new(
            (u64::from(time.hour) * 60 + u64::from(time.minute)) * 60
                + u64::from(time.second.unwrap_or(0)),
            time.nanosecond.unwrap_or(0),
        )),
        _ => Err(Flaw::new(
            Place::Top("starts_at"),
            "`starts_at` is a time of day, such as 23:30:00",
        )),
    }
}
