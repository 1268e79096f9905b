use std::{num::NonZeroU32, task::Poll};

use tower::{ServiceBuilder, buffer::Buffer, limit::ConcurrencyLimitLayer};
use tower_service::Service;

use super::*;
use crate::{BoxError, GaveUp, Retry, RetryBudget, RetryEvent, retry::future::ResponseFuture};

/// What listeners heard, in short.
pub(super) fn recorded(layer: RetryLayer) -> (RetryLayer, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&heard);
    let layer = layer.on_event(move |event| {
        record.lock().unwrap().push(match event {
            RetryEvent::Retrying { call, error, .. } => {
                format!("{} {}: again", call.attempt, error.cause())
            }
            RetryEvent::GaveUp {
                call,
                error,
                reason,
            } => {
                format!("{} {}: {reason}", call.attempt, error.cause())
            }
            RetryEvent::Recovered { call, retries } => {
                format!("{} after {retries}", call.attempt)
            }
        });
    });
    (layer, heard)
}

/// A call is made again until it succeeds; attempts are numbered; listeners hear of each decision.
#[tokio::test(start_paused = true)]
async fn a_failed_call_is_made_again() {
    let (layer, heard) = recorded(seeded());
    let run = run(&layer, request(), vec![internal, overloaded, answered]).await;
    assert_eq!(run.result.unwrap(), "answered");
    let attempts: Vec<_> = run.sent.iter().map(|(_, attempt)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(
        *heard.lock().unwrap(),
        [
            "1 internal: again",
            "2 model_overloaded: again",
            "3 after 2"
        ]
    );
}

/// A call that succeeds at once is sent once, tells nobody and waits for nothing.
#[tokio::test(start_paused = true)]
async fn a_call_that_succeeds_is_left_alone() {
    let (layer, heard) = recorded(seeded());
    let run = run(&layer, request(), vec![answered]).await;
    assert_eq!((run.sent.len(), run.took), (1, Duration::ZERO));
    assert!(heard.lock().unwrap().is_empty());
}

/// The caller gets the last error, which tells where and at which attempt it happened.
#[tokio::test(start_paused = true)]
async fn the_last_error_is_given_back_when_retries_are_spent() {
    let (layer, heard) = recorded(seeded());
    let run = run(&layer, request(), vec![internal]).await;
    let error = run.result.unwrap_err();
    assert_eq!(error.cause(), Cause::Internal);
    assert_eq!((run.sent.len(), error.attempts()), (3, Some(3)));
    assert_eq!(error.route(), Some(&call().route));
    assert_eq!(
        heard.lock().unwrap().last().unwrap(),
        "3 internal: attempts_spent"
    );
}

/// An exhausted daily quota, a wrong request and our own refusals are sent once.
#[tokio::test(start_paused = true)]
async fn what_a_wait_cannot_cure_is_not_made_again() {
    let scripts: [fn() -> Result<&'static str, Error>; 4] = [
        || Err(Error::new(Cause::TokensPerDay)),
        || Err(Error::new(Cause::InvalidRequest)),
        || Err(Error::new(Cause::Credentials)),
        || Err(Error::new(Cause::CircuitOpen)),
    ];
    for script in scripts {
        let run = run(&seeded(), request(), vec![script]).await;
        assert!(run.result.is_err());
        assert_eq!((run.sent.len(), run.took), (1, Duration::ZERO));
    }
}

/// No attempt starts after the deadline, and the call ends at once when its wait would cross it.
#[tokio::test(start_paused = true)]
async fn the_deadline_is_never_crossed() {
    for seed in 0..50 {
        let layer = RetryLayer::new().with_jitter(Jitter::seeded(seed));
        let deadline = Duration::from_millis(700 * (seed % 7 + 1));
        let run = run(&layer, request().with_timeout(deadline), vec![request_rate]).await;
        assert_eq!(run.result.unwrap_err().cause(), Cause::RequestRate);
        assert!(
            run.sent.iter().all(|(at, _)| *at < deadline),
            "{:?}",
            run.sent
        );
        assert_eq!(
            run.took,
            run.sent.last().unwrap().0,
            "no waiting for nothing"
        );
    }
}

/// A call whose deadline has passed is not sent at all.
#[tokio::test(start_paused = true)]
async fn an_expired_call_is_not_sent() {
    let run = run(
        &seeded(),
        request().with_timeout(Duration::ZERO),
        vec![answered],
    )
    .await;
    assert_eq!(run.result.unwrap_err().cause(), Cause::DeadlineExceeded);
    assert!(run.sent.is_empty());
}

/// An attempt under way is cut at the deadline; the error before it is not lost.
#[tokio::test(start_paused = true)]
async fn an_attempt_is_cut_at_the_deadline() {
    let hangs_at_the_second = service_fn(|request: Request<()>| async move {
        if request.context().attempt > 1 {
            std::future::pending::<()>().await;
        }
        internal()
    });
    let start = Instant::now();
    let service = seeded().layer(hangs_at_the_second);
    let error = service
        .oneshot(request().with_timeout(secs(5)))
        .await
        .unwrap_err();
    assert_eq!(start.elapsed(), secs(5));
    assert_eq!(error.cause(), Cause::DeadlineExceeded);
    assert_eq!(error.attempts(), Some(2));
    let before = std::error::Error::source(&error).unwrap();
    assert_eq!(
        before.downcast_ref::<Error>().unwrap().cause(),
        Cause::Internal
    );
}

/// The published arithmetic through the service: two transient failures take 14 each, success on the
/// third gives the last back; a throttle takes 5.
#[tokio::test(start_paused = true)]
async fn retries_are_paid_for() {
    let budget = RetryBudget::new();
    let layer = seeded().with_budget(budget.clone());
    run(&layer, request(), vec![internal, internal, answered])
        .await
        .result
        .unwrap();
    assert_eq!(budget.available(), 486);
    for _ in 0..14 {
        run(&layer, request(), vec![answered]).await.result.unwrap();
    }
    assert_eq!(budget.available(), 500);
    run(&layer, request(), vec![internal])
        .await
        .result
        .unwrap_err();
    assert_eq!(budget.available(), 472);

    let budget = RetryBudget::new();
    let layer = seeded().with_budget(budget.clone());
    run(&layer, request(), vec![request_rate, answered])
        .await
        .result
        .unwrap();
    assert_eq!(budget.available(), 500);
}

/// In a total outage, the budget ends retries; first attempts go on.
#[tokio::test(start_paused = true)]
async fn an_outage_is_not_amplified() {
    let (layer, heard) = recorded(seeded());
    let mut wire_requests = 0;
    for _ in 0..6000 {
        wire_requests += run(&layer, request(), vec![overloaded]).await.sent.len();
    }
    assert_eq!(wire_requests, 6000 + 100);
    let spent = GaveUp::BudgetSpent.as_str();
    assert!(heard.lock().unwrap().last().unwrap().ends_with(spent));
}

/// The call's own limit of attempts counts over all routes.
#[tokio::test(start_paused = true)]
async fn a_call_can_switch_retries_off() {
    let once = request().with_max_attempts(NonZeroU32::MIN);
    let run = run(&seeded(), once, vec![internal, answered]).await;
    assert_eq!(run.sent.len(), 1);
}

/// The instance that was made ready is the one that is called, for the first attempt and for
/// retries; a clone that was never made ready is not.
#[tokio::test(start_paused = true)]
async fn only_a_ready_instance_is_called() {
    #[derive(Default)]
    struct NeedsReadiness {
        ready: bool,
        calls: Arc<Mutex<u32>>,
    }
    impl Clone for NeedsReadiness {
        fn clone(&self) -> Self {
            Self {
                ready: false,
                calls: Arc::clone(&self.calls),
            }
        }
    }
    impl Service<Request<()>> for NeedsReadiness {
        type Response = &'static str;
        type Error = Error;
        type Future = std::future::Ready<Result<Self::Response, Error>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Error>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            assert!(
                std::mem::take(&mut self.ready),
                "called without being made ready"
            );
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            std::future::ready(if (*calls).is_multiple_of(3) {
                answered()
            } else {
                internal()
            })
        }
    }
    let inner = NeedsReadiness::default();
    let calls = Arc::clone(&inner.calls);
    let budget = RetryBudget::with_capacity(1_000_000);
    let service = seeded().with_budget(budget).layer(inner);
    for _ in 0..100 {
        service.clone().oneshot(request()).await.unwrap();
    }
    assert_eq!(*calls.lock().unwrap(), 300);
}

