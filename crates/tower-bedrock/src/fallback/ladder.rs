//! The routes that a call may take, in their order.

use std::{fmt, sync::Arc};

use super::cap::Cap;
use crate::{
    model_id::{ModelId, ProfilePrefix, Residency, area},
    route::{Region, Route, ServiceTier},
};

/// The most rungs of a ladder. Every call keeps count of them in place, and one that failed on
/// fifteen routes will not be saved by a sixteenth.
const MAX_RUNGS: usize = 15;

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
/// let europe = Ladder::profiles(&sonnet, "eu-west-1", Residency::Geo)?.then(Rung::model(haiku));
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

/// A route of a [`Ladder`]. What it leaves open is taken from the call's own route: its model, its
/// region, its tier.
///
/// # Example
///
/// ```
/// use tower_bedrock::{Rung, ServiceTier};
///
/// // The same model and tier in another region, taken by at most ten calls a second.
/// let other_region = Rung::in_region("us-west-2").with_max_per_second(10.0);
/// // The same model and region, when even the flexible tier is better than none.
/// let flex = Rung::tier(ServiceTier::Flex);
/// assert_eq!(other_region.to_string(), "*@us-west-2");
/// assert_eq!(flex.to_string(), "*/flex");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rung {
    pub(super) model: Option<ModelId>,
    pub(super) region: Option<Region>,
    pub(super) tier: Option<ServiceTier>,
    max_per_second: Option<f64>,
}

/// A ladder that cannot be meant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidLadder {
    /// The ladder has more rungs than a call keeps count of.
    #[non_exhaustive]
    TooLong {
        /// How many it has.
        rungs: usize,
    },
    /// A rung leaves everything open: it is the call's own route.
    #[non_exhaustive]
    Open {
        /// Which rung, from 1.
        rung: usize,
    },
    /// A rung repeats one before it.
    #[non_exhaustive]
    Repeated {
        /// Which rung, from 1.
        rung: usize,
        /// The one it repeats, from 1.
        first: usize,
    },
    /// The ARN of a rung names another region than the rung.
    #[non_exhaustive]
    ArnRegion {
        /// Which rung, from 1.
        rung: usize,
        /// The region that the ARN names.
        region: Region,
    },
    /// The most calls per second of a rung is not a number above zero.
    #[non_exhaustive]
    MaxPerSecond {
        /// Which rung, from 1.
        rung: usize,
    },
    /// The warm share is not a number from 0 to 1.
    WarmShare,
    /// The id does not tell its base model, so it has no other profiles.
    #[non_exhaustive]
    NoBaseModel {
        /// The id.
        model: ModelId,
    },
}

/// A rung as the layer uses it: with the state of its cap.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) rung: Rung,
    pub(super) cap: Option<Arc<Cap>>,
}

// === impl Ladder ===

