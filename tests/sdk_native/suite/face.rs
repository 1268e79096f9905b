//! The two faces.

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
use tower_bedrock::{Bedrock, Error, Request, Response, ResponseStream, sdk::install::Resilience};
use tower_bedrock_tests as support;

use super::{
    call::{Call, Op, asked, options},
    outcome::{Answer, Failure, Told},
    rig::Rig,
    streams::{self, Streamed},
};

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
