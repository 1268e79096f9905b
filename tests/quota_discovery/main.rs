//! Quotas and profiles read through the SDK's own clients, from an account that lists every quota that is
//! known by name.

mod calls;
mod cancel;
mod permissions;
mod reading;
mod refresh;
mod throttling;
mod told;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_types::{SdkConfig, region::Region as SdkRegion};
use bedrock_sim::{
    ControlPlane, InferenceProfileSpec, ModelSpec, Scenario, Server, ServiceQuotaSpec,
    SimHttpClient, SimService,
};
use tower_bedrock::{
    Limit, Quotas, Region, Route,
    quotas::{Discovery, QuotaDiscovery},
};

/// The rows of Service Quotas that are known, as the library's own tests have them.
const KNOWN: &str = include_str!("../../crates/tower-bedrock/src/quotas/tests/service_quotas.csv");
/// The value of rows that no test sets.
const VALUE: f64 = 1_000.0;

const REGION: &str = "us-east-1";
const NOVA: &str = "us.amazon.nova-lite-v1:0";
/// Tokens per minute of [`NOVA`].
const NOVA_TPM: &str = "L-7C42E72A";
const NOVA_RPM: &str = "L-89F8391A";
const GLOBAL: &str = "global.anthropic.claude-sonnet-4-6";
const MICRO: &str = "amazon.nova-micro-v1:0";
const PROFILE: &str = "a1b2c3d4e5f6";

fn arn(id: &str) -> String {
    format!("arn:aws:bedrock:{REGION}:123456789012:application-inference-profile/{id}")
}

fn to(id: &str) -> Route {
    Route::to(id.parse().unwrap()).in_region(REGION)
}

/// An account that lists every known row.
fn account() -> ControlPlane {
    ControlPlane::new()
        .quotas_from_csv(KNOWN, Some(VALUE))
        .unwrap()
        .profile(InferenceProfileSpec::application(PROFILE).of(NOVA))
}

fn scenario(plane: ControlPlane) -> Scenario {
    let builder = Scenario::builder().control_plane(plane);
    let models = [NOVA, GLOBAL, MICRO].map(|id| ModelSpec::new(id).regions([REGION, "us-west-2"]));
    let builder = models
        .into_iter()
        .fold(builder, |builder, model| builder.model(model));
    builder.build().unwrap()
}

async fn listening(plane: ControlPlane) -> Server {
    Server::bind("127.0.0.1:0", scenario(plane)).await.unwrap()
}

fn in_process(plane: ControlPlane) -> SimService {
    SimService::new(scenario(plane))
}

fn sdk_config(url: &str) -> aws_types::sdk_config::Builder {
    let credentials = Credentials::from_keys("AKIDEXAMPLE", "secret", None);
    SdkConfig::builder()
        .region(SdkRegion::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
}

fn over_socket(server: &Server) -> SdkConfig {
    sdk_config(&server.url()).build()
}

/// On tokio's clock, which may be paused.
fn over_memory(service: &SimService) -> SdkConfig {
    sdk_config("http://simulator.invalid")
        .http_client(SimHttpClient::new(service.clone()))
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .build()
}

fn discovery(config: &SdkConfig) -> QuotaDiscovery {
    QuotaDiscovery::new(config, [REGION])
}

fn set_value(service: &SimService, code: &str, value: Option<f64>) {
    service.change_control_plane(|plane| row(plane, code).value = value);
}

fn row<'a>(plane: &'a mut ControlPlane, code: &str) -> &'a mut ServiceQuotaSpec {
    let quotas = plane.quotas.iter_mut();
    quotas.into_iter().find(|quota| quota.code == code).unwrap()
}

fn tokens(found: &Discovery, id: &str) -> Option<u64> {
    let quotas = Quotas::new();
    found.apply(&quotas);
    tokens_of(&quotas, id)
}

fn tokens_of(quotas: &Quotas, id: &str) -> Option<u64> {
    quotas.snapshot_of(&to(id)).limit(Limit::TokensPerMinute)
}

fn region() -> Region {
    Region::from(REGION)
}

fn routes<'a, T: 'a>(found: impl Iterator<Item = (&'a Route, T)>) -> Vec<String> {
    found.map(|(route, _)| route.to_string()).collect()
}
