//! The report: one page that needs nothing beside itself.

use minijinja::{AutoEscape, Environment, value::Serde};
use plotters::style::Color;
use serde::Serialize;

use super::{Report, Scene, plots, table};
use crate::{Result, calibration::Point, policy::Policy, scenario::Extent};

#[derive(Serialize)]
struct Page<'a> {
    seeds: String,
    is_quick: bool,
    policies: Vec<Way>,
    goodput: String,
    scenes: Vec<Section<'a>>,
    misses: Vec<String>,
    worst: Vec<Section<'a>>,
    calibration: Vec<Measured<'a>>,
}

/// A policy.
#[derive(Serialize)]
struct Way {
    id: &'static str,
    about: &'static str,
    is_ours: bool,
    colour: String,
}

/// A scene.
#[derive(Serialize)]
struct Section<'a> {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    calls: usize,
    seed: u64,
    oracle: String,
    rows: Vec<Row<'a>>,
    curve: String,
}

#[derive(Serialize)]
struct Row<'a> {
    policy: &'static str,
    is_ours: bool,
    is_best: bool,
    colour: String,
    /// Goodput as it is shown.
    goodput: String,
    /// … and in percent, for the colour of the cell.
    heat: i64,
    figures: Vec<String>,
    failures: Vec<(&'a str, usize)>,
}

#[derive(Serialize)]
struct Measured<'a> {
    load: &'a str,
    what: &'a str,
    measured: String,
    simulated: String,
    deviation: String,
}

impl Report {
    pub(super) fn page(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_template("page", include_str!("page.html"))?;
        let scenes = self.first_seed();
        let worst = self.worst();
        let page = Page {
            seeds: self.seeds(),
            is_quick: self.extent == Extent::Quick,
            policies: self.policies().into_iter().map(way).collect(),
            goodput: plots::for_page(&self.goodput_plot()?),
            scenes: sections(&scenes)?,
            misses: scenes.iter().flat_map(|scene| scene.misses()).collect(),
            worst: sections(&worst.iter().collect::<Vec<_>>())?,
            calibration: self.calibration.iter().map(measured).collect(),
        };
        Ok(environment.get_template("page")?.render(Serde(page))?)
    }
}

fn sections<'a>(scenes: &[&'a Scene]) -> Result<Vec<Section<'a>>> {
    scenes.iter().map(|scene| section(scene)).collect()
}

fn way(policy: Policy) -> Way {
    Way {
        id: policy.id(),
        about: policy.about(),
        is_ours: policy.is_ours(),
        colour: hex(policy),
    }
}

fn hex(policy: Policy) -> String {
    let (red, green, blue) = plots::colour(policy).rgb();
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn section(scene: &Scene) -> Result<Section<'_>> {
    let best = scene
        .cells
        .iter()
        .map(|cell| cell.figures.goodput)
        .fold(0.0, f64::max);
    let rows = scene.cells.iter().map(|cell| {
        let [goodput, figures @ ..] = table::cells(&cell.figures);
        Row {
            policy: cell.policy.id(),
            is_ours: cell.policy.is_ours(),
            is_best: cell.figures.goodput >= best - 0.005,
            colour: hex(cell.policy),
            goodput,
            heat: (cell.figures.goodput.clamp(0.0, 1.0) * 100.0).round() as i64,
            figures: figures.into(),
            failures: failures(cell),
        }
    });
    Ok(Section {
        id: scene.storm.id,
        title: scene.storm.title,
        about: scene.storm.about,
        calls: scene.calls,
        seed: scene.seed,
        oracle: scene.oracles(),
        rows: rows.collect(),
        curve: plots::for_page(&scene.curve_plot()?),
    })
}

/// The three most frequent reasons why calls were not answered.
fn failures(cell: &super::Cell) -> Vec<(&str, usize)> {
    let all = cell.figures.failures.iter();
    let mut all: Vec<(&str, usize)> = all.map(|(why, calls)| (why.as_str(), *calls)).collect();
    all.sort_by_key(|&(why, calls)| (std::cmp::Reverse(calls), why));
    all.truncate(3);
    all
}

fn measured(point: &Point) -> Measured<'_> {
    let [measured, simulated, deviation] = table::point(point);
    Measured {
        load: point.load,
        what: point.what,
        measured,
        simulated,
        deviation,
    }
}
