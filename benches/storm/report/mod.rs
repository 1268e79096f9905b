//! What is shown.

mod goals;
mod table;

use std::{io::IsTerminal, path::Path};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};

use crate::{
    Answers, Result,
    figures::{Figures, worth},
    policy::Policy,
    scenario::{self, Storm},
    setup::Setup,
};

/// All scenes that were played.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenes: Vec<Scene>,
}

/// One scenario with one seed.
#[derive(Debug, Serialize)]
pub(crate) struct Scene {
    #[serde(rename = "scenario", serialize_with = "id")]
    storm: Storm,
    seed: u64,
    calls: usize,
    /// What the oracle answers, as a share of the calls.
    oracle_answered: f64,
    /// Of what is asked for, the part that the oracle gives.
    oracle_share: f64,
    cells: Vec<Cell>,
}

/// One policy in a scene.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    #[serde(serialize_with = "policy_id")]
    pub(crate) policy: Policy,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

fn id<S: Serializer>(storm: &Storm, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(storm.id)
}

fn policy_id<S: Serializer>(policy: &Policy, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(policy.id())
}

impl Scene {
    pub(crate) fn new(
        storm: Storm,
        seed: u64,
        setup: &Setup,
        oracle: &Answers,
        cells: Vec<Cell>,
    ) -> Self {
        let calls = setup.jobs.len();
        let answered = oracle.iter().flatten().count();
        let at_best = worth(&setup.jobs, |number| oracle[number].is_some());
        let asked = worth(&setup.jobs, |_| true);
        let round = |share: f64| (share * 10_000.0).round() / 10_000.0;
        Self {
            storm,
            seed,
            calls,
            oracle_answered: round(answered as f64 / calls.max(1) as f64),
            oracle_share: round(at_best / asked.max(1.0)),
            cells,
        }
    }
}

impl Report {
    pub(crate) fn new(scenes: Vec<Scene>) -> Self {
        Self { scenes }
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn write_into(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("figures.json"), self.json()?)?;
        Ok(())
    }
}

/// What can be played.
pub(crate) fn list() -> String {
    let line = |(id, about): (&str, &str)| format!("  {id:19} {about}\n");
    let storms: String = scenario::ALL
        .iter()
        .map(|storm| line((storm.id, storm.about)))
        .collect();
    let policies: String = Policy::ALL
        .iter()
        .map(|policy| line((policy.id(), policy.about())))
        .collect();
    format!("Scenarios:\n{storms}\nPolicies:\n{policies}")
}

/// A bar of all cells, if somebody is there to see it.
pub(crate) fn progress(cells: usize) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed} {msg:48}")?;
    Ok(ProgressBar::new(u64::try_from(cells)?).with_style(style))
}
