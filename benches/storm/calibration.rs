//! The simulator against what has been measured of the service (BEDROCK.md §3.4).
//!
//! The same loads, played against the simulator's engine as it comes: a token bucket of one minute's
//! quota. Nothing is fitted here; where the simulator is off, it is told by how much.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use bedrock_sim::{Admission, Call, Engine, Finish, ModelSpec, Operation, Scenario, Ticket};
use serde::Serialize;

use crate::Result;

/// A measurement of the service, and the same of the simulator.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) load: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) measured: f64,
    pub(crate) simulated: f64,
}

impl Point {
    /// How far the simulator is off, as a share of what was measured; `None` where that is zero.
    pub(crate) fn deviation(&self) -> Option<f64> {
        (self.measured != 0.0).then(|| self.simulated / self.measured - 1.0)
    }
}

/// A load on one model.
struct Load {
    rpm: Option<u64>,
    tpm: Option<u64>,
    tokens: u64,
    /// How long an answer takes, and with it its hold.
    takes: Duration,
    calls: u32,
    /// Over how long they are spread, evenly; zero for all at once.
    spread: Duration,
}

struct Outcome {
    accepted: u32,
    calls: u32,
    /// Seconds until the first refusal.
    first_refused: Option<f64>,
}

impl Outcome {
    fn refused_percent(&self) -> f64 {
        100.0 * f64::from(self.calls - self.accepted) / f64::from(self.calls)
    }
}

impl Load {
    fn play(&self) -> Result<Outcome> {
        const MODEL: &str = "amazon.nova-lite-v1:0";
        let mut model = ModelSpec::new(MODEL).burndown(1);
        (model.rpm, model.tpm) = (self.rpm, self.tpm);
        let scenario = Scenario::builder().model(model).build()?;
        let region = scenario.region().to_owned();
        let mut engine = Engine::new(scenario);
        let model = engine
            .resolve(&region, MODEL)
            .map_err(|refusal| refusal.message)?;
        let call = Call::new(model, Operation::Converse, self.tokens.saturating_sub(1));
        let call = call.max_tokens(1);
        let mut under_way: BinaryHeap<Reverse<(Duration, u32)>> = BinaryHeap::new();
        let mut tickets: Vec<Option<Ticket>> = Vec::new();
        let (mut accepted, mut first_refused) = (0, None);
        for number in 0..self.calls {
            let now = self.spread * number / self.calls;
            while let Some(&Reverse((until, ticket))) = under_way.peek() {
                if until > now {
                    break;
                }
                under_way.pop();
                if let Some(ticket) = tickets[ticket as usize].take() {
                    engine.finish(until, ticket, Finish::Complete { output_tokens: 1 });
                }
            }
            if let Admission::Admitted(admitted) = engine.admit(now, &call) {
                under_way.push(Reverse((now + self.takes, u32::try_from(tickets.len())?)));
                tickets.push(Some(admitted.ticket));
                accepted += 1;
            } else if first_refused.is_none() {
                first_refused = Some(now.as_secs_f64());
            }
        }
        Ok(Outcome {
            accepted,
            calls: self.calls,
            first_refused,
        })
    }
}

/// All that has been measured.
pub(crate) fn points() -> Result<Vec<Point>> {
    let mut points = Vec::new();
    let mut point = |load, what, unit, measured, simulated: f64| {
        points.push(Point {
            load,
            what,
            unit,
            measured,
            simulated: (simulated * 100.0).round() / 100.0,
        });
    };

    let sonnet_5 = |calls, seconds| Load {
        rpm: None,
        tpm: Some(3_000_000),
        tokens: 5_026,
        takes: Duration::from_secs(3),
        calls,
        spread: Duration::from_secs(seconds),
    };
    let load = "Sonnet 5, 3 M tokens/min, 21.1 calls/s of 5 026 tokens, 60 s";
    let outcome = sonnet_5(1_266, 60).play()?;
    let first = outcome.first_refused.unwrap_or(f64::NAN);
    point(load, "first refusal", "s", 57.0, first);
    point(load, "refused", "%", 4.97, outcome.refused_percent());

    let load = "the same at 20 calls/s, 30 s";
    point(
        load,
        "refused",
        "%",
        0.0,
        sonnet_5(600, 30).play()?.refused_percent(),
    );

    let load = "the same at 30.5 calls/s, 60 s";
    let outcome = sonnet_5(1_830, 60).play()?;
    let accepted = f64::from(outcome.accepted) * 5_026.0 / 3_000_000.0;
    point(load, "refused", "%", 40.6, outcome.refused_percent());
    point(load, "accepted", "× quota", 1.82, accepted);

    let load = "Sonnet 4, 200 requests/min, 300 calls/min, 15 min";
    let sonnet_4 = Load {
        rpm: Some(200),
        tpm: None,
        tokens: 1_000,
        takes: Duration::from_secs(3),
        calls: 4_500,
        spread: Duration::from_secs(900),
    };
    let accepted = f64::from(sonnet_4.play()?.accepted);
    point(load, "accepted", "calls", 3_251.0, accepted);

    let load = "Jamba, 100 requests/min, 150 calls at once";
    let jamba = Load {
        rpm: Some(100),
        calls: 150,
        spread: Duration::ZERO,
        ..sonnet_4
    };
    point(
        load,
        "accepted",
        "calls",
        93.0,
        f64::from(jamba.play()?.accepted),
    );

    let load = "Nova Lite, 4 M tokens/min, 1 000 calls at once of 18 500 tokens";
    let nova = Load {
        rpm: Some(2_000),
        tpm: Some(4_000_000),
        tokens: 18_500,
        calls: 1_000,
        ..jamba
    };
    let accepted = f64::from(nova.play()?.accepted) * 18_500.0 / 1e6;
    point(load, "accepted", "M tokens", 13.8, accepted);
    Ok(points)
}
