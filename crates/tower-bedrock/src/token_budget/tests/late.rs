use std::{future::poll_fn, num::NonZeroU32};

use tower::{Service, ServiceBuilder};

use super::*;
use crate::{
    Readmission, RetryLayer, RetryOverride, SendListener, SendSignal, send_signal::LateSend,
};

/// A service below which each call stands in line for `wait` and takes `latency` then, and tells of
/// it if it is told to.
fn line(
    wait: Duration,
    latency: Duration,
    tells: bool,
) -> impl Service<
    Request<()>,
    Response = Response<()>,
    Error = Error,
    Future = impl Future<Output = Result<Response<()>, Error>> + Send,
> + Clone {
    service_fn(move |request: Request<()>| async move {
        let call = request.context();
        let mut late = LateSend::default();
        if tells {
            late.waits(call);
        }
        tokio::time::sleep(wait).await;
        poll_fn(|cx| late.poll_sends(call, cx)).await?;
        tokio::time::sleep(latency).await;
        Ok(answer(usage(call.tokens.input.unwrap_or(0).into(), 0)))
    })
}

/// What a call draws counts all the while it stands in line below, and ages from when it is sent.
#[tokio::test(start_paused = true)]
async fn the_minute_of_a_call_begins_when_it_is_sent_below() {
    for tells in [true, false] {
        let quotas = quotas(1000);
        let layer = TokenBudgetLayer::new(quotas.clone());
        let service = layer.layer(line(secs(90), secs(10), tells));
        tokio::spawn(service.oneshot(holding(700)));
        tokio::time::sleep(secs(75)).await;
        let while_it_waits = used(&quotas);
        tokio::time::sleep(secs(70)).await;
        let within_its_minute = used(&quotas);
        let expected = if tells { 700 } else { 0 };
        assert_eq!(while_it_waits, expected, "tells: {tells}");
        assert_eq!(within_its_minute, expected, "tells: {tells}");
        tokio::time::sleep(secs(10)).await;
        assert_eq!(used(&quotas), 0);
    }
}

/// A call that is dropped, or refused for whatever cause, while it stands in line below was not
/// sent: all it drew comes back, even where a failure costs the whole hold.
#[tokio::test(start_paused = true)]
async fn what_stands_in_line_below_comes_back_whole() {
    let quotas = quotas(1000);
    let layer = TokenBudgetLayer::new(quotas.clone());
    let waiting = layer.layer(line(secs(90), secs(1), true));
    let call = tokio::spawn(waiting.oneshot(holding(700)));
    tokio::time::sleep(secs(5)).await;
    assert_eq!(used(&quotas), 700);
    call.abort();
    settle_tasks().await;
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!((snapshot.tokens_used, snapshot.requests_used), (0, 0));

    let refused = layer.layer(service_fn(|request: Request<()>| async move {
        LateSend::default().waits(request.context());
        Err::<Response<()>, _>(Error::new(Cause::DeadlineExceeded))
    }));
    refused.oneshot(holding(700)).await.unwrap_err();
    assert_eq!(used(&quotas), 0);
}

/// Where a call that settles above its hold has taken the room of one that stands in line below, that
/// one waits until the debt is paid, in its turn, and goes then.
#[tokio::test(start_paused = true)]
async fn a_debt_keeps_back_what_stands_in_line_below() {
    let quotas = quotas(1000);
    let layer = TokenBudgetLayer::new(quotas.clone());
    // Holds 600 and uses 1100: 500 too many for the 400 that are left.
    let overdraws = layer.layer(service_fn(|_: Request<()>| async {
        tokio::time::sleep(secs(5)).await;
        Ok::<_, Error>(answer(usage(1100, 0)))
    }));
    tokio::spawn(overdraws.oneshot(holding(600)));
    settle_tasks().await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let below = {
        let (sent, line) = (Arc::clone(&sent), line(secs(10), Duration::ZERO, true));
        service_fn(move |request| {
            let (sent, call) = (Arc::clone(&sent), line.clone().oneshot(request));
            async move {
                let answer = call.await;
                sent.lock().unwrap().push(start.elapsed().as_secs());
                answer
            }
        })
    };
    let service = layer.layer(below.clone());
    service.clone().oneshot(holding(400)).await.unwrap();
    // The debt is paid when the first 600 have aged out.
    assert_eq!(*sent.lock().unwrap(), [60]);

    // One that cannot wait for that is refused, and nothing was sent.
    tokio::time::sleep(secs(120)).await;
    let overdraws = layer.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Error>(answer(usage(1100, 0)))
    }));
    let hurried = tokio::spawn(
        layer
            .layer(below)
            .oneshot(holding(400).with_timeout(secs(30))),
    );
    settle_tasks().await;
    overdraws.oneshot(holding(600)).await.unwrap();
    let refusal = refusal(&hurried.await.unwrap().unwrap_err());
    assert_eq!(refusal.reason(), ExhaustedReason::Deadline);
    assert_eq!(quotas.snapshot_of(&route()).tokens_held, 0);
}

