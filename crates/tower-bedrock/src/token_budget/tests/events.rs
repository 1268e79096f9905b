use std::num::NonZeroU32;

use super::*;

fn listening(layer: TokenBudgetLayer) -> (TokenBudgetLayer, Arc<Mutex<Vec<String>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let layer = layer.on_event(move |event| {
        let text = match event {
            TokenBudgetEvent::MaxTokensUnset { held, .. } => format!("unset {held}"),
            TokenBudgetEvent::Waited { waited, .. } => format!("waited {}", waited.as_secs()),
            TokenBudgetEvent::Refused { refusal, .. } => format!("refused {:?}", refusal.reason()),
            TokenBudgetEvent::Learned { limit, learned, .. } => format!("{limit} {learned}"),
            TokenBudgetEvent::DayUsedUp { .. } => "day".to_owned(),
        };
        heard.lock().unwrap().push(text);
    });
    (layer, events)
}

/// A call without `maxTokens` holds the model's maximum, and that is told once for each model.
#[tokio::test(start_paused = true)]
async fn an_unset_max_tokens_is_told_once() {
    let quotas = Quotas::new();
    let (layer, events) = listening(TokenBudgetLayer::new(quotas.clone()));
    let service = over(&layer, &Steady::new(secs(1)));
    let mut call = call(1000, 0);
    call.tokens.max_output = None;
    for _ in 0..3 {
        let request = Request::new((), call.clone());
        tokio::spawn(service.clone().oneshot(request));
    }
    settle_tasks().await;
    assert_eq!(used(&quotas), 3 * 129_000);
    assert_eq!(*events.lock().unwrap(), ["unset 128000"]);
    call.route = Route::to("amazon.nova-lite-v1:0".parse().unwrap());
    service.oneshot(Request::new((), call)).await.unwrap();
    assert_eq!(*events.lock().unwrap(), ["unset 128000", "unset 5120"]);
}

/// A clamp sets `maxTokens` on conversations that do not, and on nothing else.
#[tokio::test(start_paused = true)]
async fn a_clamp_sets_what_is_unset() {
    let quotas = Quotas::new();
    let (layer, events) = listening(TokenBudgetLayer::new(quotas.clone()));
    let layer = layer.with_output_clamp(NonZeroU32::new(2000).unwrap());
    let steady = Steady::new(secs(1));
    let service = over(&layer, &steady);
    let mut unset = call(1000, 0);
    unset.tokens.max_output = None;
    for call in [unset.clone(), call(1000, 9000)] {
        tokio::spawn(service.clone().oneshot(Request::new((), call)));
    }
    settle_tasks().await;
    assert_eq!(used(&quotas), 3000 + 10_000);
    assert_eq!(*events.lock().unwrap(), [""; 0]);
    {
        let came = steady.came.lock().unwrap();
        let max: Vec<_> = came
            .iter()
            .map(|(_, call)| call.tokens.max_output)
            .collect();
        assert_eq!(max, [Some(2000), Some(9000)]);
    }

    // The body of an invocation is the model's own, so it cannot be told.
    unset.operation = Operation::InvokeModel;
    service.oneshot(Request::new((), unset)).await.unwrap();
    assert_eq!(*events.lock().unwrap(), ["unset 128000"]);
}

/// Waiting, refusing and learning are told.
#[tokio::test(start_paused = true)]
async fn what_happens_is_told() {
    let quotas = Quotas::new();
    let quota = Quota::new().with_tokens_per_minute(1000);
    quotas.set(&route(), quota).unwrap();
    let (layer, events) = listening(TokenBudgetLayer::new(quotas.clone()));
    let service = over(&layer, &Steady::new(secs(1)));
    for _ in 0..2 {
        service.clone().oneshot(holding(600)).await.unwrap();
    }
    let too_large = service.oneshot(holding(1001)).await;
    too_large.unwrap_err();
    let throttled =
        service_fn(|_: Request<()>| async { Err::<Response<()>, _>(Error::new(Cause::TokenRate)) });
    let error = layer
        .layer(throttled)
        .oneshot(holding(100))
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::TokenRate);
    let learned = quotas
        .snapshot_of(&route())
        .learned_tokens_per_minute
        .unwrap();
    assert!(learned < 1000);
    assert_eq!(
        *events.lock().unwrap(),
        [
            "waited 59".to_owned(),
            "refused TooLarge { needed: 1001, quota: 1000 }".to_owned(),
            format!("tokens_per_minute {learned}"),
        ]
    );
}

/// A listener may look at the quotas, whatever it is told: nothing is locked meanwhile.
#[tokio::test(start_paused = true)]
async fn a_listener_may_look_at_the_quotas() {
    let quotas = Quotas::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let layer = TokenBudgetLayer::new(quotas.clone()).on_event({
        let seen = Arc::clone(&seen);
        move |event| {
            let name = format!("{event:?}");
            let snapshots = quotas.snapshot().len();
            seen.lock()
                .unwrap()
                .push((name.contains("Unset"), snapshots));
        }
    });
    let service = over(&layer, &Steady::new(secs(1)));
    let mut call = call(1000, 0);
    call.tokens.max_output = None;
    service.oneshot(Request::new((), call)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(true, 1)]);
}

/// All listeners hear, those that were added before first.
#[tokio::test(start_paused = true)]
async fn every_listener_hears() {
    let (layer, first) = listening(TokenBudgetLayer::new(Quotas::new()));
    let (layer, second) = listening(layer);
    let service = over(&layer, &Steady::new(secs(1)));
    let mut call = call(1000, 0);
    call.tokens.max_output = None;
    service.oneshot(Request::new((), call)).await.unwrap();
    assert_eq!(*first.lock().unwrap(), ["unset 128000"]);
    assert_eq!(*second.lock().unwrap(), ["unset 128000"]);
}
