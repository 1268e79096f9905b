use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use tower::Service;

use super::*;

/// A service that is ready a second after it is first asked, answers a second after it is called,
/// and loses its readiness when it is cloned.
struct Reluctant {
    asked: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
    is_ready: bool,
    violations: Arc<AtomicU32>,
    called: Arc<AtomicU32>,
}

impl Reluctant {
    fn new() -> Self {
        Self {
            asked: None,
            is_ready: false,
            violations: Arc::default(),
            called: Arc::default(),
        }
    }
}

impl Clone for Reluctant {
    fn clone(&self) -> Self {
        Self {
            violations: Arc::clone(&self.violations),
            called: Arc::clone(&self.called),
            ..Self::new()
        }
    }
}

impl Service<Request<()>> for Reluctant {
    type Response = Response<()>;
    type Error = Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let asked = self
            .asked
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(secs(1))));
        std::task::ready!(asked.as_mut().poll(cx));
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        if !std::mem::take(&mut self.is_ready) {
            self.violations.fetch_add(1, Ordering::Relaxed);
        }
        self.called.fetch_add(1, Ordering::Relaxed);
        let input = request.context().tokens.input.unwrap();
        Box::pin(async move {
            tokio::time::sleep(secs(1)).await;
            Ok(answer(usage(u64::from(input) / 2, 0)))
        })
    }
}

/// Dropped at any point of its life, a call leaves nothing behind that it should not: its place and
/// everything it drew before it was sent, its hold after that, and what it used when it was over.
/// The next call goes when there is room.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_at_any_point() {
    let mut cuts = 0;
    for polls in 0.. {
        let quotas = quotas(1000);
        let inner = Reluctant::new();
        let service = TokenBudgetLayer::new(quotas.clone()).layer(inner.clone());
        // Half of the quota is used, so that the call has to wait for the minute.
        let blocker = service.clone().oneshot(holding(1000)).await;
        blocker.unwrap();
        let called_before = inner.called.load(Ordering::Relaxed);

        let finished = {
            let mut call = pin!(service.clone().oneshot(holding(800)));
            let mut finished = false;
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                finished = call.as_mut().poll(&mut cx).is_ready();
                if finished {
                    break;
                }
                tokio::time::advance(Duration::from_millis(250)).await;
            }
            finished
        };
        let snapshot = quotas.snapshot_of(&route());
        let was_called = inner.called.load(Ordering::Relaxed) > called_before;
        assert_eq!(snapshot.waiting, 0, "after {polls} polls");
        assert_eq!(snapshot.tokens_held, 0, "after {polls} polls");
        let left = snapshot.tokens_used;
        match (finished, was_called) {
            // The blocker's half counts until its minute is over.
            (false, false) => assert!(left == 500 || left == 0, "after {polls} polls: {left}"),
            (false, true) => assert_eq!(left, 800, "after {polls} polls"),
            (true, _) => assert_eq!(left, 400, "after {polls} polls"),
        }
        assert_eq!(inner.violations.load(Ordering::Relaxed), 0);

        let next = service.oneshot(holding(900)).await;
        next.unwrap();
        if finished {
            break;
        }
        cuts += 1;
    }
    assert!(
        cuts > 240,
        "a minute and more, polled four times a second: {cuts}"
    );
}

/// A waker that counts.
#[derive(Default)]
struct Counting {
    woken: AtomicU32,
    is_set: AtomicBool,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        self.is_set.store(true, Ordering::Relaxed);
    }
}

/// Calls in line, polled by hand.
struct InLine {
    call: std::pin::Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>,
    waker: Arc<Counting>,
}

impl InLine {
    fn new(
        service: &tower::util::BoxCloneService<Request<()>, Response<()>, Error>,
        request: Request<()>,
    ) -> Self {
        let mut in_line = Self {
            call: Box::pin(service.clone().oneshot(request)),
            waker: Arc::default(),
        };
        assert!(in_line.poll().is_pending());
        in_line
    }

    fn poll(&mut self) -> Poll<Result<Response<()>, Error>> {
        self.waker.is_set.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.waker));
        self.call.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> u32 {
        self.waker.woken.load(Ordering::Relaxed)
    }
}

/// A settlement wakes those whose turn has come and nobody else: of a thousand that wait, three that
/// fit, and one more to keep the timer.
#[tokio::test(start_paused = true)]
async fn a_settlement_wakes_only_those_who_go() {
    let steady = Steady::new(secs(10));
    let layer = TokenBudgetLayer::new(quotas(1000)).with_max_wait(secs(86_400));
    let service = over(&layer, &steady);
    // Holds all and uses 400.
    let mut first = InLine::new(&service, Request::new((), call(400, 600)));
    let mut waiting: Vec<_> = (0..1000)
        .map(|_| InLine::new(&service, holding(200)))
        .collect();
    tokio::time::advance(secs(10)).await;
    assert!(first.poll().is_ready());
    let woken: Vec<_> = waiting.iter().map(InLine::woken).collect();
    assert_eq!(&woken[..5], [1, 1, 1, 1, 0]);
    assert_eq!(woken.iter().sum::<u32>(), 4);
    for in_line in &mut waiting[..4] {
        assert!(in_line.poll().is_pending());
    }
    assert_eq!(steady.order(), [400, 200, 200, 200]);
}

