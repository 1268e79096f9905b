//! [`TraceLayer`]: spans for calls and attempts, and events for what the layers decide.
//!
//! A [`Stack`](crate::Stack) has both spans in it, unless it is built
//! [`without_tracing`](crate::StackBuilder::without_tracing):
//!
//! ```text
//! bedrock.call                     what the caller asked for and got, until its stream is over
//! ├─ bedrock.attempt  attempt=1    throttled
//! ├─ INFO  attempt failed, will be made again   cause=throttled wait_seconds=0.4
//! ├─ bedrock.attempt  attempt=2    throttled
//! ├─ WARN  call moves to another route          from=… to=…
//! └─ bedrock.attempt  attempt=3    answered
//! ```
//!
//! Names follow OpenTelemetry's conventions for generative AI where there is one, and begin with
//! `tower_bedrock.` where there is none. They are the exporter's as they stand: `tracing-opentelemetry`
//! reads `otel.name`, `otel.kind` and `otel.status_code` itself.
//!
//! | field | on | |
//! |---|---|---|
//! | `otel.name` | call | operation and model, as `chat us.amazon.nova-lite-v1:0` |
//! | `otel.kind` | both | `client` |
//! | `otel.status_code` | both | `ERROR` where it failed, unset else |
//! | `gen_ai.operation.name` | both | `chat` for Converse; `invoke_model`, of whose body nothing is known; `count_tokens`, `apply_guardrail` |
//! | `gen_ai.provider.name` | both | `aws.bedrock` |
//! | `gen_ai.request.model` | both | the model that was asked for; of an attempt, the one that it goes to |
//! | `gen_ai.request.max_tokens` | call | if set |
//! | `gen_ai.request.stream` | call | whether the answer is a stream |
//! | `gen_ai.response.model` | call | the model that answered |
//! | `gen_ai.response.time_to_first_chunk` | call | seconds to the first content of a stream, waits and retries included |
//! | `gen_ai.usage.input_tokens` | call | with what was read from and written to a cache, as the convention wants it and Bedrock does not count it (BEDROCK.md §6.2) |
//! | `gen_ai.usage.output_tokens` | call | |
//! | `gen_ai.usage.cache_read.input_tokens`, `gen_ai.usage.cache_creation.input_tokens` | call | |
//! | `error.type` | both | the [`Cause`](crate::Cause), in snake case |
//! | `http.response.status_code`, `aws.error_code`, `aws.request_id` | attempt | as far as the service told them |
//! | `server.address`, `server.port` | attempt | the host that was called; the port if the endpoint names one |
//! | `tower_bedrock.route.region`, `tower_bedrock.route.tier` | both | of the route that answered or failed; the tier if it is not the default one |
//! | `tower_bedrock.route.index` | call | which rung of the fallback ladder answered; 0 is the primary |
//! | `tower_bedrock.attempt` | attempt | which attempt of the call it is, from 1, over all routes |
//! | `tower_bedrock.attempts` | call | how many there were |
//! | `tower_bedrock.degraded` | call | whether another model or a lower tier answered |
//! | `tower_bedrock.cache` | call | `hit` or `miss`, of calls that a cache is about |
//! | `tower_bedrock.coalesced` | call | whether the attempt was another call's |
//! | `tower_bedrock.priority` | call | |
//! | `tower_bedrock.tenant` | call | only [if asked for](TraceLayer::with_tenants) |
//! | `tower_bedrock.wait.quota_seconds`, `tower_bedrock.wait.pool_seconds` | attempt | how long it stood in line for its quota and for its pool, if it did |
//! | `tower_bedrock.usage.estimated_output_tokens` | call | what came of a stream that did not tell its usage |
//! | `tower_bedrock.end` | both | `complete`, `failed`, or `dropped` by the caller; an attempt is dropped by a deadline, too |
//!
//! Usage stands on the call alone, so that a sum over spans counts nothing twice.
//!
//! # Events
//!
//! The layers tell what they decide wherever they stand, with or without spans around them; each under
//! a target of its own, to be filtered by:
//!
//! | target | level | what |
//! |---|---|---|
//! | `tower_bedrock::retry` | info | an attempt failed and will be made again |
//! | | warn | a call is given up that a retry might have cured |
//! | | debug | a call is given up that no retry cures; a call succeeded after retries |
//! | `tower_bedrock::fallback` | warn | a call leaves its route; no route is left |
//! | | debug | a call passes over a route, or keeps another one warm |
//! | `tower_bedrock::circuit_breaker` | warn | a circuit opened |
//! | | info | a circuit became half-open or closed |
//! | | debug | a call was refused |
//! | `tower_bedrock::token_budget` | warn | a limit was learned; the day's tokens are used up; a call sets no `maxTokens` |
//! | | info | a call was refused |
//! | | debug | a call had to wait |
//! | `tower_bedrock::pool` | info | a call was refused |
//! | | debug | a call had to wait; a limit changed |
//! | `tower_bedrock::cache` | debug | a call is answered out of the cache, or not; an answer is kept, or not |
//! | `tower_bedrock::coalesce` | debug | a call joins an attempt that is under way |
//! | `tower_bedrock::quotas` | warn | a refresh could not read something of the account's quotas |
//! | | info | a refresh read them |
//!
//! # What is not in it
//!
//! No prompt, no answer, no credential, and no message of the service, which may repeat what it was
//! sent. Model ids, regions and request ids are; a model's ARN has the account in it. The crates of the
//! AWS SDK have spans and events of their own, which at `trace` show answers: leave `aws_smithy_runtime`
//! and its like out of what is kept.
//!
//! # What it costs
//!
//! Where nobody listens, a comparison for each span and event, and no allocation.

#[cfg(feature = "aws")]
pub(crate) mod address;
pub(crate) mod event;
pub mod future;
mod layer;
mod span;
#[cfg(test)]
mod tests;

pub use self::layer::{Trace, TraceLayer};
