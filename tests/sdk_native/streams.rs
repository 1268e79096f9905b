use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_bedrockruntime::{
    Client,
    error::SdkError,
    operation::converse_stream::{ConverseStreamError, ConverseStreamOutput},
    primitives::Blob,
    types::{
        ConverseStreamOutput as Event, InferenceConfiguration, error::ConverseStreamOutputError,
    },
};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::event_stream::RawMessage;
use bedrock_sim::{ErrorText, FaultKind, FaultSpec, SimService};
use tower::ServiceBuilder;
use tower_bedrock::{
    BedrockResponse, Cause, ClassifyLayer, Error, Finish, Jitter, Quota, QuotaSnapshot, Quotas,
    RetryLayer, Route, TokenBudgetLayer, Watcher, sdk::install::SdkResponse,
};
use tower_bedrock_tests::{MODEL, PROMPT, faulty, in_process, invoke_stream, message, scenario};

use crate::support::client;

type Broken = SdkError<ConverseStreamOutputError, RawMessage>;

struct Rig {
    sim: SimService,
    client: Client,
    quotas: Quotas,
}

impl Rig {
    fn new(sim: SimService) -> Self {
        let quotas = Quotas::new();
        quotas
            .set(&route(), Quota::new().with_tokens_per_minute(100_000))
            .expect("a valid quota");
        let layers = ServiceBuilder::new()
            .layer(RetryLayer::new().with_jitter(Jitter::seeded(3)))
            .layer(TokenBudgetLayer::new(quotas.clone()))
            .layer(ClassifyLayer::new());
        let client = client(in_process(&sim), layers);
        Self {
            sim,
            client,
            quotas,
        }
    }

    fn with(fault: FaultSpec) -> Self {
        Self::new(faulty(fault))
    }

    async fn open(&self) -> Result<ConverseStreamOutput, SdkError<ConverseStreamError, Response>> {
        let config = InferenceConfiguration::builder().max_tokens(100).build();
        self.client
            .converse_stream()
            .model_id(MODEL)
            .messages(message(PROMPT))
            .inference_config(config)
            .send()
            .await
    }

    fn ledger(&self) -> QuotaSnapshot {
        self.quotas.snapshot_of(&route())
    }

    fn requests(&self) -> u64 {
        self.sim.ledger().totals.requests
    }
}

fn route() -> Route {
    Route::to(MODEL.parse().expect("a model id"))
}

