//! An overload that ends must not live on in the retries that it set off (RELIABILITY.md §2.2).
//!
//! Callers come as a Poisson process and give up after a while, the server works on what they gave
//! up. For half a minute it loses part of its capacity. What is asked of a stack is what happens
//! after that.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    load::{Arrivals, Trace, request, run},
    server::{Server, ServerSpec, Trigger},
    stacks::StackKind,
};

/// Calls per second that the server of the sweep bears.
const CAPACITY: f64 = 100.0;

/// A load, a server, and for each stack what is expected of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Scenario {
    /// Calls per second.
    rate: f64,
    #[serde(with = "humantime_serde")]
    end: Duration,
    seeds: Vec<u64>,
    server: ServerSpec,
    stack: Vec<Expected>,
}

/// What is expected of a stack: ranges, both ends included.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expected {
    kind: StackKind,
    /// Seconds from the end of the trigger until the load is served again; none if it never is.
    #[serde(default)]
    recovery: Option<[usize; 2]>,
    /// Whether it may take no longer than 1.25 times what the first stack takes, and 5 s.
    #[serde(default)]
    against_control: bool,
    /// Attempts for each call that is made or first sent while the trigger lasts.
    amplification_during: [f64; 2],
    /// … and in the minute after it.
    amplification_after: [f64; 2],
    /// The part of the calls that is answered, 115 s after the trigger.
    goodput_at_115: [f64; 2],
    /// … and in the last minute.
    goodput_at_end: [f64; 2],
}

/// What a stack did.
#[derive(Clone, Debug)]
struct Outcome {
    recovery: Option<usize>,
    amplification_during: f64,
    amplification_after: f64,
    goodput_at_115: f64,
    goodput_at_end: f64,
}

impl Scenario {
    fn parse(text: &str) -> Self {
        toml::from_str(text).expect("a scenario that can be read")
    }

    /// `load` is what part of the capacity is asked for, `overload` how many times what is left of it
    /// for `length` seconds.
    fn cell(load: f64, overload: f64, length: u64) -> Self {
        let from = Duration::from_secs(30);
        let until = from + Duration::from_secs(length);
        Self {
            rate: CAPACITY * load,
            end: until + Duration::from_secs(330),
            seeds: Vec::new(),
            server: ServerSpec {
                trigger: Trigger {
                    from,
                    until,
                    capacity_factor: load / overload,
                },
                ..ServerSpec::steady(CAPACITY, Duration::from_secs(1))
            },
            stack: Vec::new(),
        }
    }

    fn run(&self, kind: StackKind, seed: u64) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let server = Server::new(self.server.clone());
            let stack = kind.over(&server, seed);
            let rate = self.rate;
            let arrivals = Arrivals::Poisson { rate, seed };
            let trace = run(stack, arrivals, self.end, request).await;
            self.outcome(&trace, &server)
        })
    }

    fn outcome(&self, trace: &Trace, server: &Server) -> Outcome {
        let trigger = &self.server.trigger;
        let (from, until) = (
            trigger.from.as_secs() as usize,
            trigger.until.as_secs() as usize,
        );
        let end = self.end.as_secs() as usize;
        let amplification = |seconds: std::ops::Range<usize>| {
            // A call that has waited above is sent in other seconds than it was made in.
            let made = trace.within(seconds.clone()).len() as f64;
            let sent = f64::from(server.first_arrivals(seconds.clone()));
            f64::from(server.arrivals(seconds)) / made.max(sent)
        };
        Outcome {
            recovery: trace.recovery(trigger.until, self.end),
            amplification_during: amplification(from..until),
            amplification_after: amplification(until..until + 60),
            goodput_at_115: trace.goodput(until + 110..until + 120),
            goodput_at_end: trace.goodput(end - 60..end),
        }
    }

    /// Runs every stack with every seed, and compares.
    fn check(&self) {
        let mut misses = Vec::new();
        for &seed in &self.seeds {
            let mut control = None;
            for expected in &self.stack {
                let outcome = self.run(expected.kind, seed);
                println!("{:?}, seed {seed}: {outcome:?}", expected.kind);
                let control = *control.get_or_insert(outcome.recovery);
                let missed = expected.misses(&outcome, control);
                misses.extend(
                    missed.map(|miss| format!("{:?} with seed {seed}: {miss}", expected.kind)),
                );
            }
        }
        assert!(misses.is_empty(), "{}", misses.join("\n"));
    }
}

