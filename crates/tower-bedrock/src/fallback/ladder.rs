//! The routes that a call may take, in their order.

use std::fmt;

use super::{
    invalid::InvalidLadder,
    rung::{Rung, Step},
};
use crate::{
    model_id::{ModelId, ProfilePrefix, Residency, area::Place},
    route::Region,
};

/// The most rungs of a ladder. Every call keeps count of them in place, and one that failed on
/// fifteen routes will not be saved by a sixteenth.
pub(super) const MAX_RUNGS: usize = 15;

/// The routes that a call may take when its own, the primary, does not answer: first to last.
///
/// # Example
///
/// ```
/// use tower_bedrock::{FallbackLayer, Ladder, Residency, Rung};
///
/// // By hand: the same model in another region, then a smaller one there.
/// let by_hand = Ladder::new()
///     .then(Rung::in_region("us-west-2"))
///     .then(Rung::model("us.anthropic.claude-haiku-4-5-20251001-v1:0".parse()?));
///
/// // All profiles of a model that stay in Europe, and then another model.
/// let sonnet = "anthropic.claude-sonnet-4-6".parse()?;
/// let haiku = "eu.anthropic.claude-haiku-4-5-20251001-v1:0".parse()?;
/// let europe = Ladder::profiles(&sonnet, ["eu-west-1"], Residency::Geo)?.then(Rung::model(haiku));
/// assert_eq!(
///     europe.to_string(),
///     "anthropic.claude-sonnet-4-6@eu-west-1, eu.anthropic.claude-sonnet-4-6@eu-west-1, \
///      eu.anthropic.claude-haiku-4-5-20251001-v1:0",
/// );
///
/// let layer = FallbackLayer::new(by_hand)?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ladder {
    pub(super) rungs: Vec<Rung>,
    pub(super) warm_share: f64,
}

// === impl Ladder ===

impl Ladder {
    /// No rungs: calls stay on their own route.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All profiles of a model that can be called through the endpoints of `regions`, from narrow to
    /// wide: in each region itself, its country, its geography, and everywhere, as far as `widest`
    /// goes.
    ///
    /// Whether the service offers each of them for the model is not known here. One that it does not
    /// offer is refused by it, and the call moves on.
    ///
    /// # Errors
    ///
    /// [`InvalidLadder::NoBaseModel`].
    pub fn profiles<I>(
        model: &ModelId,
        regions: I,
        widest: Residency,
    ) -> Result<Self, InvalidLadder>
    where
        I: IntoIterator,
        I::Item: Into<Region>,
    {
        let regions: Vec<Region> = regions.into_iter().map(Into::into).collect();
        let mut ladder = Self::new();
        for width in [
            Residency::InRegion,
            Residency::Country,
            Residency::Geo,
            Residency::Global,
        ] {
            for region in regions.iter().filter(|_| width <= widest) {
                let Some(prefix) = profile(Place::of(Some(region)), width) else {
                    continue;
                };
                let id = model.with_prefix(prefix);
                let id = id.ok_or_else(|| InvalidLadder::NoBaseModel {
                    model: model.clone(),
                })?;
                ladder = ladder.then(Rung::model(id).at(region.clone()));
            }
        }
        Ok(ladder)
    }

    /// The same model through the endpoints of `regions`, in their order. Each has quotas of its own.
    #[must_use]
    pub fn regions<I>(regions: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Region>,
    {
        let rungs = regions.into_iter().map(Rung::in_region);
        Self {
            rungs: rungs.collect(),
            ..Self::default()
        }
    }

    /// The ladder with one more rung at its end: a [`Rung`], or a [`Route`](crate::Route) whose default
    /// tier is left open like its other parts.
    #[must_use]
    pub fn then(mut self, rung: impl Into<Rung>) -> Self {
        self.rungs.push(rung.into());
        self
    }

    /// The ladder with the rungs of `other` at its end.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rungs.extend(other.rungs);
        self
    }

    /// Sends this share of calls, from 0 to 1, to the first rung although the primary is well, so
    /// that the way there is known to work when it is needed. 0 by default; 0.01 to 0.05 is usual.
    ///
    /// Such a call takes the first rung that it may take, and the primary if that is not free at
    /// once or fails. It is seen in [`Served::route_index`](crate::Served::route_index).
    #[must_use]
    pub const fn with_warm_share(mut self, share: f64) -> Self {
        self.warm_share = share;
        self
    }

    /// The rungs, first to last.
    #[must_use]
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    pub(super) fn into_steps(self) -> Result<Vec<Step>, InvalidLadder> {
        if self.rungs.len() > MAX_RUNGS {
            return Err(InvalidLadder::TooLong {
                rungs: self.rungs.len(),
            });
        }
        if !(0.0..=1.0).contains(&self.warm_share) {
            return Err(InvalidLadder::WarmShare);
        }
        let mut steps: Vec<Step> = Vec::with_capacity(self.rungs.len());
        for (rung, number) in self.rungs.into_iter().zip(1..) {
            let step = rung.into_step(number)?;
            let same = |other: &Step| other.rung.goes_like(&step.rung);
            if let Some(first) = steps.iter().position(same) {
                return Err(InvalidLadder::Repeated {
                    rung: number,
                    first: first + 1,
                });
            }
            steps.push(step);
        }
        Ok(steps)
    }
}

/// The profile of exactly that width around a place; `None` within for none at all.
fn profile(place: Place<'_>, width: Residency) -> Option<Option<ProfilePrefix>> {
    match width {
        Residency::InRegion => Some(None),
        Residency::Country => place.country().map(Some),
        Residency::Geo => place.geo().map(Some),
        Residency::Global => place.is_commercial().then_some(Some(ProfilePrefix::Global)),
    }
}

impl<R: Into<Rung>> FromIterator<R> for Ladder {
    fn from_iter<I: IntoIterator<Item = R>>(rungs: I) -> Self {
        Self {
            rungs: rungs.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// Its rungs, separated by commas.
impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rung) in self.rungs.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{rung}")?;
        }
        Ok(())
    }
}