/// An inner service that fails to become ready is not asked again.
#[tokio::test(start_paused = true)]
async fn a_broken_inner_service_is_not_retried() {
    let (service, handle) = tower_test::mock::pair::<Request<()>, ()>();
    drop(handle);
    let mut service = Retry::new(tower::util::MapErr::new(service, Error::from));
    let error = service.ready().await.err().unwrap();
    assert_eq!(error.cause(), Cause::Unknown);
}

/// The layer works over tower's own middleware, whose errors are boxed, and inside of it.
#[tokio::test(start_paused = true)]
async fn it_composes_with_towers_middleware() {
    let attempts = Arc::new(Mutex::new(0));
    let count = Arc::clone(&attempts);
    let flaky = service_fn(move |_: Request<()>| {
        *count.lock().unwrap() += 1;
        let result = if *count.lock().unwrap() < 3 {
            internal()
        } else {
            answered()
        };
        async move { result }
    });
    let buffered = Buffer::new(flaky, 8);
    let service = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(4))
        .layer(seeded())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(buffered);
    let erased = tower::util::BoxCloneSyncService::new(service);
    assert_eq!(erased.oneshot(request()).await.unwrap(), "answered");
    assert_eq!(*attempts.lock().unwrap(), 3);
}

/// An error that a boxing middleware passes keeps its cause.
#[test]
fn a_boxed_error_keeps_its_cause() {
    let boxed: BoxError = Error::new(Cause::TokenRate).into();
    assert_eq!(Error::from(boxed).cause(), Cause::TokenRate);
}

/// Services can be shared between threads and their futures sent to other ones.
#[test]
fn services_are_shareable_and_futures_sendable() {
    fn shareable<T: Clone + Send + Sync + 'static>() {}
    fn sendable<T: Send + 'static>() {}
    type Inner = tower::util::BoxCloneSyncService<Request<()>, (), Error>;
    shareable::<RetryLayer>();
    shareable::<Retry<Inner>>();
    sendable::<ResponseFuture<Inner, Request<()>>>();
}
