//! What a user of the SDK sees of answers and errors is what the SDK alone would show; what only the
//! layers know comes beside it.

use std::time::Duration;

use aws_credential_types::provider::{
    error::CredentialsError, future::ProvideCredentials as Provided,
};
use aws_sdk_bedrockruntime::{
    Client,
    config::{
        Builder, ConfigBag, Intercept, ProvideCredentials, RuntimeComponents,
        SharedCredentialsProvider, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        RequestId,
        converse::{ConverseError, ConverseOutput},
    },
};
use aws_smithy_runtime_api::{
    box_error::BoxError, client::interceptors::context::BeforeTransmitInterceptorContextMut,
    http::Response,
};
use bedrock_sim::{ErrorText, FaultKind, FaultSpec, SimService};
use tower_bedrock::{
    Cause, CircuitPolicy, Error, FallbackExhausted, Ladder, NoRouteAllowed, Quota, Residency,
    RetryLayer, Route, sdk::install::CallOptions, sdk::install::Resilience,
};
use tower_bedrock_tests::{
    MODEL, PROMPT, converse, converse_stream, count_tokens, faulty, in_process, invoke, message,
    scenario,
};

use super::{call::Op, rig::Rig, row::Configure};

fn quiet(sim: &SimService) -> Builder {
    // A silent service looks like a stalled upload under a paused clock.
    in_process(sim)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// The SDK alone, and with the layers inside, at services that do the same.
fn clients(sim: impl Fn() -> SimService, rig: &Rig) -> [(SimService, Client); 2] {
    let (alone, with_us) = (sim(), sim());
    let plain = Client::from_conf(quiet(&alone).build());
    let config = Resilience::new(rig.clone()).install(quiet(&with_us));
    [(alone, plain), (with_us, Client::from_conf(config.build()))]
}

/// All that `send` returns, as it shows itself.
async fn shown(client: &Client, op: Op) -> String {
    macro_rules! sent {
        ($builder:expr) => {
            match $builder.send().await {
                Ok(output) => format!("{output:?} {:?}", output.request_id()),
                Err(error) => format!("{error:?} {:?} {:?}", error.code(), error.request_id()),
            }
        };
    }
    match op {
        Op::Converse => sent!(
            client
                .converse()
                .model_id(MODEL)
                .set_messages(converse(MODEL).messages)
        ),
        Op::InvokeModel => {
            let input = invoke();
            sent!(client.invoke_model().model_id(MODEL).set_body(input.body))
        }
        Op::CountTokens => sent!(
            client
                .count_tokens()
                .model_id(MODEL)
                .set_input(count_tokens().input)
        ),
        Op::ConverseStream => {
            let input = converse_stream(MODEL);
            sent!(
                client
                    .converse_stream()
                    .model_id(MODEL)
                    .set_messages(input.messages)
            )
        }
        Op::ApplyGuardrail | Op::InvokeModelWithResponseStream => String::new(),
    }
}

const SHOWN: [Op; 4] = [
    Op::Converse,
    Op::InvokeModel,
    Op::CountTokens,
    Op::ConverseStream,
];

/// Every error that Bedrock is known for is, to the last byte that the SDK shows, the error that the
/// SDK alone gives: variant, code, message, request id, raw answer with its headers and body.
#[tokio::test(start_paused = true)]
async fn the_services_errors_are_the_sdks_own() {
    use ErrorText as T;
    for text in [
        T::TokensPerDay,
        T::TokensPerMinute,
        T::Overloaded,
        T::ModelNotReady,
        T::TooManyConnections,
        T::InternalServer,
        T::ModelTimeout,
        T::ModelError,
        T::ServiceQuota,
        T::UnknownModel,
        T::InputTooLong,
    ] {
        for op in SHOWN {
            let clients = clients(|| faulty(FaultSpec::error(text)), &Rig::bare());
            let [alone, with_us] = clients.map(|(_, client)| client);
            let expected = shown(&alone, op).await;
            assert!(expected.starts_with("ServiceError("), "{expected}");
            // What we know of it hangs on the answer, out of the way.
            let shown = shown(&with_us, op).await;
            let shown = shown.replace("tower_bedrock::sdk::install::outcome::Known", "");
            assert_eq!(shown, expected, "{text:?}");
        }
    }
}

/// Answers too.
#[tokio::test(start_paused = true)]
async fn answers_are_the_sdks_own() {
    let sim = || SimService::new(scenario().build().expect("a valid scenario"));
    for op in SHOWN {
        let [alone, with_us] = clients(sim, &Rig::bare()).map(|(_, client)| client);
        let expected = shown(&alone, op).await;
        // A stream's body is read through, which it shows.
        if op != Op::ConverseStream {
            assert_eq!(shown(&with_us, op).await, expected);
        }
    }
}

type Failed = SdkError<ConverseError, Response>;

async fn converse_with(client: &Client) -> Result<ConverseOutput, Failed> {
    let call = client.converse().model_id(MODEL);
    call.messages(message(PROMPT)).send().await
}

async fn failure(client: &Client) -> Failed {
    let sent = converse_with(client).await;
    sent.expect_err("the call must fail")
}

async fn failure_of(fault: FaultSpec, rig: Rig) -> Failed {
    let sim = faulty(fault);
    let config = Resilience::new(rig).install(quiet(&sim));
    failure(&Client::from_conf(config.build())).await
}

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

/// What matched on an error before matches on it after all retries: the variant by `match` and by
/// `is_…`, code and message, the request's id, the raw answer. Beside it stands what the layers know.
#[tokio::test(start_paused = true)]
async fn existing_matches_keep_working() {
    let error = failure_of(FaultSpec::error(ErrorText::Overloaded), retrying()).await;
    let ours = Error::from_sdk(&error).expect("the layers took part");
    assert_eq!(ours.cause(), Cause::ModelOverloaded);
    assert_eq!(ours.attempts(), Some(4));
    assert_eq!(ours.request_id(), error.request_id());
    assert_eq!(error.code(), Some("ThrottlingException"));
    assert_eq!(error.message(), ours.message());
    let raw = error.raw_response().expect("there was an answer");
    assert_eq!(raw.status().as_u16(), 429);
    assert!(raw.headers().get("x-amzn-errortype").is_some());
    let body = raw.body().bytes().expect("it is in memory");
    assert!(body.starts_with(b"{"), "{body:?}");
    match &error {
        SdkError::ServiceError(refusal) => assert!(refusal.err().is_throttling_exception()),
        other => panic!("{other:?}"),
    }
    match error.into_service_error() {
        ConverseError::ThrottlingException(refusal) => {
            assert!(
                refusal
                    .message()
                    .is_some_and(|message| message.contains("overloaded"))
            );
        }
        other => panic!("{other:?}"),
    }
}

/// A connection that failed is one, and a timeout is one, as they are without us.
#[tokio::test(start_paused = true)]
async fn failures_without_an_answer_are_of_their_kind() {
    let error = failure_of(FaultSpec::new(FaultKind::Reset), Rig::bare()).await;
    let SdkError::DispatchFailure(broken) = &error else {
        panic!("{error:?}")
    };
    assert!(broken.is_io() && !broken.is_timeout() && !broken.is_user());
    assert_eq!(
        Error::from_sdk(&error).map(Error::cause),
        Some(Cause::Connect)
    );

    let limits: [fn() -> TimeoutConfig; 2] = [
        || {
            TimeoutConfig::builder()
                .operation_timeout(Duration::from_secs(9))
                .build()
        },
        || {
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(9))
                .build()
        },
    ];
    for (limit, cause) in limits
        .into_iter()
        .zip([Cause::DeadlineExceeded, Cause::Timeout])
    {
        let silent = || faulty(FaultSpec::new(FaultKind::NoAnswer));
        let config = quiet(&silent()).timeout_config(limit());
        let plain = Client::from_conf(config.build());
        let config = quiet(&silent()).timeout_config(limit());
        let config = Resilience::new(retrying()).install(config);
        for client in [plain, Client::from_conf(config.build())] {
            let start = tokio::time::Instant::now();
            let error = failure(&client).await;
            assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
            assert_eq!(start.elapsed(), Duration::from_secs(9));
            if let Some(ours) = Error::from_sdk(&error) {
                assert_eq!(ours.cause(), cause);
            }
        }
    }
}

