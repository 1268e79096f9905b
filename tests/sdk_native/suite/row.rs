//! A row of the table, and the two runs of it.

use std::time::Duration;

use aws_sdk_bedrockruntime::config::{Builder, StalledStreamProtectionConfig, retry::RetryConfig};
use bedrock_sim::{FaultSpec, Scenario, ScenarioBuilder, SimService};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_bedrock_tests::{in_process, scenario};

use super::{
    call::Call,
    face::{Face, MakeFace},
    outcome::{Outcome, Told},
    rig::MakeRig,
};

/// Changes the SDK's configuration.
pub(crate) type Configure = fn(Builder) -> Builder;

/// Longer than any row takes.
const FOR_EVER: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A scenario, and what is asked in it.
pub(crate) struct Row {
    scenario: Scenario,
    rig: MakeRig,
    config: Configure,
    calls: Vec<Call>,
    /// When each call is made; all at once if zero, one after the other if `None`.
    apart: Option<Duration>,
}

impl Row {
    /// A call of the usual model to a service that does what `scenario` says, through the layers of
    /// `rig`, which is made anew for each face.
    pub(crate) fn new(scenario: ScenarioBuilder, rig: MakeRig) -> Self {
        Self {
            scenario: scenario.build().expect("a valid scenario"),
            rig,
            config: |config| config,
            calls: vec![Call::converse()],
            apart: None,
        }
    }

    /// The usual model meets `fault`.
    pub(crate) fn faulty(fault: FaultSpec, rig: MakeRig) -> Self {
        Self::new(scenario().fault(fault), rig)
    }

    /// Asks this, one after the other.
    pub(crate) fn calls(mut self, calls: impl IntoIterator<Item = Call>) -> Self {
        self.calls = calls.into_iter().collect();
        self
    }

    /// Makes the calls so far apart, whatever becomes of those before.
    pub(crate) fn apart(mut self, by: Duration) -> Self {
        self.apart = Some(by);
        self
    }

    /// Changes the SDK's configuration.
    pub(crate) fn config(mut self, config: Configure) -> Self {
        self.config = config;
        self
    }

    /// Runs the row on both faces, which must come to the same.
    pub(crate) async fn outcome(self) -> Outcome {
        let tower = self.run(Face::tower).await;
        let fluent = self.run(Face::fluent).await;
        // One after the other, so that what differs first is what is shown.
        for (number, (fluent, tower)) in fluent.told.iter().zip(&tower.told).enumerate() {
            assert_eq!(fluent, tower, "call {number}, fluent and tower");
        }
        assert_eq!(fluent.decisions, tower.decisions, "fluent and tower");
        assert_eq!(fluent.ledger, tower.ledger, "fluent and tower");
        assert_eq!(fluent.quotas, tower.quotas, "fluent and tower");
        assert_eq!(fluent.when, tower.when, "fluent and tower");
        assert_eq!(fluent.took, tower.took, "fluent and tower");
        // Whatever happened, nothing is under way any more.
        let totals = &fluent.ledger.totals;
        assert_eq!((totals.in_flight, totals.tokens_held), (0, 0), "{totals:?}");
        assert_eq!((fluent.in_pools, tower.in_pools), (0, 0));
        for quota in &fluent.quotas {
            let left = (quota.waiting, quota.tokens_held, quota.tokens_waiting);
            assert_eq!(left, (0, 0, 0), "{quota:?}");
        }
        fluent
    }

    async fn run(&self, face: MakeFace) -> Outcome {
        let sim = SimService::new(self.scenario.clone());
        let rig = (self.rig)();
        // Whatever the user asks of the SDK's own retries, they must not add to ours. A silent
        // service looks like a stalled upload under a paused clock.
        let config = in_process(&sim)
            .retry_config(RetryConfig::standard().with_max_attempts(5))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let face = face((self.config)(config), &rig);
        let start = Instant::now();
        let told = async {
            match self.apart {
                None => self.in_turn(&face).await,
                Some(by) => self.together(&face, by).await,
            }
        };
        // On a paused clock, what never ends does so at once.
        let told = timeout(FOR_EVER, told).await.expect("it never ends");
        let (told, when) = told.into_iter().unzip();
        let took = start.elapsed();
        let mut quotas = rig.quotas().snapshot();
        // They come in no order.
        quotas.sort_by_key(|quota| format!("{:?}", quota.key));
        Outcome {
            told,
            when,
            took,
            ledger: sim.ledger(),
            decisions: rig.decisions(),
            quotas,
            in_pools: rig.in_pools(),
        }
    }

    async fn in_turn(&self, face: &Face) -> Vec<(Told, Duration)> {
        let start = Instant::now();
        let mut told = Vec::new();
        for call in &self.calls {
            told.push((face.make(call).await, start.elapsed()));
        }
        told
    }

    async fn together(&self, face: &Face, apart: Duration) -> Vec<(Told, Duration)> {
        let start = Instant::now();
        let mut calls = JoinSet::new();
        for (at, call) in self.calls.iter().cloned().enumerate() {
            let face = face.clone();
            let when = apart * u32::try_from(at).expect("a few calls");
            calls.spawn(async move {
                sleep(when).await;
                (at, face.make(&call).await, start.elapsed())
            });
        }
        let mut told = calls.join_all().await;
        told.sort_by_key(|(at, ..)| *at);
        told.into_iter()
            .map(|(_, told, when)| (told, when))
            .collect()
    }
}
