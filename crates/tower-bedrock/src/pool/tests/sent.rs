use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    task::{Context, Poll},
};

use tower::{ServiceBuilder, ServiceExt};

use super::*;
use crate::{
    FailureCharge, FailureCharges, Quota, Quotas, Readmission, SendListener, SendSignal,
    TokenBudgetLayer,
};

/// A service that becomes ready when it is told to, or breaks.
#[derive(Clone)]
struct Gated {
    is_open: Arc<AtomicBool>,
    is_broken: bool,
    sent: Arc<AtomicU32>,
}

impl Gated {
    fn new(is_broken: bool) -> Self {
        Self {
            is_open: Arc::default(),
            is_broken,
            sent: Arc::default(),
        }
    }
}

impl Service<Request<()>> for Gated {
    type Response = Response<()>;
    type Error = Error;
    type Future = std::future::Ready<Result<Response<()>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_broken {
            Poll::Ready(Err(Error::new(Cause::Unknown)))
        } else if self.is_open.load(Ordering::Relaxed) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.sent.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(answer()))
    }
}

/// Nothing is sent after its deadline: neither where a place was free all the time, nor where the
/// inner service became ready too late.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_its_deadline() {
    for waits_inside in [false, true] {
        let pools = Pools::new();
        let inner = Gated::new(false);
        inner.is_open.store(!waits_inside, Ordering::Relaxed);
        let service = over(&pools, inner.clone());
        let mut call = tokio_test::task::spawn(service.oneshot(request().with_timeout(secs(5))));
        if waits_inside {
            assert!(call.poll().is_pending());
        }
        tokio::time::advance(secs(6)).await;
        inner.is_open.store(true, Ordering::Relaxed);
        match call.poll() {
            Poll::Ready(Err(error)) => assert_eq!(error.cause(), Cause::DeadlineExceeded),
            polled => panic!("waits inside: {waits_inside}: {}", polled.is_ready()),
        }
        assert_eq!(inner.sent.load(Ordering::Relaxed), 0);
        assert_eq!(snapshot(&pools).in_flight, 0);
    }
}

/// A budget above hears that a call was not sent, and gives back all that it drew, whatever the
/// cause of its end would cost otherwise.
#[tokio::test(start_paused = true)]
async fn a_budget_above_pays_for_nothing_that_was_not_sent() {
    let broken = Gated::new(true);
    let open = Gated::new(false);
    open.is_open.store(true, Ordering::Relaxed);
    let full = Pools::new().with_max_in_flight(0).with_max_waiting(0);
    for (pools, inner, cause) in [
        (Pools::new(), &broken, Cause::Unknown),
        (full, &open, Cause::PoolSaturated),
    ] {
        let quotas = Quotas::new();
        let quota = Quota::new().with_tokens_per_minute(1000);
        quotas.set(&call().route, quota).unwrap();
        let charges = FailureCharges::default().with(Cause::PoolSaturated, FailureCharge::Hold);
        let stack = ServiceBuilder::new()
            .layer(TokenBudgetLayer::new(quotas.clone()).with_failure_charges(charges))
            .layer(PoolLayer::new(pools))
            .service(inner.clone());
        let mut request = request();
        request.context_mut().tokens.input = Some(700);
        request.context_mut().tokens.max_output = Some(0);
        let error = stack.oneshot(request).await.unwrap_err();
        assert_eq!(error.cause(), cause);
        let snapshot = quotas.snapshot_of(&call().route);
        assert_eq!(
            (snapshot.tokens_used, snapshot.requests_used),
            (0, 0),
            "{cause}"
        );
    }
}

/// Has the second call wait for five seconds before it is sent, once.
#[derive(Default)]
struct Readmits(AtomicBool);

impl SendListener for Readmits {
    fn waits(&self, _: u64) {}

    fn sends(self: Arc<Self>, key: u64, _: &CallContext) -> Option<Readmission> {
        if key != 1 || self.0.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(Box::pin(async {
            sleep(secs(5)).await;
            Ok(())
        }))
    }
}

/// While a layer above has a call wait once more, its place goes to the next in line; then it goes
/// before all who came after it.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_admitted_again_keeps_its_turn() {
    let pools = Pools::new().with_max_in_flight(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let seen = Arc::clone(&order);
    let service = over(
        &pools,
        service_fn(move |request: Request<()>| {
            let input = request.context().tokens.input.unwrap();
            seen.lock()
                .unwrap()
                .push((input, start.elapsed().as_secs()));
            async {
                sleep(secs(10)).await;
                Ok::<_, Error>(answer())
            }
        }),
    );
    let listener = Arc::new(Readmits::default());
    let calls: Vec<_> = (0..4)
        .map(|number| {
            let mut request = request();
            request.context_mut().tokens.input = Some(number);
            request.context_mut().send_signal = Some(SendSignal::new(&listener, number.into()));
            tokio::spawn(service.clone().oneshot(request))
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // The second gave way at 10 s, was admitted again at 15 s, and came before the fourth.
    let expected = [(0, 0), (2, 10), (1, 20), (3, 30)];
    assert_eq!(*order.lock().unwrap(), expected);
}

/// Dropped at any point of being admitted once more, a call leaves nothing behind, and the next goes.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_admitted_again_can_be_dropped_at_any_point() {
    let mut ends = (0, 0);
    for polls in 1..40 {
        let pools = Pools::new().with_max_in_flight(1);
        let service = over(&pools, steady(secs(4)));
        let listener = Arc::new(Readmits::default());
        let first = tokio::spawn(service.clone().oneshot(request()));
        settle_tasks().await;
        let mut request_again = request();
        request_again.context_mut().send_signal = Some(SendSignal::new(&listener, 1));
        let call = service.clone().oneshot(request_again);
        let mut victim = tokio_test::task::spawn(call);
        let mut is_over = false;
        for _ in 0..polls {
            is_over = victim.poll().is_ready();
            if is_over {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        let later = tokio::spawn(service.clone().oneshot(request()));
        settle_tasks().await;
        drop(victim);
        first.await.unwrap().unwrap();
        later.await.unwrap().unwrap();
        let left = snapshot(&pools);
        assert_eq!(
            (left.in_flight, left.waiting),
            (0, 0),
            "after {polls} polls"
        );
        if is_over {
            ends.1 += 1;
        } else {
            ends.0 += 1;
        }
    }
    // 4 s in line, 5 s until it is admitted again, 4 s in flight, looked at twice a second.
    assert!(ends.0 > 20 && ends.1 > 5, "{ends:?}");
}
