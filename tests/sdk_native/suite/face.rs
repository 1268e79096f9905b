//! The two faces.

use std::{num::NonZeroU32, time::Duration};

use aws_sdk_bedrockruntime::{
    Client,
    config::Builder,
    operation::{
        apply_guardrail::{ApplyGuardrailInput, ApplyGuardrailOutput},
        converse::{ConverseInput, ConverseOutput},
        converse_stream::ConverseStreamInput,
        count_tokens::{CountTokensInput, CountTokensOutput},
        invoke_model::{InvokeModelInput, InvokeModelOutput},
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    types::{ConverseStreamOutput, ResponseStream as InvokeModelEvent},
};
use tower::{ServiceExt, util::BoxCloneSyncService};
use tower_bedrock::{
    Bedrock, Error, Priority, Request, Residency, Response, ResponseStream,
    sdk::install::{CallOptions, Resilience},
};
use tower_bedrock_tests as support;

use super::{
    outcome::{Answer, Failure, Told},
    rig::Rig,
    streams::{self, Streamed},
};

/// An operation, with an input of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Converse,
    InvokeModel,
    CountTokens,
    ApplyGuardrail,
    ConverseStream,
    InvokeModelWithResponseStream,
}

/// A call that both faces can make.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) model: String,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_attempts: Option<NonZeroU32>,
    pub(crate) retry_timeouts: Option<bool>,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) priority: Option<Priority>,
    pub(crate) stays: bool,
    pub(crate) within: Option<Residency>,
    /// How many events of a stream are read before it is dropped; all if `None`.
    pub(crate) events: Option<usize>,
}

impl Call {
    pub(crate) fn of(op: Op) -> Self {
        Self {
            op,
            model: support::MODEL.to_owned(),
            timeout: None,
            max_attempts: None,
            retry_timeouts: None,
            tenant: None,
            priority: None,
            stays: false,
            within: None,
            events: None,
        }
    }

    pub(crate) fn converse() -> Self {
        Self::of(Op::Converse)
    }

    pub(crate) fn with_tenant(mut self, tenant: &'static str) -> Self {
        self.tenant = Some(tenant);
        self
    }

    pub(crate) fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Drops the stream after so many events.
    pub(crate) fn dropped_after(mut self, events: usize) -> Self {
        self.events = Some(events);
        self
    }

    pub(crate) fn to(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = NonZeroU32::new(attempts);
        self
    }
}

type Boxed<In, Out> = BoxCloneSyncService<Request<In>, Response<Out>, Error>;
type Streaming<In, Event> = BoxCloneSyncService<Request<In>, ResponseStream<Event>, Error>;

/// Makes a face of a configuration of the SDK and a rig.
pub(crate) type MakeFace = fn(Builder, &Rig) -> Face;

/// One way to make calls through the layers of a rig.
#[derive(Clone)]
pub(crate) enum Face {
    /// `Request`s through the layers around `Bedrock`.
    Tower(Box<Tower>),
    /// The SDK's fluent client, with the layers inside.
    Fluent(Client),
}

#[derive(Clone)]
pub(crate) struct Tower {
    converse: Boxed<ConverseInput, ConverseOutput>,
    invoke_model: Boxed<InvokeModelInput, InvokeModelOutput>,
    count_tokens: Boxed<CountTokensInput, CountTokensOutput>,
    apply_guardrail: Boxed<ApplyGuardrailInput, ApplyGuardrailOutput>,
    converse_stream: Streaming<ConverseStreamInput, ConverseStreamOutput>,
    invoke_stream: Streaming<InvokeModelWithResponseStreamInput, InvokeModelEvent>,
}

