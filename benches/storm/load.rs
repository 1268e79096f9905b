//! Callers who come when they like, whatever becomes of those before them.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// One call that somebody wants answered.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// When it is made, since the start.
    pub(crate) at: Duration,
    pub(crate) input_tokens: u64,
    pub(crate) max_tokens: Option<u32>,
    /// On whose behalf.
    pub(crate) tenant: usize,
    /// What its answer is worth: the quota that it uses on average, whoever answers.
    pub(crate) worth: f64,
}

/// The sizes of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Input tokens, evenly from the least to the most.
    pub(crate) input: (u64, u64),
    pub(crate) max_tokens: Option<u32>,
    /// What the model generates on average.
    pub(crate) output: f64,
}

/// Where all chance of a scenario comes from: another stream for each purpose.
pub(crate) fn rng(seed: u64, purpose: &str) -> StdRng {
    // FNV-1a: short, and the same everywhere.
    let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3_u64)
    });
    StdRng::seed_from_u64(seed ^ hash)
}

/// When calls come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrivals {
    /// So many a second until the end, as a Poisson process has them.
    Poisson { rate: f64, end: Duration },
    /// All at once.
    Burst { calls: usize },
}

impl Arrivals {
    fn times(self, rng: &mut StdRng) -> Vec<Duration> {
        let Self::Poisson { rate, end } = self else {
            let Self::Burst { calls } = self else {
                return Vec::new();
            };
            return vec![Duration::ZERO; calls];
        };
        let mut times = Vec::new();
        let mut at = 0.0;
        loop {
            let uniform: f64 = rng.random();
            at -= (1.0 - uniform).ln() / rate;
            if at >= end.as_secs_f64() {
                return times;
            }
            times.push(Duration::from_secs_f64(at));
        }
    }

    /// The calls of one tenant.
    pub(crate) fn jobs(self, size: Size, tenant: usize, rng: &mut StdRng) -> Vec<Job> {
        let times = self.times(rng);
        let jobs = times.into_iter().map(|at| {
            let input_tokens = rng.random_range(size.input.0..=size.input.1);
            Job {
                at,
                input_tokens,
                max_tokens: size.max_tokens,
                tenant,
                worth: input_tokens as f64 + size.output,
            }
        });
        jobs.collect()
    }
}

/// The calls of several tenants in the order in which they come.
pub(crate) fn merge(all: impl IntoIterator<Item = Vec<Job>>) -> Vec<Job> {
    let mut jobs: Vec<Job> = all.into_iter().flatten().collect();
    jobs.sort_by_key(|job| job.at);
    jobs
}
