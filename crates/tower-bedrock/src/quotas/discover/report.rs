//! What a discovery found, and what it did not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tokio::time::Instant;

use super::{
    error::{MissingPermission, ReadFailure},
    profile::{UnresolvedProfile, UnresolvedReason},
    reading::RegionReading,
};
use crate::{
    model_id::{ModelId, QuotaPath},
    quotas::{AccountQuotas, Adoption, Listing, NoAccountQuota},
    route::{Region, Route},
    token_budget::{InvalidQuota, Quota, Quotas},
};

/// What was found of an account: its quotas, what its profiles stand for, and everything that could not be
/// read or told.
///
/// A partial result is a result: what is not in it is learned from refusals, as without discovery.
/// [`Display`](fmt::Display) says in lines what there is to be done about it.
///
/// # Example
///
/// ```no_run
/// # async fn example(config: &aws_types::SdkConfig, quotas: &tower_bedrock::Quotas) {
/// use tower_bedrock::quotas;
///
/// let found = quotas::discover(config, ["us-east-1", "us-west-2"]).await;
/// for missing in found.missing_permissions() {
///     eprintln!("{missing}");
/// }
/// found.apply(quotas);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Discovery {
    readings: BTreeMap<Region, RegionReading>,
    /// What the caller means to call.
    routes: Vec<Route>,
    listing: Listing,
    findings: Vec<Finding>,
    unresolved: Vec<UnresolvedProfile>,
}

/// What was found for a profile of the system, or for a route that was asked for.
#[derive(Clone, Debug)]
struct Finding {
    route: Route,
    quota: Result<Quota, Refused>,
}

#[derive(Clone, Debug)]
enum Refused {
    NotTold(NoAccountQuota),
    Invalid(InvalidQuota),
}

impl Discovery {
    pub(super) fn new(
        readings: BTreeMap<Region, RegionReading>,
        routes: Vec<Route>,
        template: &Quota,
    ) -> Self {
        let mut discovery = Self {
            readings,
            routes,
            listing: Listing::new().with_template(template.clone()),
            findings: Vec::new(),
            unresolved: Vec::new(),
        };
        discovery.list();
        discovery.find();
        discovery
    }

    /// This, brought up to date by `newer`: what that failed to read stays as it was.
    #[must_use]
    pub fn updated_by(self, newer: Self) -> Self {
        let template = newer.listing.template().clone();
        let mut readings = self.readings;
        for (region, reading) in newer.readings {
            let reading = match readings.remove(&region) {
                Some(old) => old.updated_by(reading),
                None => reading,
            };
            readings.insert(region, reading);
        }
        Self::new(readings, newer.routes, &template)
    }

    /// Has the ledgers of `quotas` go by it, as [`Quotas::adopt`] says.
    // What became of the ledgers is for logs.
    #[allow(clippy::must_use_candidate)]
    pub fn apply(&self, quotas: &Quotas) -> Adoption {
        quotas.adopt(self.listing.clone())
    }

