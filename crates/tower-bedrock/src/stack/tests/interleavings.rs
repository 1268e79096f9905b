//! Callers of one stack on several threads, in many orders (`cargo xtask loom`).
//!
//! All layers are there, with the model checker's locks in them. The service is one that answers, fails
//! and dawdles by turns; a thread of its own lets the time go on.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    task::Poll,
};

use tower::{Layer, ServiceExt};

use super::*;
use crate::{
    CircuitEvent, CircuitPolicy, CircuitState, PoolEvent, PoolKey, Pools, RetryBudget, RetryEvent,
    Rung, TokenBudgetEvent, TokenBudgetLayer,
    interleavings::{advance, block_on, check, thread},
};

const CALLERS: u32 = 4;
const CALLS: u32 = 2;
const PLACES: usize = 1;
const HOLDS: u64 = 200;
const QUOTA: u64 = 3 * HOLDS;
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(500);

/// What happened in all runs together: a model in which nothing happens shows nothing.
static ANSWERED: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);
static RETRIED: AtomicUsize = AtomicUsize::new(0);
static OPENED: AtomicUsize = AtomicUsize::new(0);
static WAITED_FOR_PLACES: AtomicUsize = AtomicUsize::new(0);
static WAITED_FOR_TOKENS: AtomicUsize = AtomicUsize::new(0);

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Fails, dawdles and answers by turns, until it is well.
#[derive(Clone, Default)]
struct Moody {
    turn: Arc<AtomicU32>,
    in_flight: Arc<AtomicUsize>,
    is_well: Arc<AtomicU32>,
}

struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets others go on, once.
async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Moody {
    async fn answer(self, request: Request<()>) -> Result<Response<()>, Error> {
        let is_home = request.context().route.region.as_ref() == Some(&Region::new(HOME));
        let others = self.in_flight.fetch_add(1, Ordering::SeqCst);
        let _in_flight = InFlight(Arc::clone(&self.in_flight));
        // Two regions have a pool each.
        assert!(others < 2 * PLACES, "{others} others in flight");
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        give_way().await;
        let usage = Usage {
            input: 100,
            output: 10,
            ..Usage::default()
        };
        let answered = Ok(Response::new((), Served::default(), Some(usage)));
        if self.is_well.load(Ordering::SeqCst) > 0 {
            return answered;
        }
        match turn % 5 {
            0 if is_home => Err(Error::new(Cause::Internal)),
            1 => {
                tokio::time::sleep(Duration::from_secs(3)).await;
                answered
            }
            2 => Err(Error::new(Cause::RequestRate)),
            3 => Err(Error::new(Cause::ServiceUnavailable)),
            _ => answered,
        }
    }
}

/// Makes a call, and drops it if it is not over when it was polled `polls` times.
fn call<S>(stack: &S, polls: usize)
where
    S: Service<Request<()>, Response = Response<()>, Error = Error> + Clone,
{
    let start = Instant::now();
    let call = stack.clone().oneshot(request().with_timeout(PATIENCE));
    let mut call = pin!(call);
    let mut left = polls;
    block_on(poll_fn(|cx| {
        if left == 0 {
            count(&DROPPED);
            return Poll::Ready(());
        }
        left -= 1;
        call.as_mut().poll(cx).map(|result| match result {
            Ok(_) => count(&ANSWERED),
            Err(_) => count(&FAILED),
        })
    }));
    let took = start.elapsed();
    // Polled by its deadline it is told so; the clock may be some steps ahead of who is woken.
    assert!(took <= PATIENCE * 2, "{took:?}");
}

