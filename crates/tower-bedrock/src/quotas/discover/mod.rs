//! What an account may do, read from AWS.
//!
//! [`discover`] reads the quotas that are in force (`ListServiceQuotas`), AWS's defaults for those that
//! the account has no value of its own for (`ListAWSDefaultServiceQuotas`), and the inference profiles
//! (`ListInferenceProfiles`, `GetInferenceProfile`), in each region that it is asked for. Rows are matched
//! with models as [`AccountQuotas`](super::AccountQuotas) does: a doubt is told, nothing is guessed.
//! [`Discovery::apply`] has ledgers go by what was found, before the first call or while calls go on, and
//! [`QuotaDiscovery::refresh_every`] keeps them up to date.

mod error;
mod event;
mod profile;
mod read;
mod reading;
mod refresh;
mod report;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use aws_sdk_bedrock::config::BehaviorVersion;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use tokio::time::Instant;

use crate::{
    model_id::{ModelId, QuotaPath},
    retry::Jitter,
    route::{Region, Route},
    token_budget::Quota,
};

use self::read::Reader;
pub use self::{
    error::{IamAction, MissingPermission, ReadFailure, ReadFailureReason},
    event::DiscoveryEvent,
    profile::{UnresolvedProfile, UnresolvedReason},
    report::Discovery,
};

/// Attempts at a request. The API of Service Quotas throttles at a few requests per second, for all that
/// an account asks of it; with waits of up to 20 s between attempts, ten of them outlast a minute.
const MAX_ATTEMPTS: u32 = 10;
/// A reading takes seconds; with ten attempts at one of its requests, about a minute.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Whoever waits for longer means for ever.
const LONGEST_TIME_LIMIT: Duration = Duration::from_secs(86_400);

type Listener = Arc<dyn Fn(&DiscoveryEvent<'_>) + Send + Sync>;

/// Reads what an account may do, and has ledgers go by it.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_bedrock::{Bedrock, Stack, quotas::QuotaDiscovery};
///
/// # async fn example(config: &aws_types::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let discovery = QuotaDiscovery::new(config, ["us-east-1", "us-west-2"]);
/// let found = discovery.discover().await;
/// // Permissions that are missing, models whose quota is not known: a line each.
/// eprint!("{found}");
///
/// let stack = Stack::builder(Bedrock::new(config))
///     .listing(found.listing().clone())
///     .build()?;
/// let quotas = stack.quotas().expect("a token budget").clone();
/// let refresh = discovery.refresh_after(found, Duration::from_secs(3600), quotas);
/// tokio::spawn(refresh);
/// # Ok(())
/// # }
/// ```
///
/// # Permissions
///
/// Without one of them the rest is read all the same, and [`Discovery::missing_permissions`] says which
/// is missing where. `GetInferenceProfile` is asked only for profiles that a
/// [route](Self::route) names and no list has.
///
/// ```json
/// {
///   "Version": "2012-10-17",
///   "Statement": [
///     {
///       "Effect": "Allow",
///       "Action": [
///         "servicequotas:ListServiceQuotas",
///         "servicequotas:ListAWSDefaultServiceQuotas",
///         "bedrock:ListInferenceProfiles",
///         "bedrock:GetInferenceProfile"
///       ],
///       "Resource": "*"
///     }
///   ]
/// }
/// ```
///
/// # What is not known
///
/// A model without a row, or with rows that leave a doubt, has a ledger that learns from refusals, as
/// without discovery. Where the quotas in force could not be read at all, the defaults stand in for them:
/// they may be higher than what a new account has, so the ledger learns there too
/// ([`Discovery::is_applied`] tells them apart).
///
/// # Shared state
///
/// None: each reading makes clients of its own. Clones read the same.
///
/// # Cancellation
///
/// Nothing is changed before everything is read. Dropping a future of it leaves ledgers as they are.
///
/// # Errors
///
/// There are none to return: [`Discovery`] says what is missing, and why.
///
/// # Example
///
/// ```no_run
/// # async fn example(config: &aws_types::SdkConfig) -> Result<(), tower_bedrock::InvalidModelId> {
/// use tower_bedrock::{Quota, QuotaShare, Route, quotas::QuotaDiscovery};
///
/// let found = QuotaDiscovery::new(config, ["eu-west-1"])
///     // To be told if its quota is not known.
///     .route(Route::to("eu.anthropic.claude-sonnet-4-6".parse()?).in_region("eu-west-1"))
///     // Two services share the account.
///     .template(Quota::new().with_share(QuotaShare::Fraction(0.5)))
///     .discover()
///     .await;
/// # let _ = found;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QuotaDiscovery {
    config: SdkConfig,
    regions: Vec<Region>,
    routes: Vec<Route>,
    template: Quota,
    max_attempts: u32,
    time_limit: Duration,
    jitter: Jitter,
    listener: Option<Listener>,
}

