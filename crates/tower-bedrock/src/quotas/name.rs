//! What the name of a row of Service Quotas says (BEDROCK.md §3.6).

use crate::{cause::Limit, model_id::QuotaPath};

/// A row's name, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowName<'a> {
    pub(super) paths: &'static [QuotaPath],
    pub(super) limit: Limit,
    pub(super) model: &'a str,
}

const IN_REGION: &[QuotaPath] = &[QuotaPath::InRegion];
const GEO: &[QuotaPath] = &[QuotaPath::Geo];
const GLOBAL: &[QuotaPath] = &[QuotaPath::Global];
const IN_REGION_AND_GEO: &[QuotaPath] = &[QuotaPath::InRegion, QuotaPath::Geo];

/// What a name begins with and the path that it is about, the longer before the shorter.
const BEGINNINGS: &[(&str, &[QuotaPath])] = &[
    ("global cross-region model inference ", GLOBAL),
    ("global cross-region invokemodel ", GLOBAL),
    ("cross-region model inference ", GEO),
    ("cross-region invokemodel ", GEO),
    ("on-demand model inference ", IN_REGION),
    ("on-demand invokemodel ", IN_REGION),
    ("model invocation max ", IN_REGION_AND_GEO),
    ("invokemodel ", IN_REGION),
];

const LIMITS: &[(&str, Limit)] = &[
    ("requests per minute", Limit::RequestsPerMinute),
    ("tokens per minute", Limit::TokensPerMinute),
    ("tokens per day", Limit::TokensPerDay),
];

impl<'a> RowName<'a> {
    /// What `name` says; `None` if it is not about a limit of calls on demand that the token budget
    /// keeps: other endpoints, latency-optimised calls, customised models, numbers of connections.
    pub(super) fn of(name: &'a str) -> Option<Self> {
        let name = name.trim();
        let low = name.to_ascii_lowercase();
        if low.contains("latency") {
            return None;
        }
        let (rest, paths) = BEGINNINGS
            .iter()
            .find_map(|&(words, paths)| Some((low.strip_prefix(words)?, paths)))?;
        let (rest, limit) = LIMITS
            .iter()
            .find_map(|&(words, limit)| Some((rest.strip_prefix(words)?, limit)))?;
        let rest = rest.strip_prefix(" for ")?;
        // In ASCII a lower-case name is as long as the name.
        let model = name.get(name.len() - rest.len()..)?;
        let model = match model.rfind(" (doubled for ") {
            Some(end) => &model[..end],
            None => model,
        };
        Some(Self {
            paths,
            limit,
            model: model.trim(),
        })
    }
}