impl Ladder {
    /// No rungs: calls stay on their own route.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All profiles of a model that can be called through the endpoint of `region`, from narrow to
    /// wide: in the region itself, its country, its geography, and everywhere, as far as `widest`
    /// goes.
    ///
    /// Whether the service offers each of them for the model is not known here. One that it does not
    /// offer is refused by it, and the call moves on.
    ///
    /// # Errors
    ///
    /// [`InvalidLadder::NoBaseModel`].
    pub fn profiles(
        model: &ModelId,
        region: impl Into<Region>,
        widest: Residency,
    ) -> Result<Self, InvalidLadder> {
        let region = region.into();
        let country = area::country_of(region.as_str());
        let geo = area::geo_of(region.as_str());
        let prefixes = [
            (Residency::InRegion, Some(None)),
            (Residency::Country, country.map(Some)),
            (Residency::Geo, geo.map(Some)),
            (Residency::Global, Some(Some(ProfilePrefix::Global))),
        ];
        let is_commercial = area::are_of_one_world(Some(region.as_str()), Some("us-east-1"));
        let mut ladder = Self::new();
        for (width, prefix) in prefixes {
            let Some(prefix) = prefix else { continue };
            let is_offered = prefix != Some(ProfilePrefix::Global) || is_commercial;
            if width > widest || !is_offered {
                continue;
            }
            let id = model.with_prefix(prefix);
            let id = id.ok_or_else(|| InvalidLadder::NoBaseModel {
                model: model.clone(),
            })?;
            ladder = ladder.then(Rung::model(id).at(region.clone()));
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

    /// The ladder with one more rung at its end: a [`Rung`], or a [`Route`] whose default tier is
    /// left open like its other parts.
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

// === impl Rung ===

impl Rung {
    /// Another model, in the call's region and tier; for an ARN, in the region that it names.
    #[must_use]
    pub fn model(model: ModelId) -> Self {
        Self {
            model: Some(model),
            ..Self::default()
        }
    }

    /// The call's model and tier in another region.
    #[must_use]
    pub fn in_region(region: impl Into<Region>) -> Self {
        Self::default().at(region)
    }

    /// The call's model and region on another tier.
    #[must_use]
    pub fn tier(tier: ServiceTier) -> Self {
        Self::default().on_tier(tier)
    }

    /// The rung through the endpoint of `region`.
    #[must_use]
    pub fn at(mut self, region: impl Into<Region>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The rung on `tier`, whatever the call's own.
    #[must_use]
    pub const fn on_tier(mut self, tier: ServiceTier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Moves at most this many calls per second to the rung, evenly spaced; what comes beyond takes
    /// the next one, or fails as if there were no such rung. No bound by default.
    ///
    /// What the application itself sends to a route is bounded by the route's own quota and circuit.
    /// This is for a route with traffic of its own that they do not see: a secondary that serves 40
    /// calls a second and could serve 50 is lost, too, when it gets 80 more, and keeps all of its
    /// own when it gets ten. Counted for each rung of each ladder, over all clones of the layer.
    #[must_use]
    pub const fn with_max_per_second(mut self, calls: f64) -> Self {
        self.max_per_second = Some(calls);
        self
    }

    /// Whether both are the same route for every call.
    fn goes_like(&self, other: &Self) -> bool {
        self.model == other.model && self.region == other.region && self.tier == other.tier
    }

    fn into_step(self, number: usize) -> Result<Step, InvalidLadder> {
        let mut rung = self;
        if let Some(named) = rung.model.as_ref().and_then(ModelId::region) {
            let region = rung.region.get_or_insert_with(|| Region::from(named));
            if region.as_str() != named {
                return Err(InvalidLadder::ArnRegion {
                    rung: number,
                    region: named.into(),
                });
            }
        }
        if rung.goes_like(&Self::default()) {
            return Err(InvalidLadder::Open { rung: number });
        }
        let cap = match rung.max_per_second {
            None => None,
            Some(rate) => {
                let cap = Cap::per_second(rate);
                Some(Arc::new(
                    cap.ok_or(InvalidLadder::MaxPerSecond { rung: number })?,
                ))
            }
        };
        Ok(Step { rung, cap })
    }

    /// Whether a call to `route` is one of these, as far as the rung says anything.
    pub(super) fn matches(&self, route: &Route, home: Option<&Region>) -> bool {
        let is_model = self.model.is_none() || self.model == route.model;
        let region = route.region.as_ref().or(home);
        let is_region = self.region.is_none() || self.region.as_ref() == region;
        is_model && is_region && self.tier.is_none_or(|tier| tier == route.tier)
    }
}

impl From<Route> for Rung {
    fn from(route: Route) -> Self {
        Self {
            model: route.model,
            region: route.region,
            tier: (route.tier != ServiceTier::Default).then_some(route.tier),
            max_per_second: None,
        }
    }
}

impl From<ModelId> for Rung {
    fn from(model: ModelId) -> Self {
        Self::model(model)
    }
}

impl From<Region> for Rung {
    fn from(region: Region) -> Self {
        Self::in_region(region)
    }
}

/// `model@region/tier`, with `*` for a model that is left open.
impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => f.write_str(model.as_str())?,
            None => f.write_str("*")?,
        }
        if let Some(region) = &self.region {
            write!(f, "@{region}")?;
        }
        match self.tier {
            Some(tier) => write!(f, "/{tier}"),
            None => Ok(()),
        }
    }
}

// === impl InvalidLadder ===

impl fmt::Display for InvalidLadder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { rungs } => {
                write!(f, "the ladder has {rungs} rungs; it may have {MAX_RUNGS}")
            }
            Self::Open { rung } => write!(
                f,
                "rung {rung} names no model, region or tier: it is the call's own route"
            ),
            Self::Repeated { rung, first } => {
                write!(f, "rung {rung} is the same route as rung {first}")
            }
            Self::ArnRegion { rung, region } => {
                write!(f, "rung {rung} has the ARN of something in {region}")
            }
            Self::MaxPerSecond { rung } => write!(
                f,
                "the most calls per second of rung {rung} must be a number above zero"
            ),
            Self::WarmShare => f.write_str("the warm share must be a number from 0 to 1"),
            Self::NoBaseModel { model } => {
                write!(f, "{model} does not tell its base model")
            }
        }
    }
}

impl std::error::Error for InvalidLadder {}