/// Reads what the account of `config` may do in `regions`, with everything as [`QuotaDiscovery`] has it
/// by default.
pub async fn discover(
    config: &SdkConfig,
    regions: impl IntoIterator<Item = impl Into<Region>>,
) -> Discovery {
    QuotaDiscovery::new(config, regions).discover().await
}

impl QuotaDiscovery {
    /// Reads the quotas of `regions` with the credentials, endpoint, timeouts and HTTP client of
    /// `config`. Retries are discovery's own.
    ///
    /// An endpoint URL in `config` is that of all services, so Service Quotas is looked for there too;
    /// one for Bedrock alone belongs into `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`.
    #[must_use]
    pub fn new(config: &SdkConfig, regions: impl IntoIterator<Item = impl Into<Region>>) -> Self {
        let version = config.behavior_version();
        let version = version.unwrap_or_else(BehaviorVersion::latest);
        let config = config.clone().into_builder().behavior_version(version);
        let mut all: Vec<Region> = Vec::new();
        for region in regions.into_iter().map(Into::into) {
            if !all.contains(&region) {
                all.push(region);
            }
        }
        Self {
            config: config.build(),
            regions: all,
            routes: Vec::new(),
            template: Quota::new(),
            max_attempts: MAX_ATTEMPTS,
            time_limit: TIME_LIMIT,
            jitter: Jitter::new(),
            listener: None,
        }
    }

    /// Adds a route that will be called, in one of the regions: [`Discovery`] tells if its quota is not
    /// known. An application profile that no list has is read by itself. A route without a region is
    /// called in all of them.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        if route.region.is_some() {
            self.routes.push(route);
        } else {
            let regions = self.regions.iter().cloned();
            self.routes
                .extend(regions.map(|region| route.clone().in_region(region)));
        }
        self
    }

    /// Sets what all quotas have beside their limits; see [`Listing::with_template`](super::Listing::with_template).
    #[must_use]
    pub fn template(mut self, template: Quota) -> Self {
        self.template = template;
        self
    }

    /// Sets the attempts at each request, with the first; 10 by default, and at least 1. The API of
    /// Service Quotas throttles early.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets how long a reading may take; what was not read by then is told as missing. Two minutes by
    /// default, at most a day.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit.min(LONGEST_TIME_LIMIT);
        self
    }

    /// Sets where the jitter of refreshes comes from; seeded by the operating system by default.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Tells `listener` of each refresh. It is called within the future, so it should be quick.
    #[must_use]
    pub fn on_event(
        mut self,
        listener: impl Fn(&DiscoveryEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Reads everything once, all regions at a time.
    pub async fn discover(&self) -> Discovery {
        let until = Instant::now() + self.time_limit;
        let readings = self.regions.iter().map(async |region| {
            let named: Vec<_> = self.named_in(region).cloned().collect();
            let reading = self.reader(region, until).read(&named).await;
            (region.clone(), reading)
        });
        let readings = futures_util::future::join_all(readings).await;
        let readings = BTreeMap::from_iter(readings);
        #[cfg(feature = "metrics")]
        for failure in readings.values().flat_map(|reading| &reading.failures) {
            crate::metrics::discovery_failed(&failure.region, failure.action.as_str());
        }
        Discovery::new(readings, self.routes.clone(), &self.template)
    }

    /// The profiles that routes to `region` name.
    fn named_in(&self, region: &Region) -> impl Iterator<Item = &ModelId> {
        let routes = self.routes.iter();
        let here = routes.filter(move |route| route.region.as_ref() == Some(region));
        let models = here.filter_map(|route| route.model.as_ref());
        models.filter(|model| model.quota_path() == QuotaPath::Unresolved)
    }

    fn reader(&self, region: &Region, until: Instant) -> Reader {
        let config = self.config.clone().into_builder();
        let region_of_sdk = aws_types::region::Region::new(region.as_str().to_owned());
        let config = config
            .region(region_of_sdk)
            .retry_config(RetryConfig::standard().with_max_attempts(self.max_attempts))
            .build();
        Reader {
            region: region.clone(),
            quotas: aws_sdk_servicequotas::Client::new(&config),
            control: aws_sdk_bedrock::Client::new(&config),
            attempts: self.max_attempts,
            limit: self.time_limit,
            until,
        }
    }

    fn tell(&self, event: &DiscoveryEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::discovery(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

impl fmt::Debug for QuotaDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaDiscovery")
            .field("regions", &self.regions)
            .field("max_attempts", &self.max_attempts)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}
