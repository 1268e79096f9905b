//! Whatever panics, a service or something that the user gave, poisons nothing: what was held comes
//! back, and the next calls are answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{task::JoinSet, time::sleep};
use tower::{Service, ServiceExt};
use tower_bedrock::{
    Batch, BedrockRequest, CallContext, Cause, CircuitBreakers, CircuitEvent, CircuitPolicy,
    ClassifyLayer, Error, Estimate, FallbackLayer, InputSize, Jitter, Ladder, Passage, PoolKey,
    Pools, Quota, Quotas, Request, RetryLayer, Route, RouteGate, Stack, TokenBudgetLayer,
    TokenEstimator,
};
use tower_bedrock_tests::{
    REGION,
    gauges::Gauges,
    probe::{Answer, Play, Probe, Readiness},
};

use crate::rigs::{Layers, SECOND, over_any, request, route};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trapped {
    RetryListener,
    CircuitListener,
    BudgetListener,
    PoolListener,
    FallbackListener,
    Estimator,
    Rule,
    Gate,
    PoolKey,
    Progress,
}

impl Trapped {
    const ALL: [Self; 10] = [
        Self::RetryListener,
        Self::CircuitListener,
        Self::BudgetListener,
        Self::PoolListener,
        Self::FallbackListener,
        Self::Estimator,
        Self::Rule,
        Self::Gate,
        Self::PoolKey,
        Self::Progress,
    ];
}

/// Something of the user's that panics while it is armed.
#[derive(Clone, Debug)]
struct Trap {
    trapped: Trapped,
    is_armed: Arc<AtomicBool>,
    sprung: Arc<AtomicU32>,
}

impl Trap {
    fn step_on(&self, here: Trapped) {
        if self.trapped == here && self.is_armed.load(Ordering::Relaxed) {
            self.sprung.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        }
    }
}

struct Estimator(Trap);

impl<R> TokenEstimator<R> for Estimator {
    fn estimate(&self, _: &R) -> Estimate {
        self.0.step_on(Trapped::Estimator);
        Estimate::Size(InputSize::default())
    }
}

struct Gate(Trap);

impl RouteGate for Gate {
    fn ask(&self, _: &CallContext, _: &Route, _: tokio::time::Instant) -> Passage {
        self.0.step_on(Trapped::Gate);
        Passage::Open
    }
}

/// Panics are expected here, and say nothing.
fn be_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text != "on purpose" {
            eprintln!("{info}");
        }
    }));
}

/// A service that fails two calls in three at first, on its own route, and then answers.
fn improving(is_well: &Arc<AtomicBool>) -> Probe {
    let is_well = Arc::clone(is_well);
    Probe::new(Readiness::AtOnce, move |call, number| {
        let is_second = call.route.region.as_ref().map(|region| region.as_str()) == Some(SECOND);
        match number % 3 {
            _ if is_well.load(Ordering::Relaxed) || is_second => Play::whole(secs(1)),
            0 => Play::whole(secs(1)),
            1 => Play::failure(secs(1), Cause::Internal),
            _ => Play::failure(secs(1), Cause::CapacityExceeded),
        }
    })
}

