//! Calls dropped at any point, and services that are not ready.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tower::{
    Service, ServiceBuilder, buffer::BufferLayer, limit::ConcurrencyLimitLayer,
    util::BoxCloneSyncService,
};

use super::*;

/// A service that is ready a second after it is first asked, answers a second after it is called,
/// and loses its readiness when it is cloned.
struct Reluctant {
    asked: Option<Pin<Box<tokio::time::Sleep>>>,
    is_ready: bool,
    violations: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

impl Reluctant {
    fn new() -> Self {
        Self {
            asked: None,
            is_ready: false,
            violations: Arc::default(),
            calls: Arc::default(),
        }
    }
}

impl Clone for Reluctant {
    fn clone(&self) -> Self {
        Self {
            violations: Arc::clone(&self.violations),
            calls: Arc::clone(&self.calls),
            ..Self::new()
        }
    }
}

impl Service<Request<()>> for Reluctant {
    type Response = Response<()>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let asked = self.asked.get_or_insert_with(|| Box::pin(sleep(secs(1))));
        std::task::ready!(asked.as_mut().poll(cx));
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.asked = None;
        if !std::mem::take(&mut self.is_ready) {
            self.violations.fetch_add(1, Ordering::SeqCst);
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            sleep(secs(1)).await;
            answered()
        })
    }
}

async fn half_open(policy: CircuitPolicy) -> CircuitBreakers {
    let breakers = breakers(policy);
    let model = Model::new(millis(1), || failed(Cause::Internal));
    trip(&breakers, &model).await;
    sleep(secs(5)).await;
    breakers
}

/// Dropped at any point of its life, closed or half-open, a call leaves no place taken and counts
/// nothing but that it was abandoned, once; and the next call goes through.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_at_any_point() {
    for probes in [false, true] {
        let mut cuts = 0;
        for polls in 0.. {
            let breakers = match probes {
                true => half_open(CircuitPolicy::new()).await,
                false => breakers(CircuitPolicy::new()),
            };
            let inner = Reluctant::new();
            let layer = CircuitBreakerLayer::new(breakers.clone());
            let service = layer.layer(inner.clone());
            let before = breakers.snapshot_of(&route());
            let finished = {
                let mut call = pin!(service.clone().oneshot(request()));
                let mut finished = false;
                for _ in 0..polls {
                    let mut cx = Context::from_waker(Waker::noop());
                    finished = call.as_mut().poll(&mut cx).is_ready();
                    if finished {
                        break;
                    }
                    tokio::time::advance(millis(250)).await;
                }
                finished
            };
            let after = breakers.snapshot_of(&route());
            if finished {
                assert_eq!((after.abandoned, after.state), (0, CircuitState::Closed));
                break;
            }
            cuts += 1;
            let was_sent = inner.calls.load(Ordering::SeqCst) == 1;
            assert_eq!(after.abandoned, u64::from(was_sent), "after {polls} polls");
            assert_eq!((after.probes, after.calls), (0, 0), "after {polls} polls");
            let is_half_open = probes && was_sent;
            let state = if is_half_open {
                CircuitState::HalfOpen
            } else {
                before.state
            };
            assert_eq!(after.state, state, "after {polls} polls");

            service.oneshot(request()).await.unwrap();
            let last = breakers.snapshot_of(&route());
            assert_eq!((last.state, last.probes), (CircuitState::Closed, 0));
            assert_eq!(last.calls, u32::from(!probes));
            assert_eq!(inner.violations.load(Ordering::SeqCst), 0);
        }
        assert!(cuts > 8, "two seconds, polled every 250 ms: {cuts}");
    }
}

/// A call that waits for the inner service asks its circuit when that is ready: if it has opened
/// meanwhile nothing is sent, and while it waits it holds no place.
#[tokio::test(start_paused = true)]
async fn a_call_asks_when_the_inner_service_is_ready() {
    let breakers = breakers(CircuitPolicy::new());
    let inner = Reluctant::new();
    let layer = CircuitBreakerLayer::new(breakers.clone());
    let waiting = tokio::spawn(layer.layer(inner.clone()).oneshot(request()));
    sleep(millis(500)).await;
    breakers.force_open(&route());
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.cause(), Cause::CircuitOpen);
    assert_eq!(inner.calls.load(Ordering::SeqCst), 0);
    assert_eq!(breakers.snapshot_of(&route()).refused, 1);

    let half_open = half_open(CircuitPolicy::new()).await;
    let layer = CircuitBreakerLayer::new(half_open.clone());
    let _waiting = tokio::spawn(layer.layer(inner.clone()).oneshot(request()));
    sleep(millis(500)).await;
    assert_eq!(half_open.snapshot_of(&route()).probes, 0);
}

