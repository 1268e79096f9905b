//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::{
    policy::Policy,
    scenario::{self, Extent, Storm},
};

/// The scenario that compares the simulator with the service.
pub(crate) const CALIBRATION: &str = "calibration";

/// Plays storms against a simulated Bedrock in virtual time, each with the AWS SDK alone, with retry
/// loops, with tower-resilience and with tower-bedrock, and compares what is answered.
#[derive(Debug, Parser)]
#[command(name = "storm")]
pub(crate) struct Cli {
    /// Plays this scenario only; may be given several times
    #[arg(long, value_name = "ID", value_parser = play)]
    scenario: Vec<Play>,

    /// Plays this policy only; may be given several times
    #[arg(long, value_name = "ID", value_parser = policy)]
    policy: Vec<Policy>,

    /// Where all chance comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Plays so many seeds, one after the other, and tells the worst cells too
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,

    /// Plays a small version of everything, which takes seconds
    #[arg(long)]
    quick: bool,

    /// Prints all figures as JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,

    /// Writes report.html, figures.csv, figures.json and the plots into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Lists scenarios and policies, and plays none
    #[arg(long)]
    pub(crate) list: bool,
}

impl Cli {
    pub(crate) fn storms(&self) -> Vec<Storm> {
        if self.scenario.is_empty() {
            return scenario::ALL.to_vec();
        }
        let storms = self.scenario.iter().filter_map(|play| match play {
            Play::Storm(storm) => Some(*storm),
            Play::Calibration => None,
        });
        storms.collect()
    }

    /// Whether the simulator is compared with what was measured of the service.
    pub(crate) fn calibrates(&self) -> bool {
        let is_it = |play: &Play| matches!(play, Play::Calibration);
        self.scenario.is_empty() || self.scenario.iter().any(is_it)
    }

    pub(crate) fn policies(&self) -> Vec<Policy> {
        if self.policy.is_empty() {
            return Policy::ALL.to_vec();
        }
        self.policy.clone()
    }

    pub(crate) fn seeds(&self) -> Vec<u64> {
        (0..self.seeds).map(|n| self.seed.wrapping_add(n)).collect()
    }

    pub(crate) const fn extent(&self) -> Extent {
        if self.quick {
            Extent::Quick
        } else {
            Extent::Whole
        }
    }
}

/// What can be played.
#[derive(Clone, Debug)]
enum Play {
    Storm(Storm),
    Calibration,
}

fn play(id: &str) -> Result<Play, String> {
    if id == CALIBRATION {
        return Ok(Play::Calibration);
    }
    let storms = || scenario::ALL.iter();
    let found = storms().find(|storm| storm.id == id).copied();
    found.map(Play::Storm).ok_or_else(|| {
        let known = storms().map(|storm| storm.id);
        unknown("scenario", known.chain([CALIBRATION]))
    })
}

fn policy(id: &str) -> Result<Policy, String> {
    let known = || Policy::ALL.into_iter().map(Policy::id);
    let found = Policy::ALL.into_iter().find(|policy| policy.id() == id);
    found.ok_or_else(|| unknown("policy", known()))
}

fn unknown<'a>(what: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    format!("no such {what}; there are: {}", known.join(", "))
}
