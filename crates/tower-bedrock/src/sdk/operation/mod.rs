//! The operations, as they are sent.

mod inputs;

use std::{fmt, future::Future};

use aws_sdk_bedrockruntime::{
    Client,
    operation::{
        RequestId,
        apply_guardrail::{ApplyGuardrailInput, ApplyGuardrailOutput},
        converse::{ConverseInput, ConverseOutput},
        converse_stream::ConverseStreamInput,
        count_tokens::{CountTokensInput, CountTokensOutput},
        invoke_model::{InvokeModelInput, InvokeModelOutput},
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    types,
};
use tokio::time::Instant;

pub(super) use self::inputs::tier_of;
use super::{
    error::before_sending,
    intercept::Sending,
    stream::{Opened, StreamOptions, counts_of},
};

use crate::{
    call::{BedrockRequest, CallContext, Operation, OperationInput, Request},
    error::{ErrorDetails, RawError},
    model_id::ModelId,
    reply::{BedrockResponse, Response, Served},
    route::{Route, ServiceTier},
    stream::{ResponseStream, TokenCounts},
};

/// An operation that [`Bedrock`](crate::Bedrock) can send, by its input type.
///
/// Implemented for the SDK's own input types: Converse and InvokeModel, whole and as streams,
/// CountTokens and ApplyGuardrail. It cannot be implemented elsewhere.
pub trait SdkOperation: OperationInput + Addressed {
    /// What the operation answers.
    type Response: BedrockResponse + Send + 'static;

    #[doc(hidden)]
    fn send(
        client: Client,
        request: Request<Self>,
        streams: StreamOptions,
    ) -> impl Future<Output = Result<Self::Response, RawError>> + Send + 'static;
}

/// An input as the layers address it. Not nameable outside of the crate, so that operations can gain
/// abilities.
#[allow(unnameable_types)]
pub trait Addressed: fmt::Debug + Clone + Send + Sync + Sized + 'static {
    /// The model id as the caller gave it; `None` for operations that have no model.
    fn model_id(&self) -> Option<&str>;

    /// Sends the input where `route` says, as far as the operation has a model and a tier.
    fn set_route(&mut self, route: &Route);

    /// Has the input generate at most `tokens`, as far as the operation says so itself.
    fn set_max_output_tokens(&mut self, _: u32) {}

    /// The same input as CountTokens takes it; `None` for operations that generate nothing.
    fn to_be_counted(&self) -> Option<types::CountTokensInput> {
        None
    }

    /// A clone of the input as the request's context says: to its route, with its bounds.
    fn routed(request: &Request<Self>) -> Self {
        let mut input = request.input().clone();
        let call = request.context();
        input.set_route(&call.route);
        if let Some(tokens) = call.tokens.max_output {
            input.set_max_output_tokens(tokens);
        }
        input
    }
}

/// What an output tells beside its content.
trait Metered {
    fn counts(&self) -> Option<TokenCounts>;
    fn tier(&self) -> Option<ServiceTier>;
}

macro_rules! operations {
    ($($operation:ident: $method:ident, $input:ty => $output:ty;)*) => {
        $(impl SdkOperation for $input {
            type Response = Response<$output>;

            async fn send(
                client: Client,
                request: Request<Self>,
                _: StreamOptions,
            ) -> Result<Self::Response, RawError> {
                check(&request)?;
                let call = request.context().clone();
                let sending = Sending::new(request);
                match sending.by(client.$method().send()).await {
                    Ok(output) => Ok(whole(output, call, &sending)),
                    Err(error) => Err(failed(error.into(), call, &sending)),
                }
            }
        })*
    };
}

operations! {
    Converse: converse, ConverseInput => ConverseOutput;
    InvokeModel: invoke_model, InvokeModelInput => InvokeModelOutput;
    CountTokens: count_tokens, CountTokensInput => CountTokensOutput;
    ApplyGuardrail: apply_guardrail, ApplyGuardrailInput => ApplyGuardrailOutput;
}