impl Face {
    pub(crate) fn tower(config: Builder, rig: &Rig) -> Self {
        let bedrock = Bedrock::from_builder(config);
        Self::Tower(Box::new(Tower {
            converse: rig.around(bedrock.clone()),
            invoke_model: rig.around(bedrock.clone()),
            count_tokens: rig.around(bedrock.clone()),
            apply_guardrail: rig.around(bedrock.clone()),
            converse_stream: rig.around(bedrock.clone()),
            invoke_stream: rig.around(bedrock),
        }))
    }

    pub(crate) fn fluent(config: Builder, rig: &Rig) -> Self {
        let config = Resilience::new(rig.clone()).install(config);
        Self::Fluent(Client::from_conf(config.build()))
    }

    /// Makes a call and tells what came of it.
    pub(crate) async fn make(&self, call: &Call) -> Told {
        match self {
            Self::Tower(tower) => tower.make(call).await,
            Self::Fluent(client) => fluent(client, call).await,
        }
    }
}

impl Tower {
    async fn make(&self, call: &Call) -> Told {
        macro_rules! through {
            ($service:expr, $input:expr) => {{
                let sent = $service.clone().oneshot(asked(call, $input)).await;
                match sent {
                    Ok(response) => Told::Answered(Answer {
                        usage: response.output().usage_told(),
                        served: response.served().clone(),
                        output: response.output().told(),
                    }),
                    Err(error) => Told::Failed(Failure::from(&error)),
                }
            }};
        }
        macro_rules! along {
            ($service:expr, $input:expr) => {{
                let sent = $service.clone().oneshot(asked(call, $input)).await;
                match sent {
                    Ok(stream) => Told::Streamed(streams::read(stream, call.events).await),
                    Err(error) => Told::Streamed(Streamed::refused(Failure::from(&error))),
                }
            }};
        }
        match call.op {
            Op::ConverseStream => {
                along!(self.converse_stream, support::converse_stream(&call.model))
            }
            Op::InvokeModelWithResponseStream => {
                let mut input = support::invoke_stream();
                input.model_id = Some(call.model.clone());
                along!(self.invoke_stream, input)
            }
            Op::Converse => through!(self.converse, support::converse(&call.model)),
            Op::InvokeModel => {
                let mut input = support::invoke();
                input.model_id = Some(call.model.clone());
                through!(self.invoke_model, input)
            }
            Op::CountTokens => {
                let mut input = support::count_tokens();
                input.model_id = Some(call.model.clone());
                through!(self.count_tokens, input)
            }
            Op::ApplyGuardrail => through!(self.apply_guardrail, support::apply_guardrail()),
        }
    }
}

/// What is asked of the call beside its input.
fn asked<In: tower_bedrock::OperationInput>(call: &Call, input: In) -> Request<In> {
    let mut request = Request::from(input);
    if let Some(timeout) = call.timeout {
        request = request.with_timeout(timeout);
    }
    if let Some(attempts) = call.max_attempts {
        request = request.with_max_attempts(attempts);
    }
    if let Some(retry) = call.retry_timeouts {
        request = request.with_retry_timeouts(retry);
    }
    if let Some(tenant) = call.tenant {
        request = request.with_tenant(tenant);
    }
    if let Some(priority) = call.priority {
        request = request.with_priority(priority);
    }
    if call.stays {
        request = request.without_fallback();
    }
    if let Some(residency) = call.within {
        request = request.within(residency);
    }
    request
}

/// The same, as the fluent client is told it.
fn options(call: &Call) -> CallOptions {
    let mut options = CallOptions::new();
    if let Some(timeout) = call.timeout {
        options = options.with_timeout(timeout);
    }
    if let Some(attempts) = call.max_attempts {
        options = options.with_max_attempts(attempts);
    }
    if let Some(retry) = call.retry_timeouts {
        options = options.with_retry_timeouts(retry);
    }
    if let Some(tenant) = call.tenant {
        options = options.with_tenant(tenant);
    }
    if let Some(priority) = call.priority {
        options = options.with_priority(priority);
    }
    if call.stays {
        options = options.without_fallback();
    }
    if let Some(residency) = call.within {
        options = options.within(residency);
    }
    options
}

