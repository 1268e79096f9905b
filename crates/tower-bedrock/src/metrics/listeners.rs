//! What the layers tell of, as metrics.

use std::time::Duration;

use ::metrics::SharedString;

#[cfg(feature = "cache")]
use super::names::{CACHE_LOOKUPS, CACHE_SAVED_TOKENS};
use super::{
    Metrics,
    names::{
        CIRCUIT_TRANSITIONS, COALESCE_CALLS, FALLBACKS, Metric, REFUSALS, RETRIES,
        RETRIES_GIVEN_UP, WAIT,
    },
    recorder,
};
#[cfg(feature = "cache")]
use crate::cache::CacheEvent;
use crate::{
    call::CallContext,
    cause::Cause,
    circuit_breaker::CircuitEvent,
    coalesce::CoalesceEvent,
    fallback::FallbackEvent,
    pool::{PoolEvent, SaturatedReason},
    retry::RetryEvent,
    token_budget::TokenBudgetEvent,
};

impl Metrics {
    /// For [`CacheLayer::on_event`](crate::CacheLayer::on_event): hits, misses, and what hits saved.
    #[cfg(feature = "cache")]
    pub fn on_cache(&self) -> impl Fn(&CacheEvent<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |event| match event {
            _ if !recorder::is_there() => {}
            CacheEvent::Hit { call, saved, .. } => {
                metrics.count_call(&CACHE_LOOKUPS, call, "hit");
                if let Some(saved) = saved {
                    let model = metrics.labels().model(call.route.model.as_ref());
                    let labels = metrics.labels().of(&CACHE_SAVED_TOKENS, [model]);
                    recorder::counter(&CACHE_SAVED_TOKENS, labels).increment(saved.total());
                }
            }
            CacheEvent::Miss { call } => metrics.count_call(&CACHE_LOOKUPS, call, "miss"),
            // What is kept is looked at.
            CacheEvent::Kept { .. } | CacheEvent::NotKept { .. } => {}
        }
    }

    /// For [`CoalesceLayer::on_event`](crate::CoalesceLayer::on_event): who leads, and who joins.
    pub fn on_coalesce(&self) -> impl Fn(&CoalesceEvent<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |event| match event {
            _ if !recorder::is_there() => {}
            CoalesceEvent::Led { call } => metrics.count_call(&COALESCE_CALLS, call, "led"),
            CoalesceEvent::Joined { call } => metrics.count_call(&COALESCE_CALLS, call, "joined"),
        }
    }

    /// For [`FallbackLayer::on_event`](crate::FallbackLayer::on_event): where calls move, and why.
    pub fn on_fallback(&self) -> impl Fn(&FallbackEvent<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |event| {
            if let FallbackEvent::Moved {
                from, to, cause, ..
            } = event
                && recorder::is_there()
            {
                let labels = metrics.labels();
                let cause = SharedString::const_str(cause.map_or("wait", Cause::as_str));
                let values = [labels.route(from), labels.route(to), cause];
                let labels = metrics.labels().of(&FALLBACKS, values);
                recorder::counter(&FALLBACKS, labels).increment(1);
            }
        }
    }

    /// For [`RetryLayer::on_event`](crate::RetryLayer::on_event): retries, their waits, and what is
    /// not retried.
    pub fn on_retry(&self) -> impl Fn(&RetryEvent<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |event| match event {
            _ if !recorder::is_there() => {}
            RetryEvent::Retrying { call, error, after } => {
                let labels = metrics.labels();
                let route = &call.route;
                let cause = SharedString::const_str(error.cause().as_str());
                let model = labels.model(route.model.as_ref());
                let region = labels.region(route.region.as_ref());
                let labels = metrics.labels().of(&RETRIES, [model, region, cause]);
                recorder::counter(&RETRIES, labels).increment(1);
                metrics.waited("retry", error.cause(), *after);
            }
            RetryEvent::GaveUp { reason, .. } => {
                let reason = SharedString::const_str(reason.as_str());
                let labels = metrics.labels().of(&RETRIES_GIVEN_UP, [reason]);
                recorder::counter(&RETRIES_GIVEN_UP, labels).increment(1);
            }
            RetryEvent::Recovered { .. } => {}
        }
    }

