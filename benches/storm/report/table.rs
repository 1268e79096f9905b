//! Tables on the terminal.

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};

use super::{Report, Scene};
use crate::{
    calibration::Point,
    figures::{Figures, Recovery},
};

impl Report {
    /// A table for each scene of the first seed, then what is to be said of all.
    pub(crate) fn tables(&self) -> String {
        let scenes = self.first_seed();
        let mut texts: Vec<String> = scenes.iter().map(|scene| scene.table()).collect();
        if !scenes.is_empty() {
            let first: Vec<Scene> = scenes.into_iter().cloned().collect();
            texts.push(format!("Goodput\n{}", matrix(&first)));
        }
        let worst = self.worst();
        if !worst.is_empty() {
            texts.push(format!(
                "The lowest goodput of {}\n{}",
                self.seeds(),
                matrix(&worst)
            ));
        }
        if !self.calibration.is_empty() {
            texts.push(format!(
                "The simulator against what was measured of the service\n{}",
                calibration(&self.calibration)
            ));
        }
        let misses = self.scenes.iter().flat_map(Scene::misses);
        texts.extend(misses.map(|miss| format!("Goal missed: {miss}")));
        texts.join("\n\n")
    }
}

/// Goodput alone: a line for each scenario, a column for each policy.
fn matrix(scenes: &[Scene]) -> Table {
    let mut table = Table::new();
    let policies = scenes.first().map(|scene| &scene.cells);
    let mut header = vec!["scenario"];
    header.extend(policies.into_iter().flatten().map(|cell| cell.policy.id()));
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    for scene in scenes {
        let mut row = vec![scene.storm.id.to_owned()];
        let goodput = scene.cells.iter().map(|cell| percent(cell.figures.goodput));
        row.extend(goodput);
        table.add_row(row);
    }
    align(&mut table, 1);
    table
}

fn calibration(points: &[Point]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header([
        "load",
        "what",
        "measured",
        "simulated",
        "deviation",
    ]);
    for of_load in points {
        let mut row = vec![of_load.load.to_owned(), of_load.what.to_owned()];
        row.extend(point(of_load));
        table.add_row(row);
    }
    align(&mut table, 2);
    table
}

/// A point of the calibration as it is shown: measured, simulated, and by how much they differ.
pub(super) fn point(point: &Point) -> [String; 3] {
    let value = |value: f64| format!("{value} {}", point.unit);
    let deviation = match point.deviation() {
        Some(deviation) => format!("{:+.1} %", deviation * 100.0),
        None if point.simulated == 0.0 => "none".to_owned(),
        None => "–".to_owned(),
    };
    [value(point.measured), value(point.simulated), deviation]
}

fn align(table: &mut Table, skip: usize) {
    for column in table.column_iter_mut().skip(skip) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

impl Scene {
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY).set_header([
            "policy",
            "goodput",
            "answered",
            "refused",
            "sent/call",
            "p50",
            "p95",
            "p99",
            "fair",
            "recovers",
        ]);
        for cell in &self.cells {
            let mut row = vec![cell.policy.id().to_owned()];
            row.extend(cells(&cell.figures));
            table.add_row(row);
        }
        align(&mut table, 1);
        format!(
            "{} · {} calls · seed {} · {}\n{table}",
            self.storm.title,
            self.calls,
            self.seed,
            self.oracles(),
        )
    }
}

/// The figures as they are shown.
pub(super) fn cells(figures: &Figures) -> [String; 9] {
    let seconds = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), |s| format!("{s:.1} s"));
    [
        percent(figures.goodput),
        percent(figures.answered),
        figures.refused.to_string(),
        format!("{:.2}", figures.amplification),
        seconds(figures.p50),
        seconds(figures.p95),
        seconds(figures.p99),
        figures
            .fairness
            .map_or_else(String::new, |index| format!("{index:.2}")),
        recovery(figures.recovery),
    ]
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(super) fn recovery(recovery: Recovery) -> String {
    match recovery {
        Recovery::Nothing => String::new(),
        Recovery::Never => "never".to_owned(),
        Recovery::After(seconds) => format!("{seconds} s"),
    }
}