/// What fails before the layers are reached, and sends nothing, stays the SDK's to tell: no
/// credentials, no such endpoint, an interceptor of the user's that refuses.
#[tokio::test(start_paused = true)]
async fn what_fails_before_us_is_the_sdks_own() {
    #[derive(Debug)]
    struct Refuses;
    impl Intercept for Refuses {
        fn name(&self) -> &'static str {
            "Refuses"
        }

        fn modify_before_signing(
            &self,
            _: &mut BeforeTransmitInterceptorContextMut<'_>,
            _: &RuntimeComponents,
            _: &mut ConfigBag,
        ) -> Result<(), BoxError> {
            Err("the user's own interceptor refuses".into())
        }
    }
    #[derive(Debug)]
    struct Nobody;
    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            Provided::ready(Err(CredentialsError::not_loaded("none")))
        }
    }
    let breaks: [Configure; 3] = [
        |config| config.credentials_provider(SharedCredentialsProvider::new(Nobody)),
        |config| config.endpoint_url("not a url"),
        |config| config.interceptor(Refuses),
    ];
    let causes = [Cause::Credentials, Cause::InvalidRequest, Cause::Unknown];
    for (breaks, cause) in breaks.into_iter().zip(causes) {
        let sim = SimService::new(scenario().build().expect("a valid scenario"));
        let alone = Client::from_conf(breaks(quiet(&sim)).build());
        let config = Resilience::new(retrying()).install(breaks(quiet(&sim)));
        let with_us = Client::from_conf(config.build());
        let (expected, found) = (failure(&alone).await, failure(&with_us).await);
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        assert_eq!(sim.ledger().totals.requests, 0);
        assert!(Error::from_sdk(&found).is_none(), "no layer was reached");
        // The cause is known all the same, with us and without.
        for error in [expected, found] {
            assert_eq!(Cause::of_sdk(&error), cause, "{error:?}");
        }
    }

    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let config = Resilience::new(retrying()).install(quiet(&sim));
    let no_model = Client::from_conf(config.build()).converse().send().await;
    let error = no_model.expect_err("a model is missing");
    assert!(
        matches!(error, SdkError::ConstructionFailure(_)),
        "{error:?}"
    );
    assert_eq!(Cause::of_sdk(&error), Cause::InvalidRequest);
}

