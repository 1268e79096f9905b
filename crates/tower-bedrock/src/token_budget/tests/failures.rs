use super::*;
use crate::{BedrockResponse, Finish, Watcher};

/// What is left of a hold of 1000 tokens, 300 of them input, when the call fails with `cause`.
async fn left_after(layer: &TokenBudgetLayer, quotas: &Quotas, cause: Cause) -> u64 {
    let inner =
        service_fn(move |_: Request<()>| async move { Err::<Response<()>, _>(Error::new(cause)) });
    let request = Request::new((), call(300, 700));
    let error = layer.layer(inner).oneshot(request).await.unwrap_err();
    assert_eq!(error.cause(), cause);
    let left = used(quotas);
    assert_eq!(quotas.snapshot_of(&route()).tokens_held, 0);
    tokio::time::advance(secs(120)).await;
    assert_eq!(used(quotas), 0);
    left
}

/// A refused call used nothing; what may have been done keeps its hold until that has aged out.
#[tokio::test(start_paused = true)]
async fn failures_are_charged_by_their_cause() {
    let quotas = quotas(1000);
    let layer = TokenBudgetLayer::new(quotas.clone());
    for &cause in Cause::ALL {
        let expected = match FailureCharge::of(cause) {
            FailureCharge::Nothing => 0,
            FailureCharge::Input => 300,
            FailureCharge::Hold => 1000,
        };
        if cause != Cause::TokensPerDay {
            assert_eq!(
                left_after(&layer, &quotas, cause).await,
                expected,
                "{cause}"
            );
        }
    }
    assert_eq!(FailureCharge::of(Cause::TokenRate), FailureCharge::Nothing);
    assert_eq!(FailureCharge::of(Cause::Timeout), FailureCharge::Hold);

    let charges = FailureCharges::default().with(Cause::Timeout, FailureCharge::Nothing);
    let lenient = layer.with_failure_charges(charges);
    assert_eq!(left_after(&lenient, &quotas, Cause::Timeout).await, 0);
}

/// When the service says that the day's tokens are used up, the ledger closes and says so; whoever
/// waits and cannot wait that long is refused, and a new quota opens it again.
#[tokio::test(start_paused = true)]
async fn a_day_that_is_used_up_closes_the_ledger() {
    let quotas = quotas(1000);
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let layer = TokenBudgetLayer::new(quotas.clone()).on_event(move |event| {
        heard.lock().unwrap().push(format!("{event:?}"));
    });
    let is_used_up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = Arc::clone(&is_used_up);
    let inner = service_fn(move |_: Request<()>| {
        let is_used_up = seen.load(std::sync::atomic::Ordering::Relaxed);
        async move {
            tokio::time::sleep(secs(1)).await;
            match is_used_up {
                true => Err(Error::new(Cause::TokensPerDay)),
                false => Ok(answer(usage(1, 0))),
            }
        }
    });
    let service = layer.layer(inner);
    let first = tokio::spawn(service.clone().oneshot(holding(1000)));
    settle_tasks().await;
    let waiting = tokio::spawn(service.clone().oneshot(holding(500)));
    let error = first.await.unwrap().unwrap_err();
    assert_eq!(error.cause(), Cause::TokensPerDay);
    let error = waiting.await.unwrap().unwrap_err();
    let refused = refusal(&error);
    assert_eq!(refused.reason(), ExhaustedReason::DayUsedUp);
    assert_eq!(refused.limit(), Limit::TokensPerDay);
    assert_eq!(refused.wait(), Some(secs(3600)));
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!(snapshot.closed_for, Some(secs(3600)));
    assert_eq!(snapshot.tokens_used, 0);
    assert!(
        events
            .lock()
            .unwrap()
            .iter()
            .any(|event| event.starts_with("DayUsedUp"))
    );

    is_used_up.store(false, std::sync::atomic::Ordering::Relaxed);
    let error = service.clone().oneshot(holding(1)).await.unwrap_err();
    assert_eq!(refusal(&error).reason(), ExhaustedReason::DayUsedUp);
    let raised = Quota::new().with_tokens_per_minute(2000);
    quotas.set(&route(), raised).unwrap();
    service.oneshot(holding(1)).await.unwrap();
}

/// A ledger whose day ends at midnight stays closed until then.
#[tokio::test(start_paused = true)]
async fn a_day_that_ends_at_midnight_opens_then() {
    let quotas = Quotas::starting(Instant::now(), secs(86_400 * 20_000 + 82_800));
    let quota = Quota::new()
        .with_tokens_per_minute(1000)
        .with_tokens_per_day(3000)
        .with_daily_reset(DailyReset::MidnightUtc);
    quotas.set(&route(), quota).unwrap();
    let steady = Steady::new(secs(1));
    let layer = TokenBudgetLayer::new(quotas.clone()).with_max_wait(secs(7200));
    let service = over(&layer, &steady);
    for _ in 0..4 {
        service.clone().oneshot(holding(1000)).await.unwrap();
    }
    // An hour is left of the day, and the fourth call is the next day's.
    assert_eq!(steady.seconds(), [0, 60, 120, 3600]);

    let inner = service_fn(|_: Request<()>| async {
        Err::<Response<()>, _>(Error::new(Cause::TokensPerDay))
    });
    tokio::time::advance(secs(600)).await;
    let refused = layer.layer(inner).oneshot(holding(1)).await;
    refused.unwrap_err();
    let closed_for = quotas.snapshot_of(&route()).closed_for.unwrap();
    assert!(
        closed_for.abs_diff(secs(86_400 - 601)) < secs(1),
        "{closed_for:?}"
    );
}

