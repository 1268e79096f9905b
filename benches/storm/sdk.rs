//! Calls by the SDK, as all policies but our own make them.

use std::{error::Error as StdError, fmt, sync::Arc};

use aws_sdk_bedrockruntime::{
    Client,
    config::{Builder, Region},
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        converse::ConverseInput, converse_stream::ConverseStreamInput,
        converse_stream::ConverseStreamOutput as StreamReply,
    },
    types::{
        ContentBlock, ConversationRole, ConverseStreamOutput as Event, InferenceConfiguration,
        Message,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{load::Job, setup::Place};

/// Four bytes, a token to the simulator.
const WORD: &str = "tok ";

/// Why a call failed, as far as a program without a catalogue of causes can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) status: Option<u16>,
}

impl Failure {
    pub(crate) fn new(code: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            status: None,
        }
    }

    /// Whether it is a throttle: the service is well, and one asks too much.
    pub(crate) fn is_throttle(&self) -> bool {
        self.status == Some(429) && self.code == "ThrottlingException"
    }

    /// Whether articles would try again: throttled, server errors, no connection, no answer in time.
    pub(crate) fn is_transient(&self) -> bool {
        match self.status {
            Some(status) => status == 429 || status >= 500,
            None => true,
        }
    }
}

/// An answer, or the head of one.
pub(crate) enum Reply {
    Whole,
    Stream(Box<StreamReply>),
}

fn message(job: &Job) -> Message {
    let text = WORD.repeat(job.input_tokens as usize);
    Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(text))
        .build()
        .expect("role and content are set")
}

fn limits(job: &Job) -> InferenceConfiguration {
    let max_tokens = job.max_tokens.and_then(|tokens| i32::try_from(tokens).ok());
    InferenceConfiguration::builder()
        .set_max_tokens(max_tokens)
        .build()
}

/// What a job asks for, in whole.
pub(crate) fn converse(place: &Place, job: &Job) -> ConverseInput {
    ConverseInput::builder()
        .model_id(place.model)
        .messages(message(job))
        .inference_config(limits(job))
        .build()
        .expect("no field is required")
}

/// What a job asks for, as a stream.
pub(crate) fn converse_stream(place: &Place, job: &Job) -> ConverseStreamInput {
    ConverseStreamInput::builder()
        .model_id(place.model)
        .messages(message(job))
        .inference_config(limits(job))
        .build()
        .expect("no field is required")
}

/// An SDK client for one place, and whether it is asked for streams.
#[derive(Clone, Debug)]
pub(crate) struct Sdk {
    client: Client,
    place: Place,
    is_stream: bool,
}

impl Sdk {
    pub(crate) fn new(config: Builder, place: &Place, is_stream: bool) -> Self {
        let config = config.region(Region::new(place.region));
        Self {
            client: Client::from_conf(config.build()),
            place: place.clone(),
            is_stream,
        }
    }

    /// Makes a call, by the SDK's own rules.
    pub(crate) async fn send(&self, job: &Job) -> Result<Reply, Failure> {
        if self.is_stream {
            let call = self.client.converse_stream().model_id(self.place.model);
            let call = call.messages(message(job)).inference_config(limits(job));
            let reply = call.send().await.map_err(|error| failure(&error))?;
            return Ok(Reply::Stream(Box::new(reply)));
        }
        let call = self.client.converse().model_id(self.place.model);
        let call = call.messages(message(job)).inference_config(limits(job));
        call.send().await.map_err(|error| failure(&error))?;
        Ok(Reply::Whole)
    }
}

impl Reply {
    /// Reads it to its end.
    pub(crate) async fn read(self) -> Result<(), Failure> {
        let Self::Stream(mut reply) = self else {
            return Ok(());
        };
        let mut is_whole = false;
        loop {
            match reply.stream.recv().await {
                Ok(Some(Event::MessageStop(_))) => is_whole = true,
                Ok(Some(_)) => {}
                Ok(None) if is_whole => return Ok(()),
                Ok(None) => return Err(Failure::new("StreamTruncated")),
                Err(error) => {
                    return Err(own_cause(&error).unwrap_or_else(|| Failure::new("StreamFailed")));
                }
            }
        }
    }
}

/// What a stack inside of the SDK says of an error; `None` without one.
fn own_cause<E, R>(error: &SdkError<E, R>) -> Option<Failure>
where
    E: StdError + 'static,
    R: fmt::Debug + 'static,
{
    let known = tower_bedrock::Error::from_sdk(error)?;
    Some(Failure::new(known.cause().as_str()))
}

fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let Some(own) = own_cause(error) {
        return own;
    }
    let status = error.raw_response().map(|raw| raw.status().as_u16());
    let code = match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or("Unknown").to_owned(),
        SdkError::TimeoutError(_) => "Timeout".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "Timeout".to_owned(),
        SdkError::DispatchFailure(_) => "Connect".to_owned(),
        _ => "Other".to_owned(),
    };
    Failure { code, status }
}

/// What a job is to a policy.
pub(crate) type SharedJob = Arc<Job>;
