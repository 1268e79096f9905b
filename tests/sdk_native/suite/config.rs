//! What users set on the SDK keeps its meaning, and what is not ours passes untouched.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{
        Builder, HttpClient, Region, RuntimeComponents, SharedHttpClient, retry::RetryConfig,
    },
    primitives::{Blob, event_stream::EventStreamSender},
};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, SimHttpClient, SimService};
use tower_bedrock::{
    Error, Quota, RetryLayer, Route,
    sdk::install::{CallOptions, Resilience},
};
use tower_bedrock_tests::{MODEL, PROMPT, faulty, in_process, message, scenario};

use super::rig::Rig;

pub(super) fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

pub(super) fn install(config: Builder, rig: &Rig) -> Builder {
    Resilience::new(rig.clone()).install(config)
}

pub(super) fn sick() -> SimService {
    // Three attempts of ours; as many of the SDK's as it is asked for.
    faulty(FaultSpec::error(ErrorText::InternalServer))
}

fn five_retries(sim: &SimService) -> Builder {
    in_process(sim).retry_config(RetryConfig::standard().with_max_attempts(5))
}

pub(super) async fn ask(client: &Client) -> bool {
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    call.send().await.is_ok()
}

pub(super) fn requests(sim: &SimService) -> u64 {
    sim.ledger().totals.requests
}

/// Installed twice, in any of the ways in which that happens, the layers take part once.
#[tokio::test(start_paused = true)]
async fn installing_twice_is_installing_once() {
    let twice: [fn(Builder, &Rig) -> Builder; 4] = [
        |config, rig| install(install(config, rig), rig),
        |config, rig| install(install(config, rig).build().to_builder(), rig),
        |config, rig| {
            let client = Client::from_conf(install(config, rig).build());
            install(client.config().to_builder(), rig)
        },
        // The HTTP client is put back in between.
        |config, rig| {
            let inner = config.clone().build().http_client().expect("one is set");
            install(install(config, rig).http_client(inner), rig)
        },
    ];
    for twice in twice {
        let sim = sick();
        let client = Client::from_conf(twice(five_retries(&sim), &retrying()).build());
        assert!(!ask(&client).await);
        assert_eq!(requests(&sim), 3);
    }
}

/// Of two stacks that are installed one after the other, the first stays.
#[tokio::test(start_paused = true)]
async fn what_was_installed_first_stays() {
    let (first, second) = (Rig::bare(), retrying());
    for (rigs, attempts) in [([&first, &second], 1), ([&second, &first], 3)] {
        let sim = sick();
        let config = rigs.into_iter().fold(five_retries(&sim), install);
        assert!(!ask(&Client::from_conf(config.build())).await);
        assert_eq!(requests(&sim), attempts);
    }
}

/// Whatever a single call asks of the SDK's own retries, they stay off.
#[tokio::test(start_paused = true)]
async fn a_calls_own_retries_do_not_multiply() {
    let sim = sick();
    let client = Client::from_conf(install(in_process(&sim), &retrying()).build());
    let seven = RetryConfig::standard().with_max_attempts(7);
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let call = call
        .customize()
        .config_override(Config::builder().retry_config(seven));
    assert!(call.send().await.is_err());
    assert_eq!(requests(&sim), 3);
}

/// A call with an HTTP client of its own goes past the layers, with the SDK's own retries.
#[tokio::test(start_paused = true)]
async fn a_calls_own_http_client_bypasses_the_layers() {
    let (ours, own) = (sick(), sick());
    let client = Client::from_conf(install(five_retries(&ours), &retrying()).build());
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let elsewhere = Config::builder().http_client(SimHttpClient::new(own.clone()));
    let error = call.customize().config_override(elsewhere).send().await;
    assert_eq!((requests(&ours), requests(&own)), (0, 5));
    let error = error.expect_err("it never gets better");
    assert!(Error::from_sdk(&error).is_none(), "no layer took part");
}

/// A user's HTTP client around ours, which knows nothing of us: the layers take part once, and the
/// SDK's own retries are off.
#[tokio::test(start_paused = true)]
async fn a_users_http_client_may_be_around_ours() {
    let sim = sick();
    let installed = install(five_retries(&sim), &retrying()).build();
    let inner = installed.http_client().expect("ours is set");
    let wrapped = installed.to_builder().http_client(Around(inner));
    let client = Client::from_conf(wrapped.build());
    assert!(!ask(&client).await);
    assert_eq!(requests(&sim), 3);
}

/// A user's HTTP client below ours is what the layers send through.
#[tokio::test(start_paused = true)]
async fn a_users_http_client_may_be_below_ours() {
    let sim = sick();
    let inner = SharedHttpClient::new(SimHttpClient::new(sim.clone()));
    let config = five_retries(&sim).http_client(Around(inner));
    let client = Client::from_conf(install(config, &retrying()).build());
    assert!(!ask(&client).await);
    assert_eq!(requests(&sim), 3);
}