/// A call that has all the time it needs waits a whole day for its turn.
#[tokio::test(start_paused = true)]
async fn a_call_without_a_deadline_waits_for_days() {
    let quotas = Quotas::starting(Instant::now(), secs(86_400 * 20_000));
    let quota = Quota::new()
        .with_tokens_per_minute(1000)
        .with_tokens_per_day(1000)
        .with_daily_reset(DailyReset::MidnightUtc);
    quotas.set(&route(), quota).unwrap();
    let steady = Steady::new(secs(1));
    let layer = TokenBudgetLayer::new(quotas).with_max_wait(Duration::MAX);
    let service = over(&layer, &steady);
    for _ in 0..3 {
        service.clone().oneshot(holding(1000)).await.unwrap();
    }
    assert_eq!(steady.seconds(), [0, 86_400, 2 * 86_400]);
}

/// A reply that goes on: it tells its watcher only when the test says so.
#[derive(Default)]
struct Ongoing {
    served: Served,
    watcher: Option<Box<dyn AnyWatcher>>,
}

trait AnyWatcher: Send {
    fn usage(&mut self, usage: &Usage);
    fn finish(&mut self, finish: Finish<'_>);
}

impl<W: Watcher> AnyWatcher for W {
    fn usage(&mut self, usage: &Usage) {
        Watcher::usage(self, usage);
    }

    fn finish(&mut self, finish: Finish<'_>) {
        Watcher::finish(self, finish);
    }
}

impl BedrockResponse for Ongoing {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    fn watch(&mut self, watcher: impl Watcher) {
        self.watcher = Some(Box::new(watcher));
    }
}

/// A stream's hold rides in it until it ends, and is settled by what it told: also when it is
/// dropped, and when it fails.
#[tokio::test(start_paused = true)]
async fn a_stream_settles_at_its_end() {
    let error = Error::new(Cause::StreamFailed);
    let throttled = Error::new(Cause::TokenRate);
    let used_10 = Some(usage(10, 0));
    type Case<'a> = (Option<Usage>, Option<Finish<'a>>, u64);
    let cases: [Case<'_>; 8] = [
        (used_10, Some(Finish::Complete), 10),
        (used_10, Some(Finish::Abandoned), 10),
        (used_10, Some(Finish::Failed(&error)), 10),
        (used_10, None, 10),
        (None, Some(Finish::Complete), 1000),
        (None, Some(Finish::Failed(&error)), 1000),
        (None, Some(Finish::Failed(&throttled)), 0),
        (None, None, 1000),
    ];
    for (usage, finish, expected) in cases {
        let quotas = quotas(1000);
        let inner = service_fn(|_: Request<()>| async { Ok::<_, Error>(Ongoing::default()) });
        let service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
        let mut reply = service
            .oneshot(Request::new((), call(300, 700)))
            .await
            .unwrap();
        tokio::time::advance(secs(10)).await;
        assert_eq!(quotas.snapshot_of(&route()).tokens_held, 1000);
        let mut watcher = reply.watcher.take().unwrap();
        if let Some(usage) = &usage {
            watcher.usage(usage);
        }
        if let Some(finish) = finish {
            watcher.finish(finish);
        }
        drop(watcher);
        let snapshot = quotas.snapshot_of(&route());
        assert_eq!(snapshot.tokens_used, expected, "{usage:?} {finish:?}");
        assert_eq!(snapshot.tokens_held, 0, "{usage:?} {finish:?}");
    }
}

/// A stream that lasts longer than a minute gives nothing back that has come back by itself.
#[tokio::test(start_paused = true)]
async fn a_hold_that_has_aged_out_is_not_given_back_again() {
    let quotas = quotas(1000);
    let steady = Steady::new(secs(120));
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    let long = tokio::spawn(service.clone().oneshot(Request::new((), call(0, 900))));
    tokio::time::sleep(secs(70)).await;
    assert_eq!(used(&quotas), 0);
    for _ in 0..2 {
        tokio::spawn(service.clone().oneshot(holding(500)));
    }
    tokio::time::sleep(secs(49)).await;
    assert_eq!(used(&quotas), 1000);
    long.await.unwrap().unwrap();
    assert_eq!(used(&quotas), 1000);
}