    /// For [`CircuitBreakers::on_event`](crate::CircuitBreakers::on_event): transitions and refusals.
    pub fn on_circuit(&self) -> impl Fn(&CircuitEvent<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |event| match event {
            _ if !recorder::is_there() => {}
            CircuitEvent::Changed { transition } => {
                let labels = metrics.labels();
                let route = &transition.route;
                let values = [
                    labels.model(route.model.as_ref()),
                    labels.region(route.region.as_ref()),
                    SharedString::const_str(transition.to.as_str()),
                    SharedString::const_str(transition.reason.as_str()),
                ];
                let labels = metrics.labels().of(&CIRCUIT_TRANSITIONS, values);
                recorder::counter(&CIRCUIT_TRANSITIONS, labels).increment(1);
            }
            CircuitEvent::Waited { waited, .. } => {
                metrics.waited("circuit_breaker", Cause::CircuitOpen, *waited);
            }
            CircuitEvent::Refused { call, .. } => {
                metrics.refused(call, "circuit_breaker", Cause::CircuitOpen, "circuit");
            }
        }
    }

    /// For [`TokenBudgetLayer::on_event`](crate::TokenBudgetLayer::on_event): waits in line, and
    /// refusals by limit.
    pub fn on_token_budget(&self) -> impl Fn(&TokenBudgetEvent<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |event| match event {
            _ if !recorder::is_there() => {}
            TokenBudgetEvent::Waited { waited, .. } => {
                metrics.waited("token_budget", Cause::BudgetExhausted, *waited);
            }
            TokenBudgetEvent::Refused { call, refusal } => {
                let limit = refusal.limit().as_str();
                metrics.refused(call, "token_budget", Cause::BudgetExhausted, limit);
            }
            // What was learned, and that a day is used up, is looked at.
            TokenBudgetEvent::MaxTokensUnset { .. }
            | TokenBudgetEvent::Learned { .. }
            | TokenBudgetEvent::DayUsedUp { .. } => {}
        }
    }

    /// For [`Pools::on_event`](crate::Pools::on_event): waits for a place, and refusals by reason.
    pub fn on_pool(&self) -> impl Fn(&PoolEvent<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |event| match event {
            _ if !recorder::is_there() => {}
            PoolEvent::Waited { waited, .. } => {
                metrics.waited("pool", Cause::PoolSaturated, *waited);
            }
            PoolEvent::Refused { call, refusal } => {
                let limit = match refusal.reason() {
                    SaturatedReason::QueueFull => "queue_full",
                    SaturatedReason::MaxWait => "max_wait",
                    SaturatedReason::Deadline => "deadline",
                };
                metrics.refused(call, "pool", Cause::PoolSaturated, limit);
            }
            PoolEvent::LimitChanged { .. } => {}
        }
    }

    /// One more call, by its model, its operation and what became of it.
    fn count_call(&self, metric: &Metric, call: &CallContext, what: &'static str) {
        let values = [
            self.labels().model(call.route.model.as_ref()),
            SharedString::const_str(call.operation.as_str()),
            SharedString::const_str(what),
        ];
        let labels = self.labels().of(metric, values);
        recorder::counter(metric, labels).increment(1);
    }

    fn waited(&self, layer: &'static str, cause: Cause, waited: Duration) {
        let values = [layer, cause.as_str()].map(SharedString::const_str);
        recorder::histogram(&WAIT, self.labels().of(&WAIT, values)).record(waited);
    }

    fn refused(&self, call: &CallContext, layer: &'static str, cause: Cause, limit: &'static str) {
        let values = [layer, cause.as_str(), limit].map(SharedString::const_str);
        let tenant = call.tenant.as_deref();
        let labels = self.labels().of_tenant(&REFUSALS, values, tenant);
        recorder::counter(&REFUSALS, labels).increment(1);
    }
}
