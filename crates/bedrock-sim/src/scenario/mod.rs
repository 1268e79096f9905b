//! Scenarios: what a simulated Bedrock is made of.

mod check;
mod control_plane;
mod error;
mod fault;
mod fault_table;
mod file;
mod model;
mod options;
mod recording;
mod recording_table;
mod shapes;
#[cfg(test)]
mod tests;

use std::{fmt, fs, path::Path};

pub use control_plane::{ControlPlane, InferenceProfileSpec, ServiceQuotaSpec};
pub use error::ScenarioError;
pub use fault::{DownAnswer, ErrorSpec, FaultKind, FaultSpec, Message};
pub use model::{ModelSpec, OutputTokens, Vendor, WhenFull};
pub use options::{DailyReset, QuotaOptions, Window};
pub(crate) use recording::Part;
pub use recording::{Recording, RecordingEnd};

/// What a simulated Bedrock is made of: its models with their quotas and capacity, and what goes
/// wrong with them.
///
/// Made from a TOML file or in code, and checked the same either way: a value of this type is
/// sound.
///
/// ```
/// use bedrock_sim::{ModelSpec, Scenario};
///
/// let scenario = Scenario::from_toml(
///     r#"
///     seed = 7
///
///     [[model]]
///     id = "amazon.nova-lite-v1:0"
///     rpm = 60
///     "#,
/// )?;
///
/// let same = Scenario::builder()
///     .seed(7)
///     .model(ModelSpec::new("amazon.nova-lite-v1:0").rpm(60))
///     .build()?;
/// assert_eq!(scenario, same);
/// # Ok::<(), bedrock_sim::ScenarioError>(())
/// ```
///
#[doc = include_str!("format.md")]
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    seed: u64,
    region: String,
    account: String,
    quota: QuotaOptions,
    models: Vec<ModelSpec>,
    faults: Vec<FaultSpec>,
    control_plane: ControlPlane,
}

impl Scenario {
    /// A scenario to be made in code.
    pub fn builder() -> ScenarioBuilder {
        ScenarioBuilder(Self {
            seed: 0,
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            quota: QuotaOptions::default(),
            models: Vec::new(),
            faults: Vec::new(),
            control_plane: ControlPlane::new(),
        })
    }

    /// Reads a scenario from TOML. Files that it names are looked for in the working directory.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] with line and reason when the text is not TOML, has an unknown key, or
    /// describes what cannot be.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        file::parse(text, Path::new(""))
    }

    /// Reads a scenario from a TOML file. Files that it names are looked for beside it.
    ///
    /// # Errors
    ///
    /// Those of [`from_toml`](Self::from_toml), with the file's name, and when the file cannot be
    /// read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScenarioError> {
        let path = path.as_ref();
        fs::read(path)
            .map_err(|error| ScenarioError::new(format!("the file cannot be read: {error}")))
            .and_then(|bytes| file::parse(utf8(&bytes)?, path.parent().unwrap_or(path)))
            .map_err(|error| error.in_file(path))
    }

    /// The same with all chance from another [seed](Self::seed).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Where all chance comes from. 0 by default.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The region of a request that names none. `us-east-1` by default.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account that owns the quotas. `123456789012` by default.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// How quotas are enforced.
    #[must_use]
    pub fn quota(&self) -> &QuotaOptions {
        &self.quota
    }

    /// The models.
    #[must_use]
    pub fn models(&self) -> &[ModelSpec] {
        &self.models
    }

    /// The fault scripts, in the order in which they are asked.
    #[must_use]
    pub fn faults(&self) -> &[FaultSpec] {
        &self.faults
    }

    /// What Service Quotas and the control plane say.
    #[must_use]
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The ARNs of the application profiles in `region` that were made of `model`.
    pub(crate) fn profiles_of(&self, model: &ModelSpec, region: &str) -> Vec<String> {
        let is_made_of_it = |profile: &&InferenceProfileSpec| {
            let of = profile.of.as_deref();
            profile.application && of.is_some_and(|of| model.is_called(of))
        };
        let profiles = self.control_plane.profiles.iter().filter(is_made_of_it);
        let here = profiles.filter(|profile| match &profile.regions {
            Some(regions) => regions.iter().any(|one| one == region),
            None => self.region == region,
        });
        here.map(|profile| profile.arn(region, &self.account))
            .collect()
    }

    /// Whether a fault can befall what is here; an outage need not say when it ends.
    pub(crate) fn check_fault(&self, fault: &FaultSpec) -> Result<(), ScenarioError> {
        check::check_fault(self, fault).map_err(check::Flaw::into_error)
    }

    /// The regions that a model can be called from.
    pub(crate) fn regions_of<'a>(&'a self, model: &'a ModelSpec) -> impl Iterator<Item = &'a str> {
        let home = model.regions.is_none().then_some(self.region.as_str());
        let listed = model.regions.iter().flatten().map(String::as_str);
        home.into_iter().chain(listed)
    }
}

/// The text of a file.
fn utf8(bytes: &[u8]) -> Result<&str, ScenarioError> {
    str::from_utf8(bytes).map_err(|error| {
        let valid = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        ScenarioError::new("the text is not UTF-8, which TOML is").at(valid, valid.len())
    })
}

/// Makes a [`Scenario`] in code.
#[derive(Clone)]
#[must_use]
pub struct ScenarioBuilder(Scenario);

impl ScenarioBuilder {
    /// Sets the [seed](Scenario::seed).
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Sets the [region](Scenario::region).
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.0.region = region.into();
        self
    }

    /// Sets the [account](Scenario::account).
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.0.account = account.into();
        self
    }

    /// Sets how quotas [are enforced](Scenario::quota).
    pub fn quota(mut self, options: QuotaOptions) -> Self {
        self.0.quota = options;
        self
    }

    /// Adds a model.
    pub fn model(mut self, model: ModelSpec) -> Self {
        self.0.models.push(model);
        self
    }

    /// Sets what Service Quotas and the control plane [say](Scenario::control_plane).
    pub fn control_plane(mut self, plane: ControlPlane) -> Self {
        self.0.control_plane = plane;
        self
    }

    /// Adds a fault script.
    pub fn fault(mut self, fault: FaultSpec) -> Self {
        self.0.faults.push(fault);
        self
    }

    /// Checks the scenario.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] when it describes what cannot be: a quota of zero, a region twice, a fault
    /// of a model that is not there.
    pub fn build(self) -> Result<Scenario, ScenarioError> {
        match check::check(&self.0) {
            Ok(()) => Ok(self.0),
            Err(flaw) => Err(flaw.into_error()),
        }
    }
}

impl fmt::Debug for ScenarioBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScenarioBuilder").field(&self.0).finish()
    }
}