macro_rules! streams {
    ($($operation:ident: $method:ident, $input:ty => $event:ty, |$output:ident| $opened:expr;)*) => {
        $(impl SdkOperation for $input {
            type Response = ResponseStream<$event>;

            async fn send(
                client: Client,
                request: Request<Self>,
                streams: StreamOptions,
            ) -> Result<Self::Response, RawError> {
                check(&request)?;
                let mut call = request.context().clone();
                let sending = Sending::new(request);
                let sent = Instant::now();
                let head = sending.by(client.$method().send());
                let $output = match streams.head(sent, head).await {
                    Ok(Ok(output)) => output,
                    Ok(Err(error)) => return Err(failed(error.into(), call, &sending)),
                    Err(stalled) => return Err(failed(stalled.into(), call, &sending)),
                };
                let opened = $opened;
                call.route.tier = opened.tier.unwrap_or(call.route.tier);
                streams.answered(sent, opened, call).await
            }
        })*
    };
}

streams! {
    ConverseStream: converse_stream, ConverseStreamInput => types::ConverseStreamOutput, |output| Opened {
        request_id: output.request_id().map(Into::into),
        tier: None,
        receiver: output.stream,
    };
    InvokeModelWithResponseStream: invoke_model_with_response_stream,
        InvokeModelWithResponseStreamInput => types::ResponseStream, |output| Opened {
        request_id: output.request_id().map(Into::into),
        tier: output.service_tier().map(|tier| tier_of(Some(tier))),
        receiver: output.body,
    };
}

fn whole<Op: SdkOperation, Out: Metered + RequestId>(
    output: Out,
    call: CallContext,
    sending: &Sending<Op>,
) -> Response<Out> {
    let mut served = Served {
        attempts: call.attempt,
        request_id: output.request_id().map(Into::into),
        route: call.route,
        ..Served::default()
    };
    served.route.tier = output.tier().unwrap_or(served.route.tier);
    let counts = output.counts().or_else(|| sending.counts());
    let usage = counts.and_then(|counts| counts.usage(served.route.model.as_ref()));
    Response::new(output, served, usage)
}

fn failed<Op: SdkOperation>(error: RawError, call: CallContext, sending: &Sending<Op>) -> RawError {
    let mut error = if sending.is_sent() {
        error
    } else {
        before_sending(error)
    };
    if let Some(details) = error.details_mut() {
        details.route = Some(call.route);
    }
    error
}

/// Refuses what could not be sent, with a clearer reason than the service would give.
fn check<Op: SdkOperation>(request: &Request<Op>) -> Result<(), RawError> {
    let call = request.context();
    if call.route.model.is_some() || call.operation == Operation::ApplyGuardrail {
        return Ok(());
    }
    match request.input().model_id() {
        None => Err(not_sent("the request names no model: set its model id")),
        Some(id) => match ModelId::new(id) {
            Ok(_) => Err(not_sent(
                "the request's route names no model: name one, or leave the route of the input",
            )),
            Err(invalid) => Err(not_sent(invalid.to_string())),
        },
    }
}

/// An error for what was wrong before anything was sent.
pub(in crate::sdk) fn not_sent(message: impl Into<String>) -> RawError {
    RawError::NotSent(Box::new(ErrorDetails {
        message: Some(message.into()),
        ..ErrorDetails::default()
    }))
}

impl Metered for ConverseOutput {
    fn counts(&self) -> Option<TokenCounts> {
        self.usage().map(counts_of)
    }

    fn tier(&self) -> Option<ServiceTier> {
        let tier = self.service_tier()?;
        Some(tier_of(Some(tier.r#type())))
    }
}

impl Metered for InvokeModelOutput {
    fn counts(&self) -> Option<TokenCounts> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        self.service_tier().map(|tier| tier_of(Some(tier)))
    }
}

impl Metered for CountTokensOutput {
    fn counts(&self) -> Option<TokenCounts> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        None
    }
}

impl Metered for ApplyGuardrailOutput {
    fn counts(&self) -> Option<TokenCounts> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        None
    }
}