/// Callers who come and go at once on a sick service: never are more in flight than there are places, nor
/// more tokens drawn than the quota has; every call ends; and when all are gone nothing is held, nobody
/// waits, no probe has a place. When the service is well again, calls are answered.
#[test]
fn nothing_is_lost_between_the_layers() {
    check(|| {
        let budget = RetryBudget::with_costs(40, 10, 5);
        let policy = CircuitPolicy::new()
            .with_min_calls(2)
            .with_consecutive_failures(2)
            .with_cooldown(STEP, STEP)
            .with_probes(1)
            .with_successes_to_close(1);
        let breakers = CircuitBreakers::new()
            .with_home_region(HOME)
            .with_jitter(Jitter::seeded(7))
            .with_policy(policy)
            .expect("it can be meant")
            .on_event(|event| {
                if let CircuitEvent::Changed { transition } = event
                    && transition.to == CircuitState::Open
                {
                    count(&OPENED);
                }
            });
        let second = FallbackLayer::new(Ladder::new().then(Rung::in_region(SECOND)));
        let layer = StackLayer::builder(HOME)
            .fallback(second.expect("a ladder"))
            .retry(
                RetryLayer::new()
                    .with_budget(budget.clone())
                    .with_jitter(Jitter::seeded(7))
                    .on_event(|event| {
                        if let RetryEvent::Retrying { .. } = event {
                            count(&RETRIED);
                        }
                    }),
            )
            .circuit_breaker(breakers)
            .pool(
                Pools::new()
                    .with_home_region(HOME)
                    .with_max_in_flight(PLACES)
                    .on_event(|event| {
                        if let PoolEvent::Waited { .. } = event {
                            count(&WAITED_FOR_PLACES);
                        }
                    }),
            )
            .token_budget(
                TokenBudgetLayer::new(Quotas::new().with_home_region(HOME)).on_event(|event| {
                    if let TokenBudgetEvent::Waited { .. } = event {
                        count(&WAITED_FOR_TOKENS);
                    }
                }),
            )
            .quota(
                route(),
                Quota::new()
                    .with_tokens_per_minute(QUOTA)
                    .without_learning(),
            )
            .build_layer()
            .expect("it can be meant");
        let moody = Moody::default();
        let service = moody.clone();
        let stack = layer.layer(tower::service_fn(move |request| {
            service.clone().answer(request)
        }));
        let (quotas, pools) = (
            layer.quotas().expect("quotas"),
            layer.pools().expect("pools"),
        );

        let callers = Arc::new(AtomicU32::new(CALLERS));
        let threads: Vec<_> = (0..CALLERS)
            .map(|number| {
                let (stack, callers) = (stack.clone(), Arc::clone(&callers));
                thread::spawn(move || {
                    for turn in 0..CALLS {
                        // Some are dropped after a few polls.
                        let leaves = (number + turn) % 3 == 2;
                        call(
                            &stack,
                            if leaves {
                                1 + number as usize
                            } else {
                                usize::MAX
                            },
                        );
                    }
                    callers.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        while callers.load(Ordering::SeqCst) > 0 {
            let home = quotas.snapshot_of(&route());
            assert!(home.tokens_used <= QUOTA, "{home:?}");
            for region in [HOME, SECOND] {
                assert!(pools.snapshot_of(&PoolKey::region(region)).in_flight <= PLACES);
            }
            assert!(budget.available() <= budget.capacity());
            advance(STEP);
            thread::yield_now();
        }
        threads.into_iter().for_each(|one| one.join().unwrap());

        for snapshot in quotas.snapshot() {
            assert_eq!(
                (snapshot.tokens_held, snapshot.waiting),
                (0, 0),
                "{snapshot:?}"
            );
        }
        for snapshot in pools.snapshot() {
            assert_eq!(
                (snapshot.in_flight, snapshot.waiting),
                (0, 0),
                "{snapshot:?}"
            );
        }
        for snapshot in layer.breakers().expect("circuits").snapshot() {
            assert_eq!(snapshot.probes, 0, "{snapshot:?}");
        }
        assert_eq!(moody.in_flight.load(Ordering::SeqCst), 0);

        moody.is_well.store(1, Ordering::SeqCst);
        advance(Duration::from_secs(120));
        let answered = block_on(stack.oneshot(request()));
        answered.map(drop).expect("all is well again");
    });
    for (what, counter) in [
        ("answered", &ANSWERED),
        ("failed", &FAILED),
        ("dropped", &DROPPED),
        ("retried", &RETRIED),
        ("opened", &OPENED),
        ("waited for a place", &WAITED_FOR_PLACES),
        ("waited for tokens", &WAITED_FOR_TOKENS),
    ] {
        let times = counter.load(Ordering::Relaxed);
        println!("{times} {what}");
        assert!(times > 0, "none {what}");
    }
}