impl Expected {
    fn misses(
        &self,
        outcome: &Outcome,
        control: Option<usize>,
    ) -> impl Iterator<Item = String> + use<> {
        let mut misses = Vec::new();
        let Outcome { recovery, .. } = *outcome;
        let is_as_expected = match (self.recovery, recovery) {
            (Some([least, most]), Some(seconds)) => (least..=most).contains(&seconds),
            (None, None) => true,
            _ => false,
        };
        if !is_as_expected {
            misses.push(format!("recovery {recovery:?}, not {:?}", self.recovery));
        }
        if self.against_control && !is_as_good(recovery, control) {
            misses.push(format!("recovery {recovery:?} against {control:?}"));
        }
        for (name, value, [least, most]) in [
            (
                "amplification during",
                outcome.amplification_during,
                self.amplification_during,
            ),
            (
                "amplification after",
                outcome.amplification_after,
                self.amplification_after,
            ),
            (
                "goodput at 115 s",
                outcome.goodput_at_115,
                self.goodput_at_115,
            ),
            (
                "goodput at the end",
                outcome.goodput_at_end,
                self.goodput_at_end,
            ),
        ] {
            if !(least..=most).contains(&value) {
                misses.push(format!("{name} {value:.3}, not {least} to {most}"));
            }
        }
        misses.into_iter()
    }
}

/// Whether a stack is back as soon as the control, give or take; nothing is asked of it where the
/// control itself never comes back.
fn is_as_good(recovery: Option<usize>, control: Option<usize>) -> bool {
    match (recovery, control) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(seconds), Some(control)) => seconds as f64 <= 1.25 * control as f64 + 5.0,
    }
}

/// Twice the load that the server can bear for half a minute: attempts without a budget keep the
/// overload alive for ever, those with one do not, and a breaker ends it at once.
#[test]
fn no_overload_is_kept_alive_by_retries() {
    Scenario::parse(include_str!("scenarios/overload.toml")).check();
}

/// A server that refuses cheaply what it cannot serve is overloaded only while its trigger lasts.
#[test]
fn cheap_refusals_sustain_nothing() {
    Scenario::parse(include_str!("scenarios/cheap-refusals.toml")).check();
}

/// Over loads, losses of capacity and their lengths: wherever the control comes back, so do the
/// retries with their budget, and with the breaker as well.
///
/// Each may take 1.25 times as long as the control and 5 s. Beside that, the retries that a full
/// budget pays for are work that the control does not have, 35 calls, and near its capacity a server
/// has little to spare for it; and a breaker may be in the middle of a cooldown. Cells in which the
/// control takes almost until the end are too close to its never coming back to tell.
///
/// `SEEDS` says how many seeds there are for each cell, 3 by default:
///
/// ```text
/// SEEDS=20 cargo test --release -p tower-bedrock-tests --test resilience -- --ignored --nocapture
/// ```
#[test]
#[ignore = "takes minutes in a release build"]
fn no_overload_is_kept_alive_anywhere() {
    const BUDGET: f64 = 500.0 / 14.0;
    const COOLDOWN: f64 = 10.0;
    let seeds = std::env::var("SEEDS").map_or(3, |seeds| seeds.parse().expect("a number"));
    let (mut cells, mut close) = (0, 0);
    let mut misses = Vec::new();
    for load in [0.5, 0.6, 0.7, 0.8, 0.9, 0.95] {
        for overload in [1.2, 1.5, 2.0, 3.0, 4.0] {
            for length in [5, 15, 30, 60] {
                for seed in 1..=seeds {
                    let scenario = Scenario::cell(load, overload, length);
                    let control = scenario.run(StackKind::NoRetry, seed).recovery;
                    let Some(control) = control.filter(|seconds| *seconds < 200) else {
                        close += 1;
                        continue;
                    };
                    cells += 1;
                    let budget = BUDGET / (CAPACITY * (1.0 - load));
                    let allowed = 1.25 * control as f64 + 5.0 + budget;
                    for (kind, allowed) in [
                        (StackKind::Retry, allowed),
                        (StackKind::RetryAndBreaker, allowed.max(COOLDOWN + 1.0)),
                        (StackKind::RetryAndWaiting, allowed.max(COOLDOWN + 1.0)),
                    ] {
                        let recovery = scenario.run(kind, seed).recovery;
                        if recovery.is_none_or(|seconds| seconds as f64 > allowed) {
                            misses.push(format!(
                                "{kind:?} at load {load}, {overload} times too much for {length} s, \
                                 seed {seed}: {recovery:?} against {control}, {allowed:.0} allowed"
                            ));
                        }
                    }
                }
            }
        }
    }
    println!(
        "{cells} runs, {close} too close to tell, {} misses",
        misses.len()
    );
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}
