//! Seeded chaos in virtual time (RELIABILITY.md §2.7, 24).
//!
//! Each seed makes a service, faults of every kind, a stack, callers that come and go, and hands that
//! turn knobs meanwhile. While it lasts, nothing may be lost, exceeded or stuck; when the faults are
//! over, everything must be well again.
//!
//! `cargo xtask soak --seeds 1000` runs more of them, and `cargo xtask soak --seeds 1 --first N`
//! replays one.

mod plan;
mod run;
mod turn;

use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use self::{plan::Plan, run::Report};

/// As many as a test run of everybody's can bear.
const SEEDS: u64 = 50;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn run(seed: u64) -> Report {
    let _replay = Replay(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let p = Plan::of(seed);
    if env::var_os("SHOW").is_some() {
        eprintln!("{:#?}", p.scenario.faults());
        eprintln!("{:?}", p.scenario.models());
    }
    runtime.block_on(run::run(p))
}

/// Prints how to replay a seed, if the run panics.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", replay(self.0));
        }
    }
}

fn replay(seed: u64) -> String {
    format!("seed {seed}: replay it with `cargo xtask soak --seeds 1 --first {seed}`")
}

/// Whatever goes wrong, in whatever order: no quota that is known is exceeded, nothing that was taken
/// is lost, nobody is stuck, every call ends by its deadline and every error has a cause, every reply
/// is finished once; and when it is over, the circuits close and calls are answered.
#[test]
fn everything_holds_and_heals() {
    let first = number("CHAOS_FIRST").unwrap_or(0);
    let seeds = number("CHAOS_SEEDS").unwrap_or(SEEDS);
    let is_loud = env::var_os("CHAOS_SEEDS").is_some();
    let next = AtomicU64::new(first);
    let end = first.saturating_add(seeds);
    let reports = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let report = run(seed);
                    if is_loud && (seeds <= 10 || seed % 100 == 99) {
                        println!("seed {seed}: {report}");
                    }
                    reports
                        .lock()
                        .expect("no thread panics")
                        .push((seed, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().expect("no thread panics");
    reports.sort_by_key(|(seed, _)| *seed);
    let mut failures = Vec::new();
    let mut sum = Report::default();
    for (seed, report) in reports {
        if !report.violations.is_empty() {
            let told = report.violations.join("\n  ");
            failures.push(format!("{}\n  {told}\n  {report}", replay(seed)));
        }
        sum.add(&report);
    }
    println!("{seeds} seeds: {sum}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    if seeds >= SEEDS {
        // A rig in which nothing goes wrong proves nothing.
        assert!(sum.answered > 0 && sum.failed > 0 && sum.gone > 0, "{sum}");
        assert!(sum.faults.len() >= 12, "{sum}");
        assert!(sum.retries > 0 && sum.opened > 0 && sum.moved > 0, "{sum}");
    }
}

/// The same seed makes the same run, to the last number.
#[test]
fn a_seed_replays() {
    for seed in [3, 4] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