/// The call as a user of the SDK writes it.
async fn fluent(client: &Client, call: &Call) -> Told {
    let options = options(call);
    macro_rules! sent {
        ($builder:expr) => {
            match $builder
                .customize()
                .interceptor(options.clone())
                .send()
                .await
            {
                Ok(output) => Told::Answered(Answer {
                    usage: output.usage_told(),
                    served: options.served().unwrap_or_default(),
                    output: output.told(),
                }),
                Err(error) => {
                    let error = Error::from_sdk(&error)
                        .unwrap_or_else(|| panic!("no layer took part in {error:?}"));
                    Told::Failed(Failure::from(error))
                }
            }
        };
    }
    macro_rules! streamed {
        ($builder:expr, $stream:ident) => {
            match $builder
                .customize()
                .interceptor(options.clone())
                .send()
                .await
            {
                Ok(output) => {
                    Told::Streamed(streams::receive(output.$stream, &options, call.events).await)
                }
                Err(error) => {
                    let error = Error::from_sdk(&error)
                        .unwrap_or_else(|| panic!("no layer took part in {error:?}"));
                    Told::Streamed(Streamed::refused(Failure::from(error)))
                }
            }
        };
    }
    match call.op {
        Op::ConverseStream => {
            let input = support::converse_stream(&call.model);
            streamed!(
                client
                    .converse_stream()
                    .set_model_id(input.model_id)
                    .set_messages(input.messages)
                    .set_inference_config(input.inference_config),
                stream
            )
        }
        Op::InvokeModelWithResponseStream => {
            let input = support::invoke_stream();
            streamed!(
                client
                    .invoke_model_with_response_stream()
                    .model_id(&call.model)
                    .set_body(input.body)
                    .set_content_type(input.content_type),
                body
            )
        }
        Op::Converse => {
            let input = support::converse(&call.model);
            sent!(
                client
                    .converse()
                    .set_model_id(input.model_id)
                    .set_messages(input.messages)
                    .set_inference_config(input.inference_config)
            )
        }
        Op::InvokeModel => {
            let input = support::invoke();
            sent!(
                client
                    .invoke_model()
                    .model_id(&call.model)
                    .set_body(input.body)
                    .set_content_type(input.content_type)
            )
        }
        Op::CountTokens => {
            let input = support::count_tokens();
            sent!(
                client
                    .count_tokens()
                    .model_id(&call.model)
                    .set_input(input.input)
            )
        }
        Op::ApplyGuardrail => {
            let input = support::apply_guardrail();
            sent!(
                client
                    .apply_guardrail()
                    .set_guardrail_identifier(input.guardrail_identifier)
                    .set_guardrail_version(input.guardrail_version)
                    .set_source(input.source)
                    .set_content(input.content)
            )
        }
    }
}

/// What an output tells that both faces can show.
trait Output {
    fn told(&self) -> String;

    /// The usage, where the output itself has it.
    fn usage_told(&self) -> Option<(u64, u64)> {
        None
    }
}

impl Output for ConverseOutput {
    fn told(&self) -> String {
        format!("{:?} {:?}", self.output(), self.stop_reason())
    }

    fn usage_told(&self) -> Option<(u64, u64)> {
        let usage = self.usage()?;
        let count = |tokens: i32| u64::try_from(tokens).unwrap_or_default();
        Some((count(usage.input_tokens()), count(usage.output_tokens())))
    }
}

impl Output for InvokeModelOutput {
    fn told(&self) -> String {
        String::from_utf8_lossy(self.body().as_ref()).into_owned()
    }
}

impl Output for CountTokensOutput {
    fn told(&self) -> String {
        self.input_tokens().to_string()
    }
}

impl Output for ApplyGuardrailOutput {
    fn told(&self) -> String {
        format!("{:?}", self.action())
    }
}
