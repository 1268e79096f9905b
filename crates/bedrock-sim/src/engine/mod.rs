//! The service's decisions: admission, quotas, capacity, faults. No clock, no IO.

mod call;
mod error_text;
mod exception;
mod index;
mod lane;
mod ledger;
mod meter;
mod outcome;
mod quota;
mod script;
#[cfg(test)]
mod tests;

use std::{ops::ControlFlow, time::Duration};

pub use call::{
    Admission, Admitted, Call, Finish, ModelHandle, Operation, Refusal, RetryAfterHint,
    StreamFault, Ticket,
};
pub use error_text::ErrorText;
pub use exception::Exception;
pub use ledger::{Counts, Ledger, QuotaLedger, Refused};

use index::Index;
use lane::{Hold, Lane};
use outcome::Change;
use script::{Scripts, Whereto};

#[cfg(doc)]
use crate::QuotaOptions;
use crate::{FaultSpec, ModelSpec, Scenario, ScenarioError};

/// A simulated Bedrock, without clock and without IO.
///
/// It is told of every request and its end, at a time that its caller names, and decides what
/// becomes of it. From the same scenario, the same calls at the same times get the same decisions;
/// another version of this crate may draw other numbers from the same seed.
///
/// # Quotas
///
/// Each account × source region × path × base model has its own ([`QuotaLedger`] names them). A
/// call is held to what it may use at most, input, cache and `maxTokens`, and settled at its end to
/// what it did use, input, cache writes and output times the burndown rate (BEDROCK.md §3.2). A
/// refused call draws nothing. What is disputed of this is a setting: [`QuotaOptions`].
///
/// # Time
///
/// `now` is the time since the engine started, or since its last [`reset`](Self::reset). It may
/// stand still; if it goes back, it is taken to stand still.
///
/// # Example
///
/// ```
/// use std::{ops::ControlFlow, time::Duration};
/// use bedrock_sim::{Admission, Call, Engine, Finish, ModelSpec, Operation, Scenario};
///
/// let model = ModelSpec::new("amazon.nova-lite-v1:0").rpm(1);
/// let mut engine = Engine::new(Scenario::builder().model(model).build()?);
/// let lite = engine.resolve("us-east-1", "amazon.nova-lite-v1:0").unwrap();
/// let call = Call::new(lite, Operation::Converse, 12).max_tokens(100);
///
/// let Admission::Admitted(answer) = engine.admit(Duration::ZERO, &call) else { panic!() };
/// let finish = Finish::Complete { output_tokens: answer.output_tokens };
/// engine.finish(answer.last_token_after(), answer.ticket, finish);
///
/// let Admission::Refused(refusal) = engine.admit(Duration::from_secs(1), &call) else { panic!() };
/// assert_eq!(refusal.exception.code(), "ThrottlingException");
/// # Ok::<(), bedrock_sim::ScenarioError>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    scenario: Scenario,
    index: Index,
    state: State,
    /// The number of the next fault that is begun by hand. Goes on over a reset, too.
    next_fault: u64,
    /// The number of the next ticket. Goes on over a reset, so that old tickets stay known as such.
    next_serial: u64,
}

/// What a reset starts anew.
#[derive(Debug)]
struct State {
    now: u64,
    lanes: Vec<Lane>,
    scripts: Scripts,
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    /// Requests that went to no model.
    elsewhere: Counts,
}

/// A call that was admitted and is not finished.
#[derive(Debug)]
struct Flight {
    serial: u64,
    lane: Option<usize>,
    /// `None` for an operation that draws on no quota.
    hold: Option<Hold>,
}

/// A fault that was [begun by hand](Engine::begin_fault).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

/// The whole nanoseconds of a duration; more than 584 years count as that.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl State {
    fn lanes(scenario: &Scenario) -> Vec<Lane> {
        let models = scenario.models().iter().enumerate();
        models
            .flat_map(|(spec, model)| scenario.regions_of(model).map(move |region| (spec, region)))
            .enumerate()
            .map(|(number, (spec, region))| Lane::new(scenario, spec, region, number))
            .collect()
    }

    fn new(scenario: &Scenario, lanes: Vec<Lane>) -> Self {
        Self {
            now: 0,
            scripts: Scripts::new(scenario, &lanes),
            lanes,
            flights: Vec::new(),
            free: Vec::new(),
            elsewhere: Counts::default(),
        }
    }

    fn advance(&mut self, now: Duration) -> u64 {
        self.now = self.now.max(nanos(now));
        self.now
    }

    fn take_off(&mut self, flight: Flight) -> Ticket {
        let serial = flight.serial;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.flights[slot] = Some(flight);
                slot
            }
            None => {
                self.flights.push(Some(flight));
                self.flights.len() - 1
            }
        };
        Ticket { slot, serial }
    }

    fn land(&mut self, Ticket { slot, serial }: Ticket) -> Option<Flight> {
        let flight = self
            .flights
            .get_mut(slot)?
            .take_if(|flight| flight.serial == serial)?;
        self.free.push(slot);
        Some(flight)
    }
}

