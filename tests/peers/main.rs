//! Where others break: each way in which a resilience library was seen to fail, held against this one.
//!
//! | where others break | here |
//! |---|---|
//! | jitter that is missing, added on top, gone at the cap, the same for every session | [`retry::waits_are_spread_from_nothing_to_the_cap`] |
//! | a retry budget that limits nothing; ratios cut to 1/n | [`retry::a_budget_limits_retries`] |
//! | retries of what an open circuit refused | [`retry::a_refusal_of_an_open_circuit_is_not_retried`] |
//! | the request copied though nothing is retried | [`retry::a_body_is_never_copied`] |
//! | attempts without readiness | `contracts::readiness` |
//! | a window of counts that does not slide | [`breaker::a_long_healthy_past_does_not_keep_it_closed`] |
//! | half-open for ever by a probe that hangs, or by probes that are far apart | [`breaker::a_probe_that_hangs_does_not_wedge_it`], [`breaker::probes_far_apart_close_it`] |
//! | half-open admits everybody | [`breaker::half_open_lets_few_through`] |
//! | outcomes from before the outage decide the half-open state | [`breaker::stale_outcomes_decide_nothing`] |
//! | calls cut from outside are not seen; probes cut for ever never open it again | [`breaker::calls_that_their_deadline_cuts_open_it`], [`breaker::probes_that_are_cut_do_not_wedge_it`] |
//! | refusals of a full pool below open it | [`breaker::refusals_of_a_full_pool_do_not_open_it`] |
//! | a stream that fails after its first event counts as success | [`breaker::a_stream_that_breaks_later_is_a_failure`] |
//! | a place is free again when the head of an answer is there | [`pool::a_stream_keeps_its_place_to_its_end`] |
//! | a full pool refuses after a tick of the timer | [`pool::a_full_pool_refuses_in_no_time`] |
//! | waits without bound by default, a line that never refuses | [`pool::a_line_is_bounded_by_default`] |
//! | an inner place is held while a call waits for its rate | [`limiter::who_waits_for_quota_holds_no_place`] |
//! | every waiter is polled at every grant | [`limiter::a_grant_wakes_those_who_go`] |
//! | the first in line is passed by those behind it | [`limiter::nobody_is_passed_in_line`] |
//! | twice the quota at the edge of a window | [`limiter::no_minute_sees_more_than_its_quota`] |
//! | a place that was made ready and not used is lost | [`limiter::readiness_that_is_not_used_costs_nothing`] |
//! | nothing is given back or settled | [`limiter::what_is_not_used_comes_back`] |
//! | what is larger than the burst waits for ever | [`limiter::what_never_fits_is_refused_at_once`] |
//! | all who wait are told the same time and go together | [`limiter::who_waits_goes_one_by_one`] |
//! | a request is spent when its tokens are refused | [`limiter::a_refusal_for_tokens_spends_no_request`] |
//! | a limit that grows while nobody comes near it, or falls on long healthy calls | [`pool::a_limit_does_not_grow_unused`], [`pool::a_limit_bears_long_answers`] |
//! | the first error of a call that fell back is lost | [`fallback::no_error_is_lost`] |
//! | all calls that fall back behind one lock | [`fallback::calls_fall_back_side_by_side`] |
//! | errors nest, have no source, and do not say when to try again | [`fallback::one_error_tells_all`] |
//! | an estimate that was too low is charged, and never given back when the stream fails | [`limiter::a_stream_that_fails_is_charged_what_came`] |
//!
//! Hedging, coalescing and outlier ejection, which break elsewhere too, are not there to break.

mod breaker;
mod fallback;
mod limiter;
mod pool;
mod retry;

use std::{future::Future, time::Duration};

use tokio::task::yield_now;
use tower_bedrock::{CallContext, Operation, Request, Route};
use tower_bedrock_tests::{
    MODEL, REGION,
    probe::{Play, Probe, Readiness},
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn route() -> Route {
    Route::to(MODEL.parse().expect("a model id")).in_region(REGION)
}

/// A call that holds so many tokens.
fn holding(tokens: u32) -> Request<()> {
    let mut call = CallContext::new(Operation::Converse, route());
    call.tokens.input = Some(tokens);
    call.tokens.max_output = Some(0);
    Request::new((), call)
}

fn request() -> Request<()> {
    holding(100)
}

/// A service that does the same with every call.
fn always(play: Play) -> Probe {
    Probe::new(Readiness::AtOnce, move |_, _| play)
}

/// Starts a call, and lets it come as far as it can come now.
async fn started<F>(call: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let task = tokio::spawn(call);
    for _ in 0..10 {
        yield_now().await;
    }
    task
}
