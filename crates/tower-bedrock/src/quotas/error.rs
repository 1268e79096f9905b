use std::fmt;

use crate::{
    cause::Limit,
    model_id::{ModelId, QuotaPath},
    route::Region,
};

/// Why a list of quotas does not tell what an account may do with a model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NoAccountQuota {
    /// No row is about the model on the path that its id takes.
    NotListed {
        /// The model.
        model: ModelId,
        /// The path.
        path: QuotaPath,
    },
    /// More than one row may be about the model.
    Ambiguous {
        /// The model.
        model: ModelId,
        /// What the rows limit.
        limit: Limit,
        /// The names of two of them.
        names: [String; 2],
    },
    /// The account may not call the model at all.
    Zero {
        /// The model.
        model: ModelId,
        /// What is 0.
        limit: Limit,
        /// The row's code.
        code: String,
    },
    /// The quotas of the region were not read.
    NotRead {
        /// The model.
        model: ModelId,
        /// The region; `None` if the route names none.
        region: Option<Region>,
    },
    /// The call has no model, and no quota.
    NoModel,
    /// The id is not one of a model on demand: capacity of the account's own, or something that must be
    /// resolved first, such as an application profile.
    OtherPath {
        /// The id.
        model: ModelId,
        /// What it tells of its path.
        path: QuotaPath,
    },
}

impl fmt::Display for NoAccountQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed { model, path } => write!(
                f,
                "no quota is listed for {model} ({path}); look the row up in Service Quotas and set it by hand"
            ),
            Self::Ambiguous {
                model,
                limit,
                names: [one, other],
            } => write!(
                f,
                "{limit} of {model} may be {one:?} or {other:?}; set the right one by hand"
            ),
            Self::Zero { model, limit, code } => write!(
                f,
                "{limit} of {model} is 0: this account cannot call it before {code} is raised"
            ),
            Self::NotRead {
                model,
                region: Some(region),
            } => write!(
                f,
                "the quotas of {region}, where {model} is called, were not read"
            ),
            Self::NotRead {
                model,
                region: None,
            } => write!(f, "no region is known in which {model} is called"),
            Self::NoModel => f.write_str("a call without a model has no quota"),
            Self::OtherPath { model, path } => write!(
                f,
                "{model} has no quota on demand that its id would tell ({path}); resolve it, or set its \
                 quota by hand"
            ),
        }
    }
}

impl std::error::Error for NoAccountQuota {}
