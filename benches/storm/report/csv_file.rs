//! The figures as CSV, a line for each cell.

use super::Report;
use crate::{Result, figures::Recovery};

impl Report {
    pub(super) fn csv(&self) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record([
            "scenario",
            "seed",
            "policy",
            "goodput",
            "answered",
            "refused",
            "attempts_per_call",
            "p50_s",
            "p95_s",
            "p99_s",
            "fairness",
            "recovery_s",
        ])?;
        let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        for scene in &self.scenes {
            for cell in &scene.cells {
                let figures = &cell.figures;
                csv.write_record([
                    scene.storm.id.to_owned(),
                    scene.seed.to_string(),
                    cell.policy.to_string(),
                    figures.goodput.to_string(),
                    figures.answered.to_string(),
                    figures.refused.to_string(),
                    figures.amplification.to_string(),
                    number(figures.p50),
                    number(figures.p95),
                    number(figures.p99),
                    number(figures.fairness),
                    match figures.recovery {
                        Recovery::Nothing => String::new(),
                        Recovery::Never => "never".to_owned(),
                        Recovery::After(seconds) => seconds.to_string(),
                    },
                ])?;
            }
        }
        Ok(csv.into_inner().map_err(|error| error.into_error())?)
    }
}
