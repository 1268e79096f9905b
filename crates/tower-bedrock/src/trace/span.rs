//! What stands in the spans.

use std::fmt;

use tokio::time::Instant;
use tracing::{Span, field::Empty, info_span};

use crate::{
    call::{CallContext, Priority},
    error::Error,
    gen_ai,
    model_id::ModelId,
    reply::{CacheStatus, Finish, Served, Usage, UsageEstimate, Watcher},
    route::{Region, Route, ServiceTier},
};

const PROVIDER: &str = "aws.bedrock";

/// What a span is around.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Call { tenants: bool },
    Attempt,
}

/// A span that is open, and closed when it is dropped; until then it watches the reply.
#[derive(Debug)]
pub(super) struct Traced {
    span: Span,
    is_call: bool,
    is_over: bool,
    began: Instant,
}

impl Traced {
    /// `None` where nobody listens.
    pub(super) fn begin(kind: Kind, call: &CallContext) -> Option<Self> {
        let span = match kind {
            Kind::Call { tenants } => of_call(call, tenants),
            Kind::Attempt => of_attempt(call),
        };
        if span.is_disabled() {
            return None;
        }
        Some(Self {
            span,
            is_call: matches!(kind, Kind::Call { .. }),
            is_over: false,
            began: Instant::now(),
        })
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn failed(&mut self, error: &Error) {
        let span = &self.span;
        span.record("otel.status_code", "ERROR");
        span.record("error.type", error.cause().as_str());
        if let Some(route) = error.route() {
            record_route(span, route);
        }
        if self.is_call {
            span.record("tower_bedrock.attempts", error.attempts());
        } else {
            span.record("http.response.status_code", error.status());
            span.record("aws.error_code", error.code());
            span.record("aws.request_id", error.request_id());
        }
        self.end("failed");
    }

    pub(super) fn answered(&self, served: &Served) {
        let span = &self.span;
        record_route(span, &served.route);
        if !self.is_call {
            span.record("aws.request_id", served.request_id.as_deref());
            return;
        }
        let model = served.route.model.as_ref().map(ModelId::as_str);
        span.record("gen_ai.response.model", model);
        span.record("tower_bedrock.route.index", served.route_index);
        span.record("tower_bedrock.attempts", served.attempts);
        span.record("tower_bedrock.degraded", served.degraded);
        let cache = match served.cache {
            CacheStatus::Unused => None,
            CacheStatus::Miss => Some("miss"),
            CacheStatus::Hit { .. } => Some("hit"),
        };
        span.record("tower_bedrock.cache", cache);
        span.record("tower_bedrock.coalesced", served.coalesced.then_some(true));
    }

    /// Writes down how it ended, and closes it.
    fn end(&mut self, end: &'static str) {
        self.span.record("tower_bedrock.end", end);
        self.is_over = true;
        self.span = Span::none();
    }
}

impl Watcher for Traced {
    fn first_content(&mut self, at: Instant) {
        if self.is_call {
            let waited = at.saturating_duration_since(self.began).as_secs_f64();
            let field = "gen_ai.response.time_to_first_chunk";
            self.span.record(field, waited);
        }
    }

    fn usage(&mut self, usage: &Usage) {
        if !self.is_call {
            return;
        }
        let span = &self.span;
        let cached = usage.cache_read.saturating_add(usage.cache_write);
        let input = usage.input.saturating_add(cached);
        span.record("gen_ai.usage.input_tokens", input);
        span.record("gen_ai.usage.output_tokens", usage.output);
        if cached > 0 {
            span.record("gen_ai.usage.cache_read.input_tokens", usage.cache_read);
            span.record(
                "gen_ai.usage.cache_creation.input_tokens",
                usage.cache_write,
            );
        }
    }

    fn estimate(&mut self, estimate: &UsageEstimate) {
        if self.is_call {
            let output = estimate.output;
            let field = "tower_bedrock.usage.estimated_output_tokens";
            self.span.record(field, output);
        }
    }

    fn finish(&mut self, finish: Finish<'_>) {
        match finish {
            Finish::Complete => self.end("complete"),
            Finish::Failed(error) => self.failed(error),
            Finish::Abandoned => self.end("dropped"),
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if !self.is_over {
            self.end("dropped");
        }
    }
}

fn of_call(call: &CallContext, tenants: bool) -> Span {
    let model = call.route.model.as_ref();
    info_span!(
        target: "tower_bedrock::call",
        "bedrock.call",
        otel.name = %Name(call),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = gen_ai::operation_name(call.operation),
        gen_ai.provider.name = PROVIDER,
        gen_ai.request.model = model.map(ModelId::as_str),
        gen_ai.request.max_tokens = call.tokens.max_output,
        gen_ai.request.stream = call.operation.is_stream(),
        gen_ai.response.model = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        error.type = Empty,
        tower_bedrock.route.region = call.route.region.as_ref().map(Region::as_str),
        tower_bedrock.route.tier = tier(&call.route),
        tower_bedrock.route.index = Empty,
        tower_bedrock.attempts = Empty,
        tower_bedrock.degraded = Empty,
        tower_bedrock.cache = Empty,
        tower_bedrock.coalesced = Empty,
        tower_bedrock.priority = priority(call.priority),
        tower_bedrock.tenant = call.tenant.as_deref().filter(|_| tenants),
        tower_bedrock.usage.estimated_output_tokens = Empty,
        tower_bedrock.end = Empty,
    )
}

fn of_attempt(call: &CallContext) -> Span {
    let model = call.route.model.as_ref();
    info_span!(
        target: "tower_bedrock::attempt",
        "bedrock.attempt",
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = gen_ai::operation_name(call.operation),
        gen_ai.provider.name = PROVIDER,
        gen_ai.request.model = model.map(ModelId::as_str),
        error.type = Empty,
        http.response.status_code = Empty,
        aws.error_code = Empty,
        aws.request_id = Empty,
        server.address = Empty,
        server.port = Empty,
        tower_bedrock.route.region = call.route.region.as_ref().map(Region::as_str),
        tower_bedrock.route.tier = tier(&call.route),
        tower_bedrock.attempt = call.attempt,
        tower_bedrock.wait.quota_seconds = Empty,
        tower_bedrock.wait.pool_seconds = Empty,
        tower_bedrock.end = Empty,
    )
}

fn record_route(span: &Span, route: &Route) {
    let region = route.region.as_ref().map(Region::as_str);
    span.record("tower_bedrock.route.region", region);
    span.record("tower_bedrock.route.tier", tier(route));
}

fn tier(route: &Route) -> Option<&'static str> {
    (route.tier != ServiceTier::Default).then(|| route.tier.as_str())
}

const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}

/// The name of a call's span, as the convention wants it.
struct Name<'a>(&'a CallContext);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(gen_ai::operation_name(self.0.operation))?;
        match &self.0.route.model {
            Some(model) => write!(f, " {}", model.as_str()),
            None => Ok(()),
        }
    }
}
