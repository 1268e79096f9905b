//! What the account is told of itself: Service Quotas and inference profiles.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::ScenarioError;

/// Rows to a page, the most that Service Quotas gives.
const PAGE_SIZE: usize = 100;

/// What Service Quotas and Bedrock's control plane say of the account, and how they behave.
///
/// It says what the account is told, not what it may do: that is what each [`ModelSpec`](crate::ModelSpec)
/// has. The profiles of the system are those of the scenario's models whose ids have a prefix.
///
/// ```
/// use bedrock_sim::{ControlPlane, InferenceProfileSpec, ModelSpec, Scenario, ServiceQuotaSpec};
///
/// let name = "Cross-region model inference tokens per minute for Amazon Nova Lite";
/// let account = ControlPlane::new()
///     .quota(ServiceQuotaSpec::new("L-7C42E72A", name).value(400_000.0))
///     .profile(InferenceProfileSpec::application("a1b2c3d4e5f6").of("us.amazon.nova-lite-v1:0"));
/// let scenario = Scenario::builder()
///     .model(ModelSpec::new("us.amazon.nova-lite-v1:0").tpm(400_000))
///     .control_plane(account)
///     .build()?;
/// # drop(scenario);
/// # Ok::<(), bedrock_sim::ScenarioError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ControlPlane {
    /// The rows of Service Quotas.
    pub quotas: Vec<ServiceQuotaSpec>,
    /// Profiles beside those of the scenario's models.
    pub profiles: Vec<InferenceProfileSpec>,
    /// The most that a page has, if less than what is asked for. 100 by default.
    pub page_size: usize,
    /// How many of the first requests of each action in each region are throttled. 0 by default.
    pub throttle_first: u64,
    /// The IAM actions that the caller may not do, such as `servicequotas:ListServiceQuotas`.
    pub denied: Vec<String>,
}

/// A row of Service Quotas.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ServiceQuotaSpec {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The value that is in force; `None` if the account has none of its own, so that the row is among
    /// the defaults alone.
    #[serde(default)]
    pub value: Option<f64>,
    /// AWS's default; `None` for a row that the defaults lack.
    #[serde(default)]
    pub default: Option<f64>,
    /// Whether an increase can be asked for. Yes by default.
    #[serde(default = "yes")]
    pub adjustable: bool,
    /// The regions that have it; `None` for all.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
}

/// An inference profile.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InferenceProfileSpec {
    /// Its id.
    pub id: String,
    /// Whether the account made it. Yes by default.
    #[serde(default = "yes")]
    pub application: bool,
    /// The model or the profile of the system that it was made of. If that is one of the scenario's
    /// models, calls by the profile's ARN are answered by it and draw on its quotas.
    #[serde(default)]
    pub of: Option<String>,
    /// The ARNs of the models behind it, beside those of what it was made of.
    #[serde(default)]
    pub models: Vec<String>,
    /// The regions that have it; `None` for the scenario's own.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
}

const fn yes() -> bool {
    true
}

/// How a file says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlPlaneTable {
    page_size: Option<usize>,
    #[serde(default)]
    throttle_first: u64,
    #[serde(default)]
    denied: Vec<String>,
    #[serde(default)]
    quota: Vec<ServiceQuotaSpec>,
    #[serde(default)]
    profile: Vec<InferenceProfileSpec>,
    /// A file with more rows, by its path from the scenario's own file.
    quotas_csv: Option<PathBuf>,
    /// The value of its rows that have none.
    csv_value: Option<f64>,
}

impl ControlPlaneTable {
    pub(super) fn into_spec(self, folder: &Path) -> Result<ControlPlane, ScenarioError> {
        let mut plane = ControlPlane {
            quotas: self.quota,
            profiles: self.profile,
            page_size: self.page_size.unwrap_or(PAGE_SIZE),
            throttle_first: self.throttle_first,
            denied: self.denied,
        };
        if let Some(file) = self.quotas_csv {
            let file = folder.join(file);
            let text = fs::read_to_string(&file).map_err(|error| {
                let file = file.display();
                ScenarioError::new(format!("`quotas_csv`: {file} cannot be read: {error}"))
            })?;
            plane = plane.quotas_from_csv(&text, self.csv_value)?;
        }
        Ok(plane)
    }
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self::new()
    }
}