/// What a listener heard, of which call, after how many seconds; and what it has the next call wait
/// for.
struct Hears {
    start: Instant,
    heard: Mutex<Vec<(&'static str, u64, u64)>>,
    readmission: Mutex<Option<Readmission>>,
}

impl SendListener for Hears {
    fn waits(&self, key: u64) {
        self.push("waits", key);
    }

    fn sends(self: Arc<Self>, key: u64, _: &CallContext) -> Option<Readmission> {
        self.push("sends", key);
        self.readmission.lock().unwrap().take()
    }
}

impl Hears {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            heard: Mutex::default(),
            readmission: Mutex::default(),
        })
    }

    fn push(&self, what: &'static str, key: u64) {
        let second = self.start.elapsed().as_secs();
        self.heard.lock().unwrap().push((what, key, second));
    }

    fn heard(&self) -> Vec<(&'static str, u64, u64)> {
        self.heard.lock().unwrap().clone()
    }
}

fn heard_by(listener: &Arc<Hears>, mut request: Request<()>) -> Request<()> {
    request.context_mut().send_signal = Some(SendSignal::new(listener, 7));
    request
}

/// A listener further above hears of calls that stand in line at the budget and of those that stand
/// in line below it; of a call that waits nowhere it hears nothing.
#[tokio::test(start_paused = true)]
async fn whoever_listens_above_hears_too() {
    let layer = TokenBudgetLayer::new(quotas(1000));
    let above = Hears::new();
    let heard = |request| heard_by(&above, request);

    let at_once = layer.layer(line(Duration::ZERO, secs(1), false));
    at_once.oneshot(heard(holding(100))).await.unwrap();
    assert_eq!(above.heard(), []);

    let below = layer.layer(line(secs(10), secs(1), true));
    below.oneshot(heard(holding(900))).await.unwrap();
    assert_eq!(above.heard(), [("waits", 7, 1), ("sends", 7, 11)]);

    // The 900 were sent 1 s ago.
    let at_the_budget = layer.layer(line(Duration::ZERO, secs(1), false));
    at_the_budget.oneshot(heard(holding(900))).await.unwrap();
    assert_eq!(above.heard()[2..], [("waits", 7, 12), ("sends", 7, 71)]);
}

/// What a listener above has the call wait for, the budget waits for too, and counts the call as
/// sent after it.
#[tokio::test(start_paused = true)]
async fn a_wait_above_delays_the_minute_too() {
    let quotas = quotas(1000);
    let layer = TokenBudgetLayer::new(quotas.clone());
    let above = Hears::new();
    *above.readmission.lock().unwrap() = Some(Box::pin(async {
        tokio::time::sleep(secs(70)).await;
        Ok(())
    }));
    let service = layer.layer(line(secs(10), secs(1), true));
    tokio::spawn(service.oneshot(heard_by(&above, holding(900))));
    tokio::time::sleep(secs(130)).await;
    // Sent after 80 s.
    assert_eq!(used(&quotas), 900);
    tokio::time::sleep(secs(12)).await;
    assert_eq!(used(&quotas), 0);
}

/// A signal of a call that is over does nothing, even when the place of that call is another's.
#[tokio::test(start_paused = true)]
async fn a_stale_signal_does_nothing() {
    let quotas = quotas(1000);
    let layer = TokenBudgetLayer::new(quotas.clone());
    let kept: Arc<Mutex<Vec<CallContext>>> = Arc::default();
    let keeps = {
        let kept = Arc::clone(&kept);
        service_fn(move |request: Request<()>| {
            kept.lock().unwrap().push(request.context().clone());
            async {
                tokio::time::sleep(secs(5)).await;
                Ok::<_, Error>(answer(usage(100, 0)))
            }
        })
    };
    let service = layer.layer(keeps);
    service.clone().oneshot(holding(100)).await.unwrap();
    tokio::spawn(service.oneshot(holding(100)));
    settle_tasks().await;
    let stale = kept.lock().unwrap()[0].clone();
    let signal = stale.send_signal.as_ref().unwrap();
    signal.waits();
    assert!(signal.sends(&stale).is_none());
    tokio::time::sleep(secs(61)).await;
    assert_eq!(used(&quotas), 0, "both have aged from when they were sent");
}

/// A budget outside of the retries admits a call once: only its first attempt is heard.
#[tokio::test(start_paused = true)]
async fn a_retry_is_not_heard_above_it() {
    let above = Hears::new();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .service(service_fn(|request: Request<()>| async move {
            LateSend::default().waits(request.context());
            Err::<Response<()>, _>(Error::new(Cause::ServiceUnavailable))
        }));
    let mut request = heard_by(&above, holding(1));
    request.context_mut().retry = RetryOverride {
        max_attempts: NonZeroU32::new(3),
        ..RetryOverride::default()
    };
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!(error.attempts(), Some(3));
    assert_eq!(above.heard(), [("waits", 7, 0)]);
}
