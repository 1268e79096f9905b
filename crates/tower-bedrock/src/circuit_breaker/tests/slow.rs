//! Slow calls, and since when they are.

use std::future::poll_fn;

use tower::Service;

use super::*;
use crate::{BedrockRequest, Readmission, SendListener, SendSignal, send_signal::LateSend};

/// A service below which each call stands in line for `wait` and takes `latency` then.
fn line(
    wait: Duration,
    latency: Duration,
    sent: Arc<AtomicU32>,
) -> impl Service<
    Request<()>,
    Response = Response<()>,
    Error = Error,
    Future = impl Future<Output = Result<Response<()>, Error>> + Send,
> + Clone {
    service_fn(move |request: Request<()>| {
        let sent = Arc::clone(&sent);
        async move {
            let mut late = LateSend::default();
            late.waits(request.context());
            sleep(wait).await;
            poll_fn(|cx| late.poll_sends(request.context(), cx)).await?;
            sent.fetch_add(1, Ordering::SeqCst);
            sleep(latency).await;
            answered()
        }
    })
}

fn slow_after(limit: Duration) -> CircuitPolicy {
    CircuitPolicy::new().with_slow_calls(limit, 0.5)
}

/// A call is slow if it takes longer than it may, not if it takes just as long.
#[tokio::test(start_paused = true)]
async fn a_call_is_slow_when_it_takes_longer_than_it_may() {
    let breakers = breakers(slow_after(secs(30)));
    for (latency, slow) in [(secs(29), 0), (secs(30), 0), (secs(31), 1)] {
        let model = Model::new(latency, answered);
        model.send(&breakers, request()).await.unwrap();
        assert_eq!(breakers.snapshot_of(&route()).slow_calls, slow);
        sleep(secs(60)).await;
    }
}

/// When half of the calls are slow it opens, though all are answered; a slow probe opens it again, a
/// quick one closes it.
#[tokio::test(start_paused = true)]
async fn slow_answers_open_it_and_quick_ones_close_it() {
    let breakers = breakers(slow_after(secs(2)));
    let model = Model::healthy();
    for _ in 0..5 {
        model.send(&breakers, request()).await.unwrap();
    }
    model.becomes(secs(3), answered);
    assert_eq!(trip(&breakers, &model).await, 5);
    sleep(secs(5)).await;
    model.send(&breakers, request()).await.unwrap();
    assert_eq!(breakers.state(&route()), CircuitState::Open);
    sleep(secs(10)).await;
    model.becomes(secs(1), answered);
    model.send(&breakers, request()).await.unwrap();
    assert_eq!(breakers.state(&route()), CircuitState::Closed);
}

/// One that is dropped after more than it may take was slow; dropped before, it says nothing.
#[tokio::test(start_paused = true)]
async fn a_call_dropped_late_was_slow() {
    let model = Model::new(secs(600), answered);
    for (cut_after, slow) in [(secs(30), 0), (secs(31), 1)] {
        let breakers = breakers(slow_after(secs(30)));
        let call = model.send(&breakers, request());
        drop(tokio::time::timeout(cut_after, call).await);
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!((snapshot.slow_calls, snapshot.abandoned), (slow, 1));
        assert_eq!(snapshot.failures, 0);
    }
    // Where nobody asks for slow calls, it says nothing at all.
    let breakers = breakers(CircuitPolicy::new());
    let call = model.send(&breakers, request());
    drop(tokio::time::timeout(secs(500), call).await);
    assert_eq!(breakers.snapshot_of(&route()).calls, 0);
}

/// A failure that took too long is both.
#[tokio::test(start_paused = true)]
async fn a_slow_failure_is_both() {
    let breakers = breakers(slow_after(secs(30)));
    let model = Model::new(secs(31), || failed(Cause::Internal));
    drop(model.send(&breakers, request()).await);
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.slow_calls, snapshot.failures), (1, 1));
}