/// All events, and what broke the stream off.
async fn drain(mut output: ConverseStreamOutput) -> (Vec<Event>, Option<Broken>) {
    let mut events = Vec::new();
    loop {
        match output.stream.recv().await {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

fn cause(error: &(dyn std::error::Error + 'static)) -> Option<Cause> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<Error>() {
            return Some(error.cause());
        }
        next = error.source();
    }
    None
}

/// A stream holds its tokens until it has told what it used, and passes every event on.
#[tokio::test(start_paused = true)]
async fn a_stream_settles_by_what_it_tells() {
    let rig = Rig::new(SimService::new(
        scenario().build().expect("a valid scenario"),
    ));
    let output = rig.open().await.expect("it begins");
    assert!(rig.ledger().tokens_held > 100);
    let (events, broken) = drain(output).await;
    assert!(broken.is_none(), "{broken:?}");
    assert!(events.len() > 5, "{}", events.len());
    assert!(matches!(events.first(), Some(Event::MessageStart(_))));
    let Some(Event::Metadata(metadata)) = events.last() else {
        panic!("usage comes last: {:?}", events.last());
    };
    let total = metadata.usage().expect("usage").total_tokens();
    let ledger = rig.ledger();
    assert_eq!(ledger.tokens_held, 0);
    assert_eq!(i64::try_from(ledger.tokens_used), Ok(i64::from(total)));
}

/// The stream of InvokeModel tells in its last chunk.
#[tokio::test(start_paused = true)]
async fn chunks_are_read_too() {
    let rig = Rig::new(SimService::new(
        scenario().build().expect("a valid scenario"),
    ));
    let input = invoke_stream();
    let mut output = rig
        .client
        .invoke_model_with_response_stream()
        .model_id(MODEL)
        .body(Blob::new(input.body().expect("a body").as_ref()))
        .content_type("application/json")
        .send()
        .await
        .expect("it begins");
    assert!(rig.ledger().tokens_held > 100);
    while output.body.recv().await.expect("an event").is_some() {}
    let ledger = rig.ledger();
    assert_eq!(ledger.tokens_held, 0);
    assert!(ledger.tokens_used > 20, "{ledger:?}");
}

/// A refusal as the first frame is waited for, retried, and never seen; for good, it is what the SDK
/// shows it as: an exception of the stream.
#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_first_frame_is_retried() {
    let refusal = || {
        FaultSpec::new(FaultKind::StreamException {
            after_events: 0,
            error: ErrorText::RequestsPerMinute.into(),
        })
    };
    let rig = Rig::with(refusal().count(2));
    let (events, broken) = drain(rig.open().await.expect("the third begins")).await;
    assert!(broken.is_none() && events.len() > 5, "{broken:?}");
    assert_eq!(rig.requests(), 3);

    let rig = Rig::with(refusal());
    let (events, broken) = drain(rig.open().await.expect("the head is a success")).await;
    assert!(events.is_empty());
    let Some(SdkError::ServiceError(error)) = broken else {
        panic!("{broken:?}");
    };
    assert!(error.err().is_throttling_exception(), "{error:?}");
    assert_eq!(
        Cause::of_sdk(&SdkError::ServiceError(error)),
        Cause::RequestRate
    );
    assert_eq!(rig.requests(), 9);
    assert_eq!(rig.ledger().tokens_held, 0);
}

/// An exception after the first content is the caller's, as the SDK shows it; what came is settled.
#[tokio::test(start_paused = true)]
async fn an_exception_in_the_middle_is_passed_on() {
    let rig = Rig::with(FaultSpec::new(FaultKind::StreamException {
        after_events: 5,
        error: ErrorText::InternalServer.into(),
    }));
    let (events, broken) = drain(rig.open().await.expect("it begins")).await;
    assert_eq!(events.len(), 5);
    let Some(SdkError::ServiceError(error)) = broken else {
        panic!("{broken:?}");
    };
    assert!(error.err().is_internal_server_exception(), "{error:?}");
    assert_eq!(
        Cause::of_sdk(&SdkError::ServiceError(error)),
        Cause::Internal
    );
    assert_eq!(rig.requests(), 1);
    assert_eq!(rig.ledger().tokens_held, 0);
}

/// A stream that ends in good order but before its answer is whole has been cut: the SDK alone would
/// call it a success.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_is_an_error() {
    let rig = Rig::with(FaultSpec::new(FaultKind::NoMessageStop));
    let (events, broken) = drain(rig.open().await.expect("it begins")).await;
    assert!(!events.is_empty());
    let broken = broken.expect("it was cut");
    assert!(matches!(broken, SdkError::DispatchFailure(_)), "{broken:?}");
    assert_eq!(cause(&broken), Some(Cause::StreamTruncated));
    assert_eq!(Cause::of_sdk(&broken), Cause::StreamTruncated);
    assert_eq!(rig.ledger().tokens_held, 0);
    for fault in [
        FaultKind::StreamCut { after_events: 4 },
        FaultKind::CloseInsideFrame { after_events: 4 },
        FaultKind::BadCrc { after_events: 4 },
    ] {
        let rig = Rig::with(FaultSpec::new(fault));
        let (events, broken) = drain(rig.open().await.expect("it begins")).await;
        assert_eq!(events.len(), 4);
        assert!(broken.is_some());
        assert_eq!(rig.ledger().tokens_held, 0);
    }
}

