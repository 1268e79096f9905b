//! What an account may do, as AWS's Service Quotas lists it.
//!
//! Quotas differ by account, region and model, and those copied by hand are wrong sooner or later.
//! [`AccountQuotas`] reads the list that `aws service-quotas list-service-quotas --service-code bedrock`
//! prints, finds the rows of a model and makes a [`Quota`] of them. A row is known by its name, which is
//! written for people; where names leave a doubt, nothing is guessed ([`NoAccountQuota`]).
//!
//! # Example
//!
//! ```
//! use tower_bedrock::{Quotas, Route, quotas::{AccountQuotas, ServiceQuota}};
//!
//! let listed = AccountQuotas::new([
//!     ServiceQuota::new("L-15B8E632", "Cross-region model inference tokens per minute for Anthropic Claude Sonnet 4.6", 1_000_000.0),
//!     ServiceQuota::new("L-00FF3314", "Cross-region model inference requests per minute for Anthropic Claude Sonnet 4.6", 200.0),
//! ]);
//! let route = Route::to("eu.anthropic.claude-sonnet-4-6".parse()?).in_region("eu-west-1");
//! let quotas = Quotas::new();
//! quotas.set(&route, listed.of(route.model.as_ref().unwrap())?.quota())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "quota-discovery")]
mod discover;
mod error;
mod listing;
mod name;
mod spelling;
#[cfg(test)]
mod tests;

use crate::{
    cause::Limit,
    model_id::{ModelId, QuotaPath},
    token_budget::{MAX_QUOTA, Quota},
};

#[cfg(feature = "quota-discovery")]
pub use self::discover::{
    Discovery, DiscoveryEvent, IamAction, MissingPermission, QuotaDiscovery, ReadFailure,
    ReadFailureReason, UnresolvedProfile, UnresolvedReason, discover,
};
pub use self::{error::NoAccountQuota, listing::Listing};
use self::{
    name::RowName,
    spelling::{Fit, Spelling},
};
pub use crate::token_budget::Adoption;

/// A row of Service Quotas, as it is listed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServiceQuota {
    /// Its code, such as `L-15B8E632`.
    pub code: String,
    /// Its name, which tells path, limit and model.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Whether an increase can be asked for; if not, only AWS support can help.
    pub is_adjustable: bool,
}

/// A row that limits calls of one model, with its name taken apart.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuotaRow {
    /// Its code, for a request for an increase.
    pub code: String,
    /// Its name as it is listed.
    pub name: String,
    /// The model's name in it.
    pub model: String,
    /// The paths that it limits. Tokens per day are one row for calls in the region and through
    /// geographic profiles.
    pub paths: &'static [QuotaPath],
    /// What it limits.
    pub limit: Limit,
    /// Its value.
    pub value: u64,
    /// Whether an increase can be asked for.
    pub is_adjustable: bool,
    spelling: Spelling,
}

/// The quotas of an account in one region.
#[derive(Clone, Debug, Default)]
pub struct AccountQuotas {
    rows: Vec<QuotaRow>,
    ignored: usize,
}

/// What an account may do with one model on one path.
#[derive(Clone, Debug)]
pub struct ModelQuota<'a> {
    requests_per_minute: Option<&'a QuotaRow>,
    tokens_per_minute: Option<&'a QuotaRow>,
    tokens_per_day: Option<&'a QuotaRow>,
    path: QuotaPath,
}

// === impl ServiceQuota ===

impl ServiceQuota {
    /// A row that can be adjusted.
    #[must_use]
    pub fn new(code: impl Into<String>, name: impl Into<String>, value: f64) -> Self {
        Self {
            code: code.into(),
            name: name.into(),
            value,
            is_adjustable: true,
        }
    }

    /// Sets whether an increase can be asked for; yes by default.
    #[must_use]
    pub const fn adjustable(mut self, is_adjustable: bool) -> Self {
        self.is_adjustable = is_adjustable;
        self
    }
}

// === impl AccountQuotas ===

impl AccountQuotas {
    /// The quotas that `rows` list. Those that do not limit calls of a model on demand are passed over,
    /// and so is a value that is no number; a value with a fraction is rounded down.
    pub fn new(rows: impl IntoIterator<Item = ServiceQuota>) -> Self {
        let mut quotas = Self::default();
        for row in rows {
            match QuotaRow::of(row) {
                Some(row) => quotas.rows.push(row),
                None => quotas.ignored += 1,
            }
        }
        quotas
    }

    /// The rows that limit calls of a model, in the order in which they were listed.
    #[must_use]
    pub fn rows(&self) -> &[QuotaRow] {
        &self.rows
    }

    /// How many rows were passed over.
    #[must_use]
    pub const fn ignored(&self) -> usize {
        self.ignored
    }

