//! What makes a scenario sound, wherever it came from.

use std::{collections::HashMap, fmt::Display, time::Duration};

use tower_bedrock::ModelId;

use super::{FaultKind, FaultSpec, ModelSpec, OutputTokens, Scenario, ScenarioError, Window};
use crate::{Exception, Operation, target::Target, wire::replay::Replay};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is wrong, and the way to it: a key, or a table's array, its number and a key.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) path: Place,
    pub(super) reason: String,
}

/// Where in a scenario something stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Top(&'static str),
    Model(usize, &'static str),
    Fault(usize, &'static str),
}

impl Flaw {
    pub(super) fn new(path: Place, reason: impl Into<String>) -> Self {
        Self {
            path,
            reason: reason.into(),
        }
    }

    /// The error of a scenario without a text.
    pub(super) fn into_error(self) -> ScenarioError {
        ScenarioError::new(match self.path {
            Place::Top(_) => self.reason,
            Place::Model(number, _) => format!("model {}: {}", number + 1, self.reason),
            Place::Fault(number, _) => format!("fault {}: {}", number + 1, self.reason),
        })
    }
}

pub(super) fn check(scenario: &Scenario) -> Result<(), Flaw> {
    options(scenario)?;
    if scenario.models.is_empty() {
        return Err(Flaw::new(
            Place::Top("model"),
            "there is no model: add a [[model]] with its id",
        ));
    }
    for (number, spec) in scenario.models.iter().enumerate() {
        let place = |key| Place::Model(number, key);
        limits(spec, scenario.quota.window, place)?;
        answers(spec, place)?;
        regions(scenario, spec, place)?;
    }
    unique(scenario)?;
    for (number, fault) in scenario.faults.iter().enumerate() {
        let place = |key| Place::Fault(number, key);
        if matches!(fault.what, FaultKind::Down { .. }) && fault.until.is_none() {
            return refuse(
                place("what"),
                "`down` needs an `until`: say when the service is back",
            );
        }
        of_fault(scenario, fault, place)?;
    }
    Ok(())
}

/// A fault that is begun by hand, which ends by hand.
pub(super) fn check_fault(scenario: &Scenario, fault: &FaultSpec) -> Result<(), Flaw> {
    of_fault(scenario, fault, Place::Top)
}

fn of_fault(
    scenario: &Scenario,
    fault: &FaultSpec,
    place: impl Fn(&'static str) -> Place,
) -> Result<(), Flaw> {
    when(fault, &place)?;
    what(fault, &place)?;
    place_of(scenario, fault, place)
}

fn refuse<T>(path: Place, reason: impl Display) -> Result<T, Flaw> {
    Err(Flaw::new(path, reason.to_string()))
}

fn options(scenario: &Scenario) -> Result<(), Flaw> {
    region_name(&scenario.region, Place::Top("region"))?;
    let account = &scenario.account;
    if account.len() != 12 || !account.bytes().all(|digit| digit.is_ascii_digit()) {
        return refuse(
            Place::Top("account"),
            format_args!("`account` is twelve digits, not {account:?}"),
        );
    }
    if let Window::TokenBucket { burst_seconds } = scenario.quota.window {
        let day = DAY.as_secs();
        if !(1..=day).contains(&burst_seconds) {
            return refuse(
                Place::Top("burst_seconds"),
                format_args!("`burst_seconds` is between 1 and {day}, not {burst_seconds}"),
            );
        }
    }
    if scenario.control_plane.page_size == 0 {
        return refuse(
            Place::Top("control_plane"),
            "`page_size` is at least 1: nothing is read from empty pages",
        );
    }
    if scenario.quota.starts_at >= DAY {
        return refuse(Place::Top("starts_at"), "`starts_at` is a time of day");
    }
    Ok(())
}

fn region_name(region: &str, place: Place) -> Result<(), Flaw> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.is_empty() || !region.chars().all(allowed) {
        return refuse(
            place,
            format_args!("{region:?} is not the name of a region, such as \"us-east-1\""),
        );
    }
    Ok(())
}

fn limits(
    spec: &ModelSpec,
    window: Window,
    place: impl Fn(&'static str) -> Place,
) -> Result<(), Flaw> {
    for (key, limit) in [
        ("rpm", spec.rpm),
        ("tpm", spec.tpm),
        ("tpd", spec.tpd),
        ("burndown", spec.burndown),
        ("max_output", spec.max_output),
        ("context_window", spec.context_window),
        ("concurrency", spec.concurrency),
        ("tokens_per_second", spec.tokens_per_second),
    ] {
        if limit == Some(0) {
            return refuse(
                place(key),
                format_args!("`{key}` is at least 1; leave it out for no limit"),
            );
        }
    }
    if let (Window::TokenBucket { burst_seconds }, Some(rpm)) = (window, spec.rpm)
        && u128::from(rpm) * u128::from(burst_seconds) < 60
    {
        return refuse(
            place("rpm"),
            format_args!(
                "a bucket of {burst_seconds} s of {rpm} requests per minute never holds a whole \
                 request: raise `rpm` or `burst_seconds`"
            ),
        );
    }
    Ok(())
}

fn answers(spec: &ModelSpec, place: impl Fn(&'static str) -> Place) -> Result<(), Flaw> {
    if !(spec.bytes_per_token.is_finite() && spec.bytes_per_token > 0.0) {
        return refuse(
            place("bytes_per_token"),
            format_args!(
                "`bytes_per_token` is more than 0, not {}",
                spec.bytes_per_token
            ),
        );
    }
    if !(0.0..=1.0).contains(&spec.latency_jitter) {
        return refuse(
            place("latency_jitter"),
            format_args!(
                "`latency_jitter` is between 0 and 1, not {}",
                spec.latency_jitter
            ),
        );
    }
    if let OutputTokens::Between(least, most) = spec.output_tokens
        && least > most
    {
        return refuse(
            place("output_tokens"),
            format_args!("`output_tokens` is [least, most], and {least} is more than {most}"),
        );
    }
    Ok(())
}

fn regions(
    scenario: &Scenario,
    spec: &ModelSpec,
    place: impl Fn(&'static str) -> Place,
) -> Result<(), Flaw> {
    if let Some(regions) = &spec.regions {
        if regions.is_empty() {
            return refuse(
                place("regions"),
                "`regions` is empty: name one, or leave it out for the scenario's own",
            );
        }
        for (number, region) in regions.iter().enumerate() {
            region_name(region, place("regions"))?;
            if regions[..number].contains(region) {
                return refuse(place("regions"), format_args!("{region:?} is named twice"));
            }
        }
    }
    let ids = [("id", &spec.id)]
        .into_iter()
        .chain(spec.aliases.iter().map(|alias| ("aliases", alias)));
    for (key, id) in ids {
        let parsed = match ModelId::new(id.as_str()) {
            Ok(parsed) => parsed,
            Err(error) => return refuse(place(key), format_args!("{id:?}: {error}")),
        };
        for region in scenario.regions_of(spec) {
            if parsed.region().is_some_and(|named| named != region) {
                return refuse(
                    place(key),
                    format_args!("{id:?} cannot be called from {region}"),
                );
            }
        }
    }
    Ok(())
}

/// No id may mean two models in one region.
fn unique(scenario: &Scenario) -> Result<(), Flaw> {
    let mut seen: HashMap<(&str, Target<'_>), &str> = HashMap::new();
    for (number, spec) in scenario.models.iter().enumerate() {
        let ids = [("id", &spec.id)]
            .into_iter()
            .chain(spec.aliases.iter().map(|alias| ("aliases", alias)));
        for (key, id) in ids {
            for region in scenario.regions_of(spec) {
                let Some(other) = seen.insert((region, Target::of(id)), id) else {
                    continue;
                };
                let place = Place::Model(number, key);
                return if other == id {
                    refuse(place, format_args!("{id:?} is in {region} twice"))
                } else {
                    refuse(
                        place,
                        format_args!(
                            "{id:?} shares its quotas with {other:?} in {region}: keep one of them"
                        ),
                    )
                };
            }
        }
    }
    Ok(())
}

fn when(fault: &FaultSpec, place: impl Fn(&'static str) -> Place) -> Result<(), Flaw> {
    if let Some(until) = fault.until
        && until <= fault.from
    {
        return refuse(
            place("until"),
            format_args!(
                "`until` ({until:?}) has to be later than `from` ({:?})",
                fault.from
            ),
        );
    }
    for (key, number) in [("every", Some(fault.every)), ("count", fault.count)] {
        if number == Some(0) {
            return refuse(place(key), format_args!("`{key}` is at least 1"));
        }
    }
    if !(0.0..=1.0).contains(&fault.probability) {
        return refuse(
            place("probability"),
            format_args!(
                "`probability` is between 0 and 1, not {}",
                fault.probability
            ),
        );
    }
    Ok(())
}

fn what(fault: &FaultSpec, place: impl Fn(&'static str) -> Place) -> Result<(), Flaw> {
    let name = fault.what.name();
    if fault.what.is_of_streams()
        && let Some(operation) = fault.operations.iter().find(|one| !one.is_stream())
    {
        return refuse(
            place("operation"),
            format_args!(
                "{name:?} happens in streams, and {} has none",
                operation.as_str()
            ),
        );
    }
    if let FaultKind::StreamException { error, .. } = &fault.what {
        let code = error.exception.code();
        if error.exception.stream_member().is_none() {
            return refuse(
                place("exception"),
                format_args!("{code} never comes in a stream"),
            );
        }
        let everywhere = error.exception != Exception::ModelTimeout;
        if !everywhere && fault.operations != [Operation::InvokeModelWithResponseStream] {
            return refuse(
                place(if fault.operations.is_empty() {
                    "exception"
                } else {
                    "operation"
                }),
                format_args!(
                    "{code} comes in the stream of InvokeModelWithResponseStream alone: set \
                     `operation` to it"
                ),
            );
        }
    }
    if let FaultKind::Recording(recording) = &fault.what
        && let Err(error) = Replay::new(recording, Duration::ZERO, 0)
    {
        return refuse(
            place("frames"),
            format_args!("a frame cannot be written: {error}"),
        );
    }
    if let FaultKind::Error(error) | FaultKind::StreamException { error, .. } = &fault.what {
        let has_original = matches!(
            error.exception,
            Exception::ModelError | Exception::ModelStreamError
        );
        match error.original_status {
            Some(status) if !(100..=599).contains(&status) => {
                return refuse(
                    place("original_status"),
                    format_args!("`original_status` is between 100 and 599, not {status}"),
                );
            }
            Some(_) if !has_original => {
                return refuse(
                    place("original_status"),
                    format_args!("{} has no original status", error.exception),
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn place_of(
    scenario: &Scenario,
    fault: &FaultSpec,
    place: impl Fn(&'static str) -> Place,
) -> Result<(), Flaw> {
    for id in &fault.models {
        if !scenario.models.iter().any(|spec| spec.is_called(id)) {
            return refuse(
                place("model"),
                format_args!("no [[model]] of the scenario is called {id:?}"),
            );
        }
    }
    for region in &fault.regions {
        let known = |spec| scenario.regions_of(spec).any(|one| one == region);
        if *region != scenario.region && !scenario.models.iter().any(known) {
            return refuse(
                place("region"),
                format_args!("no [[model]] of the scenario is in {region:?}"),
            );
        }
    }
    Ok(())
}
