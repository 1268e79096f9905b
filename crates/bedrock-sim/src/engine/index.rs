//! From model ids to lanes.

use std::collections::HashMap;

use tower_bedrock::{ModelId, QuotaPath};

use super::{ErrorText, ModelHandle, lane::Lane};
use crate::{Scenario, target::Target};

/// The models of each region, by all their names.
#[derive(Debug)]
pub(super) struct Index(HashMap<Box<str>, Region>);

#[derive(Debug, Default)]
struct Region {
    /// Ids as the scenario spells them.
    exact: HashMap<Box<str>, ModelHandle>,
    /// By base model, or by id where that does not tell.
    targets: HashMap<Box<str>, Vec<(QuotaPath, ModelHandle)>>,
}

impl Index {
    pub(super) fn new(scenario: &Scenario, lanes: &[Lane]) -> Self {
        let mut regions = HashMap::<Box<str>, Region>::new();
        for (number, lane) in (0..).zip(lanes) {
            let handle = ModelHandle(number);
            let region = regions.entry(lane.region.clone()).or_default();
            let spec = &scenario.models()[lane.spec];
            for arn in scenario.profiles_of(spec, &lane.region) {
                region.exact.insert(arn.into(), handle);
            }
            for id in spec.names() {
                let target = Target::of(id);
                region.exact.insert(id.into(), handle);
                region
                    .targets
                    .entry(target.model.into())
                    .or_default()
                    .push((target.path, handle));
            }
        }
        Self(regions)
    }

    pub(super) fn find(&self, region: &str, id: &str) -> Result<ModelHandle, ErrorText> {
        let models = self.0.get(region).ok_or(ErrorText::UnknownModel)?;
        if let Some(handle) = models.exact.get(id) {
            return Ok(*handle);
        }
        let parsed = ModelId::new(id).map_err(|_| ErrorText::UnknownModel)?;
        if parsed.region().is_some_and(|named| named != region) {
            return Err(ErrorText::UnknownModel);
        }
        let target = Target::of(id);
        let paths = models
            .targets
            .get(target.model)
            .ok_or(ErrorText::UnknownModel)?;
        match paths.iter().find(|(path, _)| *path == target.path) {
            Some((_, handle)) => Ok(*handle),
            None if target.path == QuotaPath::InRegion => Err(ErrorText::ProfileRequired),
            None => Err(ErrorText::UnknownModel),
        }
    }
}
