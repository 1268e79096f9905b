//! The AWS SDK for Rust, in virtual time and without a socket.

use std::{sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::SdkError,
    primitives::Blob,
    types::{
        ContentBlock, ConversationRole, ConverseStreamOutput, ConverseTokensRequest,
        CountTokensInput, InferenceConfiguration, Message, ResponseStream, StopReason,
        error::ConverseStreamOutputError,
    },
};
use bedrock_sim::{
    ErrorText, FaultKind, FaultSpec, ModelSpec, Scenario, SimHttpClient, SimService,
};
use tokio::time::Instant;

const NOVA: &str = "amazon.nova-lite-v1:0";

fn nova() -> ModelSpec {
    ModelSpec::new(NOVA)
        .latency(Duration::from_secs(2))
        .tokens_per_second(10)
        .output_tokens(20)
}

fn service(fault: Option<FaultSpec>) -> SimService {
    let scenario = Scenario::builder().model(nova());
    let scenario = match fault {
        Some(fault) => scenario.fault(fault),
        None => scenario,
    };
    SimService::new(scenario.build().expect("a sound scenario"))
}

fn client(service: &SimService, attempts: u32, timeouts: TimeoutConfig) -> Client {
    let config = aws_sdk_bedrockruntime::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKID", "secret", None))
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .timeout_config(timeouts)
        .http_client(SimHttpClient::new(service.clone()))
        .build();
    Client::from_conf(config)
}

fn calm(service: &SimService) -> Client {
    client(service, 1, TimeoutConfig::disabled())
}

fn hello() -> Message {
    Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text("Hello, simulator".to_owned()))
        .build()
        .expect("a sound message")
}

// Converse is answered in virtual time, with everything the SDK's types hold.
#[tokio::test(start_paused = true)]
async fn converse_is_answered() {
    let start = Instant::now();
    let service = service(None);
    let answer = calm(&service)
        .converse()
        .model_id(NOVA)
        .messages(hello())
        .send()
        .await;
    let answer = answer.expect("an answer");
    assert_eq!(start.elapsed(), Duration::from_millis(2000 + 1900));
    assert_eq!(answer.stop_reason(), &StopReason::EndTurn);
    let usage = answer.usage().expect("usage");
    assert_eq!(
        (
            usage.input_tokens(),
            usage.output_tokens(),
            usage.total_tokens()
        ),
        (4, 20, 24)
    );
    assert_eq!(answer.metrics().expect("metrics").latency_ms(), 3900);
    let message = answer.output().and_then(|output| output.as_message().ok());
    assert!(message.expect("a message").content()[0].is_text());
}

// A stream gives all its events to the SDK, the usage last.
#[tokio::test(start_paused = true)]
async fn stream_is_read() {
    let service = service(None);
    let stream = calm(&service)
        .converse_stream()
        .model_id(NOVA)
        .messages(hello())
        .send();
    let mut stream = stream.await.expect("an answer").stream;
    let mut kinds = Vec::new();
    while let Some(event) = stream.recv().await.expect("a sound event") {
        let kind = match event {
            ConverseStreamOutput::MessageStart(_) => "start",
            ConverseStreamOutput::ContentBlockDelta(_) => "delta",
            ConverseStreamOutput::ContentBlockStop(_) => "block",
            ConverseStreamOutput::MessageStop(_) => "stop",
            ConverseStreamOutput::Metadata(end) => {
                assert_eq!(end.usage().expect("usage").output_tokens(), 20);
                "metadata"
            }
            other => panic!("an event of no use here: {other:?}"),
        };
        kinds.push(kind);
    }
    kinds.dedup();
    assert_eq!(kinds, ["start", "delta", "block", "stop", "metadata"]);
    assert_eq!(service.ledger().totals.completed, 1);
}

// The InvokeModel stream gives the model's own events.
#[tokio::test(start_paused = true)]
async fn invoke_stream_is_read() {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#;
    let stream = calm(&service(None))
        .invoke_model_with_response_stream()
        .model_id(NOVA)
        .body(Blob::new(body))
        .send();
    let mut stream = stream.await.expect("an answer").body;
    let mut last = Vec::new();
    while let Some(event) = stream.recv().await.expect("a sound event") {
        if let ResponseStream::Chunk(part) = event {
            last = part.bytes().expect("bytes").clone().into_inner();
        }
    }
    let last = String::from_utf8(last).expect("text");
    assert!(
        last.contains(
            r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":2,"outputTokenCount":20"#
        ),
        "{last}"
    );
}

// CountTokens agrees with the usage.
#[tokio::test(start_paused = true)]
async fn tokens_are_counted() {
    let input = ConverseTokensRequest::builder().messages(hello()).build();
    let count = calm(&service(None))
        .count_tokens()
        .model_id(NOVA)
        .input(CountTokensInput::Converse(input))
        .send();
    assert_eq!(count.await.expect("a count").input_tokens(), 4);
}