    /// What the account may do with `model`, on the path that its id takes.
    ///
    /// # Errors
    ///
    /// [`NoAccountQuota`]: no row is about the model, more than one may be, a limit is 0, or the id
    /// does not tell its path.
    pub fn of(&self, model: &ModelId) -> Result<ModelQuota<'_>, NoAccountQuota> {
        let path = model.quota_path();
        if !matches!(
            path,
            QuotaPath::InRegion | QuotaPath::Geo | QuotaPath::Global
        ) {
            return Err(NoAccountQuota::OtherPath {
                model: model.clone(),
                path,
            });
        }
        let Some(base) = model.base_model() else {
            return Err(NoAccountQuota::OtherPath {
                model: model.clone(),
                path,
            });
        };
        let spelling = Spelling::of_base_model(base);
        let row = |limit| self.row(model, &spelling, path, limit);
        let found = ModelQuota {
            requests_per_minute: row(Limit::RequestsPerMinute)?,
            tokens_per_minute: row(Limit::TokensPerMinute)?,
            tokens_per_day: row(Limit::TokensPerDay)?,
            path,
        };
        if found.rows().next().is_none() {
            return Err(NoAccountQuota::NotListed {
                model: model.clone(),
                path,
            });
        }
        if let Some(row) = found.rows().find(|row| row.value == 0) {
            return Err(NoAccountQuota::Zero {
                model: model.clone(),
                limit: row.limit,
                code: row.code.clone(),
            });
        }
        Ok(found)
    }

    fn row(
        &self,
        model: &ModelId,
        spelling: &Spelling,
        path: QuotaPath,
        limit: Limit,
    ) -> Result<Option<&QuotaRow>, NoAccountQuota> {
        let fitting = |wanted: Fit| {
            self.rows.iter().filter(move |row| {
                row.limit == limit
                    && row.paths.contains(&path)
                    && spelling.fit(&row.spelling) == Some(wanted)
            })
        };
        for fit in [Fit::Whole, Fit::Beginning] {
            let mut rows = fitting(fit);
            let Some(first) = rows.next() else {
                continue;
            };
            // A list may name a row twice, as defaults and applied values do when they are put together.
            if let Some(other) =
                rows.find(|row| (&row.code, row.value) != (&first.code, first.value))
            {
                return Err(NoAccountQuota::Ambiguous {
                    model: model.clone(),
                    limit,
                    names: [first.name.clone(), other.name.clone()],
                });
            }
            return Ok(Some(first));
        }
        Ok(None)
    }
}

// === impl QuotaRow ===

impl QuotaRow {
    fn of(row: ServiceQuota) -> Option<Self> {
        let RowName {
            paths,
            limit,
            model,
        } = RowName::of(&row.name)?;
        let spelling = Spelling::of_name(model);
        let model = model.to_owned();
        if !row.value.is_finite() || row.value < 0.0 {
            return None;
        }
        Some(Self {
            code: row.code,
            name: row.name,
            model,
            paths,
            limit,
            // Beyond 2^53 nothing is exact, and nothing is a quota.
            value: row.value as u64,
            is_adjustable: row.is_adjustable,
            spelling,
        })
    }
}

// === impl ModelQuota ===

impl<'a> ModelQuota<'a> {
    /// What to tell [`Quotas::set`](crate::Quotas::set). A limit without a row is left open.
    ///
    /// Tokens per day are taken twice for a geographic profile, as the name of their row says
    /// ("doubled for cross-region calls").
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota_like(&Quota::new())
    }

    /// The same with all that `template` says beside the limits, and its limits where there is no row.
    ///
    /// Where a longer or coarser limit is the smaller one, as a day's tokens of a new account may be,
    /// it holds for the minute and for requests too.
    #[must_use]
    pub fn quota_like(&self, template: &Quota) -> Quota {
        let mut quota = template.clone();
        let mut most = MAX_QUOTA;
        if let Some(row) = self.tokens_per_day {
            let is_doubled = self.path == QuotaPath::Geo && row.paths.len() > 1;
            let tokens = row.value.saturating_mul(if is_doubled { 2 } else { 1 });
            most = most.min(tokens);
            quota = quota.with_tokens_per_day(most);
        }
        if let Some(row) = self.tokens_per_minute {
            most = most.min(row.value);
            quota = quota.with_tokens_per_minute(most);
        }
        if let Some(row) = self.requests_per_minute {
            quota = quota.with_requests_per_minute(most.min(row.value));
        }
        quota
    }

    /// The row of `limit`, if there is one.
    #[must_use]
    pub const fn row(&self, limit: Limit) -> Option<&'a QuotaRow> {
        match limit {
            Limit::RequestsPerMinute => self.requests_per_minute,
            Limit::TokensPerMinute => self.tokens_per_minute,
            Limit::TokensPerDay => self.tokens_per_day,
        }
    }

    /// The rows that there are.
    pub fn rows(&self) -> impl Iterator<Item = &'a QuotaRow> + use<'a> {
        [
            self.requests_per_minute,
            self.tokens_per_minute,
            self.tokens_per_day,
        ]
        .into_iter()
        .flatten()
    }
}