    /// What was found, for [`StackBuilder::listing`](crate::StackBuilder::listing) and
    /// [`Quotas::adopt`].
    #[must_use]
    pub const fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Whether everything was read, to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures().next().is_none()
    }

    /// What was not read this time, and why.
    pub fn failures(&self) -> impl Iterator<Item = &ReadFailure> {
        self.readings.values().flat_map(|reading| &reading.failures)
    }

    /// What has to be allowed, and where, to read what was not.
    #[must_use]
    pub fn missing_permissions(&self) -> Vec<MissingPermission> {
        let missing = self.failures().filter_map(ReadFailure::missing_permission);
        BTreeSet::from_iter(missing).into_iter().collect()
    }

    /// The routes that have a quota, of the profiles of the system and of what was
    /// [asked for](super::QuotaDiscovery::route).
    pub fn found(&self) -> impl Iterator<Item = (&Route, &Quota)> {
        let findings = self.findings.iter();
        findings.filter_map(|finding| Some((&finding.route, finding.quota.as_ref().ok()?)))
    }

    /// The routes whose quota is not listed, neither as applied nor as a default: their ledgers learn.
    pub fn unknown(&self) -> impl Iterator<Item = (&Route, &NoAccountQuota)> {
        self.not_told(|why| {
            !matches!(
                why,
                NoAccountQuota::Ambiguous { .. } | NoAccountQuota::Zero { .. }
            )
        })
    }

    /// The routes whose quota may be one or another: neither is taken, their ledgers learn.
    pub fn ambiguous(&self) -> impl Iterator<Item = (&Route, &NoAccountQuota)> {
        self.not_told(|why| matches!(why, NoAccountQuota::Ambiguous { .. }))
    }

    /// The routes that the account may not call at all, because a quota is 0.
    pub fn closed(&self) -> impl Iterator<Item = (&Route, &NoAccountQuota)> {
        self.not_told(|why| matches!(why, NoAccountQuota::Zero { .. }))
    }

    /// The routes whose quota cannot be meant, with the template that was given.
    pub fn invalid(&self) -> impl Iterator<Item = (&Route, &InvalidQuota)> {
        let findings = self.findings.iter();
        findings.filter_map(|finding| match &finding.quota {
            Err(Refused::Invalid(why)) => Some((&finding.route, why)),
            _ => None,
        })
    }

    /// The application profiles that are counted by themselves, and why.
    #[must_use]
    pub fn unresolved(&self) -> &[UnresolvedProfile] {
        &self.unresolved
    }

    /// Whether a row has the value that is in force for the account; else it is AWS's default.
    #[must_use]
    pub fn is_applied(&self, region: &Region, code: &str) -> bool {
        let reading = self.readings.get(region);
        reading.is_some_and(|reading| reading.is_applied(code))
    }

    /// When the quotas of `region` were last read to their end.
    #[must_use]
    pub fn read_at(&self, region: &Region) -> Option<Instant> {
        self.listing.read_at(region)
    }

    fn not_told(
        &self,
        is_it: impl Fn(&NoAccountQuota) -> bool,
    ) -> impl Iterator<Item = (&Route, &NoAccountQuota)> {
        let findings = self.findings.iter();
        findings.filter_map(move |finding| match &finding.quota {
            Err(Refused::NotTold(why)) if is_it(why) => Some((&finding.route, why)),
            _ => None,
        })
    }

    fn list(&mut self) {
        let mut listing = std::mem::take(&mut self.listing);
        for (region, reading) in &self.readings {
            let quotas: AccountQuotas = reading.quotas();
            if reading.applied.is_whole || !quotas.rows().is_empty() {
                listing = listing.with_region_read_at(region.clone(), quotas, reading.read_at);
            }
            let profiles = &reading.profiles.items;
            for profile in profiles.iter().filter(|profile| profile.is_application) {
                let names = [&profile.arn, &profile.id];
                let names = names
                    .into_iter()
                    .filter_map(|name| ModelId::new(name.as_str()).ok());
                match profile.stands_for(region, profiles) {
                    Ok(model) => {
                        for name in names {
                            listing = listing.with_profile(name, model.clone());
                        }
                    }
                    Err(reason) => self.unresolved.push(UnresolvedProfile {
                        profile: profile.arn.clone(),
                        region: region.clone(),
                        reason,
                    }),
                }
            }
            let account = profiles.iter().find_map(|profile| {
                Some(
                    ModelId::new(profile.arn.as_str())
                        .ok()?
                        .account()?
                        .to_owned(),
                )
            });
            if let Some(account) = account {
                listing = listing.with_account(account);
            }
        }
        self.listing = listing;
    }

    fn find(&mut self) {
        let mut routes: Vec<Route> = Vec::new();
        for (region, reading) in &self.readings {
            for profile in &reading.profiles.items {
                if profile.is_application || !profile.is_active {
                    continue;
                }
                if let Ok(model) = ModelId::new(profile.id.as_str()) {
                    routes.push(Route::to(model).in_region(region.clone()));
                }
            }
        }
        routes.extend(self.routes.iter().cloned());
        let mut seen = BTreeSet::new();
        for route in routes {
            if !seen.insert(route.to_string()) {
                continue;
            }
            let model = route.model.as_ref();
            let model = model.map(|model| self.listing.stands_for(model));
            let is_unresolved =
                model.is_some_and(|model| model.quota_path() == QuotaPath::Unresolved);
            if let (true, Some(model), Some(region)) = (is_unresolved, model, &route.region)
                && !self
                    .unresolved
                    .iter()
                    .any(|known| known.profile == model.as_str())
            {
                self.unresolved.push(UnresolvedProfile {
                    profile: model.to_string(),
                    region: region.clone(),
                    reason: UnresolvedReason::NotRead,
                });
            }
            let quota = self.listing.quota(&route).map_err(Refused::NotTold);
            let quota = quota.and_then(|quota| match quota.check() {
                Ok(()) => Ok(quota),
                Err(invalid) => Err(Refused::Invalid(invalid)),
            });
            self.findings.push(Finding { route, quota });
        }
    }
}

/// What there is to be done, a line each; nothing if nothing.
impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.failures() {
            writeln!(f, "{failure}")?;
        }
        for (route, why) in self.ambiguous().chain(self.unknown()).chain(self.closed()) {
            writeln!(f, "{route}: {why}")?;
        }
        for (route, why) in self.invalid() {
            writeln!(f, "{route}: {why}")?;
        }
        for profile in &self.unresolved {
            writeln!(f, "{profile}")?;
        }
        Ok(())
    }
}
