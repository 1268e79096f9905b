//! Model ids in all the forms that Bedrock accepts.

pub(crate) mod area;
mod arn;
mod facts;
mod kept;
mod path;
#[cfg(test)]
mod tests;

use std::{fmt, ptr, str::FromStr, sync::Arc};

use self::{arn::Arn, kept::KEPT};

pub use path::{ProfilePrefix, QuotaPath, Residency};

/// The longest model id that the service accepts, in bytes (BEDROCK.md §1.3, service model).
const MAX_LENGTH: usize = 2048;

/// A model id, parsed once and cheap to clone.
///
/// The first ids of a process, some hundreds, are kept for as long as it runs: they are parsed once for all
/// calls, and a clone of one is a copied pointer. Any others are counted references.
///
/// Accepts what Bedrock accepts: a foundation model id (`amazon.nova-lite-v1:0`), an inference
/// profile id with a geographic or global prefix (`us.amazon.nova-lite-v1:0`), a bare name, and the
/// ARNs of foundation models, inference profiles, provisioned, custom and imported models, prompt
/// routers, prompts and SageMaker endpoints.
///
/// # Example
///
/// ```
/// use tower_bedrock::{ModelId, QuotaPath, Residency};
///
/// let model: ModelId = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0".parse()?;
/// assert_eq!(model.base_model(), Some("anthropic.claude-sonnet-4-5-20250929-v1:0"));
/// assert_eq!(model.quota_path(), QuotaPath::Geo);
/// assert_eq!(model.residency(), Some(Residency::Geo));
/// # Ok::<(), tower_bedrock::InvalidModelId>(())
/// ```
#[derive(Clone)]
pub struct ModelId {
    /// Of an id that is not kept, nothing.
    kept: &'static Parsed,
    /// An id that is not kept. Beside the other, not in its place: a clone need not tell them apart.
    own: Option<Arc<Parsed>>,
}

struct Parsed {
    id: String,
    kind: ModelIdKind,
    prefix: Option<ProfilePrefix>,
    /// Where the base model starts and ends in `id`.
    base: Option<(usize, usize)>,
    arn: Option<Arn>,
}

/// What stands beside an id that is not kept.
static NOTHING: Parsed = Parsed {
    id: String::new(),
    kind: ModelIdKind::BareName,
    prefix: None,
    base: None,
    arn: None,
};

/// What kind of thing a [`ModelId`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelIdKind {
    /// A foundation model, called in the region itself.
    FoundationModel,
    /// A system-defined cross-region inference profile, geographic or global.
    InferenceProfile,
    /// A profile that the account made. What stands behind it is not in the id.
    ApplicationInferenceProfile,
    /// Provisioned throughput.
    ProvisionedModel,
    /// A customised model.
    CustomModel,
    /// A customised model deployed on demand.
    CustomModelDeployment,
    /// An imported model.
    ImportedModel,
    /// A prompt router, default or the account's own.
    PromptRouter,
    /// A managed prompt.
    Prompt,
    /// A marketplace model on a SageMaker endpoint.
    SageMakerEndpoint,
    /// A name without a vendor.
    BareName,
}

/// A text that cannot be a model id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidModelId {
    /// The id is empty.
    Empty,
    /// The id is longer than the 2048 bytes that the service accepts.
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The id has a character that no model id has.
    Character {
        /// The character.
        character: char,
        /// Where it stands, in bytes from the start.
        position: usize,
    },
    /// The id starts with `arn:` but is not the ARN of something that can be called.
    Arn {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl fmt::Display for InvalidModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the model id is empty"),
            Self::TooLong { length } => write!(
                f,
                "the model id is {length} bytes long, the service accepts {MAX_LENGTH}"
            ),
            Self::Character {
                character,
                position,
            } => write!(
                f,
                "the model id has {character:?} at byte {position}; ids are made of letters, \
                 digits and `.`, `-`, `_`, `:`, `/`"
            ),
            Self::Arn { reason } => write!(f, "the model ARN cannot be called: {reason}"),
        }
    }
}

impl std::error::Error for InvalidModelId {}

// === impl ModelId ===

