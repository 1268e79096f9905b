//! Calls that wait for an open circuit.

use std::{future::poll_fn, task::Poll};

use super::*;
use crate::{BedrockRequest, circuit_breaker::ramp::Ramp};

/// A call whose caller waits for so long.
fn patient(seconds: u64) -> Request<()> {
    request().with_timeout(secs(seconds))
}

/// Circuits of which the one for `model` is open for five seconds, and a model that is well again.
async fn open(policy: CircuitPolicy) -> (CircuitBreakers, Model) {
    let breakers = breakers(policy);
    let model = Model::new(millis(1), || failed(Cause::Internal));
    trip(&breakers, &model).await;
    model.becomes(millis(100), answered);
    (breakers, model)
}

/// A call that has time and nowhere else to go waits for the cooldown, is the probe, and is answered;
/// it is told of as one that waited and not as one that was refused.
#[tokio::test(start_paused = true)]
async fn a_call_with_time_waits_and_is_the_probe() {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&waits);
    let (breakers, model) = open(CircuitPolicy::new()).await;
    let breakers = breakers.on_event(move |event| match event {
        CircuitEvent::Waited { waited, .. } => told.lock().unwrap().push(*waited),
        CircuitEvent::Refused { .. } => panic!("it is not refused"),
        CircuitEvent::Changed { .. } => {}
    });
    let before = model.calls();
    let start = Instant::now();
    let call = tokio::spawn(model.send(&breakers, patient(60)));
    sleep(secs(4)).await;
    assert_eq!(
        (model.calls(), breakers.snapshot_of(&route()).waiting),
        (before, 1)
    );
    call.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), millis(5100));
    assert_eq!(breakers.state(&route()), CircuitState::Closed);
    assert_eq!(*waits.lock().unwrap(), [secs(5)]);
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.waiting, snapshot.refused), (0, 0));
}

/// Who has not said how long it waits, has another route, would not get through in time, or may not
/// wait, is refused at once.
#[tokio::test(start_paused = true)]
async fn others_are_refused_at_once() {
    let (breakers, model) = open(CircuitPolicy::new()).await;
    let mut elsewhere = patient(60);
    elsewhere.context_mut().has_next_route = true;
    let mut in_haste = patient(60);
    in_haste.context_mut().max_wait = Some(secs(4));
    for call in [request(), elsewhere, in_haste, patient(4)] {
        let start = Instant::now();
        let error = model.send(&breakers, call).await.unwrap_err();
        assert_eq!(error.cause(), Cause::CircuitOpen);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
    let (breakers, model) = open(CircuitPolicy::new().with_max_waiting(0)).await;
    let error = model.send(&breakers, patient(60)).await.unwrap_err();
    assert_eq!(error.cause(), Cause::CircuitOpen);
    assert_eq!(breakers.snapshot_of(&route()).refused, 1);
}

/// No more wait than may, and none for longer than it may.
#[tokio::test(start_paused = true)]
async fn the_line_is_bounded() {
    let policy = CircuitPolicy::new()
        .with_max_waiting(3)
        .with_max_wait(secs(20));
    let (breakers, model) = open(policy).await;
    model.becomes(millis(1), || failed(Cause::Internal));
    let start = Instant::now();
    let calls: Vec<_> = (0..4)
        .map(|_| tokio::spawn(model.send(&breakers, patient(60))))
        .collect();
    sleep(millis(1)).await;
    assert_eq!(breakers.snapshot_of(&route()).waiting, 3);
    let mut causes = Vec::new();
    for call in calls {
        causes.push(call.await.unwrap().unwrap_err().cause());
    }
    // After 5 and after 15 s one is sent, which fails; the next cooldown ends too late for the last.
    let sent = Cause::Internal;
    assert_eq!(causes, [sent, sent, Cause::CircuitOpen, Cause::CircuitOpen]);
    assert_eq!(start.elapsed(), secs(20));
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.waiting, snapshot.refused), (0, 2));
}

/// When the circuit has closed, those who waited do not come as a herd: one first, and then two for
/// each that is answered, while a call that comes then goes at once.
#[tokio::test(start_paused = true)]
async fn those_who_waited_come_back_in_growing_numbers() {
    let (breakers, model) = open(CircuitPolicy::new()).await;
    let before = model.calls();
    let calls: Vec<_> = (0..100)
        .map(|_| tokio::spawn(model.send(&breakers, patient(60))))
        .collect();
    sleep(millis(5050)).await;
    let mut sent = Vec::new();
    for _ in 0..7 {
        sent.push(model.calls() - before);
        sleep(millis(100)).await;
    }
    assert_eq!(sent, [1, 3, 7, 15, 31, 63, 100]);
    for call in calls {
        call.await.unwrap().unwrap();
    }

    let (breakers, model) = open(CircuitPolicy::new()).await;
    let _waiting: Vec<_> = (0..100)
        .map(|_| tokio::spawn(model.send(&breakers, patient(60))))
        .collect();
    sleep(millis(5150)).await;
    let start = Instant::now();
    model.send(&breakers, request()).await.unwrap();
    assert_eq!(start.elapsed(), millis(100));
}

