//! One model in one region, called by the millisecond.

use std::time::Duration;

use crate::{
    Admission, Admitted, Call, Counts, Engine, FaultSpec, Finish, ModelHandle, ModelSpec,
    Operation, QuotaOptions, Refusal, Scenario,
};

pub(super) const MODEL: &str = "amazon.nova-lite-v1:0";
pub(super) const REGION: &str = "us-east-1";
pub(super) const MINUTE: u64 = 60_000;
pub(super) const DAY: u64 = 24 * 60 * MINUTE;

pub(super) struct Sim {
    pub(super) engine: Engine,
    pub(super) model: ModelHandle,
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A model whose holds are settled one to one, without limits.
pub(super) fn plain() -> ModelSpec {
    ModelSpec::new(MODEL).burndown(1).output_tokens(0)
}

impl Sim {
    pub(super) fn new(spec: ModelSpec) -> Self {
        Self::with(spec, QuotaOptions::new(), [])
    }

    pub(super) fn with(
        spec: ModelSpec,
        options: QuotaOptions,
        faults: impl IntoIterator<Item = FaultSpec>,
    ) -> Self {
        let scenario = Scenario::builder().seed(7).quota(options).model(spec);
        let scenario = faults
            .into_iter()
            .fold(scenario, |all, fault| all.fault(fault));
        let engine = Engine::new(scenario.build().unwrap());
        let id = engine.scenario().models()[0].id.clone();
        let model = engine.resolve(REGION, &id).unwrap();
        Self { engine, model }
    }

    /// A call of that many input tokens and no output.
    pub(super) fn call(&self, input_tokens: u64) -> Call {
        Call::new(self.model, Operation::Converse, input_tokens).max_tokens(0)
    }

    pub(super) fn admit(&mut self, at_ms: u64, call: &Call) -> Result<Admitted, Refusal> {
        match self.engine.admit(ms(at_ms), call) {
            Admission::Admitted(admitted) => Ok(admitted),
            Admission::Refused(refusal) => Err(refusal),
            other => panic!("neither admitted nor refused: {other:?}"),
        }
    }

    /// Admits and finishes at once, with what the engine says the output is.
    pub(super) fn serve(&mut self, at_ms: u64, call: &Call) -> bool {
        self.admit(at_ms, call)
            .map(|admitted| self.complete(at_ms, admitted))
            .is_ok()
    }

    pub(super) fn complete(&mut self, at_ms: u64, admitted: Admitted) {
        let output_tokens = admitted.output_tokens;
        self.finish(at_ms, admitted, Finish::Complete { output_tokens });
    }

    pub(super) fn finish(&mut self, at_ms: u64, admitted: Admitted, finish: Finish) {
        self.engine.finish(ms(at_ms), admitted.ticket, finish);
    }

    pub(super) fn counts(&self) -> Counts {
        self.engine.ledger(Duration::ZERO).quotas[0].counts
    }
}