// A throttle has its type, and the SDK retries it on its own.
#[tokio::test(start_paused = true)]
async fn throttle_is_retried() {
    let throttle = || FaultSpec::error(ErrorText::TokensPerMinute).count(2);
    let service_once = service(Some(throttle()));
    let answer = calm(&service_once)
        .converse()
        .model_id(NOVA)
        .messages(hello())
        .send()
        .await;
    let error = answer.expect_err("a throttle").into_service_error();
    assert!(error.is_throttling_exception());
    assert!(error.to_string().contains("ThrottlingException"));

    let service_thrice = service(Some(throttle()));
    let client = client(&service_thrice, 3, TimeoutConfig::disabled());
    let answer = client
        .converse()
        .model_id(NOVA)
        .messages(hello())
        .send()
        .await;
    assert!(answer.is_ok());
    assert_eq!(service_thrice.ledger().totals.requests, 3);
}

// A reset connection is an I/O error, which the SDK retries.
#[tokio::test(start_paused = true)]
async fn reset_is_an_io_error() {
    let reset = || FaultSpec::new(FaultKind::Reset).count(1);
    let once = service(Some(reset()));
    let answer = calm(&once)
        .converse()
        .model_id(NOVA)
        .messages(hello())
        .send()
        .await;
    match answer.expect_err("a reset") {
        SdkError::DispatchFailure(failure) => assert!(failure.is_io()),
        other => panic!("not a dispatch failure: {other:?}"),
    }
    let twice = service(Some(reset()));
    let client = client(&twice, 2, TimeoutConfig::disabled());
    assert!(
        client
            .converse()
            .model_id(NOVA)
            .messages(hello())
            .send()
            .await
            .is_ok()
    );
}

// The SDK's read timeout ends a call that gets no answer.
#[tokio::test(start_paused = true)]
async fn read_timeout_is_kept() {
    let service = service(Some(FaultSpec::new(FaultKind::NoAnswer)));
    let timeouts = TimeoutConfig::builder()
        .read_timeout(Duration::from_secs(30))
        .build();
    let start = Instant::now();
    let client = client(&service, 1, timeouts);
    let answer = client
        .converse()
        .model_id(NOVA)
        .messages(hello())
        .send()
        .await;
    match answer.expect_err("a timeout") {
        SdkError::DispatchFailure(failure) => assert!(failure.is_timeout()),
        other => panic!("not a dispatch failure: {other:?}"),
    }
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

// An exception within a stream has its type; a cut is an error; a missing end is none that the SDK
// would see.
#[tokio::test(start_paused = true)]
async fn faults_within_a_stream_are_seen() {
    let run = async |fault: FaultKind| {
        let service = service(Some(FaultSpec::new(fault)));
        let stream = calm(&service)
            .converse_stream()
            .model_id(NOVA)
            .messages(hello())
            .send();
        let mut stream = stream.await.expect("an answer").stream;
        let mut events = 0;
        loop {
            match stream.recv().await {
                Ok(Some(_)) => events += 1,
                end => return (events, end.map(drop)),
            }
        }
    };
    let exception = FaultKind::StreamException {
        after_events: 2,
        error: ErrorText::RequestsPerMinute.into(),
    };
    let (events, end) = run(exception).await;
    assert_eq!(events, 2);
    let error = end.expect_err("an exception");
    let error = error.as_service_error();
    assert!(error.is_some_and(ConverseStreamOutputError::is_throttling_exception));

    let (events, end) = run(FaultKind::StreamCut { after_events: 2 }).await;
    assert!(events == 2 && matches!(end, Err(SdkError::DispatchFailure(_))));
    let (events, end) = run(FaultKind::CloseInsideFrame { after_events: 2 }).await;
    assert!(events == 2 && matches!(end, Err(SdkError::ResponseError(_))));
    let (events, end) = run(FaultKind::BadCrc { after_events: 2 }).await;
    assert!(events == 2 && end.is_err());
    let (_, end) = run(FaultKind::NoMessageStop).await;
    assert!(end.is_ok());
}

// Six minutes of a minute's quota pass in no time, and exactly the quota is let through.
#[tokio::test(start_paused = true)]
async fn minutes_pass_in_no_time() {
    let model = ModelSpec::new(NOVA).rpm(60).output_tokens(1);
    let scenario = Scenario::builder().model(model).build();
    let service = SimService::new(scenario.expect("a sound scenario"));
    let client = Arc::new(calm(&service));
    let limits = InferenceConfiguration::builder().max_tokens(1).build();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(360) {
        let call = client.converse().model_id(NOVA).messages(hello());
        drop(call.inference_config(limits.clone()).send().await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let totals = service.ledger().totals;
    assert_eq!(totals.requests, 720);
    // The bucket's 60, and one a second.
    assert_eq!(totals.completed, 60 + 359);
}
