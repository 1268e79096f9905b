//! What of an SDK client's machinery attempts of our own need.

use aws_smithy_async::{rt::sleep::SharedAsyncSleep, time::SharedTimeSource};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{AuthScheme, AuthSchemeId, SharedAuthScheme, SharedAuthSchemeOptionResolver},
        endpoint::SharedEndpointResolver,
        http::SharedHttpClient,
        identity::{SharedIdentityCache, SharedIdentityResolver},
        orchestrator::HttpRequest,
        retries::SharedRetryStrategy,
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};

use super::sign::scheme;

/// The parts of a call's `RuntimeComponents` that signing and sending again go by. The rest, above all
/// the list of interceptors, costs more to copy than all else that is done for a call.
pub(super) struct Parts {
    pub(super) time: SharedTimeSource,
    pub(super) sleep: Option<SharedAsyncSleep>,
    pub(super) endpoints: SharedEndpointResolver,
    pub(super) identities: SharedIdentityCache,
    /// How the SDK signed the call, and as whom.
    pub(super) auth: Option<Auth>,
    http_client: Option<SharedHttpClient>,
    auth_options: SharedAuthSchemeOptionResolver,
    retries: SharedRetryStrategy,
}

/// A scheme, and who signs by it.
pub(super) struct Auth {
    pub(super) id: AuthSchemeId,
    pub(super) scheme: SharedAuthScheme,
    pub(super) identity: SharedIdentityResolver,
}

impl Parts {
    /// The parts of `components` that `request`, which is signed, was signed with.
    pub(super) fn of(components: &RuntimeComponents, request: &HttpRequest) -> Self {
        Self {
            time: components.time_source().unwrap_or_default(),
            sleep: components.sleep_impl(),
            endpoints: components.endpoint_resolver(),
            identities: components.identity_cache(),
            auth: scheme(request).id().and_then(|id| {
                let scheme = components.auth_scheme(&id)?;
                let identity = scheme.identity_resolver(components)?;
                Some(Auth {
                    id,
                    scheme,
                    identity,
                })
            }),
            http_client: components.http_client(),
            auth_options: components.auth_scheme_option_resolver(),
            retries: components.retry_strategy(),
        }
    }

    /// Components for a signer to look into, that go by the clock `time`.
    pub(super) fn components(
        &self,
        auth: &Auth,
        time: SharedTimeSource,
    ) -> Result<RuntimeComponents, BoxError> {
        let mut builder = RuntimeComponentsBuilder::new("tower-bedrock")
            .with_auth_scheme_option_resolver(Some(self.auth_options.clone()))
            .with_auth_scheme(auth.scheme.clone())
            .with_endpoint_resolver(Some(self.endpoints.clone()))
            .with_http_client(self.http_client.clone())
            .with_identity_cache(Some(self.identities.clone()))
            .with_retry_strategy(Some(self.retries.clone()))
            .with_sleep_impl(self.sleep.clone())
            .with_time_source(Some(time));
        builder.set_identity_resolver(auth.id.clone(), auth.identity.clone());
        Ok(builder.build()?)
    }
}