/// An HTTP client that forwards what it must, and no more.
#[derive(Debug)]
struct Around(SharedHttpClient);

impl HttpClient for Around {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }
}

/// A region that is set for one call is where its first attempt goes, and what its quota counts by.
#[tokio::test(start_paused = true)]
async fn a_calls_own_region_is_its_route() {
    let west = ModelSpec::new("us.amazon.nova-pro-v1:0").regions(["us-west-2"]);
    let scenario = scenario().model(west);
    let sim = SimService::new(scenario.build().expect("a valid scenario"));
    let route = Route::to("us.amazon.nova-pro-v1:0".parse().expect("an id")).in_region("us-west-2");
    let rig = retrying().budgeted(&route, Quota::new().with_requests_per_minute(9), |layer| {
        layer
    });
    let client = Client::from_conf(install(in_process(&sim), &rig).build());
    let options = CallOptions::new();
    let call = client
        .converse()
        .model_id("us.amazon.nova-pro-v1:0")
        .messages(message(PROMPT));
    let there = Config::builder().region(Region::new("us-west-2"));
    let call = call
        .customize()
        .config_override(there)
        .interceptor(options.clone());
    call.send().await.expect("it is answered there");
    assert_eq!(
        options.served().map(|served| served.route),
        Some(route.clone())
    );
    assert_eq!(rig.quotas().snapshot_of(&route).requests_used, 1);
}

/// An HTTP client that counts, and answers everything with a 503.
fn counting(count: &Arc<AtomicU32>) -> SharedHttpClient {
    let count = Arc::clone(count);
    infallible_client_fn(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let response = http::Response::builder().status(503);
        let response = response.header("x-amzn-errortype", "ServiceUnavailableException");
        response.body(SdkBody::from("{}")).expect("a response")
    })
}

/// Operations that are not ours pass untouched, with the SDK's own retries; so does a stream in both
/// directions, whose body cannot be sent again.
#[tokio::test(start_paused = true)]
async fn other_operations_pass_untouched() {
    let count = Arc::new(AtomicU32::new(0));
    let sim = sick();
    let config = five_retries(&sim).http_client(counting(&count));
    let client = Client::from_conf(install(config, &retrying()).build());
    let arn = "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl";
    let taken = || count.swap(0, Ordering::Relaxed);

    assert!(
        client
            .get_async_invoke()
            .invocation_arn(arn)
            .send()
            .await
            .is_err()
    );
    assert_eq!(taken(), 5);
    assert!(client.list_async_invokes().send().await.is_err());
    assert_eq!(taken(), 5);

    // Its input is a stream of signed events, which nobody can send twice.
    let body = EventStreamSender::from(futures_util::stream::empty());
    let call = client.invoke_model_with_bidirectional_stream();
    let call = call.model_id(MODEL).body(body);
    assert!(call.send().await.is_err());
    assert_eq!(taken(), 1);

    // Ours, for comparison.
    assert!(!ask(&client).await);
    assert_eq!(taken(), 4);
    let call = client.invoke_model().model_id(MODEL).body(Blob::new("{}"));
    assert!(call.send().await.is_err());
    assert_eq!(taken(), 4);
}

/// One operation alone can have layers, and keeps what they know between its calls; the client stays as
/// it was.
#[tokio::test(start_paused = true)]
async fn one_operation_may_have_layers_of_its_own() {
    let sim = sick();
    let client = Client::from_conf(
        in_process(&sim)
            .retry_config(RetryConfig::disabled())
            .build(),
    );
    let mut bare = Config::builder();
    bare.set_region(client.config().region().cloned());
    bare.set_http_client(client.config().http_client());
    let layers = install(bare, &retrying());

    let call = || client.converse().model_id(MODEL).messages(message(PROMPT));
    for already_sent in [0, 4] {
        assert!(call().send().await.is_err());
        assert_eq!(requests(&sim), already_sent + 1);
        let customized = call().customize().config_override(layers.clone());
        let error = customized.send().await.expect_err("it is sick");
        assert_eq!(requests(&sim), already_sent + 4);
        let attempts = Error::from_sdk(&error).and_then(Error::attempts);
        assert_eq!(attempts, Some(3));
    }
}

/// A listener hears by whom each call was served.
#[tokio::test(start_paused = true)]
async fn a_listener_hears_by_whom_calls_were_served() {
    let sim = faulty(FaultSpec::error(ErrorText::InternalServer).count(1));
    let client = Client::from_conf(install(in_process(&sim), &retrying()).build());
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let options = CallOptions::new().on_served(move |served| {
        let mut heard = listener.lock().expect("nobody panicked");
        heard.push((served.route.to_string(), served.attempts));
    });
    options
        .scope(async {
            for _ in 0..2 {
                assert!(ask(&client).await);
            }
        })
        .await;
    let route = format!("{MODEL}@us-east-1");
    let expected = [(route.clone(), 2), (route, 1)];
    assert_eq!(*heard.lock().expect("nobody panicked"), expected);
}