/// The cause of what fails without any of us is found as well, by the same rules.
#[tokio::test(start_paused = true)]
async fn causes_are_found_without_us() {
    for (fault, cause) in [
        (
            FaultSpec::error(ErrorText::TokensPerMinute),
            Cause::TokenRate,
        ),
        (
            FaultSpec::error(ErrorText::Overloaded),
            Cause::ModelOverloaded,
        ),
        (FaultSpec::new(FaultKind::Reset), Cause::Connect),
    ] {
        let client = Client::from_conf(quiet(&faulty(fault)).build());
        let error = failure(&client).await;
        assert_eq!(Cause::of_sdk(&error), cause, "{error:?}");
        assert!(Error::from_sdk(&error).is_none());
    }
}

/// What the layers refuse by themselves is no answer of the service's: it has no code and no status,
/// and comes out again as it went in.
#[tokio::test(start_paused = true)]
async fn our_own_refusals_are_told_as_ours() {
    let route = || Route::to(MODEL.parse().expect("an id"));
    let sick = || FaultSpec::error(ErrorText::ServiceUnavailable);
    let policy = CircuitPolicy::new().with_consecutive_failures(1);
    let minute = Quota::new().with_requests_per_minute(1);
    let west = Ladder::regions(["us-west-2"]);
    for (rig, fault, cause) in [
        (Rig::bare().broken_by(policy), sick(), Cause::CircuitOpen),
        (
            Rig::bare().budgeted(&route(), minute, |layer| layer.with_waiting(false)),
            sick().skip(1),
            Cause::BudgetExhausted,
        ),
        (
            Rig::bare().falling_back(west.clone(), |layer| {
                layer.with_residency(Residency::InRegion)
            }),
            sick(),
            Cause::NoRouteAllowed,
        ),
    ] {
        let sim = faulty(fault);
        let config = Resilience::new(rig).install(quiet(&sim));
        let client = Client::from_conf(config.build());
        // The first opens the circuit, or takes the minute's request.
        let _whatever_it_does = converse_with(&client).await;
        let error = failure(&client).await;
        let SdkError::DispatchFailure(broken) = &error else {
            panic!("{cause:?}: {error:?}")
        };
        assert!(!broken.is_io() && !broken.is_timeout());
        assert!(error.raw_response().is_none());
        assert_eq!((error.code(), error.request_id()), (None, None));
        let ours = Error::from_sdk(&error).expect("it is ours");
        assert_eq!((ours.cause(), ours.status()), (cause, None));
        assert_eq!(
            NoRouteAllowed::of(ours).is_some(),
            cause == Cause::NoRouteAllowed
        );
        // The prompt is in no error, however it is shown.
        assert!(!format!("{error:?} {error} {ours:?}").contains(PROMPT));
    }

    // When all routes have failed, the last answer is the SDK's error, and the list of all is ours.
    let rig = Rig::bare().falling_back(west, |layer| layer);
    let regions = ["us-east-1", "us-west-2"];
    let scenario = bedrock_sim::Scenario::builder()
        .model(tower_bedrock_tests::model().regions(regions))
        .fault(FaultSpec::error(ErrorText::Overloaded));
    let sim = SimService::new(scenario.build().expect("a valid scenario"));
    let config = Resilience::new(rig).install(quiet(&sim));
    let error = failure(&Client::from_conf(config.build())).await;
    assert_eq!(error.code(), Some("ThrottlingException"));
    let ours = Error::from_sdk(&error).expect("the layers took part");
    let exhausted = FallbackExhausted::of(ours).expect("all routes failed");
    assert!(!exhausted.errors().is_empty());
}

/// A caller without options is served like one with them; one with options is told by whom.
#[tokio::test(start_paused = true)]
async fn who_served_is_told_to_who_asks() {
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let config = Resilience::new(retrying()).install(quiet(&sim));
    let client = Client::from_conf(config.build());
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let options = CallOptions::new();
    assert!(options.served().is_none());
    let answer = call
        .clone()
        .customize()
        .interceptor(options.clone())
        .send()
        .await;
    let answer = answer.expect("it is answered");
    let served = options.served().expect("it was asked for");
    assert_eq!(served.request_id.as_deref(), answer.request_id());
    assert_eq!(served.attempts, 1);

    let scoped = CallOptions::new();
    let answer = scoped.clone().scope(call.clone().send()).await;
    let served = scoped.served().expect("it was asked for by the scope");
    assert_eq!(
        served.request_id.as_deref(),
        answer.expect("it is answered").request_id()
    );
    assert!(call.send().await.is_ok());
}