impl ModelId {
    /// Parses a model id.
    ///
    /// # Errors
    ///
    /// [`InvalidModelId`] when no Bedrock would accept the text. An id that is well formed but names
    /// nothing is for the service to refuse.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidModelId> {
        let id = id.as_ref();
        if let Some(kept) = KEPT.find(id) {
            return Ok(Self { kept, own: None });
        }
        Ok(match KEPT.keep(Parsed::new(id)?) {
            Ok(kept) => Self { kept, own: None },
            Err(own) => Self {
                kept: &NOTHING,
                own: Some(own),
            },
        })
    }

    fn parsed(&self) -> &Parsed {
        self.own.as_deref().unwrap_or(self.kept)
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.parsed().id
    }

    /// What kind of thing the id names.
    #[must_use]
    pub fn kind(&self) -> ModelIdKind {
        self.parsed().kind
    }

    /// The foundation model behind the id, without prefix or ARN; `None` when the id does not tell.
    #[must_use]
    pub fn base_model(&self) -> Option<&str> {
        self.parsed()
            .base
            .map(|(start, end)| &self.parsed().id[start..end])
    }

    /// The prefix of an inference profile; `None` for everything else.
    #[must_use]
    pub fn prefix(&self) -> Option<ProfilePrefix> {
        self.parsed().prefix
    }

    /// The region that an ARN names; `None` for everything that is not an ARN.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.parsed().arn.as_ref()?.region(&self.parsed().id)
    }

    /// The account that an ARN names; `None` for foundation models and everything that is not an
    /// ARN.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.parsed().arn.as_ref()?.account(&self.parsed().id)
    }

    /// What is left of the id without the parts of an ARN that name partition, region and account:
    /// what may be shown to anybody.
    #[cfg(feature = "metrics")]
    pub(crate) fn without_account(&self) -> &str {
        let Some(arn) = &self.parsed().arn else {
            return self.as_str();
        };
        match self.parsed().kind {
            // The same thing as by its plain id.
            ModelIdKind::FoundationModel | ModelIdKind::InferenceProfile => {
                &self.as_str()[arn.resource_start..]
            }
            _ => self.as_str().splitn(6, ':').last().unwrap_or_default(),
        }
    }

    /// How widely a call's data may be processed; `None` when the id does not tell.
    #[must_use]
    pub fn residency(&self) -> Option<Residency> {
        match self.parsed().kind {
            ModelIdKind::InferenceProfile => self.parsed().prefix.map(ProfilePrefix::residency),
            ModelIdKind::ApplicationInferenceProfile
            | ModelIdKind::PromptRouter
            | ModelIdKind::Prompt
            | ModelIdKind::BareName => None,
            _ => Some(Residency::InRegion),
        }
    }

    /// The path whose quotas the id draws on.
    #[must_use]
    pub fn quota_path(&self) -> QuotaPath {
        match (self.parsed().kind, self.parsed().prefix) {
            (ModelIdKind::FoundationModel, _) => QuotaPath::InRegion,
            (ModelIdKind::InferenceProfile, Some(ProfilePrefix::Global)) => QuotaPath::Global,
            (ModelIdKind::InferenceProfile, Some(_)) => QuotaPath::Geo,
            (
                ModelIdKind::ProvisionedModel
                | ModelIdKind::CustomModel
                | ModelIdKind::CustomModelDeployment
                | ModelIdKind::ImportedModel
                | ModelIdKind::SageMakerEndpoint,
                _,
            ) => QuotaPath::Provisioned,
            _ => QuotaPath::Unresolved,
        }
    }

    /// The same base model under another prefix, or in-region with `None`.
    ///
    /// Returns `None` when the id does not tell its base model, or when that would read as another
    /// behind the prefix.
    #[must_use]
    pub fn with_prefix(&self, prefix: Option<ProfilePrefix>) -> Option<Self> {
        let base = self.base_model()?;
        let id = match prefix {
            Some(prefix) => format!("{}.{base}", prefix.as_str()),
            None => base.to_owned(),
        };
        let other = Self::new(id).ok()?;
        (other.base_model() == Some(base) && other.prefix() == prefix).then_some(other)
    }
}

impl Parsed {
    fn new(id: &str) -> Result<Self, InvalidModelId> {
        check_characters(id)?;
        let mut parsed = if id.starts_with("arn:") {
            let arn = Arn::parse(id)?;
            let mut parsed = Self::plain(&id[arn.resource_start..], arn.kind);
            parsed.shift(arn.resource_start);
            parsed.arn = Some(arn);
            parsed
        } else {
            Self::plain(id, ModelIdKind::FoundationModel)
        };
        parsed.id = id.into();
        Ok(parsed)
    }

    /// Parses what is not an ARN, or the resource of one whose `kind` is known.
    fn plain(id: &str, kind: ModelIdKind) -> Self {
        let mut parsed = Self {
            id: String::new(),
            kind,
            prefix: None,
            base: None,
            arn: None,
        };
        let is_system_id = matches!(
            kind,
            ModelIdKind::FoundationModel | ModelIdKind::InferenceProfile
        );
        if !is_system_id {
            return parsed;
        }
        match split_prefix(id) {
            Some((prefix, start)) => {
                parsed.kind = ModelIdKind::InferenceProfile;
                parsed.prefix = Some(prefix);
                parsed.base = Some((start, id.len()));
            }
            None if id.contains('.') => parsed.base = Some((0, id.len())),
            None => parsed.kind = ModelIdKind::BareName,
        }
        parsed
    }

    fn shift(&mut self, by: usize) {
        self.base = self.base.map(|(start, end)| (start + by, end + by));
    }
}

/// A known prefix, if a `vendor.model` follows it: model ids have dots of their own.
fn split_prefix(id: &str) -> Option<(ProfilePrefix, usize)> {
    let (head, rest) = id.split_once('.')?;
    let prefix = ProfilePrefix::ALL
        .into_iter()
        .find(|prefix| prefix.as_str() == head)?;
    let (vendor, model) = rest.split_once('.')?;
    (!vendor.is_empty() && !model.is_empty()).then_some((prefix, head.len() + 1))
}

fn check_characters(id: &str) -> Result<(), InvalidModelId> {
    if id.is_empty() {
        return Err(InvalidModelId::Empty);
    }
    if id.len() > MAX_LENGTH {
        return Err(InvalidModelId::TooLong { length: id.len() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '/' | '-');
    match id.char_indices().find(|&(_, c)| !allowed(c)) {
        Some((position, character)) => Err(InvalidModelId::Character {
            character,
            position,
        }),
        None => Ok(()),
    }
}

impl FromStr for ModelId {
    type Err = InvalidModelId;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::new(id)
    }
}

impl TryFrom<&str> for ModelId {
    type Error = InvalidModelId;

    fn try_from(id: &str) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl TryFrom<String> for ModelId {
    type Error = InvalidModelId;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl AsRef<str> for ModelId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ModelId").field(&self.as_str()).finish()
    }
}

impl PartialEq for ModelId {
    fn eq(&self, other: &Self) -> bool {
        match (&self.own, &other.own) {
            (None, None) => ptr::eq(self.kept, other.kept),
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl Eq for ModelId {}

impl std::hash::Hash for ModelId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
