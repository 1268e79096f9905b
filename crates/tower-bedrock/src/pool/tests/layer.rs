use futures_util::FutureExt;
use tower::{ServiceExt, buffer::Buffer, limit::ConcurrencyLimitLayer, util::BoxCloneSyncService};

use super::*;
use crate::{Passage, RouteGate};

/// A service and its future can be sent, shared and cloned wherever the inner ones can.
#[test]
fn services_are_send_and_sync() {
    fn check<T: Send + Sync + Clone>(_: &T) {}
    fn check_future<T: Send>(_: &T) {}
    let mut service = over(&Pools::new(), steady(secs(1)));
    check(&service);
    check_future(&service.call(request()));
}

/// Fifty streams through a pool of one: one is open, forty-nine wait, and each end lets one more go,
/// whatever kind of end it is.
#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_place_to_its_end() {
    let pools = Pools::new().with_max_in_flight(1);
    let service = service_fn(|_: Request<()>| async { Ok::<_, Error>(Stream::new()) });
    let (send, mut open) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..50 {
        let (service, send) = (over(&pools, service), send.clone());
        tokio::spawn(async move { send.send(service.oneshot(request()).await.unwrap()) });
    }
    for served in 0..50 {
        settle_tasks().await;
        let stream = open.try_recv().unwrap();
        assert!(open.try_recv().is_err(), "two are open");
        let PoolSnapshot {
            in_flight, waiting, ..
        } = snapshot(&pools);
        assert_eq!((in_flight, waiting), (1, 49 - served));
        match served % 4 {
            0 => stream.end(Finish::Complete),
            1 => stream.end(Finish::Failed(&Error::new(Cause::StreamTruncated))),
            2 => stream.end(Finish::Abandoned),
            _ => drop(stream),
        }
    }
    assert_eq!(snapshot(&pools).in_flight, 0);
}

/// Each region has a pool of its own; a call without a region counts in the home region.
#[tokio::test(start_paused = true)]
async fn regions_do_not_share_a_pool() {
    let pools = Pools::new()
        .with_max_in_flight(1)
        .with_max_waiting(0)
        .with_home_region("us-east-1");
    let service = over(&pools, steady(secs(10)));
    let _first = tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;

    let mut at_home = request();
    at_home.context_mut().route.region = None;
    let error = service.clone().oneshot(at_home).await.unwrap_err();
    assert_eq!(PoolSaturated::of(&error).unwrap().key(), &key());
    let mut elsewhere = request();
    elsewhere.context_mut().route.region = Some("eu-west-1".into());
    service.oneshot(elsewhere).await.unwrap();
    assert_eq!(pools.snapshot().len(), 2);
}

/// Calls share a pool by whatever key they are given, hundreds of them too.
#[tokio::test(start_paused = true)]
async fn any_key_will_do() {
    let pools = Pools::new().with_max_in_flight(1).with_max_waiting(0);
    let pools = pools.with_key(|call| PoolKey::named(call.tenant.as_deref().unwrap_or("nobody")));
    let service = over(&pools, steady(secs(10)));
    for tenant in 0..300 {
        let request = request().with_tenant(tenant.to_string());
        tokio::spawn(service.clone().oneshot(request));
    }
    settle_tasks().await;
    assert_eq!(pools.snapshot().len(), 300);
    for tenant in ["0", "7", "8", "299"] {
        let error = service.clone().oneshot(request().with_tenant(tenant)).await;
        assert_eq!(reason(&error.unwrap_err()), SaturatedReason::QueueFull);
    }
}

/// Pools that nobody uses are forgotten when there are too many of them.
#[tokio::test(start_paused = true)]
async fn idle_pools_are_forgotten() {
    let pools = Pools::new().with_key(|call| PoolKey::named(call.tenant.as_deref().unwrap_or("")));
    let service = over(&pools, steady(Duration::ZERO));
    for tenant in 0..5000 {
        let request = request().with_tenant(tenant.to_string());
        service.clone().oneshot(request).await.unwrap();
    }
    let known = pools.snapshot().len();
    assert!(known < 1100, "{known} pools");
}