impl ControlPlane {
    /// An account of which nothing is listed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            quotas: Vec::new(),
            profiles: Vec::new(),
            page_size: PAGE_SIZE,
            throttle_first: 0,
            denied: Vec::new(),
        }
    }

    /// Adds a row.
    #[must_use]
    pub fn quota(mut self, quota: ServiceQuotaSpec) -> Self {
        self.quotas.push(quota);
        self
    }

    /// Adds the rows of a CSV with a header: `code` and `name`, and if there are `value`, `default` and
    /// `adjustable`; other columns are passed over, and so is a code that is there already. A row
    /// without a value gets `value`.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] when the text is no such CSV.
    pub fn quotas_from_csv(
        mut self,
        text: &str,
        value: Option<f64>,
    ) -> Result<Self, ScenarioError> {
        #[derive(Deserialize)]
        struct Row {
            code: String,
            name: String,
            #[serde(default)]
            value: Option<f64>,
            #[serde(default)]
            default: Option<f64>,
            #[serde(default = "yes")]
            adjustable: bool,
        }

        let known = self.quotas.iter().map(|quota| quota.code.clone());
        let mut known: HashSet<String> = known.collect();
        for row in csv::Reader::from_reader(text.as_bytes()).into_deserialize() {
            let row: Row =
                row.map_err(|error| ScenarioError::new(format!("the quotas' CSV: {error}")))?;
            if !known.insert(row.code.clone()) {
                continue;
            }
            self.quotas.push(ServiceQuotaSpec {
                code: row.code,
                name: row.name,
                value: row.value.or(value),
                default: row.default,
                adjustable: row.adjustable,
                regions: None,
            });
        }
        Ok(self)
    }

    /// Adds a profile.
    #[must_use]
    pub fn profile(mut self, profile: InferenceProfileSpec) -> Self {
        self.profiles.push(profile);
        self
    }

    /// Sets the [size of pages](Self::page_size).
    #[must_use]
    pub const fn page_size(mut self, rows: usize) -> Self {
        self.page_size = rows;
        self
    }

    /// Throttles the [first requests](Self::throttle_first).
    #[must_use]
    pub const fn throttle_first(mut self, requests: u64) -> Self {
        self.throttle_first = requests;
        self
    }

    /// Denies an [action](Self::denied).
    #[must_use]
    pub fn deny(mut self, action: impl Into<String>) -> Self {
        self.denied.push(action.into());
        self
    }
}

impl ServiceQuotaSpec {
    /// A row that can be adjusted, in all regions, without a value.
    pub fn new(code: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            name: name.into(),
            value: None,
            default: None,
            adjustable: true,
            regions: None,
        }
    }

    /// Sets the value that is in force.
    #[must_use]
    pub fn value(mut self, value: f64) -> Self {
        self.value = Some(value);
        self
    }

    /// Sets AWS's default.
    #[must_use]
    pub fn default(mut self, value: f64) -> Self {
        self.default = Some(value);
        self
    }

    /// Sets whether an increase can be asked for.
    #[must_use]
    pub fn adjustable(mut self, is_adjustable: bool) -> Self {
        self.adjustable = is_adjustable;
        self
    }

    /// Sets the regions that have it.
    #[must_use]
    pub fn regions(mut self, regions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.regions = Some(regions.into_iter().map(Into::into).collect());
        self
    }
}

impl InferenceProfileSpec {
    /// A profile that the account made.
    pub fn application(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            application: true,
            of: None,
            models: Vec::new(),
            regions: None,
        }
    }

    /// A profile of the system.
    pub fn system(id: impl Into<String>) -> Self {
        Self {
            application: false,
            ..Self::application(id)
        }
    }

    /// Its ARN in `region`.
    pub(crate) fn arn(&self, region: &str, account: &str) -> String {
        let id = &self.id;
        let resource = match self.application {
            true => "application-inference-profile",
            false => "inference-profile",
        };
        format!("arn:aws:bedrock:{region}:{account}:{resource}/{id}")
    }

    /// Sets [what it was made of](Self::of).
    #[must_use]
    pub fn of(mut self, id: impl Into<String>) -> Self {
        self.of = Some(id.into());
        self
    }

    /// Adds the ARN of a model behind it.
    #[must_use]
    pub fn model(mut self, arn: impl Into<String>) -> Self {
        self.models.push(arn.into());
        self
    }

    /// Sets the regions that have it.
    #[must_use]
    pub fn regions(mut self, regions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.regions = Some(regions.into_iter().map(Into::into).collect());
        self
    }
}