/// Every listener, rule, estimate, gate and key that a user can give panics, over and over, with many
/// calls under way. Those calls may panic; when it is over, nothing is held and calls are answered.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_users_poisons_nothing() {
    be_quiet();
    for trapped in Trapped::ALL {
        let trap = Trap {
            trapped,
            is_armed: Arc::new(AtomicBool::new(true)),
            sprung: Arc::default(),
        };
        let is_well = Arc::new(AtomicBool::new(false));
        let probe = improving(&is_well);
        let on = |here| {
            let trap = trap.clone();
            move || trap.step_on(here)
        };
        let policy = CircuitPolicy::new()
            .with_consecutive_failures(3)
            .with_cooldown(secs(1), secs(1));
        let (retry, circuit, budget) = (
            on(Trapped::RetryListener),
            on(Trapped::CircuitListener),
            on(Trapped::BudgetListener),
        );
        let changes = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&changes);
        let (pool, fallback, rule, key) = (
            on(Trapped::PoolListener),
            on(Trapped::FallbackListener),
            on(Trapped::Rule),
            on(Trapped::PoolKey),
        );
        let breakers = CircuitBreakers::new()
            .with_home_region(REGION)
            .with_policy(policy)
            .expect("a sound policy")
            .with_jitter(Jitter::seeded(5))
            .on_event(move |event| {
                circuit();
                if let CircuitEvent::Changed { .. } = event {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
            });
        let pools = Pools::new()
            .with_home_region(REGION)
            .with_max_in_flight(5)
            .with_max_waiting(5)
            .with_key(move |call| {
                key();
                PoolKey::route(&call.route)
            })
            .on_event(move |_| pool());
        let quotas = Quotas::new().with_home_region(REGION);
        let ladder = Ladder::regions([SECOND]);
        let stack = Stack::over(probe.clone(), REGION)
            .fallback(
                FallbackLayer::new(ladder)
                    .expect("a sound ladder")
                    .with_gate(Gate(trap.clone()))
                    .on_event(move |_| fallback()),
            )
            .retry(
                RetryLayer::new()
                    .with_jitter(Jitter::seeded(7))
                    .on_event(move |_| retry()),
            )
            .circuit_breaker(breakers)
            .token_budget(
                TokenBudgetLayer::new(quotas)
                    .with_estimator(Estimator(trap.clone()))
                    .on_event(move |_| budget()),
            )
            .pool(pools)
            .classify(ClassifyLayer::new().with_rule(move |_| {
                rule();
                None
            }))
            .quota(route(), Quota::new().with_requests_per_minute(30))
            .build()
            .expect("a sound stack");
        let gauges = Gauges::of_stack(&stack).and_probe(&probe);
        if trapped == Trapped::Progress {
            batch(&stack, &trap).await;
        } else {
            let mut calls = JoinSet::new();
            for number in 0..60 {
                let mut request = request();
                request.context_mut().tokens.input = None;
                request.context_mut().tokens.max_output = None;
                if number % 2 == 0 {
                    request = request.without_fallback();
                }
                calls.spawn(stack.send(request.with_timeout(secs(20))));
                if number % 10 == 9 {
                    sleep(secs(3)).await;
                }
            }
            while let Some(call) = calls.join_next().await {
                // It may have panicked, or failed, or been answered.
                drop(call);
            }
        }
        assert!(trap.sprung.load(Ordering::Relaxed) > 0, "{trapped:?}");
        gauges.assert_at_rest(format!("{trapped:?}"));

        trap.is_armed.store(false, Ordering::Relaxed);
        is_well.store(true, Ordering::Relaxed);
        sleep(secs(61)).await;
        for _ in 0..10 {
            let answered = stack.send(request()).await;
            answered.unwrap_or_else(|error| panic!("{trapped:?}: {error:?}"));
        }
        // Who listened still does.
        let breakers = stack.breakers().expect("it has circuits");
        let before = changes.load(Ordering::Relaxed);
        breakers.force_open(&route());
        breakers.reset(&route());
        let heard = changes.load(Ordering::Relaxed) - before;
        assert_eq!(heard, 2, "{trapped:?}");
        let shown = format!("{stack:?} {breakers:?}");
        assert!(!shown.contains("poisoned"), "{trapped:?}: {shown}");
        gauges.assert_at_rest(format!("{trapped:?}, afterwards"));
    }
}

async fn batch<S>(stack: &S, trap: &Trap)
where
    S: Service<Request<()>, Error = Error, Response: Send, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let trap = trap.clone();
    let batch = Batch::new(stack.clone()).on_progress(move |_| trap.step_on(Trapped::Progress));
    let task = tokio::spawn(async move {
        let requests = (0..20).map(|number| (number, request()));
        let results = batch.run(requests).collect::<Vec<_>>().await;
        results.len()
    });
    let panicked = task.await.expect_err("its listener panics");
    assert!(panicked.is_panic());
}

/// A service that panics when it is asked whether it is ready, called, or waited for.
#[derive(Clone, Debug)]
struct Panics<S> {
    inner: S,
    when: When,
    is_armed: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Asked,
    Called,
    Answering,
}

impl<S: Service<Request<()>>> Service<Request<()>> for Panics<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let is_on = self.is_armed.load(Ordering::Relaxed);
        assert!(!(is_on && self.when == When::Asked), "on purpose");
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<()>) -> S::Future {
        let is_on = self.is_armed.load(Ordering::Relaxed);
        assert!(!(is_on && self.when == When::Called), "on purpose");
        self.inner.call(request)
    }
}

/// A service panics when it is asked, when it is called, and amid its answer, below every layer alone
/// and all together: every call panics, nothing stays held, and when it has stopped calls are
/// answered.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_service_poisons_nothing() {
    be_quiet();
    for layers in Layers::ALL {
        for when in [When::Asked, When::Called, When::Answering] {
            let is_armed = Arc::new(AtomicBool::new(true));
            let is_on = Arc::clone(&is_armed);
            let probe = Probe::new(Readiness::AtOnce, move |_, _| {
                let panics = when == When::Answering && is_on.load(Ordering::Relaxed);
                match panics {
                    true => Play {
                        after: secs(1),
                        answer: Answer::Panic,
                    },
                    false => Play::whole(secs(1)),
                }
            });
            let service = Panics {
                inner: probe.clone(),
                when,
                is_armed: Arc::clone(&is_armed),
            };
            let rig = over_any(layers, service);
            rig.narrow(2);
            let gauges = rig.gauges.clone().and_probe(&probe);
            for _ in 0..10 {
                let call = tokio::spawn(rig.service.clone().oneshot(request()));
                let panicked = call.await.expect_err("it panics");
                assert!(panicked.is_panic());
            }
            let told = format!("{layers:?}, {when:?}");
            gauges.assert_at_rest(&told);
            is_armed.store(false, Ordering::Relaxed);
            for _ in 0..5 {
                let answered = rig.service.clone().oneshot(request()).await;
                answered.unwrap_or_else(|error| panic!("{told}: {error:?}"));
            }
            gauges.assert_at_rest(&told);
        }
    }
}
