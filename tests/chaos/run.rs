//! A plan carried out, and held against what must be true.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc, time::Duration};

use bedrock_sim::SimService;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tower_bedrock::{Cause, CircuitState, StackLayer};
use tower_bedrock_tests::{
    face::{Ask, Face, FaceKind, Failed, Finishes},
    gauges::Gauges,
    in_process,
};

use crate::{
    plan::{CHAOS, Caller, MAX_COOLDOWN, Plan},
    turn::Turn,
};

/// What tokio's timers round up to.
const TICK: Duration = Duration::from_millis(1);

/// How many calls see whether all is well again.
const AFTER: u64 = 30;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) violations: Vec<String>,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) gone: u64,
    pub(crate) requests: u64,
    pub(crate) retries: u64,
    pub(crate) opened: u64,
    pub(crate) moved: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) causes: BTreeMap<String, u64>,
}

/// How a call ended.
enum Ended {
    Answered,
    Failed(Failed),
    Gone,
}

struct Run {
    plan: Plan,
    sim: SimService,
    stack: StackLayer,
    face: Face,
    gauges: Gauges,
    finishes: Arc<Finishes>,
    report: Report,
}

pub(crate) async fn run(plan: Plan) -> Report {
    let sim = SimService::new(plan.scenario.clone());
    let stack = plan.stack().build_layer().expect("a sound stack");
    let face = Face::of(plan.kind, &stack, in_process(&sim));
    let mut run = Run {
        gauges: Gauges::of_layer(&stack).and_sim(&sim),
        finishes: Arc::default(),
        report: Report::default(),
        plan,
        sim,
        stack,
        face,
    };
    run.chaos().await;
    run.at_rest("after the last call");
    run.heal().await;
    run.at_rest("at the end");
    run.count();
    run.report
}

impl Run {
    fn expect(&mut self, is_right: bool, told: impl FnOnce() -> String) {
        // One that happens a thousand times is told a few times.
        if !is_right && self.report.violations.len() < 10 {
            self.report.violations.push(told());
        }
    }

    /// Everybody calls, everything fails, and somebody turns knobs.
    async fn chaos(&mut self) {
        let start = Instant::now();
        let mut calls = JoinSet::new();
        let callers = self.plan.callers.clone();
        let turns = std::mem::take(&mut self.plan.turns);
        let (mut next_caller, mut next_turn) = (0, 0);
        let mut next_look = Duration::ZERO;
        while start.elapsed() < CHAOS || !calls.is_empty() {
            let now = start.elapsed();
            while let Some(caller) = callers.get(next_caller)
                && caller.at <= now
            {
                calls.spawn(self.call(caller.clone()));
                next_caller += 1;
            }
            if let Some((at, turn)) = turns.get(next_turn)
                && *at <= now
            {
                turn.make(&self.plan, &self.stack).await;
                next_turn += 1;
            }
            if next_look <= now {
                self.look();
                next_look = now + Duration::from_millis(250);
            }
            while let Some(ended) = calls.try_join_next() {
                self.ended(ended);
            }
            let due = [
                callers.get(next_caller).map(|caller| caller.at),
                turns.get(next_turn).map(|turn| turn.0),
                Some(next_look),
            ];
            let due = due.into_iter().flatten().min().unwrap_or(next_look);
            sleep_until(start + due).await;
            if now > Duration::from_secs(3600) {
                let left = calls.len();
                self.expect(false, || format!("{left} calls are stuck"));
                calls.shutdown().await;
            }
        }
        self.plan.turns = turns;
    }

    /// A call, and whether it ended in time.
    fn call(
        &self,
        caller: Caller,
    ) -> impl Future<Output = (Caller, Duration, Ended)> + Send + use<> {
        let face = self.face.clone();
        let ask = Ask {
            finishes: Some(Arc::clone(&self.finishes)),
            ..caller.ask.clone()
        };
        async move {
            let start = Instant::now();
            let stays = caller.stays.unwrap_or(Duration::MAX);
            let ended = match timeout(stays, face.call(&ask)).await {
                Ok(Ok(_)) => Ended::Answered,
                Ok(Err(failed)) => Ended::Failed(failed),
                Err(_) => Ended::Gone,
            };
            (caller, start.elapsed(), ended)
        }
    }

