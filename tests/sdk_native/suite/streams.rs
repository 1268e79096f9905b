//! How the two faces tell of a stream.

use std::error::Error as StdError;

use aws_sdk_bedrockruntime::types::{ConverseStreamOutput, ResponseStream as InvokeModelEvent};
use aws_sdk_bedrockruntime::{error::SdkError, primitives::event_stream::EventReceiver};
use aws_smithy_types::event_stream::RawMessage;
use tower_bedrock::{Error, ResponseStream, StreamEvent, sdk::install::CallOptions};

use super::outcome::Failure;

/// What a caller has seen of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Streamed {
    pub(crate) events: Vec<String>,
    /// What ended it: `None` for its own end, or when it was dropped.
    pub(crate) broken: Option<String>,
    /// How many attempts it took, where it began.
    pub(crate) attempts: u32,
}

impl Streamed {
    pub(crate) fn refused(failure: Failure) -> Self {
        let what = failure
            .code
            .unwrap_or_else(|| format!("{:?}", failure.cause));
        Self {
            broken: Some(what),
            ..Self::default()
        }
    }
}

/// What an event tells.
pub(crate) trait Event {
    fn told(&self) -> String;
}

impl Event for ConverseStreamOutput {
    fn told(&self) -> String {
        format!("{self:?}")
    }
}

impl Event for InvokeModelEvent {
    fn told(&self) -> String {
        let part = self.as_chunk().ok().and_then(|part| part.bytes());
        let part = part.map(AsRef::as_ref).unwrap_or_default();
        String::from_utf8_lossy(part).into_owned()
    }
}

/// Reads a stream of the Tower face.
pub(crate) async fn read<E>(mut stream: ResponseStream<E>, at_most: Option<usize>) -> Streamed
where
    E: StreamEvent + Event,
{
    let mut seen = Streamed {
        attempts: stream.served().attempts,
        ..Streamed::default()
    };
    while at_most != Some(seen.events.len()) {
        match stream.next().await {
            None => break,
            Some(Ok(event)) => seen.events.push(event.told()),
            Some(Err(error)) => {
                seen.broken = Streamed::refused(Failure::from(&error)).broken;
                break;
            }
        }
    }
    seen
}

/// Reads a stream of the fluent client. A refusal in its first frame is one of the stream there.
pub(crate) async fn receive<E, X>(
    mut receiver: EventReceiver<E, X>,
    options: &CallOptions,
    at_most: Option<usize>,
) -> Streamed
where
    E: Event,
    X: StdError + Send + Sync + 'static,
{
    let mut seen = Streamed {
        attempts: options.served().unwrap_or_default().attempts,
        ..Streamed::default()
    };
    while at_most != Some(seen.events.len()) {
        match receiver.recv().await {
            Ok(None) => break,
            Ok(Some(event)) => seen.events.push(event.told()),
            Err(error) => {
                seen.broken = Some(broken(&error));
                break;
            }
        }
    }
    seen
}

/// The service's name for what broke the stream, or the cause that one of ours gives.
fn broken<X>(error: &SdkError<X, RawMessage>) -> String
where
    X: StdError + Send + Sync + 'static,
{
    if let SdkError::ServiceError(refusal) = error
        && let RawMessage::Decoded(message) = refusal.raw()
    {
        let headers = message.headers().iter();
        let mut kind = headers.filter(|header| header.name().as_str() == ":exception-type");
        let kind = kind.next().and_then(|kind| kind.value().as_string().ok());
        return kind.map_or_else(String::new, |kind| capitalized(kind.as_str()));
    }
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(under) = next {
        if let Some(error) = under.downcast_ref::<Error>() {
            return format!("{:?}", error.cause());
        }
        next = under.source();
    }
    // What cannot be read is the SDK's to tell on this face.
    let said = format!("{error:?}");
    let is_cut = said.contains("UnexpectedEndOfStream");
    let is_unreadable = matches!(error, SdkError::ResponseError(_));
    match (is_cut, is_unreadable) {
        (true, _) => "StreamTruncated".to_owned(),
        (false, true) => "StreamFailed".to_owned(),
        (false, false) => said,
    }
}

/// An exception of a stream begins with a small letter, and with a capital everywhere else.
fn capitalized(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}
