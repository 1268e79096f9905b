//! Tables on the terminal.

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};

use super::{Report, Scene};
use crate::figures::{Figures, Recovery};

impl Report {
    /// A table for each scene.
    pub(crate) fn tables(&self) -> String {
        let tables = self.scenes.iter().map(Scene::table);
        let misses = self.scenes.iter().flat_map(Scene::misses);
        let mut texts: Vec<String> = tables.collect();
        texts.extend(misses.map(|miss| format!("Goal missed: {miss}")));
        texts.join("\n\n")
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
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{} · {} calls · seed {} · the oracle answers {}\n{table}",
            self.storm.title,
            self.calls,
            self.seed,
            percent(self.oracle_answered),
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