    fn ended(&mut self, ended: Result<(Caller, Duration, Ended), tokio::task::JoinError>) {
        let (caller, took, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => return self.expect(false, || format!("a call panicked: {error}")),
        };
        let limit = caller.ask.timeout.unwrap_or_default() + self.plan.sleeps + TICK;
        // The caller's own time is nobody else's; an event that is there is given out all the same.
        let limit = limit + caller.ask.reads_for * 70;
        self.expect(took <= limit, || {
            format!("{caller:?} took {took:?}, which is after its deadline")
        });
        match ended {
            Ended::Answered => self.report.answered += 1,
            Ended::Gone => self.report.gone += 1,
            Ended::Failed(failed) => {
                self.report.failed += 1;
                let has_cause = match failed.cause {
                    Some(cause) => cause != Cause::Unknown,
                    None => failed.had_begun && self.plan.kind == FaceKind::Fluent,
                };
                let cause = format!("{:?}", failed.cause);
                *self.report.causes.entry(cause).or_default() += 1;
                self.expect(has_cause, || format!("no cause: {failed:?}"));
            }
        }
    }

    /// What must be true at any moment.
    fn look(&mut self) {
        let pools = self.stack.pools().expect("it has pools").snapshot();
        let in_flight: usize = pools.iter().map(|pool| pool.in_flight).sum();
        let sent = self.sim.ledger().totals.in_flight;
        self.expect(sent <= in_flight as u64, || {
            format!("{sent} calls are in flight on {in_flight} places")
        });
        let probes = self.plan.probes as usize;
        for circuit in self.stack.breakers().expect("it has circuits").snapshot() {
            self.expect(circuit.probes <= probes, || format!("{circuit:?}"));
        }
        let budget = self.stack.retry_budget().expect("it has a budget").clone();
        self.expect(budget.available() <= budget.capacity(), || {
            format!("{budget:?}")
        });
    }

    fn at_rest(&mut self, when: &str) {
        let held = self.gauges.held();
        self.expect(held.is_empty(), || format!("{when}, still held: {held:?}"));
        let finishes = self.finishes.violations();
        self.expect(finishes == 0, || {
            format!("{when}, {finishes} replies were not finished once")
        });
        let totals = self.sim.ledger().totals;
        let refused = totals.refused.requests_per_minute + totals.refused.tokens_per_minute;
        let is_foreseen = self.plan.knows_quotas && self.plan.is_charged_as_told;
        self.expect(refused == 0 || !is_foreseen, || {
            format!("{when}, known quotas were exceeded: {:?}", totals.refused)
        });
    }

    /// When all is over, all must be well.
    async fn heal(&mut self) {
        Turn::undo(&self.plan, &self.stack);
        let hour = Duration::from_secs(if self.plan.closes_the_day { 3600 } else { 0 });
        sleep(MAX_COOLDOWN + Duration::from_secs(61) + hour).await;
        let ask = |is_stream| Ask {
            is_stream,
            timeout: Some(Duration::from_secs(300)),
            ..Ask::default()
        };
        for call in 0..AFTER {
            let result = self.face.call(&ask(call % 2 == 1)).await;
            // The first may be those who find out.
            let is_early = call < AFTER / 2;
            if let Err(failed) = result {
                self.expect(is_early, || {
                    format!("call {call} after it failed: {failed:?}")
                });
            }
            sleep(Duration::from_secs(1)).await;
        }
        // A circuit that nobody asks does not find out.
        for circuit in self.stack.breakers().expect("it has circuits").snapshot() {
            let is_asked = circuit.route.region.as_ref().map(|region| region.as_str())
                == Some(crate::plan::REGIONS[0]);
            self.expect(!is_asked || circuit.state == CircuitState::Closed, || {
                format!("not closed: {circuit:?}")
            });
        }
    }

    fn count(&mut self) {
        let ledger = self.sim.ledger();
        self.report.requests = ledger.totals.requests;
        self.report.faults = ledger.faults;
        let calls = self.plan.callers.len() as u64 + AFTER;
        self.report.retries = self.report.requests.saturating_sub(calls);
        let breakers = self.stack.breakers().expect("it has circuits").snapshot();
        self.report.opened = breakers.iter().map(|circuit| circuit.generation).sum();
        let others = ledger
            .quotas
            .iter()
            .filter(|quota| quota.region != crate::plan::REGIONS[0]);
        self.report.moved = others.map(|quota| quota.counts.requests).sum();
    }
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.gone += other.gone;
        self.requests += other.requests;
        self.retries += other.retries;
        self.opened += other.opened;
        self.moved += other.moved;
        for (fault, times) in &other.faults {
            *self.faults.entry(fault).or_default() += times;
        }
        for (cause, times) in &other.causes {
            *self.causes.entry(cause.clone()).or_default() += times;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls answered, {} failed, {} dropped; {} requests, at least {} of them made again, \
             {} in other regions; {} turns of circuits; faults {:?}; causes {:?}",
            self.answered,
            self.failed,
            self.gone,
            self.requests,
            self.retries,
            self.moved,
            self.opened,
            self.faults,
            self.causes,
        )
    }
}
