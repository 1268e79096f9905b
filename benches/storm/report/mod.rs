//! What is shown.

mod csv_file;
mod goals;
mod page;
mod plots;
mod table;

use std::{fs, io::IsTerminal, path::Path};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};

use crate::{
    Answers, Result,
    calibration::Point,
    cli::CALIBRATION,
    figures::{Figures, worth},
    policy::Policy,
    scenario::{self, Extent, Storm},
    setup::Setup,
};

/// All scenes that were played.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenes: Vec<Scene>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calibration: Vec<Point>,
    #[serde(skip)]
    extent: Extent,
}

/// One scenario with one seed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scene {
    #[serde(rename = "scenario", serialize_with = "id")]
    storm: Storm,
    seed: u64,
    calls: usize,
    /// What the oracle answers, as a share of the calls.
    oracle_answered: f64,
    /// Of what is asked for, the part that the oracle gives.
    oracle_share: f64,
    /// What an oracle answers that is fair to tenants, as a share of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    fair_oracle: Option<f64>,
    /// When something is wrong, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<(f64, f64)>,
    cells: Vec<Cell>,
}

/// One policy in a scene.
#[derive(Clone, Debug, Serialize)]
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
        fair: Option<&Answers>,
        cells: Vec<Cell>,
    ) -> Self {
        let calls = setup.jobs.len();
        let answered = oracle.iter().flatten().count();
        let of = |answers: &Answers| worth(&setup.jobs, |number| answers[number].is_some());
        let at_best = of(oracle);
        let asked = worth(&setup.jobs, |_| true);
        let round = |share: f64| (share * 10_000.0).round() / 10_000.0;
        Self {
            storm,
            seed,
            calls,
            oracle_answered: round(answered as f64 / calls.max(1) as f64),
            oracle_share: round(at_best / asked.max(1.0)),
            fair_oracle: fair.map(|fair| round(of(fair) / at_best.max(1.0))),
            trouble: setup
                .trouble
                .as_ref()
                .map(|trouble| (trouble.start.as_secs_f64(), trouble.end.as_secs_f64())),
            cells,
        }
    }
}

impl Scene {
    /// What the oracle answers, and what a fair one does, in words.
    fn oracles(&self) -> String {
        let answers = table::percent(self.oracle_answered);
        match self.fair_oracle {
            None => format!("the oracle answers {answers}"),
            Some(fair) => {
                let fair = table::percent(fair);
                format!("the oracle answers {answers}, a fair one {fair} of that")
            }
        }
    }
}

#[cfg(test)]
impl Scene {
    pub(crate) const fn id(&self) -> &'static str {
        self.storm.id
    }

    /// The figures of a policy, if it played.
    pub(crate) fn figures(&self, policy: Policy) -> Option<&Figures> {
        let cell = self.cells.iter().find(|cell| cell.policy == policy);
        cell.map(|cell| &cell.figures)
    }
}

impl Report {
    pub(crate) const fn new(scenes: Vec<Scene>, calibration: Vec<Point>, extent: Extent) -> Self {
        Self {
            scenes,
            calibration,
            extent,
        }
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Writes the report and what it is made of.
    pub(crate) fn write_into(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("figures.json"), self.json()?)?;
        fs::write(folder.join("figures.csv"), self.csv()?)?;
        fs::write(folder.join("report.html"), self.page()?)?;
        if !self.scenes.is_empty() {
            fs::write(folder.join("goodput.svg"), self.goodput_plot()?)?;
        }
        for scene in self.first_seed() {
            let name = format!("{}.svg", scene.storm.id);
            fs::write(folder.join(name), scene.curve_plot()?)?;
        }
        Ok(())
    }

    /// The scenes of the first seed, which are shown in full.
    fn first_seed(&self) -> Vec<&Scene> {
        let first = self.scenes.first().map(|scene| scene.seed);
        let scenes = self.scenes.iter();
        scenes.filter(|scene| Some(scene.seed) == first).collect()
    }

    /// Which seeds were played.
    fn seeds(&self) -> String {
        let seed = |scene: Option<&Scene>| scene.map_or(0, |scene| scene.seed);
        let (first, last) = (seed(self.scenes.first()), seed(self.scenes.last()));
        if first == last {
            format!("seed {first}")
        } else {
            format!("seeds {first} to {last}")
        }
    }

    fn policies(&self) -> Vec<Policy> {
        let cells = self.scenes.first().map(|scene| &scene.cells);
        cells
            .into_iter()
            .flatten()
            .map(|cell| cell.policy)
            .collect()
    }

    /// The scenes with the lowest goodput of each policy over all seeds, if there are several.
    fn worst(&self) -> Vec<Scene> {
        let mut worst: Vec<Scene> = self.first_seed().into_iter().cloned().collect();
        if worst.len() == self.scenes.len() {
            return Vec::new();
        }
        for scene in &self.scenes {
            let same = worst.iter_mut().find(|w| w.storm.id == scene.storm.id);
            let cells = same.into_iter().flat_map(|same| &mut same.cells);
            for (lowest, cell) in cells.zip(&scene.cells) {
                if cell.figures.goodput < lowest.figures.goodput {
                    *lowest = cell.clone();
                }
            }
        }
        worst
    }
}

/// What can be played.
pub(crate) fn list() -> String {
    let line = |(id, about): (&str, &str)| format!("  {id:19} {about}\n");
    let storms: String = scenario::ALL
        .iter()
        .map(|storm| line((storm.id, storm.about)))
        .collect();
    let calibration = line((
        CALIBRATION,
        "The simulator against what was measured of the service.",
    ));
    let policies: String = Policy::ALL
        .iter()
        .map(|policy| line((policy.id(), policy.about())))
        .collect();
    format!("Scenarios:\n{storms}{calibration}\nPolicies:\n{policies}")
}

/// A bar of all cells, if somebody is there to see it.
pub(crate) fn progress(cells: usize) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed} {msg:48}")?;
    Ok(ProgressBar::new(u64::try_from(cells)?).with_style(style))
}
