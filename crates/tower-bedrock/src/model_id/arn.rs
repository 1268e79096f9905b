//! The ARNs that can stand where a model id stands.

use std::ops::Range;

use super::{InvalidModelId, ModelIdKind};

#[derive(Clone)]
pub(super) struct Arn {
    pub(super) kind: ModelIdKind,
    /// Where the part after `resource-type/` starts.
    pub(super) resource_start: usize,
    region: Range<usize>,
    account: Range<usize>,
}

impl Arn {
    /// Parses `arn:partition:service:region:account:type/resource`.
    pub(super) fn parse(id: &str) -> Result<Self, InvalidModelId> {
        let invalid = |reason| InvalidModelId::Arn { reason };
        let mut parts = id.splitn(6, ':');
        let mut start = 0;
        let mut next = || {
            let part = parts.next()?;
            let range = start..start + part.len();
            start = range.end + 1;
            Some((part, range))
        };
        let incomplete = || invalid("it does not have the six parts of an ARN");
        let _arn = next().ok_or_else(incomplete)?;
        let (partition, _) = next().ok_or_else(incomplete)?;
        let (service, _) = next().ok_or_else(incomplete)?;
        let (region_text, region) = next().ok_or_else(incomplete)?;
        let (account_text, account) = next().ok_or_else(incomplete)?;
        let (resource, resource_range) = next().ok_or_else(incomplete)?;

        if !partition.starts_with("aws") {
            return Err(invalid("its partition does not start with `aws`"));
        }
        if region_text.is_empty() {
            return Err(invalid("it names no region"));
        }
        let is_account =
            account_text.len() == 12 && account_text.bytes().all(|b| b.is_ascii_digit());
        if !account_text.is_empty() && !is_account {
            return Err(invalid("its account is not twelve digits"));
        }
        let (resource_type, name) = resource
            .split_once('/')
            .ok_or_else(|| invalid("it names a resource type but no resource"))?;
        if name.is_empty() {
            return Err(invalid("it names a resource type but no resource"));
        }
        let kind = match (service, resource_type) {
            ("bedrock", "foundation-model") => ModelIdKind::FoundationModel,
            ("bedrock", "inference-profile") => ModelIdKind::InferenceProfile,
            ("bedrock", "application-inference-profile") => {
                ModelIdKind::ApplicationInferenceProfile
            }
            ("bedrock", "provisioned-model") => ModelIdKind::ProvisionedModel,
            ("bedrock", "custom-model") => ModelIdKind::CustomModel,
            ("bedrock", "custom-model-deployment") => ModelIdKind::CustomModelDeployment,
            ("bedrock", "imported-model") => ModelIdKind::ImportedModel,
            ("bedrock", "prompt-router" | "default-prompt-router") => ModelIdKind::PromptRouter,
            ("bedrock", "prompt") => ModelIdKind::Prompt,
            ("sagemaker", "endpoint") => ModelIdKind::SageMakerEndpoint,
            ("bedrock" | "sagemaker", _) => {
                return Err(invalid("its resource type is not one that answers calls"));
            }
            _ => return Err(invalid("its service is neither bedrock nor sagemaker")),
        };
        Ok(Self {
            kind,
            resource_start: resource_range.start + resource_type.len() + 1,
            region,
            account,
        })
    }

    pub(super) fn region<'a>(&self, id: &'a str) -> Option<&'a str> {
        Some(&id[self.region.clone()])
    }

    pub(super) fn account<'a>(&self, id: &'a str) -> Option<&'a str> {
        let account = &id[self.account.clone()];
        (!account.is_empty()).then_some(account)
    }
}
