//! A failure as it was reported, and what becomes of it here.

use bedrock_sim::{FaultKind, FaultSpec, ModelSpec, Recording, Scenario, ScenarioBuilder};
use tower_bedrock::StreamLimits;
use tower_bedrock_tests::{CLAUDE, MODEL, REGION};

use crate::{
    outcome::{End, Reader},
    stack::{INPUT, MAX_OUTPUT},
};

/// A failure as it was reported, and what becomes of it here.
#[derive(Debug)]
pub(crate) struct Row {
    /// What goes wrong.
    pub(crate) name: &'static str,
    /// Who met it: `owner/repo#issue`, or `owner/repo PR#pull`.
    pub(crate) reported: &'static str,
    /// What those who reported it wanted.
    pub(crate) wanted: &'static str,
    pub(crate) calls: Calls,
    faults: Vec<FaultSpec>,
    pub(crate) limits: StreamLimits,
    pub(crate) reader: Reader,
    time: Time,
    pub(crate) end: End,
    pub(crate) events: Vec<String>,
    pub(crate) requests: u64,
    charges: Vec<Charge>,
    pub(crate) original_status: Option<u16>,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    Converse,
    Claude,
}

/// Over what the row is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// A real socket, and then once more in process.
    Real,
    /// In process alone: it takes minutes.
    Virtual,
}

/// What one attempt draws of the quota.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Charge {
    /// It was refused.
    Nothing,
    /// Its input, as it was estimated.
    Input,
    /// All that it held: nobody knows what was done.
    Hold,
    /// What the service reports.
    Used { input: u64, output: u64 },
    /// Its estimated input, and this much output.
    Estimated { output: u64 },
}

impl Calls {
    /// The model that is called.
    pub(crate) const fn model(self) -> &'static str {
        match self {
            Self::Converse => MODEL,
            Self::Claude => CLAUDE,
        }
    }
}

impl Row {
    pub(crate) fn new(name: &'static str, reported: &'static str, wanted: &'static str) -> Self {
        Self {
            name,
            reported,
            wanted,
            calls: Calls::Converse,
            faults: Vec::new(),
            limits: StreamLimits::new(),
            reader: Reader::ToTheEnd,
            time: Time::Real,
            end: End::Whole,
            events: Vec::new(),
            requests: 1,
            charges: Vec::new(),
            original_status: None,
        }
    }

    /// The call is one of InvokeModelWithResponseStream to a Claude.
    pub(crate) fn of_claude(mut self) -> Self {
        self.calls = Calls::Claude;
        self
    }

    /// The next call meets this.
    pub(crate) fn meets(mut self, fault: FaultKind) -> Self {
        self.faults.push(FaultSpec::new(fault).count(1));
        self
    }

    /// The next call is answered with this.
    pub(crate) fn plays(self, recording: Recording) -> Self {
        self.meets(FaultKind::Recording(recording))
    }

    pub(crate) fn with_limits(mut self, limits: StreamLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The caller reads up to this event and leaves.
    pub(crate) fn read_until(mut self, event: &'static str) -> Self {
        self.reader = Reader::Until(event);
        self
    }

    /// It takes too long to be waited for.
    pub(crate) fn in_virtual_time(mut self) -> Self {
        self.time = Time::Virtual;
        self
    }

    /// The caller gets these events and no others, and then this end.
    pub(crate) fn gives(mut self, events: &[&str], end: End) -> Self {
        self.events = events.iter().map(|&event| event.to_owned()).collect();
        self.end = end;
        self
    }

    /// The last attempt fails with a model that failed with this status.
    pub(crate) fn with_original_status(mut self, status: u16) -> Self {
        self.original_status = Some(status);
        self
    }

    /// What each attempt draws of the quota. There are no other attempts.
    pub(crate) fn costs(mut self, charges: &[Charge]) -> Self {
        self.charges = charges.to_vec();
        self.requests = charges.len() as u64;
        self
    }

    pub(crate) const fn is_real(&self) -> bool {
        matches!(self.time, Time::Real)
    }

    pub(crate) fn scenario(&self) -> Scenario {
        let model = |id| ModelSpec::new(id).regions([REGION]).output_tokens(20);
        let scenario = Scenario::builder()
            .seed(7)
            .model(model(MODEL))
            .model(model(CLAUDE));
        self.faults
            .iter()
            .cloned()
            .fold(scenario, ScenarioBuilder::fault)
            .build()
            .expect("a sound scenario")
    }

    /// What all attempts together draw of the quota.
    pub(crate) fn cost(&self) -> u64 {
        self.charges.iter().map(|one| self.charge(*one)).sum()
    }

    fn charge(&self, charge: Charge) -> u64 {
        // BEDROCK.md §3.3: a Claude of generation 4.5 counts its output five times.
        let burndown = match self.calls {
            Calls::Converse => 1,
            Calls::Claude => 5,
        };
        match charge {
            Charge::Nothing => 0,
            Charge::Input => INPUT,
            Charge::Hold => INPUT + MAX_OUTPUT,
            Charge::Used { input, output } => input + output * burndown,
            Charge::Estimated { output } => INPUT + output * burndown,
        }
    }
}
