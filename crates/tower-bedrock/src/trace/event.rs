//! What the layers decide, as events.

use tracing::{Level, Span, debug, enabled, info, warn};

#[cfg(feature = "cache")]
use crate::cache::CacheEvent;
#[cfg(feature = "quota-discovery")]
use crate::quotas::DiscoveryEvent;
use crate::{
    circuit_breaker::{CircuitEvent, CircuitState},
    coalesce::CoalesceEvent,
    fallback::FallbackEvent,
    pool::PoolEvent,
    retry::{GaveUp, RetryEvent},
    token_budget::TokenBudgetEvent,
};

pub(crate) fn retry(event: &RetryEvent<'_>) {
    match event {
        RetryEvent::Retrying { call, error, after } => info!(
            target: "tower_bedrock::retry",
            cause = error.cause().as_str(),
            attempt = call.attempt,
            route = %call.route,
            wait_seconds = after.as_secs_f64(),
            "an attempt failed and will be made again",
        ),
        RetryEvent::GaveUp {
            call,
            error,
            reason: reason @ (GaveUp::NotRetryable | GaveUp::NextRoute),
        } => debug!(
            target: "tower_bedrock::retry",
            cause = error.cause().as_str(),
            reason = reason.as_str(),
            attempt = call.attempt,
            route = %call.route,
            "a call is given up that no retry cures",
        ),
        RetryEvent::GaveUp {
            call,
            error,
            reason,
        } => warn!(
            target: "tower_bedrock::retry",
            cause = error.cause().as_str(),
            reason = reason.as_str(),
            attempt = call.attempt,
            route = %call.route,
            "a call is given up that a retry might have cured",
        ),
        RetryEvent::Recovered { call, retries } => debug!(
            target: "tower_bedrock::retry",
            attempt = call.attempt,
            retries,
            route = %call.route,
            "a call succeeded after retries",
        ),
    }
}

#[cfg(feature = "cache")]
pub(crate) fn cache(event: &CacheEvent<'_>) {
    match event {
        CacheEvent::Hit { call, age, .. } => debug!(
            target: "tower_bedrock::cache",
            route = %call.route,
            age_seconds = age.as_secs_f64(),
            "a call is answered out of the cache",
        ),
        CacheEvent::Miss { call } => debug!(
            target: "tower_bedrock::cache",
            route = %call.route,
            "the cache has no answer for a call",
        ),
        CacheEvent::Kept { call, bytes } => debug!(
            target: "tower_bedrock::cache",
            route = %call.route,
            bytes,
            "an answer is kept",
        ),
        CacheEvent::NotKept { call, why } => debug!(
            target: "tower_bedrock::cache",
            route = %call.route,
            why = why.as_str(),
            "an answer is not kept",
        ),
    }
}

pub(crate) fn coalesce(event: &CoalesceEvent<'_>) {
    if let CoalesceEvent::Joined { call } = event {
        debug!(
            target: "tower_bedrock::coalesce",
            route = %call.route,
            "a call joins an attempt that is under way",
        );
    }
}

/// Whether anybody hears of a fallback, which has to find out some of what it tells.
pub(crate) fn hears_fallback() -> bool {
    enabled!(target: "tower_bedrock::fallback", Level::WARN)
}

pub(crate) fn fallback(event: &FallbackEvent<'_>) {
    match event {
        FallbackEvent::Moved {
            from,
            to,
            cause: Some(cause),
            ..
        } => warn!(
            target: "tower_bedrock::fallback",
            cause = cause.as_str(),
            %from,
            %to,
            "a call leaves its route",
        ),
        FallbackEvent::Moved { from, to, .. } => debug!(
            target: "tower_bedrock::fallback",
            %from,
            %to,
            "a call takes another route than its own",
        ),
        FallbackEvent::Skipped { route, why, .. } => debug!(
            target: "tower_bedrock::fallback",
            %route,
            why = why.as_str(),
            "a call passes over a route",
        ),
        FallbackEvent::Exhausted { call, error } => warn!(
            target: "tower_bedrock::fallback",
            cause = error.cause().as_str(),
            route = %call.route,
            "no route is left for a call",
        ),
    }
}