/// An open circuit refuses at once even when the inner service is not ready, as one that is full of
/// calls that hang.
#[tokio::test(start_paused = true)]
async fn an_open_circuit_refuses_though_the_inner_service_is_busy() {
    let breakers = breakers(CircuitPolicy::new());
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service_fn(|_: Request<()>| async {
            sleep(secs(3600)).await;
            answered()
        });
    let _hangs = tokio::spawn(service.clone().oneshot(request()));
    sleep(millis(1)).await;
    breakers.force_open(&route());
    let start = Instant::now();
    let error = service.oneshot(request()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::CircuitOpen);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A refusal wastes no readiness: what was made ready serves the next call.
#[tokio::test(start_paused = true)]
async fn a_refusal_wastes_no_readiness() {
    let breakers = breakers(CircuitPolicy::new());
    let layer = CircuitBreakerLayer::new(breakers.clone());
    let mut service = layer.layer(Reluctant::new());
    let violations = service.get_ref().violations.clone();
    let ready = service.ready().await.unwrap();
    sleep(secs(1)).await;
    let ready = ready.ready().await.unwrap();
    breakers.force_open(&route());
    ready.call(request()).await.unwrap_err();
    breakers.reset(&route());
    let start = Instant::now();
    ready.call(request()).await.unwrap();
    assert_eq!(start.elapsed(), secs(1));
    assert_eq!(violations.load(Ordering::SeqCst), 0);
}

/// Called twice on one readiness, it waits for the second: the inner service is never called before
/// it is ready.
#[tokio::test(start_paused = true)]
async fn each_call_needs_a_readiness_of_its_own() {
    let layer = CircuitBreakerLayer::new(breakers(CircuitPolicy::new()));
    let mut service = layer.layer(Reluctant::new());
    let violations = service.get_ref().violations.clone();
    service.ready().await.unwrap();
    sleep(secs(1)).await;
    let ready = service.ready().await.unwrap();
    let (first, second) = (ready.call(request()), ready.call(request()));
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(violations.load(Ordering::SeqCst), 0);
}

/// An inner service that fails to become ready is told of, and says nothing of the route.
#[tokio::test(start_paused = true)]
async fn a_broken_inner_service_is_no_sick_route() {
    #[derive(Clone)]
    struct Broken(bool);

    impl Service<Request<()>> for Broken {
        type Response = Response<()>;
        type Error = Error;
        type Future = std::future::Ready<Result<Response<()>, Error>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
            if std::mem::take(&mut self.0) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Err(Error::new(Cause::Internal)))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(answered())
        }
    }

    let breakers = breakers(CircuitPolicy::new());
    for at_first in [false, true] {
        let layer = CircuitBreakerLayer::new(breakers.clone());
        let result = layer.layer(Broken(at_first)).oneshot(request()).await;
        assert_eq!(result.unwrap_err().cause(), Cause::Internal);
    }
    assert_eq!(breakers.snapshot_of(&route()).calls, 0);
}

/// It works boxed, behind a buffer and over one, and what it makes can be shared and sent.
#[tokio::test(start_paused = true)]
async fn it_works_with_towers_own() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    fn sent<T: Send + 'static>(future: T) -> T {
        future
    }

    let breakers = breakers(CircuitPolicy::new());
    let layer = CircuitBreakerLayer::new(breakers.clone());
    shared(&breakers);
    shared(&layer);
    let model = Model::healthy();
    let inner = model.clone();
    let service = ServiceBuilder::new()
        .layer(BufferLayer::new(8))
        .layer(layer.clone())
        .layer(BufferLayer::new(8))
        .service_fn(move |_: Request<()>| inner.clone().call());
    let service = BoxCloneSyncService::new(service);
    shared(&service);
    for _ in 0..20 {
        sent(service.clone().oneshot(request())).await.unwrap();
    }
    assert_eq!(breakers.snapshot_of(&route()).calls, 20);
    shared(&layer.layer(service));
}