/// Whatever ends a stream, each layer inside the client hears it once, and the right thing: that it was
/// whole, why it failed, or that nobody read on.
#[tokio::test(start_paused = true)]
async fn layers_hear_how_a_stream_ends() {
    let after = |what: FaultKind| Some(FaultSpec::new(what));
    let exception = FaultKind::StreamException {
        after_events: 4,
        error: ErrorText::InternalServer.into(),
    };
    let silence = FaultKind::StreamStall {
        after_events: 4,
        lasts: None,
    };
    for (fault, is_read, expected) in [
        (None, true, "complete"),
        (None, false, "abandoned"),
        (after(exception), true, "failed: internal"),
        (
            after(FaultKind::StreamCut { after_events: 4 }),
            true,
            "failed: stream_truncated",
        ),
        (
            after(FaultKind::CloseInsideFrame { after_events: 4 }),
            true,
            "failed: stream_truncated",
        ),
        (
            after(FaultKind::BadCrc { after_events: 4 }),
            true,
            "failed: stream_failed",
        ),
        (after(silence), true, "failed: stream_stalled"),
    ] {
        let what = format!("{fault:?}");
        let sim = match fault {
            Some(fault) => faulty(fault),
            None => SimService::new(scenario().build().expect("a valid scenario")),
        };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        let layers = ServiceBuilder::new()
            .map_response(move |mut response: SdkResponse| {
                response.watch(Ear(Arc::clone(&ears)));
                response
            })
            .layer(ClassifyLayer::new());
        let client = client(in_process(&sim), layers);
        let mut output = client
            .converse_stream()
            .model_id(MODEL)
            .messages(message(PROMPT))
            .send()
            .await
            .expect("it begins");
        while is_read && matches!(output.stream.recv().await, Ok(Some(_))) {}
        drop(output);
        assert_eq!(*heard.lock().expect("nobody panics"), [expected], "{what}");
    }
}

/// Writes down how replies are finished.
struct Ear(Arc<Mutex<Vec<String>>>);

impl Watcher for Ear {
    fn finish(&mut self, finish: Finish<'_>) {
        self.0.lock().expect("nobody panics").push(match finish {
            Finish::Complete => "complete".to_owned(),
            Finish::Failed(error) => format!("failed: {}", error.cause()),
            Finish::Abandoned => "abandoned".to_owned(),
            other => format!("{other:?}"),
        });
    }
}

/// Cut before its first content, a stream is made again.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_at_its_beginning_is_made_again() {
    for fault in [
        FaultKind::StreamCut { after_events: 1 },
        FaultKind::CloseInsideFrame { after_events: 0 },
        FaultKind::BadCrc { after_events: 0 },
    ] {
        let name = fault.name().to_owned();
        let rig = Rig::with(FaultSpec::new(fault).count(1));
        let (events, broken) = drain(rig.open().await.expect("the second begins")).await;
        assert!(broken.is_none() && events.len() > 5, "{name}: {broken:?}");
        assert_eq!(rig.requests(), 2, "{name}");
    }
}

/// A stream that falls silent ends by the limits, before and after its first content.
#[tokio::test(start_paused = true)]
async fn silence_ends() {
    let rig = Rig::with(FaultSpec::new(FaultKind::StreamStall {
        after_events: 4,
        lasts: None,
    }));
    let start = tokio::time::Instant::now();
    let (events, broken) = drain(rig.open().await.expect("it begins")).await;
    assert_eq!(events.len(), 4);
    let broken = broken.expect("it stalled");
    assert_eq!(cause(&broken), Some(Cause::StreamStalled));
    assert_eq!(start.elapsed().as_secs(), 180);
    assert_eq!(rig.ledger().tokens_held, 0);

    let rig = Rig::with(
        FaultSpec::new(FaultKind::StreamStall {
            after_events: 0,
            lasts: None,
        })
        .count(1),
    );
    let start = tokio::time::Instant::now();
    let (events, broken) = drain(rig.open().await.expect("the second begins")).await;
    assert!(broken.is_none() && events.len() > 5, "{broken:?}");
    assert_eq!(rig.requests(), 2);
    assert!(start.elapsed() >= Duration::from_secs(300));
}

/// Dropped at its first event, a stream gives back what was held for it; its connection is closed.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_gives_back_its_tokens() {
    let rig = Rig::new(SimService::new(
        scenario().build().expect("a valid scenario"),
    ));
    let mut output = rig.open().await.expect("it begins");
    output.stream.recv().await.expect("an event");
    assert!(rig.ledger().tokens_held > 100);
    drop(output);
    assert_eq!(rig.ledger().tokens_held, 0);
    assert_eq!(rig.sim.ledger().totals.in_flight, 0);
}
