//! The calls, through both faces.

use std::time::Duration;

use aws_sdk_bedrockruntime::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
};
use tower_bedrock::{
    Bedrock, CircuitBreakers, Error, FallbackLayer, Jitter, Ladder, Pools, Quota, Quotas, Request,
    RetryLayer, Route, StackLayer, StreamLimits, TokenBudgetLayer,
    sdk::install::{CallOptions, Resilience},
};
use tower_bedrock_tests::{MODEL, REGION};

use crate::{
    calls::{apply_guardrail, converse, converse_stream, count_tokens, invoke, invoke_stream},
    canaries::TENANT,
    sinks::{Log, Sinks},
};

/// A stack that tells all that it does to `log`, and whose calls go to a second region at last.
fn stack(log: &Log) -> StackLayer {
    macro_rules! listen {
        () => {{
            let log = log.clone();
            move |event: &_| log.debug(event)
        }};
    }
    let ladder = Ladder::regions(["us-west-2"]);
    let route = Route::to(MODEL.parse().expect("a model id"));
    let quota = Quota::new()
        .with_requests_per_minute(2)
        .with_tokens_per_day(1_000_000);
    StackLayer::builder(REGION)
        .fallback(
            FallbackLayer::new(ladder)
                .expect("a ladder")
                .on_event(listen!()),
        )
        .retry(
            RetryLayer::new()
                .with_jitter(Jitter::seeded(7))
                .on_event(listen!()),
        )
        .circuit_breaker(
            CircuitBreakers::new()
                .with_home_region(REGION)
                .on_event(listen!()),
        )
        .token_budget(
            TokenBudgetLayer::new(Quotas::new().with_home_region(REGION)).on_event(listen!()),
        )
        .pool(Pools::new().with_home_region(REGION).on_event(listen!()))
        .quota(route, quota)
        .timeout(Duration::from_secs(600))
        .build_layer()
        .expect("a stack that can be meant")
}

fn look_at(sinks: &Sinks, stack: &StackLayer) {
    stack.report_metrics();
    let log = &sinks.texts;
    log.debug(stack);
    log.debug(&stack.quotas().map(Quotas::snapshot));
    log.debug(&stack.breakers().map(CircuitBreakers::snapshot));
    log.debug(&stack.pools().map(Pools::snapshot));
    log.debug(&stack.retry_budget());
}

/// Requests through the layers around a client.
pub(crate) async fn tower(sinks: &Sinks, config: Builder) {
    let layer = stack(&sinks.texts);
    let limits = StreamLimits::default();
    let bedrock = Bedrock::from_builder(config).with_stream_limits(limits);
    sinks.texts.debug(&bedrock);
    let stack = tower::Layer::layer(&layer, bedrock);
    sinks.texts.debug(&stack);
    macro_rules! whole {
        ($input:expr) => {
            let request = Request::from($input).with_tenant(TENANT);
            sinks.texts.debug(&request);
            match stack.send(request).await {
                Ok(reply) => sinks.texts.debug(&reply),
                Err(error) => sinks.error(error),
            }
        };
    }
    macro_rules! stream {
        ($input:expr) => {
            let request = Request::from($input).with_tenant(TENANT);
            match stack.send(request).await {
                Ok(mut stream) => {
                    sinks.texts.debug(&stream);
                    while let Some(event) = stream.next().await {
                        sinks.texts.debug(&stream);
                        if let Err(error) = event {
                            sinks.error(error);
                        }
                    }
                }
                Err(error) => sinks.error(error),
            }
        };
    }
    whole!(converse());
    whole!(invoke());
    whole!(count_tokens());
    whole!(apply_guardrail());
    stream!(converse_stream());
    stream!(invoke_stream());
    look_at(sinks, &layer);
}

/// The SDK's own client, with the layers inside.
pub(crate) async fn fluent(sinks: &Sinks, config: Builder) {
    let layer = stack(&sinks.texts);
    let installed = Resilience::new(layer.clone());
    sinks.texts.debug(&installed);
    let client = Client::from_conf(installed.install(config).build());
    let options = CallOptions::new().with_tenant(TENANT);
    sinks.texts.debug(&options);
    macro_rules! sent {
        ($call:expr) => {
            match $call.customize().interceptor(options.clone()).send().await {
                Ok(output) => Some(output),
                Err(error) => {
                    tell(sinks, &error);
                    None
                }
            }
        };
    }
    macro_rules! read {
        ($stream:expr) => {
            loop {
                match $stream.recv().await {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        tell(sinks, &error);
                        break;
                    }
                }
            }
        };
    }
    let input = converse();
    sent!(
        client
            .converse()
            .set_model_id(input.model_id)
            .set_messages(input.messages)
            .set_system(input.system)
            .set_tool_config(input.tool_config)
            .set_inference_config(input.inference_config)
            .set_additional_model_request_fields(input.additional_model_request_fields)
    );
    let input = converse_stream();
    let output = sent!(
        client
            .converse_stream()
            .set_model_id(input.model_id)
            .set_messages(input.messages)
            .set_system(input.system)
            .set_tool_config(input.tool_config)
            .set_inference_config(input.inference_config)
            .set_additional_model_request_fields(input.additional_model_request_fields)
    );
    if let Some(mut output) = output {
        read!(output.stream);
    }
    let input = invoke();
    sent!(
        client
            .invoke_model()
            .set_model_id(input.model_id)
            .set_body(input.body)
            .set_content_type(input.content_type)
    );
    let input = invoke_stream();
    let output = sent!(
        client
            .invoke_model_with_response_stream()
            .set_model_id(input.model_id)
            .set_body(input.body)
            .set_content_type(input.content_type)
    );
    if let Some(mut output) = output {
        read!(output.body);
    }
    let input = count_tokens();
    sent!(
        client
            .count_tokens()
            .set_model_id(input.model_id)
            .set_input(input.input)
    );
    let input = apply_guardrail();
    sent!(
        client
            .apply_guardrail()
            .set_guardrail_identifier(input.guardrail_identifier)
            .set_guardrail_version(input.guardrail_version)
            .set_source(input.source)
            .set_content(input.content)
    );
    sinks.texts.debug(&options.served());
    look_at(sinks, &layer);
}

/// What the crate says of an error of the SDK's. What the SDK itself prints of it is the SDK's.
fn tell<E, R>(sinks: &Sinks, error: &SdkError<E, R>)
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let Some(error) = Error::from_sdk(error) {
        sinks.shown(error);
    }
}
