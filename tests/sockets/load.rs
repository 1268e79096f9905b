//! Callers who never rest.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bedrock_sim::Scenario;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_bedrock::{CircuitBreakers, CircuitPolicy, Pools, StackLayer};
use tower_bedrock_tests::{
    REGION, config,
    face::{Ask, Face, FaceKind},
    gauges::Gauges,
    model,
};

/// How long a caller waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much longer a call may take on a machine that is busy.
const SLACK: Duration = Duration::from_secs(10);

/// A service that takes a moment, and more for streams.
pub(crate) fn scenario() -> Scenario {
    let slow = model()
        .latency(Duration::from_millis(10))
        .tokens_per_second(400);
    let scenario = Scenario::builder().seed(7).model(slow).build();
    scenario.expect("a sound scenario")
}

/// A client of the service behind `url`, whose circuits are quick to open and to close.
pub(crate) fn client(kind: FaceKind, url: &str) -> (Face, StackLayer) {
    let quick = Duration::from_millis(50);
    let breakers = CircuitBreakers::new()
        .with_home_region(REGION)
        .with_policy(CircuitPolicy::new().with_cooldown(quick, quick))
        .expect("a sound policy");
    let stack = StackLayer::builder(REGION)
        .circuit_breaker(breakers)
        .pool(Pools::new().with_home_region(REGION).with_max_in_flight(8))
        .build_layer()
        .expect("a sound stack");
    (Face::of(kind, &stack, config(url)), stack)
}

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
    gone: AtomicU64,
    overdue: AtomicU64,
}

/// Callers who never rest until they are stopped.
pub(crate) struct Load {
    counts: Arc<Counts>,
    is_over: Arc<AtomicBool>,
    callers: Mutex<JoinSet<()>>,
    gauges: Mutex<Vec<Gauges>>,
}

impl Load {
    /// Twenty callers of each face.
    pub(crate) fn start(url: &str) -> Self {
        let counts = Arc::new(Counts::default());
        let is_over = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        let mut gauges = Vec::new();
        for kind in FaceKind::ALL {
            let (face, stack) = client(kind, url);
            gauges.push(Gauges::of_layer(&stack));
            for number in 0..20 {
                let (face, counts) = (face.clone(), Arc::clone(&counts));
                let is_over = Arc::clone(&is_over);
                callers.spawn(async move {
                    let mut call = number;
                    while !is_over.load(Ordering::Relaxed) {
                        counts.make(&face, call).await;
                        call += 7;
                    }
                });
            }
        }
        Self {
            counts,
            is_over,
            callers: Mutex::new(callers),
            gauges: Mutex::new(gauges),
        }
    }

    /// Waits for the callers to end, and lets go of their clients.
    pub(crate) async fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        let callers = std::mem::take(&mut *self.callers.lock().expect("nobody panics"));
        callers.join_all().await;
        let gauges = std::mem::take(&mut *self.gauges.lock().expect("nobody panics"));
        for gauges in gauges {
            gauges.assert_at_rest("after the last call");
        }
    }

    /// Waits until calls are answered, ten more than until now.
    ///
    /// # Panics
    ///
    /// If that takes half a minute.
    pub(crate) async fn is_answered(&self) {
        let wanted = self.answered() + 10;
        for _ in 0..600 {
            if self.answered() >= wanted {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("no call is answered any more: {self}");
    }

    fn answered(&self) -> u64 {
        self.counts.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn overdue(&self) -> u64 {
        self.counts.overdue.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// One call in some manner.
    async fn make(&self, face: &Face, number: u64) {
        let ask = Ask {
            is_stream: !number.is_multiple_of(3),
            timeout: Some(PATIENCE),
            leaves_after: (number % 5 == 1).then_some(2),
            reads_for: Duration::from_millis(if number % 11 == 4 { 20 } else { 0 }),
            ..Ask::default()
        };
        let stays = if number % 7 == 3 {
            Duration::from_millis(number % 40)
        } else {
            Duration::MAX
        };
        let start = Instant::now();
        let ended = timeout(stays, face.call(&ask)).await;
        let counted = match ended {
            Ok(Ok(_)) => &self.answered,
            Ok(Err(_)) => {
                // Nobody spins against a service that is gone.
                sleep(Duration::from_millis(5)).await;
                &self.failed
            }
            Err(_) => &self.gone,
        };
        counted.fetch_add(1, Ordering::Relaxed);
        if start.elapsed() > PATIENCE + SLACK {
            self.overdue.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gone = self.counts.gone.load(Ordering::Relaxed);
        write!(
            f,
            "{} calls answered, {} failed, {gone} dropped, {} overdue",
            self.answered(),
            self.failed(),
            self.overdue(),
        )
    }
}
