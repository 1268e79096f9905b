//! The operations that generate: `Converse`, `InvokeModel` and their streams.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tokio::time::Instant;

use super::{
    SimBody,
    exchange::{Asked, Model, Stop, admitted, json, pace, valid, wait_until},
    settlement::{Progress, Settlement},
    state::{Shared, later},
};
use crate::{
    engine::{Admitted, Call, Operation},
    wire::{
        EVENT_STREAM, JSON,
        answer::{Answer, ToolCall},
        cache::InputTokens,
        error::WireError,
        header as own,
        reply::{Reply, Took},
        request::{self, Dialect, Prompt},
        script::{Course, Pace},
    },
};

pub(super) async fn generate(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    model: Model,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<SimBody>, Stop> {
    let operation = asked.operation;
    let read = read(operation, &model, headers, body);
    let (dialect, prompt) = valid(shared, asked, Some(model.handle), read)?;
    let arrived = Instant::now();
    let (input, admitted) = admit(shared, operation, &model, &prompt)?;
    let pace = pace(&admitted);
    let reply = write(shared, dialect, model, prompt, input, &admitted);
    let tokens = reply.answer.tokens;
    if operation.is_stream() {
        let settlement = Settlement::new(Arc::clone(shared), admitted.ticket, Progress::Sent(0));
        let headers = stream_headers(&reply);
        // The scenario was checked: its frames can be written.
        let course = Course::new(reply, pace, admitted.stream_fault).map_err(|_| Stop::Reset)?;
        let mut response = Response::new(SimBody::stream(course, arrived, settlement));
        *response.headers_mut() = headers;
        return Ok(response);
    }
    let progress = Progress::Generated {
        since: arrived,
        pace,
        tokens,
    };
    let settlement = Settlement::new(Arc::clone(shared), admitted.ticket, progress);
    wait_until(later(arrived, pace.due(tokens))).await;
    settlement.complete(tokens);
    Ok(whole(&reply, pace, arrived.elapsed()))
}

/// Reads the body, and of `InvokeModel` the headers that stand in for some of it.
fn read(
    operation: Operation,
    model: &Model,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Dialect, Prompt), WireError> {
    if matches!(operation, Operation::Converse | Operation::ConverseStream) {
        let prompt = request::parse(Dialect::Converse, body)?;
        return Ok((Dialect::Converse, prompt));
    }
    let dialect = Dialect::of_vendor(model.vendor)?;
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let prompt = Prompt {
        tier: text(own::SERVICE_TIER),
        latency_mode: text(own::LATENCY_MODE),
        ..request::parse(dialect, body)?
    };
    Ok((dialect, prompt))
}

/// Asks the engine; what the cache holds is decided in the same breath.
fn admit(
    shared: &Shared,
    operation: Operation,
    model: &Model,
    prompt: &Prompt,
) -> Result<(InputTokens, Admitted), Stop> {
    let mut state = shared.lock();
    let now = state.now();
    let content = &prompt.content;
    let input = state.cache.lookup(now, model.handle, content, model.scale);
    let call = Call {
        model: model.handle,
        operation,
        input_tokens: input.plain,
        cache_read_tokens: input.cache_read,
        cache_write_tokens: input.cache_write(),
        max_tokens: prompt.max_tokens,
    };
    let admitted = admitted(state.engine.admit(now, &call))?;
    state.cache.store(now, model.handle, content);
    Ok((input, admitted))
}

fn write(
    shared: &Shared,
    dialect: Dialect,
    model: Model,
    prompt: Prompt,
    input: InputTokens,
    admitted: &Admitted,
) -> Reply {
    let id = |prefix| shared.lock().ids.prefixed(prefix);
    let (message_prefix, tool_prefix) = match dialect {
        Dialect::Anthropic => (Some("msg_bdrk_"), "toolu_bdrk_"),
        Dialect::Converse | Dialect::Nova => (None, "tooluse_"),
    };
    let tool = prompt
        .forced_tool
        .map(|tool| ToolCall::new(id(tool_prefix), tool.name, &tool.schema));
    Reply {
        dialect,
        message_id: message_prefix.map(id).unwrap_or_default(),
        model_id: model.id,
        input,
        answer: Answer {
            tokens: admitted.output_tokens,
            hit_max_tokens: admitted.hit_max_tokens,
            bytes_per_token: model.scale.bytes_per_token,
            tool,
        },
        tier: prompt.tier,
        latency_mode: prompt.latency_mode,
    }
}

fn whole(reply: &Reply, pace: Pace, total: Duration) -> Response<SimBody> {
    let took = Took {
        to_first_token: pace.first_token_after,
        total,
    };
    let mut response = json(reply.body(took));
    if reply.dialect != Dialect::Converse {
        let headers = response.headers_mut();
        let counts = [
            (own::INPUT_TOKENS, reply.input.plain),
            (own::OUTPUT_TOKENS, reply.answer.tokens),
            (own::CACHE_READ_TOKENS, reply.input.cache_read),
            (own::CACHE_WRITE_TOKENS, reply.input.cache_write()),
            (own::INVOCATION_LATENCY, took.latency_ms()),
        ];
        headers.extend(counts.map(|(name, count)| (name, HeaderValue::from(count))));
        repeat_options(reply, headers);
    }
    response
}

fn stream_headers(reply: &Reply) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    if reply.dialect != Dialect::Converse {
        headers.insert(own::CONTENT_TYPE, JSON);
        repeat_options(reply, &mut headers);
    }
    headers
}

/// `InvokeModel` has no place for these in its body.
fn repeat_options(reply: &Reply, headers: &mut HeaderMap) {
    let options = [
        (own::SERVICE_TIER, &reply.tier),
        (own::LATENCY_MODE, &reply.latency_mode),
    ];
    for (name, value) in options {
        if let Some(value) = value.as_deref().and_then(|v| HeaderValue::from_str(v).ok()) {
            headers.insert(name, value);
        }
    }
}
