//! Figures for eyes and for programs.

use std::{collections::HashMap, process::Command};

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::{
    measure::Time,
    row::{Group, Row},
    rows::COMPARED,
};

/// What a call allocates.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Allocations {
    /// Blocks.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What rows allocate, counted by another program of this package: an allocator that counts takes
/// time.
///
/// # Panics
///
/// If the program fails.
#[must_use]
pub fn counted(program: &str, which: &str) -> HashMap<String, Allocations> {
    let output = Command::new(program)
        .arg(which)
        .output()
        .expect("a program of this package");
    let counted: Vec<(String, Allocations)> =
        serde_json::from_slice(&output.stdout).expect("what the program prints");
    counted.into_iter().collect()
}

/// What a row costs.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    name: &'static str,
    group: Group,
    /// Nanoseconds.
    #[serde(flatten)]
    time: Time,
    /// What of them is not the floor: the service that answers, and the making of the request.
    over_floor: f64,
    allocations: Allocations,
}

/// What a row of ours is of one of others that does the same job.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    ours: &'static str,
    theirs: &'static str,
    one_thread: f64,
    goal: f64,
    over_floor: f64,
    two_threads: Option<f64>,
    goal_of_two: Option<f64>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    rows: Vec<Figure>,
    ratios: Vec<Ratio>,
}

impl Report {
    /// What `rows` cost, by the `times` and `allocations` of each.
    #[must_use]
    pub fn new(
        rows: &[Row],
        times: &[Time],
        allocations: impl Fn(&'static str) -> Allocations,
    ) -> Self {
        let time_of = |name| {
            let named = rows.iter().zip(times).find(|(row, _)| row.name == name);
            named.map(|(_, time)| *time)
        };
        let figures = rows.iter().zip(times).map(|(row, time)| {
            let floor = row.floor().and_then(time_of).unwrap_or_default();
            Figure {
                name: row.name,
                group: row.group,
                time: *time,
                over_floor: time.one_thread - floor.one_thread,
                allocations: allocations(row.name),
            }
        });
        let rows: Vec<_> = figures.collect();
        let ratios = COMPARED.iter().filter_map(|compared| {
            let find = |name| rows.iter().find(|row: &&Figure| row.name == name);
            let (ours, theirs) = (find(compared.ours)?, find(compared.theirs)?);
            let both = ours.time.two_threads.zip(theirs.time.two_threads);
            Some(Ratio {
                ours: ours.name,
                theirs: theirs.name,
                one_thread: ours.time.one_thread / theirs.time.one_thread,
                goal: compared.goal,
                over_floor: ours.over_floor / theirs.over_floor,
                two_threads: both.map(|(ours, theirs)| ours / theirs),
                goal_of_two: compared.goal_of_two,
            })
        });
        let ratios = ratios.collect();
        Self { rows, ratios }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As tables.
    #[must_use]
    pub fn tables(&self) -> String {
        let mut costs = table(&[
            "ns a call",
            "1 thread",
            "over floor",
            "2 threads",
            "allocations",
            "bytes",
        ]);
        for row in &self.rows {
            costs.add_row([
                row.name.to_owned(),
                number(Some(row.time.one_thread)),
                number(Some(row.over_floor)),
                number(row.time.two_threads),
                row.allocations.blocks.to_string(),
                row.allocations.bytes.to_string(),
            ]);
        }
        let mut ratios = table(&[
            "ratio",
            "1 thread",
            "goal",
            "over floor",
            "2 threads",
            "goal",
        ]);
        for ratio in &self.ratios {
            ratios.add_row([
                format!("{} / {}", ratio.ours, ratio.theirs),
                share(Some(ratio.one_thread)),
                share(Some(ratio.goal)),
                share(Some(ratio.over_floor)),
                share(ratio.two_threads),
                share(ratio.goal_of_two),
            ]);
        }
        align(&mut costs);
        align(&mut ratios);
        format!("{costs}\n{ratios}")
    }
}

/// A table with a head.
#[must_use]
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(head.to_vec());
    table
}

/// Aligns all but the first column as numbers are.
pub fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"))
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}
