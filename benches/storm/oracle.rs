//! What could be done at best: the measure of goodput.
//!
//! The oracle knows the quotas and how they are counted, which places are well, how long each answer
//! will take and which attempt would go wrong. It asks the simulator's own [`Engine`], so quotas,
//! holds, slots and faults are those that the policies meet. Calls are taken in the order in which they
//! come; each is sent at the first moment at which some place accepts it and answers it before its
//! caller gives up. What is refused costs it nothing.
//!
//! Taking calls in order is the best there is where all are alike. Where sizes are mixed, another
//! order could pack a little more into the same quota, so a policy may come out slightly above 100 %.

use std::{cmp::Reverse, collections::BinaryHeap, collections::VecDeque, time::Duration};

use bedrock_sim::{Admission, Call, Engine, Finish, ModelHandle, Operation, Ticket};

use crate::setup::{Line, Setup};

/// How often the oracle looks whether a place accepts the next call.
const STEP: Duration = Duration::from_millis(5);

/// What became of each call, in the order of the scenario: when its answer was whole, since it was
/// made.
pub(crate) fn answers(setup: &Setup) -> Vec<Option<Duration>> {
    match &setup.line {
        Some(line) => in_line(setup, line),
        None => Oracle::new(setup).run(setup, Waiting::in_order()),
    }
}

/// The same where the oracle is fair, if there are several tenants: of those whose calls wait, it sends
/// one of whom least was answered so far, and a tenant's own calls in order.
pub(crate) fn fair_answers(setup: &Setup) -> Option<Vec<Option<Duration>>> {
    let is_shared = setup.tenants > 1 && setup.line.is_none();
    is_shared.then(|| Oracle::new(setup).run(setup, Waiting::fair(setup.tenants)))
}

/// Of a line the oracle lets those join who will be answered in time: one of them gets the same work
/// as another, and joining in vain takes a turn away.
fn in_line(setup: &Setup, line: &Line) -> Vec<Option<Duration>> {
    let patience = setup.attempt_timeout.unwrap_or(setup.patience);
    let mut free_at = Duration::ZERO;
    let answer = |at: Duration| {
        let done = line.leaves(free_at.max(at));
        let took = done - at;
        (took <= patience).then(|| {
            free_at = done;
            took
        })
    };
    setup.jobs.iter().map(|job| job.at).map(answer).collect()
}

/// The calls that wait, by who they are for.
struct Waiting {
    lines: Vec<VecDeque<usize>>,
    /// What the answered calls of each line are worth.
    got: Vec<f64>,
}

impl Waiting {
    /// One line for all.
    fn in_order() -> Self {
        Self::fair(1)
    }

    fn fair(lines: usize) -> Self {
        Self {
            lines: vec![VecDeque::new(); lines],
            got: vec![0.0; lines],
        }
    }

    fn join(&mut self, tenant: usize, number: usize) {
        let last = self.lines.len() - 1;
        self.lines[tenant.min(last)].push_back(number);
    }

    /// Which line is to go on, and with whom.
    fn next(&self) -> Option<(usize, usize)> {
        let waiting = self.lines.iter().enumerate();
        waiting
            .filter_map(|(line, calls)| Some((line, *calls.front()?)))
            .min_by(|(one, _), (other, _)| self.got[*one].total_cmp(&self.got[*other]))
    }
}

struct Oracle {
    engine: Engine,
    places: Vec<ModelHandle>,
    operation: Operation,
    /// The longest that an answer takes where nothing goes wrong.
    longest: Duration,
    /// Answers under way, the first to end first.
    under_way: BinaryHeap<Reverse<UnderWay>>,
}

struct UnderWay {
    until: Duration,
    number: usize,
    ticket: Ticket,
    output_tokens: u64,
}

impl Oracle {
    fn new(setup: &Setup) -> Self {
        let engine = Engine::new(setup.bedrock.clone());
        let places = setup
            .places
            .iter()
            .filter_map(|place| engine.resolve(place.region, place.model).ok())
            .collect();
        let operation = match setup.stream {
            Some(_) => Operation::ConverseStream,
            None => Operation::Converse,
        };
        Self {
            engine,
            places,
            operation,
            longest: setup.longest_answer(),
            under_way: BinaryHeap::new(),
        }
    }

    fn run(mut self, setup: &Setup, mut waiting: Waiting) -> Vec<Option<Duration>> {
        let mut answers = vec![None; setup.jobs.len()];
        let mut coming = setup.jobs.iter().enumerate().peekable();
        let mut now = Duration::ZERO;
        loop {
            self.finish_until(now);
            while let Some((number, job)) = coming.next_if(|(_, job)| job.at <= now) {
                waiting.join(job.tenant, number);
            }
            while let Some((line, number)) = waiting.next() {
                let left = (setup.jobs[number].at + setup.patience).saturating_sub(now);
                if left < self.longest {
                    // It may not be answered any more, and would cost another call its turn.
                    waiting.lines[line].pop_front();
                    continue;
                }
                let Some(takes) = self.send(setup, number, now, left) else {
                    break;
                };
                answers[number] = Some(now + takes - setup.jobs[number].at);
                waiting.lines[line].pop_front();
                waiting.got[line] += setup.jobs[number].worth;
            }
            now = match (waiting.next().is_none(), coming.peek()) {
                (false, _) => now + STEP,
                (true, Some((_, next))) => next.at.max(now),
                (true, None) => return answers,
            };
        }
    }

    fn finish_until(&mut self, now: Duration) {
        while let Some(Reverse(first)) = self.under_way.peek() {
            if first.until > now {
                return;
            }
            if let Some(Reverse(done)) = self.under_way.pop() {
                let output_tokens = done.output_tokens;
                let finish = Finish::Complete { output_tokens };
                self.engine.finish(done.until, done.ticket, finish);
            }
        }
    }

    /// Sends a call to the first place that answers it within what is left, and returns how long that
    /// takes.
    fn send(
        &mut self,
        setup: &Setup,
        number: usize,
        now: Duration,
        left: Duration,
    ) -> Option<Duration> {
        let job = &setup.jobs[number];
        for &model in &self.places {
            let mut call = Call::new(model, self.operation, job.input_tokens);
            call.max_tokens = job.max_tokens.map(u64::from);
            let Admission::Admitted(admitted) = self.engine.admit(now, &call) else {
                continue;
            };
            let takes = admitted.last_token_after();
            if admitted.stream_fault.is_some() || takes > left {
                let finish = Finish::Failed { output_tokens: 0 };
                self.engine.finish(now, admitted.ticket, finish);
                continue;
            }
            self.under_way.push(Reverse(UnderWay {
                until: now + takes,
                number,
                output_tokens: admitted.output_tokens,
                ticket: admitted.ticket,
            }));
            return Some(takes);
        }
        None
    }
}

impl UnderWay {
    const fn order(&self) -> (Duration, usize) {
        (self.until, self.number)
    }
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for UnderWay {}

impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnderWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}