impl Engine {
    /// An engine at its start: all quotas full, nothing in flight.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let lanes = State::lanes(&scenario);
        Self {
            index: Index::new(&scenario, &lanes),
            state: State::new(&scenario, lanes),
            scenario,
            next_fault: 0,
            next_serial: 0,
        }
    }

    /// Begins a fault that the scenario does not have, before all others. It lasts until it is
    /// [ended](Self::end_fault), its own `until` or `count` is reached, or the engine is
    /// [reset](Self::reset); its times are since the start of the engine, like those of the scenario.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] when it cannot be: a model or a region that is not there, a probability
    /// of two.
    pub fn begin_fault(&mut self, fault: &FaultSpec) -> Result<FaultId, ScenarioError> {
        self.scenario.check_fault(fault)?;
        let id = FaultId(self.next_fault);
        self.next_fault += 1;
        let State { scripts, lanes, .. } = &mut self.state;
        scripts.begin(id, fault, &self.scenario, lanes);
        Ok(id)
    }

    /// Ends a fault that was begun by hand. Whether it was there still; what it has befallen already
    /// stays befallen.
    pub fn end_fault(&mut self, fault: FaultId) -> bool {
        self.state.scripts.end(fault)
    }

    /// Starts anew, at time zero: with the scenario's own faults, all unspent. Tickets from before are
    /// forgotten: to finish one changes nothing.
    pub fn reset(&mut self) {
        self.state = State::new(&self.scenario, State::lanes(&self.scenario));
    }

    /// The scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Finds the model that an id names in a region.
    ///
    /// # Errors
    ///
    /// The service's answer to an id that names nothing there, or a model that can only be called
    /// through an inference profile (BEDROCK.md §2.1 #17, #18).
    pub fn resolve(&self, region: &str, model_id: &str) -> Result<ModelHandle, Refusal> {
        self.index
            .find(region, model_id)
            .map_err(|text| Refusal::known(text, model_id, 0))
    }

    /// The model behind a handle; `None` for a handle of another engine.
    #[must_use]
    pub fn spec(&self, model: ModelHandle) -> Option<&ModelSpec> {
        let lane = self.state.lanes.get(model.0 as usize)?;
        self.scenario.models().get(lane.spec)
    }

    /// Decides what becomes of a call: fault scripts first, then what the model can take at all,
    /// then requests per minute, tokens per day and per minute, and at last capacity.
    pub fn admit(&mut self, now: Duration, call: &Call) -> Admission {
        let now = self.state.advance(now);
        let number = call.model.0 as usize;
        let Some(lane) = self.state.lanes.get_mut(number) else {
            return Admission::Refused(Refusal::known(ErrorText::UnknownModel, "", 0));
        };
        let spec = &self.scenario.models()[lane.spec];
        lane.counts.requests += 1;

        let whereto = Whereto {
            lane: Some(number),
            region: &lane.region,
            operation: call.operation,
        };
        let fault = self.state.scripts.befall(now, whereto);
        let change = match outcome::of_fault(fault, Some(spec)) {
            ControlFlow::Continue(change) => change,
            ControlFlow::Break(end) => {
                lane.counts.refused.fault += 1;
                return end;
            }
        };
        if !call.operation.generates() {
            lane.counts.admitted += 1;
            lane.counts.in_flight += 1;
            return self.take_off(Some(number), None, change, None);
        }
        if let Some(text) = outcome::of_limits(call, spec) {
            lane.counts.refused.validation += 1;
            return Admission::Refused(Refusal::known(text, &spec.id, lane.max_output));
        }
        match lane.admit(now, call, spec, self.scenario.quota()) {
            Ok(hold) => {
                lane.counts.admitted += 1;
                lane.counts.in_flight += 1;
                let answer = lane.answer(call, spec);
                self.take_off(Some(number), Some(hold), change, Some(answer))
            }
            Err(cause) => {
                lane.counts.refused.count(cause);
                let text = outcome::of_cause(cause, spec.when_full);
                Admission::Refused(Refusal::known(text, &spec.id, lane.max_output))
            }
        }
    }

    /// Decides what becomes of a request that names no model, such as `ApplyGuardrail`. Only fault
    /// scripts without a model can befall it.
    pub fn admit_without_model(
        &mut self,
        now: Duration,
        region: &str,
        operation: Operation,
    ) -> Admission {
        let now = self.state.advance(now);
        let state = &mut self.state;
        state.elsewhere.requests += 1;
        let whereto = Whereto {
            lane: None,
            region,
            operation,
        };
        let fault = state.scripts.befall(now, whereto);
        let change = match outcome::of_fault(fault, None) {
            ControlFlow::Continue(change) => change,
            ControlFlow::Break(end) => {
                state.elsewhere.refused.fault += 1;
                return end;
            }
        };
        state.elsewhere.admitted += 1;
        state.elsewhere.in_flight += 1;
        self.take_off(None, None, change, None)
    }

    /// Counts a request that was refused before it came to [`admit`](Self::admit): one that cannot
    /// be read, or whose model [`resolve`](Self::resolve) does not know.
    pub fn refuse_invalid(&mut self, model: Option<ModelHandle>) {
        let lane = model.and_then(|model| self.state.lanes.get_mut(model.0 as usize));
        let counts = lane.map_or(&mut self.state.elsewhere, |lane| &mut lane.counts);
        counts.requests += 1;
        counts.refused.validation += 1;
    }

    /// Decides what becomes of a request that is known to be invalid. Where the service is gone, or
    /// the connection breaks before the headers, that is what its caller hears; else nothing, and
    /// it counts as by [`refuse_invalid`](Self::refuse_invalid). Other faults do not see it.
    ///
    /// `region` is the one that is called, in which the model is.
    pub fn admit_invalid(
        &mut self,
        now: Duration,
        region: &str,
        model: Option<ModelHandle>,
        operation: Operation,
    ) -> Option<Admission> {
        let now = self.state.advance(now);
        let number = model.map(|model| model.0 as usize);
        let whereto = Whereto {
            lane: number,
            region,
            operation,
        };
        let fault = self.state.scripts.befall_unread(now, whereto);
        let ControlFlow::Break(end) = outcome::of_fault(fault, None) else {
            self.refuse_invalid(model);
            return None;
        };
        let lane = number.and_then(|number| self.state.lanes.get_mut(number));
        let counts = lane.map_or(&mut self.state.elsewhere, |lane| &mut lane.counts);
        counts.requests += 1;
        counts.refused.fault += 1;
        Some(end)
    }

    /// Ends an admitted call: frees its slot and replaces its hold by what it used.
    pub fn finish(&mut self, now: Duration, ticket: Ticket, finish: Finish) {
        let now = self.state.advance(now);
        let Some(flight) = self.state.land(ticket) else {
            return;
        };
        let lane = flight.lane.and_then(|lane| self.state.lanes.get_mut(lane));
        let counts = match lane {
            None => &mut self.state.elsewhere,
            Some(lane) => {
                if let Some(hold) = &flight.hold {
                    lane.settle(now, hold, finish);
                }
                &mut lane.counts
            }
        };
        counts.in_flight -= 1;
        match finish {
            Finish::Complete { .. } => counts.completed += 1,
            Finish::Failed { .. } => counts.failed += 1,
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn ledger(&self, now: Duration) -> Ledger {
        let lanes = self.state.lanes.iter();
        let quotas = lanes
            .map(|lane| lane.ledger(self.scenario.account(), &self.scenario.models()[lane.spec]))
            .collect();
        Ledger::new(
            now.max(Duration::from_nanos(self.state.now)),
            quotas,
            self.state.elsewhere,
            self.state.scripts.fired().clone(),
        )
    }

    fn take_off(
        &mut self,
        lane: Option<usize>,
        hold: Option<Hold>,
        change: Change,
        answer: Option<lane::Answer>,
    ) -> Admission {
        let serial = self.next_serial;
        self.next_serial += 1;
        let ticket = self.state.take_off(Flight { serial, lane, hold });
        let answer = answer.unwrap_or(lane::Answer::NONE);
        Admission::Admitted(Admitted {
            ticket,
            output_tokens: answer.output_tokens,
            hit_max_tokens: answer.hit_max_tokens,
            first_token_after: answer.first_token_after.saturating_add(change.delay),
            per_token: answer.per_token,
            stream_fault: change.stream,
        })
    }
}
