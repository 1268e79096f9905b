//! Fault scripts at work.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{FaultId, Operation, lane::Lane, nanos};
use crate::{FaultKind, FaultSpec, Scenario};

/// All fault scripts: those begun by hand, the latest first, then those of the scenario in its order.
#[derive(Debug)]
pub(super) struct Scripts {
    begun: Vec<(FaultId, Script)>,
    scripts: Vec<Script>,
    fired: BTreeMap<&'static str, u64>,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whereto<'a> {
    /// The number of the lane; an operation without a model has none.
    pub(super) lane: Option<usize>,
    pub(super) region: &'a str,
    pub(super) operation: Operation,
}

#[derive(Debug)]
struct Script {
    spec: FaultSpec,
    /// The lanes it befalls.
    lanes: Vec<bool>,
    from: u64,
    until: u64,
    /// Matching calls seen.
    seen: u64,
    fired: u64,
    /// Each script has chance of its own, so that one does not disturb another.
    chance: StdRng,
}

impl Scripts {
    pub(super) fn new(scenario: &Scenario, lanes: &[Lane]) -> Self {
        let specs = scenario.faults().iter().enumerate();
        Self {
            begun: Vec::new(),
            scripts: specs
                .map(|(number, spec)| Script::new(number, spec, scenario, lanes))
                .collect(),
            fired: BTreeMap::new(),
        }
    }

    /// Asks a fault before all others, from now on.
    pub(super) fn begin(
        &mut self,
        id: FaultId,
        spec: &FaultSpec,
        scenario: &Scenario,
        lanes: &[Lane],
    ) {
        let number = scenario.faults().len().wrapping_add(id.0 as usize);
        let script = Script::new(number, spec, scenario, lanes);
        self.begun.insert(0, (id, script));
    }

    /// Asks a fault no more; whether it was asked.
    pub(super) fn end(&mut self, id: FaultId) -> bool {
        let before = self.begun.len();
        self.begun.retain(|(begun, _)| *begun != id);
        self.begun.len() < before
    }

    /// The fault that befalls a call. The first that fires decides; those after it don't see the
    /// call.
    pub(super) fn befall(&mut self, now: u64, whereto: Whereto<'_>) -> Option<&FaultKind> {
        self.first(now, whereto, |_| true)
    }

    /// The fault that befalls a request before anybody reads it.
    pub(super) fn befall_unread(&mut self, now: u64, whereto: Whereto<'_>) -> Option<&FaultKind> {
        self.first(now, whereto, FaultKind::is_before_reading)
    }

    fn first(
        &mut self,
        now: u64,
        whereto: Whereto<'_>,
        eligible: impl Fn(&FaultKind) -> bool,
    ) -> Option<&FaultKind> {
        let begun = self.begun.iter_mut().map(|(_, script)| script);
        let spec = begun.chain(&mut self.scripts).find_map(|script| {
            (eligible(&script.spec.what) && script.fires(now, whereto)).then_some(&script.spec)
        })?;
        *self.fired.entry(spec.what.name()).or_default() += 1;
        Some(&spec.what)
    }

    pub(super) fn fired(&self) -> &BTreeMap<&'static str, u64> {
        &self.fired
    }
}

impl Script {
    fn new(number: usize, spec: &FaultSpec, scenario: &Scenario, lanes: &[Lane]) -> Self {
        let befalls = |lane: &Lane| {
            let called = |id: &String| scenario.models()[lane.spec].is_called(id);
            (spec.models.is_empty() || spec.models.iter().any(called))
                && (spec.regions.is_empty() || spec.regions.iter().any(|one| **one == *lane.region))
        };
        // Any spread will do that keeps a script's chance apart from that of the lanes.
        let seed = scenario.seed() ^ !(number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self {
            lanes: lanes.iter().map(befalls).collect(),
            from: nanos(spec.from),
            until: spec.until.map_or(u64::MAX, nanos),
            spec: spec.clone(),
            seen: 0,
            fired: 0,
            chance: StdRng::seed_from_u64(seed),
        }
    }

    fn fires(&mut self, now: u64, whereto: Whereto<'_>) -> bool {
        if now < self.from || now >= self.until || !self.matches(whereto) {
            return false;
        }
        let spec = &self.spec;
        if spec.count.is_some_and(|count| self.fired >= count) {
            return false;
        }
        self.seen += 1;
        let candidate = self
            .seen
            .checked_sub(spec.skip)
            .is_some_and(|number| number > 0 && number % spec.every == 0);
        let hit =
            candidate && (spec.probability >= 1.0 || self.chance.random_bool(spec.probability));
        self.fired += u64::from(hit);
        hit
    }

    fn matches(&self, whereto: Whereto<'_>) -> bool {
        let spec = &self.spec;
        let operation = whereto.operation;
        let by_operation = if spec.operations.is_empty() {
            !spec.what.is_of_streams() || operation.is_stream()
        } else {
            spec.operations.contains(&operation)
        };
        by_operation
            && match whereto.lane {
                Some(lane) => self.lanes.get(lane).copied().unwrap_or(false),
                None => {
                    spec.models.is_empty()
                        && (spec.regions.is_empty()
                            || spec.regions.iter().any(|one| one == whereto.region))
                }
            }
    }
}
