//! Reads the lists of a region from AWS.

use std::{error::Error as StdError, future::Future, time::Duration};

use aws_sdk_bedrock::types::{
    InferenceProfileModel, InferenceProfileStatus, InferenceProfileSummary, InferenceProfileType,
};
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::{client::result::SdkError, http::Response as HttpResponse};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::{Instant, timeout_at};

use super::{
    error::{IamAction, ReadFailure, ReadFailureReason},
    profile::Profile,
    reading::{Part, RegionReading},
};
use crate::{error::RawError, model_id::ModelId, quotas::ServiceQuota, route::Region};

/// Rows to a page, the most that Service Quotas gives.
const ROWS: i32 = 100;
/// Profiles to a page, the most that Bedrock gives.
const PROFILES: i32 = 1000;
/// A hundred thousand rows: no service has a tenth of them.
const MAX_PAGES: usize = 1000;

/// The service whose quotas are read.
const SERVICE: &str = "bedrock";

/// The clients of a region, and how they are used.
pub(super) struct Reader {
    pub(super) region: Region,
    pub(super) quotas: aws_sdk_servicequotas::Client,
    pub(super) control: aws_sdk_bedrock::Client,
    pub(super) attempts: u32,
    pub(super) limit: Duration,
    pub(super) until: Instant,
}

impl Reader {
    /// Reads everything, as far as it can be read in time. `named` are profiles that the caller means
    /// to call here.
    pub(super) async fn read(&self, named: &[ModelId]) -> RegionReading {
        let quotas = async {
            // One after the other, since they share the limits of one API.
            let applied = self.applied().await;
            (applied, self.defaults().await)
        };
        let ((applied, defaults), (profiles, named)) =
            futures_util::future::join(quotas, self.profiles(named)).await;
        let mut failures = Vec::new();
        let applied = part(applied, &mut failures);
        let defaults = part(defaults, &mut failures);
        let profiles = part(profiles, &mut failures);
        failures.extend(named);
        RegionReading {
            applied,
            defaults,
            profiles,
            read_at: Instant::now(),
            failures,
        }
    }

    async fn applied(&self) -> ListRead<ServiceQuota> {
        let pages = self.quotas.list_service_quotas().service_code(SERVICE);
        let pages = pages.into_paginator().page_size(ROWS).send();
        let mut rows = Vec::new();
        let read = self.pages(IamAction::ListServiceQuotas, pages, |page| {
            rows.extend(page.quotas().iter().filter_map(service_quota));
        });
        let failure = read.await.err();
        (rows, failure)
    }

    async fn defaults(&self) -> ListRead<ServiceQuota> {
        let pages = self.quotas.list_aws_default_service_quotas();
        let pages = pages.service_code(SERVICE).into_paginator();
        let pages = pages.page_size(ROWS).send();
        let mut rows = Vec::new();
        let read = self.pages(IamAction::ListAwsDefaultServiceQuotas, pages, |page| {
            rows.extend(page.quotas().iter().filter_map(service_quota));
        });
        let failure = read.await.err();
        (rows, failure)
    }

    /// The profiles that are listed, and those of `named` that are not.
    async fn profiles(&self, named: &[ModelId]) -> (ListRead<Profile>, Vec<ReadFailure>) {
        let mut profiles = Vec::new();
        let mut failure = None;
        for kind in [
            InferenceProfileType::SystemDefined,
            InferenceProfileType::Application,
        ] {
            let pages = self.control.list_inference_profiles().type_equals(kind);
            let pages = pages.into_paginator().page_size(PROFILES).send();
            let read = self.pages(IamAction::ListInferenceProfiles, pages, |page| {
                profiles.extend(page.inference_profile_summaries().iter().map(listed));
            });
            if let Err(failed) = read.await {
                failure = Some(failed);
                break;
            }
        }
        let mut failures = Vec::new();
        for model in named {
            let id = model.as_str();
            if profiles
                .iter()
                .any(|known| known.arn == id || known.id == id)
            {
                continue;
            }
            match self.profile(id).await {
                Ok(profile) => profiles.push(profile),
                Err(failed) => {
                    let is_allowed = failed.missing_permission().is_none();
                    failures.push(failed);
                    if !is_allowed {
                        break;
                    }
                }
            }
        }
        ((profiles, failure), failures)
    }

    async fn profile(&self, id: &str) -> Result<Profile, ReadFailure> {
        let asked = self.control.get_inference_profile();
        let asked = asked.inference_profile_identifier(id).send();
        let found = self.in_time(IamAction::GetInferenceProfile, asked).await?;
        Ok(Profile {
            id: found.inference_profile_id,
            arn: found.inference_profile_arn,
            is_application: found.r#type == InferenceProfileType::Application,
            is_active: found.status == InferenceProfileStatus::Active,
            models: arns(&found.models),
        })
    }

    /// Has `take` see every page.
    async fn pages<P, E>(
        &self,
        action: IamAction,
        mut pages: PaginationStream<Result<P, SdkError<E, HttpResponse>>>,
        mut take: impl FnMut(&P),
    ) -> Result<(), ReadFailure>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        for _ in 0..MAX_PAGES {
            let page = async { pages.next().await.transpose() };
            match self.in_time(action, page).await? {
                Some(page) => take(&page),
                None => return Ok(()),
            }
        }
        let reason = ReadFailureReason::Endless { pages: MAX_PAGES };
        Err(ReadFailure::new(action, self.region.clone(), reason))
    }

    async fn in_time<T, E>(
        &self,
        action: IamAction,
        asked: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, ReadFailure>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let failure = |reason| ReadFailure::new(action, self.region.clone(), reason);
        match timeout_at(self.until, asked).await {
            Ok(answered) => answered.map_err(|error| {
                failure(reason(&error, self.attempts)).caused_by(RawError::from(error))
            }),
            Err(_) => Err(failure(ReadFailureReason::TimedOut { limit: self.limit })),
        }
    }
}

/// What was read of a list, and why not all of it.
type ListRead<T> = (Vec<T>, Option<ReadFailure>);

fn part<T>((items, failure): ListRead<T>, failures: &mut Vec<ReadFailure>) -> Part<T> {
    let is_whole = failure.is_none();
    failures.extend(failure);
    Part { items, is_whole }
}

fn reason<E>(error: &SdkError<E, HttpResponse>, attempts: u32) -> ReadFailureReason
where
    E: ProvideErrorMetadata,
{
    match error.code() {
        Some("AccessDeniedException" | "AccessDenied") => ReadFailureReason::NotAllowed,
        Some("TooManyRequestsException" | "ThrottlingException" | "Throttling") => {
            ReadFailureReason::Throttled { attempts }
        }
        code => ReadFailureReason::Failed {
            code: code.map(str::to_owned),
        },
    }
}

fn service_quota(row: &aws_sdk_servicequotas::types::ServiceQuota) -> Option<ServiceQuota> {
    let quota = ServiceQuota::new(row.quota_code()?, row.quota_name()?, row.value()?);
    Some(quota.adjustable(row.adjustable()))
}

fn listed(profile: &InferenceProfileSummary) -> Profile {
    Profile {
        id: profile.inference_profile_id.clone(),
        arn: profile.inference_profile_arn.clone(),
        is_application: profile.r#type == InferenceProfileType::Application,
        is_active: profile.status == InferenceProfileStatus::Active,
        models: arns(&profile.models),
    }
}

fn arns(models: &[InferenceProfileModel]) -> Vec<String> {
    let arns = models.iter().filter_map(InferenceProfileModel::model_arn);
    arns.map(str::to_owned).collect()
}
