//! What a scenario is made of.

use std::{ops::Range, sync::Arc, time::Duration};

use bedrock_sim::{ModelSpec, OutputTokens, Scenario, ScenarioBuilder, ScenarioError};

use crate::load::Job;

/// The region that clients are configured for.
pub(crate) const HOME: &str = "us-east-1";
/// Where they may go beside it.
pub(crate) const SECOND: &str = "us-west-2";
/// The model that is asked for.
pub(crate) const MODEL: &str = "us.amazon.nova-lite-v1:0";
/// The model that may answer in its place.
pub(crate) const OTHER_MODEL: &str = "us.amazon.nova-pro-v1:0";

/// A model in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) model: &'static str,
    pub(crate) region: &'static str,
}

impl Place {
    pub(crate) const fn new(model: &'static str, region: &'static str) -> Self {
        Self { model, region }
    }
}

/// A quota as an operator knows it, from Service Quotas.
#[derive(Clone, Debug)]
pub(crate) struct KnownQuota {
    pub(crate) place: Place,
    pub(crate) rpm: Option<u64>,
    pub(crate) tpm: Option<u64>,
}

/// How long an operator lets streams go without an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamPatience {
    pub(crate) first_event: Duration,
    pub(crate) between_events: Duration,
}

/// A line in front of the service, in which calls are worked on one after the other, whether or not
/// anybody still waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Calls per second.
    pub(crate) capacity: f64,
    /// When there is less of it, and what part is left.
    pub(crate) dip: (Range<Duration>, f64),
}

/// One scenario, drawn from a seed: the Bedrock, the calls, and what everybody knows.
///
/// All policies are given the same one, and are told the same.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) bedrock: Scenario,
    pub(crate) jobs: Arc<[Job]>,
    pub(crate) tenants: usize,
    /// How long each caller waits for an answer.
    pub(crate) patience: Duration,
    /// How long an attempt may take until its headers come; `None` for as long as the caller waits.
    pub(crate) attempt_timeout: Option<Duration>,
    /// Where calls go, and where else they may go, in order of preference.
    pub(crate) places: Vec<Place>,
    /// The quotas that are known.
    pub(crate) quotas: Vec<KnownQuota>,
    /// Whether answers are streamed.
    pub(crate) stream: Option<StreamPatience>,
    /// How many calls an operator lets into flight at a time in one region.
    pub(crate) in_flight: usize,
    pub(crate) line: Option<Line>,
    /// Whether the model is an imported one, which is known to load for a while.
    pub(crate) is_imported: bool,
    /// When something is wrong, where a scenario has such a time.
    pub(crate) trouble: Option<Range<Duration>>,
}

impl Setup {
    /// Calls to [`MODEL`] at home, by one tenant, of which nothing else is known.
    pub(crate) fn new(
        bedrock: ScenarioBuilder,
        jobs: Vec<Job>,
        patience: Duration,
    ) -> Result<Self, ScenarioError> {
        let tenants = jobs.iter().map(|job| job.tenant + 1).max().unwrap_or(1);
        Ok(Self {
            bedrock: bedrock.region(HOME).build()?,
            jobs: jobs.into(),
            tenants,
            patience,
            attempt_timeout: None,
            places: vec![Place::new(MODEL, HOME)],
            quotas: Vec::new(),
            stream: None,
            in_flight: 1000,
            line: None,
            is_imported: false,
            trouble: None,
        })
    }

    /// Tells everybody the quotas of all places.
    pub(crate) fn with_known_quotas(mut self) -> Self {
        let known = |place: &Place| {
            let spec = self.spec(place)?;
            Some(KnownQuota {
                place: place.clone(),
                rpm: spec.rpm,
                tpm: spec.tpm,
            })
        };
        self.quotas = self.places.iter().filter_map(known).collect();
        self
    }

    pub(crate) fn spec(&self, place: &Place) -> Option<&ModelSpec> {
        let models = self.bedrock.models();
        models.iter().find(|spec| spec.id == place.model)
    }

    /// What calls use of a quota of tokens on average.
    pub(crate) fn mean_worth(&self) -> f64 {
        let all: f64 = self.jobs.iter().map(|job| job.worth).sum();
        all / self.jobs.len().max(1) as f64
    }

    /// The longest that an answer takes where nothing goes wrong.
    pub(crate) fn longest_answer(&self) -> Duration {
        let specs = self.places.iter().filter_map(|place| self.spec(place));
        let longest = specs.map(|spec| {
            let most = match spec.output_tokens {
                OutputTokens::Fixed(tokens) | OutputTokens::Between(_, tokens) => tokens,
                _ => spec.max_output_tokens(),
            };
            let generates = spec
                .tokens_per_second
                .map_or(0.0, |per_second| most as f64 / per_second as f64);
            let first = spec.latency.mul_f64(1.0 + spec.latency_jitter);
            first + Duration::from_secs_f64(generates)
        });
        longest.max().unwrap_or_default()
    }
}