/// First come, first served, also for one whose turn another call took.
#[tokio::test(start_paused = true)]
async fn they_come_in_order() {
    let (breakers, model) = open(CircuitPolicy::new()).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let (call, order) = (model.send(&breakers, patient(60)), Arc::clone(&order));
            tokio::spawn(async move {
                call.await.unwrap();
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    sleep(secs(1)).await;
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

/// Nobody is sent whose answer would come too late: the turn goes to one who has time. A line that is
/// always full would otherwise send each just before its deadline, and the service would work for
/// nobody.
#[tokio::test(start_paused = true)]
async fn nobody_is_sent_too_late() {
    let (breakers, model) = open(CircuitPolicy::new()).await;
    model.becomes(secs(2), answered);
    let first = tokio::spawn(model.send(&breakers, patient(60)));
    let short = tokio::spawn(model.send(&breakers, patient(8)));
    let second = tokio::spawn(model.send(&breakers, patient(60)));
    // The first is answered after 5 + 2 s. The next one's caller would go a second after that.
    let before = model.calls();
    sleep(millis(7500)).await;
    assert_eq!(model.calls() - before, 2);
    assert_eq!(
        short.await.unwrap().unwrap_err().cause(),
        Cause::CircuitOpen
    );
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(model.calls() - before, 2);
}

/// A circuit that is opened by hand is waited for by nobody, and those who wait hear of it.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_circuit_that_is_opened_by_hand() {
    let (breakers, model) = open(CircuitPolicy::new()).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| tokio::spawn(model.send(&breakers, patient(60))))
        .collect();
    sleep(secs(1)).await;
    let start = Instant::now();
    breakers.force_open(&route());
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap_err().cause(), Cause::CircuitOpen);
    }
    let error = model.send(&breakers, patient(60)).await.unwrap_err();
    assert_eq!(CircuitOpen::of(&error).unwrap().retry_in(), None);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Whoever is dropped, in line, with its turn or under way, leaves its place to the next.
#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_leaves_its_place() {
    for dropped_after in [millis(0), millis(4999), millis(5000), millis(5050)] {
        let (breakers, model) = open(CircuitPolicy::new()).await;
        let mut first = Box::pin(model.send(&breakers, patient(60)));
        // Polled by hand: it stays where it is, also when its turn has come.
        poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let second = tokio::spawn(model.send(&breakers, patient(60)));
        let start = Instant::now();
        sleep(dropped_after).await;
        if dropped_after >= secs(5) {
            poll_fn(|cx| {
                drop(first.as_mut().poll(cx));
                Poll::Ready(())
            })
            .await;
        }
        drop(first);
        second.await.unwrap().unwrap();
        assert!(start.elapsed() <= millis(5200), "{dropped_after:?}");
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!(
            (snapshot.state, snapshot.waiting),
            (CircuitState::Closed, 0)
        );
    }
}

/// A caller that waits keeps nothing from others: what was made ready for it serves the next call.
#[tokio::test(start_paused = true)]
async fn who_waits_keeps_no_place_below() {
    use tower::{Service, ServiceBuilder, limit::ConcurrencyLimitLayer};
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(millis(1), || failed(Cause::Internal));
    trip(&breakers, &model).await;
    model.becomes(millis(100), answered);
    let inner = service_fn(move |_: Request<()>| model.clone().call());
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(inner);
    poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let waiting = tokio::spawn(service.call(patient(60)));
    sleep(secs(1)).await;
    // The one place is free for a call to another route.
    let mut other = patient(60);
    other.context_mut().route = Route::to("us.amazon.nova-pro-v1:0".parse().unwrap());
    let start = Instant::now();
    service.call(other).await.unwrap();
    assert_eq!(start.elapsed(), millis(100));
    waiting.await.unwrap().unwrap();
}

/// Twice as many from round to round; half of it after a failure, and one more a round from then on;
/// no more, but fewer, while answers take three times as long as they did.
#[tokio::test(start_paused = true)]
async fn the_ramp_grows_with_answers_alone() {
    let now = Instant::now();
    let mut ramp = Ramp::new(now);
    let most = |ramp: &mut Ramp| ramp.most(now).0;
    for round in 0..5 {
        assert_eq!(most(&mut ramp), 1 << round);
        (0..1 << round).for_each(|_| ramp.answered(now, millis(100)));
    }
    ramp.failed(now);
    assert_eq!(most(&mut ramp), 16);
    (0..16).for_each(|_| ramp.answered(now, millis(100)));
    assert_eq!(most(&mut ramp), 17);
    // Long answers among others are no line.
    (0..17).for_each(|n| ramp.answered(now, millis(if n % 4 == 0 { 100 } else { 5000 })));
    assert_eq!(most(&mut ramp), 18);
    (0..100).for_each(|_| ramp.answered(now, millis(301)));
    assert!(most(&mut ramp) < 14);
    (0..100).for_each(|_| ramp.failed(now));
    assert_eq!(most(&mut ramp), 1);
}

/// While answers are long and nothing fails, one more goes each second.
#[tokio::test(start_paused = true)]
async fn silence_is_not_waited_out() {
    let (breakers, model) = open(CircuitPolicy::new()).await;
    let calls: Vec<_> = (0..10)
        .map(|_| tokio::spawn(model.send(&breakers, patient(300))))
        .collect();
    sleep(secs(4)).await;
    model.becomes(millis(100), answered);
    sleep(millis(1050)).await;
    model.becomes(secs(30), answered);
    let before = model.calls();
    sleep(millis(60)).await;
    assert_eq!(model.calls() - before, 2);
    sleep(secs(5)).await;
    assert_eq!(model.calls() - before, 7);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