pub(crate) fn circuit(event: &CircuitEvent<'_>) {
    match event {
        CircuitEvent::Changed { transition } if transition.to == CircuitState::Open => warn!(
            target: "tower_bedrock::circuit_breaker",
            route = %transition.route,
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            reason = transition.reason.as_str(),
            calls = transition.calls,
            failures = transition.failures,
            cooldown_seconds = transition.cooldown.map(|cooldown| cooldown.as_secs_f64()),
            "a circuit opened",
        ),
        CircuitEvent::Changed { transition } => info!(
            target: "tower_bedrock::circuit_breaker",
            route = %transition.route,
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            reason = transition.reason.as_str(),
            "a circuit changed",
        ),
        CircuitEvent::Waited { call, waited } => debug!(
            target: "tower_bedrock::circuit_breaker",
            route = %call.route,
            wait_seconds = waited.as_secs_f64(),
            "a call waited for a circuit",
        ),
        CircuitEvent::Refused { refusal, .. } => debug!(
            target: "tower_bedrock::circuit_breaker",
            route = %refusal.route(),
            retry_in_seconds = refusal.retry_in().map(|wait| wait.as_secs_f64()),
            "a call was refused",
        ),
    }
}

pub(crate) fn token_budget(event: &TokenBudgetEvent<'_>) {
    match event {
        TokenBudgetEvent::MaxTokensUnset { call, held } => warn!(
            target: "tower_bedrock::token_budget",
            route = %call.route,
            held,
            "a call sets no maxTokens and holds the most that its model generates",
        ),
        TokenBudgetEvent::Waited { call, waited } => {
            let wait_seconds = waited.as_secs_f64();
            Span::current().record("tower_bedrock.wait.quota_seconds", wait_seconds);
            debug!(
                target: "tower_bedrock::token_budget",
                route = %call.route,
                wait_seconds,
                "a call waited for its quota",
            );
        }
        TokenBudgetEvent::Refused { call, refusal } => info!(
            target: "tower_bedrock::token_budget",
            route = %call.route,
            limit = refusal.limit().as_str(),
            wait_seconds = refusal.wait().map(|wait| wait.as_secs_f64()),
            "a call was refused",
        ),
        TokenBudgetEvent::Learned {
            key,
            limit,
            learned,
        } => warn!(
            target: "tower_bedrock::token_budget",
            %key,
            limit = limit.as_str(),
            learned,
            "the service refused what fits the quota, and a lower limit is kept",
        ),
        TokenBudgetEvent::DayUsedUp { key, closed_for } => warn!(
            target: "tower_bedrock::token_budget",
            %key,
            closed_seconds = closed_for.as_secs_f64(),
            "the day's tokens are used up",
        ),
    }
}

pub(crate) fn pool(event: &PoolEvent<'_>) {
    match event {
        PoolEvent::Waited { call, waited } => {
            let wait_seconds = waited.as_secs_f64();
            Span::current().record("tower_bedrock.wait.pool_seconds", wait_seconds);
            debug!(
                target: "tower_bedrock::pool",
                route = %call.route,
                wait_seconds,
                "a call waited for a place",
            );
        }
        PoolEvent::Refused { call, refusal } => info!(
            target: "tower_bedrock::pool",
            pool = %refusal.key(),
            route = %call.route,
            limit = refusal.limit(),
            in_flight = refusal.in_flight(),
            waiting = refusal.waiting(),
            "a call was refused",
        ),
        PoolEvent::LimitChanged { key, from, to } => debug!(
            target: "tower_bedrock::pool",
            pool = %key,
            from,
            to,
            "a pool's limit changed",
        ),
    }
}

#[cfg(feature = "quota-discovery")]
pub(crate) fn discovery(event: &DiscoveryEvent<'_>) {
    match event {
        DiscoveryEvent::Read { adoption, .. } => info!(
            target: "tower_bedrock::quotas",
            changed = adoption.changed.len(),
            "the account's quotas were read",
        ),
        DiscoveryEvent::ReadInPart {
            discovery,
            adoption,
        } => {
            for failure in discovery.failures() {
                warn!(
                    target: "tower_bedrock::quotas",
                    action = failure.action.as_str(),
                    region = failure.region.as_str(),
                    changed = adoption.changed.len(),
                    "not all of the account's quotas were read: {failure}",
                );
            }
        }
    }
}