/// Time in a line below is none of the route's: it counts from when the call is sent.
#[tokio::test(start_paused = true)]
async fn time_in_line_does_not_count() {
    for (latency, slow) in [(secs(30), 0), (secs(31), 1)] {
        let breakers = breakers(slow_after(secs(30)));
        let layer = CircuitBreakerLayer::new(breakers.clone());
        let service = layer.layer(line(secs(100), latency, Arc::default()));
        service.oneshot(request()).await.unwrap();
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!((snapshot.calls, snapshot.slow_calls), (1, slow));
    }
}

/// Dropped in line, a call was not sent: neither its time nor its deadline says anything.
#[tokio::test(start_paused = true)]
async fn a_call_dropped_in_line_says_nothing() {
    let breakers = breakers(slow_after(secs(1)));
    let layer = CircuitBreakerLayer::new(breakers.clone());
    let service = layer.layer(line(secs(100), secs(1), Arc::default()));
    let call = service.oneshot(request().with_timeout(secs(10)));
    drop(tokio::time::timeout(secs(50), call).await);
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.calls, snapshot.abandoned), (0, 1));
}

/// A layer further up that listens too.
#[derive(Default)]
struct Above {
    heard: Mutex<Vec<&'static str>>,
    readmits_after: Duration,
}

impl SendListener for Above {
    fn waits(&self, _: u64) {
        self.heard.lock().unwrap().push("waits");
    }

    fn sends(self: Arc<Self>, _: u64, _: &CallContext) -> Option<Readmission> {
        self.heard.lock().unwrap().push("sends");
        let wait = self.readmits_after;
        (!wait.is_zero()).then(|| -> Readmission {
            Box::pin(async move {
                sleep(wait).await;
                Ok(())
            })
        })
    }
}

/// Whoever listened before hears the same, and what it has the call wait for is waited for: that time
/// does not count either.
#[tokio::test(start_paused = true)]
async fn a_listener_above_hears_the_same() {
    for (wait, latency, slow) in [
        (Duration::ZERO, secs(20), 0),
        (secs(40), secs(20), 0),
        (secs(40), secs(31), 1),
    ] {
        let breakers = breakers(slow_after(secs(30)));
        let above = Arc::new(Above {
            readmits_after: wait,
            ..Above::default()
        });
        let mut request = request();
        request.context_mut().send_signal = Some(SendSignal::new(&above, 3));
        let layer = CircuitBreakerLayer::new(breakers.clone());
        let start = Instant::now();
        let service = layer.layer(line(secs(50), latency, Arc::default()));
        service.oneshot(request).await.unwrap();
        assert_eq!(*above.heard.lock().unwrap(), ["waits", "sends"]);
        assert_eq!(start.elapsed(), secs(50) + wait + latency);
        assert_eq!(breakers.snapshot_of(&route()).slow_calls, slow);
    }
}

/// If that is asked for, calls that stand in line when the circuit opens are refused in their turn,
/// not sent to the sick route; one that stands there as a probe is sent.
#[tokio::test(start_paused = true)]
async fn calls_in_line_are_asked_again() {
    for asks in [false, true] {
        let breakers = breakers(CircuitPolicy::new().ask_again_when_sent(asks));
        let layer = CircuitBreakerLayer::new(breakers.clone());
        let sent = Arc::new(AtomicU32::new(0));
        let service = layer.layer(line(secs(20), secs(1), sent.clone()));
        let calls: Vec<_> = (0..50)
            .map(|_| tokio::spawn(service.clone().oneshot(request())))
            .collect();
        sleep(secs(1)).await;
        let model = Model::new(millis(1), || failed(Cause::Internal));
        trip(&breakers, &model).await;
        sleep(secs(9)).await;
        let probe = tokio::spawn(service.clone().oneshot(request()));
        sleep(secs(11)).await;
        let expected = if asks { 0 } else { 50 };
        assert_eq!(sent.load(Ordering::SeqCst), expected);
        probe.await.unwrap().unwrap();
        assert_eq!(sent.load(Ordering::SeqCst), expected + 1);
        assert_eq!(breakers.state(&route()), CircuitState::Closed);
        for call in calls {
            match call.await.unwrap() {
                Ok(_) => assert!(!asks),
                Err(error) => {
                    assert!(asks);
                    assert!(CircuitOpen::of(&error).is_some());
                }
            }
        }
    }
}