/// A limit that was set by hand is kept, however many other pools come and go.
#[tokio::test(start_paused = true)]
async fn limits_set_by_hand_are_kept() {
    let pools = Pools::new().with_key(|call| PoolKey::named(call.tenant.as_deref().unwrap_or("")));
    let service = over(&pools, steady(Duration::ZERO));
    let by_hand = PoolKey::named("by hand");
    for tenant in 0..5000 {
        if tenant == 500 {
            pools.set_limit(&by_hand, 7);
        }
        let request = request().with_tenant(tenant.to_string());
        service.clone().oneshot(request).await.unwrap();
    }
    let kept = pools
        .snapshot()
        .into_iter()
        .find(|pool| pool.key == by_hand);
    assert_eq!(kept.map(|pool| pool.limit), Some(7));
}

/// A pool that is made larger lets at once those go who fit; one that is made smaller takes no place
/// away.
#[tokio::test(start_paused = true)]
async fn a_pool_can_be_resized() {
    let pools = Pools::new().with_max_in_flight(1);
    let service = over(&pools, steady(secs(10)));
    for _ in 0..5 {
        tokio::spawn(service.clone().oneshot(request()));
    }
    settle_tasks().await;
    let state = || {
        let PoolSnapshot {
            in_flight, waiting, ..
        } = snapshot(&pools);
        (in_flight, waiting)
    };
    assert_eq!(state(), (1, 4));
    pools.set_limit(&key(), 3);
    assert_eq!(state(), (3, 2));
    settle_tasks().await;
    pools.set_limit(&key(), 1);
    assert_eq!(state(), (3, 2));
    sleep(secs(11)).await;
    assert_eq!(state(), (1, 1));
    pools.set_limit(&key(), 0);
    sleep(secs(11)).await;
    assert_eq!(state(), (0, 1));
}

/// Whoever picks routes hears that a pool is full only where a call would be refused.
#[tokio::test(start_paused = true)]
async fn a_pool_tells_when_it_is_full() {
    let pools = Pools::new().with_max_in_flight(1).with_max_waiting(1);
    let service = over(&pools, steady(secs(10)));
    let ask = |call: &CallContext| pools.ask(call, &call.route, Instant::now());
    let mut impatient = call();
    impatient.max_wait = Some(Duration::ZERO);
    let full = Passage::Closed {
        cause: Cause::PoolSaturated,
        retry_in: None,
    };
    assert_eq!(
        (ask(&call()), ask(&impatient)),
        (Passage::Open, Passage::Open)
    );
    tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;
    assert_eq!((ask(&call()), ask(&impatient)), (Passage::Open, full));
    tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;
    assert_eq!((ask(&call()), ask(&impatient)), (full, full));
    sleep(secs(30)).await;
    assert_eq!(
        (ask(&call()), ask(&impatient)),
        (Passage::Open, Passage::Open)
    );
}

/// Pools are open everywhere while each has a place that is free at once, whatever was set and
/// forgotten meanwhile.
#[tokio::test(start_paused = true)]
async fn pools_know_when_none_is_full() {
    let pools = Pools::new().with_max_in_flight(1);
    let service = over(&pools, steady(secs(10)));
    let is_open = || pools.is_open_everywhere(&call());
    assert!(is_open());
    tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;
    assert!(!is_open());
    pools.set_limit(&key(), 3);
    assert!(is_open());
    pools.set_limit(&key(), 1);
    assert!(!is_open());
    assert!(Pools::is_open_everywhere(
        &pools.clone().with_max_waiting(1),
        &call()
    ));
    sleep(secs(11)).await;
    assert!(is_open());

    let shut = Pools::new().with_max_in_flight(0);
    assert!(shut.is_open_everywhere(&call()), "there is none yet");
    for number in 0..3000 {
        shut.set_limit(&PoolKey::named(number.to_string()), 0);
    }
    assert!(!shut.is_open_everywhere(&call()));
    for pool in shut.snapshot() {
        shut.set_limit(&pool.key, 1);
    }
    assert!(shut.is_open_everywhere(&call()));
}