/// Dropping the first in line lets the next one go that now fits, and hands over the timer.
#[tokio::test(start_paused = true)]
async fn dropping_a_waiter_lets_the_next_go() {
    let steady = Steady::new(secs(100));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    let mut first = InLine::new(&service, holding(600));
    let large = InLine::new(&service, holding(900));
    let mut small = InLine::new(&service, holding(400));
    let mut late = InLine::new(&service, holding(500));
    assert_eq!(small.woken(), 0);
    drop(large);
    assert_eq!(small.woken(), 1);
    assert!(small.poll().is_pending());
    assert_eq!(steady.order(), [600, 400]);
    // The last one keeps the timer now.
    assert!(late.poll().is_pending());
    tokio::time::sleep(secs(61)).await;
    assert!(late.woken() > 0);
    assert!(late.poll().is_pending());
    assert_eq!(steady.order(), [600, 400, 500]);
    assert!(first.poll().is_pending());
}

/// A waiter that was let go and is dropped before it looks gives its tokens to the next.
#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_takes_goes_to_the_next() {
    let steady = Steady::new(secs(10));
    let quotas = quotas(1000);
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    let mut first = InLine::new(&service, Request::new((), call(0, 1000)));
    let granted = InLine::new(&service, holding(700));
    let mut next = InLine::new(&service, holding(600));
    tokio::time::advance(secs(10)).await;
    assert!(first.poll().is_ready());
    assert_eq!(granted.woken(), 1);
    assert_eq!(used(&quotas), 700);
    drop(granted);
    assert_eq!(used(&quotas), 600);
    assert!(next.poll().is_pending());
    assert_eq!(steady.order(), [0, 600]);
}

/// Whoever keeps the timer may go at any time: the others still go when it is their time.
#[tokio::test(start_paused = true)]
async fn the_timer_is_always_kept() {
    for dropped in 0..6 {
        let steady = Steady::new(secs(1));
        let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
        service.clone().oneshot(holding(1000)).await.unwrap();
        let calls: Vec<_> = (0..6)
            .map(|number| tokio::spawn(service.clone().oneshot(holding(100 + number))))
            .collect();
        tokio::time::sleep(secs(1)).await;
        for call in &calls[..dropped] {
            call.abort();
        }
        tokio::time::sleep(secs(70)).await;
        let rest: Vec<_> = (100 + dropped as u32..106).collect();
        assert_eq!(&steady.order()[1..], rest, "after {dropped} were dropped");
        assert!(steady.seconds()[1..].iter().all(|&second| second == 60));
    }
}

/// A future that keeps the timer and is set aside does not keep the others for ever: whatever call
/// comes by next hands the timer to somebody else.
#[tokio::test(start_paused = true)]
async fn a_keeper_that_is_set_aside_is_relieved() {
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    service.clone().oneshot(holding(1000)).await.unwrap();
    let _set_aside = InLine::new(&service, holding(500).with_priority(Priority::Low));
    let urgent = |tokens| {
        service
            .clone()
            .oneshot(holding(tokens).with_priority(Priority::High))
    };
    tokio::spawn(urgent(900));
    settle_tasks().await;
    tokio::spawn(service.clone().oneshot(holding(400)));
    tokio::time::sleep(secs(70)).await;
    // Nobody has looked at the clock.
    assert_eq!(steady.order(), [1000]);
    urgent(1).await.unwrap();
    tokio::time::sleep(secs(60)).await;
    assert_eq!(steady.order(), [1000, 1, 900, 400]);
    assert_eq!(steady.seconds(), [0, 71, 71, 131]);
}

/// While a call waits for the inner service, what it draws counts and does not age; its minute
/// begins when it is sent.
#[tokio::test(start_paused = true)]
async fn what_waits_for_the_inner_service_does_not_age() {
    let quotas = quotas(1000);
    let inner = service_fn(|_: Request<()>| async {
        tokio::time::sleep(secs(100)).await;
        Ok::<_, Error>(answer(usage(0, 0)))
    });
    let limited = tower::limit::ConcurrencyLimit::new(inner, 1);
    let service = TokenBudgetLayer::new(quotas.clone()).layer(limited);
    tokio::spawn(service.clone().oneshot(holding(100)));
    settle_tasks().await;
    tokio::spawn(service.clone().oneshot(holding(700)));
    tokio::time::sleep(secs(90)).await;
    // The first has aged out, and is still under way; the second has not been sent.
    assert_eq!(used(&quotas), 700);
    tokio::time::sleep(secs(30)).await;
    assert_eq!(used(&quotas), 700);
    tokio::time::sleep(secs(45)).await;
    assert_eq!(used(&quotas), 0);
}