/// Every wait and every refusal is told, with how long it took.
#[tokio::test(start_paused = true)]
async fn waits_and_refusals_are_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let pools = Pools::new().with_max_in_flight(1).with_max_waiting(1);
    let pools = pools.on_event(move |event| {
        heard.lock().unwrap().push(match event {
            PoolEvent::Waited { waited, .. } => format!("waited {}", waited.as_secs()),
            PoolEvent::Refused { refusal, .. } => format!("refused {:?}", refusal.reason()),
            PoolEvent::LimitChanged { .. } => "changed".to_owned(),
        });
    });
    let service = over(&pools, steady(secs(10)));
    let send = || service.clone().oneshot(request());
    let (first, second, third) = tokio::join!(send(), send(), send());
    assert!(first.is_ok() && second.is_ok() && third.is_err());
    assert_eq!(*told.lock().unwrap(), ["refused QueueFull", "waited 10"]);
}

/// It works under a buffer and in a box as everywhere else in Tower.
#[tokio::test(start_paused = true)]
async fn it_works_buffered_and_boxed() {
    let pools = Pools::new().with_max_in_flight(1);
    let boxed = BoxCloneSyncService::new(over(&pools, steady(secs(1))));
    let (buffer, worker) = Buffer::pair(boxed, 8);
    tokio::spawn(worker);
    let send = || buffer.clone().oneshot(request());
    let (first, second) = tokio::join!(send(), send());
    assert!(first.is_ok() && second.is_ok());
}

/// A message for people names the pool and what is full, and nothing of the call.
#[test]
fn a_refusal_says_what_is_full() {
    let refusal = PoolSaturated {
        key: key(),
        limit: 50,
        in_flight: 50,
        waiting: 1000,
        reason: SaturatedReason::QueueFull,
    };
    assert_eq!(
        refusal.to_string(),
        "the pool @us-east-1 is full: 50 of 50 calls in flight, 1000 waiting; no more may wait"
    );
    assert_eq!(
        PoolKey::route(&call().route).to_string(),
        "/us.amazon.nova-lite-v1:0@us-east-1"
    );
    assert_eq!(PoolKey::default().to_string(), "-");
}

/// A call that has a place has it, and goes, when it is made. If nobody ever polls it, dropping it frees
/// the place all the same.
#[tokio::test(start_paused = true)]
async fn a_call_with_a_place_goes_at_once() {
    let pools = Pools::new();
    let calls = Arc::new(Mutex::new(0));
    let inner = {
        let calls = Arc::clone(&calls);
        service_fn(move |_: Request<()>| {
            *calls.lock().unwrap() += 1;
            async { Ok::<_, Error>(answer()) }
        })
    };
    let mut service = over(&pools, inner);
    let never_polled = service.ready().await.unwrap().call(request());
    assert_eq!((*calls.lock().unwrap(), snapshot(&pools).in_flight), (1, 1));
    drop(never_polled);
    assert_eq!(snapshot(&pools).in_flight, 0);
}

/// A call that stands in line keeps nothing that the inner service has handed out: whoever has a place
/// may need it to be answered.
#[tokio::test(start_paused = true)]
async fn a_call_in_line_keeps_nothing_of_the_inner_service() {
    let pools = Pools::new().with_max_in_flight(1);
    let one_at_a_time = ConcurrencyLimitLayer::new(1).layer(steady(secs(1)));
    let mut service = over(&pools, one_at_a_time.clone());
    let mut others = over(&pools, one_at_a_time);
    let place = pools.of_call(&call()).take().ok();
    let in_line = service.ready().await.unwrap().call(request());
    assert!(others.get_mut().ready().now_or_never().is_some());
    drop((place, others));
    in_line.await.unwrap();
}
