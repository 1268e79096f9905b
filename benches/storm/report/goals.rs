//! What the project asks of itself, and whether it holds.

use super::{Cell, Scene};

/// Goodput where a known quota is all that bounds it, as a share of the oracle's.
const OF_ORACLE: f64 = 0.97;
/// How far the best of the others may be ahead.
const BEHIND: f64 = 0.02;

impl Scene {
    /// The best goodput of the policies that are not ours.
    pub(super) fn best_other(&self) -> Option<&Cell> {
        let others = self.cells.iter().filter(|cell| !cell.policy.is_ours());
        others.max_by(|a, b| a.figures.goodput.total_cmp(&b.figures.goodput))
    }

    /// The goals that are missed, in words.
    pub(super) fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        for cell in self.cells.iter().filter(|cell| cell.policy.is_default()) {
            let goodput = cell.figures.goodput;
            let mut miss = |text: String| {
                let (id, seed, policy) = (self.storm.id, self.seed, cell.policy);
                misses.push(format!("{id}, seed {seed}: {policy} {text}"));
            };
            if self.storm.is_bound_by_known_quota {
                if goodput < OF_ORACLE {
                    miss(format!("has {goodput:.3} of the oracle, not {OF_ORACLE}"));
                }
                if cell.figures.refused > 0 {
                    miss(format!("was refused {} times", cell.figures.refused));
                }
            }
            let Some(best) = self.best_other() else {
                continue;
            };
            let ahead = best.figures.goodput;
            if goodput < ahead - BEHIND {
                miss(format!("has {goodput:.3}, {} {ahead:.3}", best.policy));
            }
        }
        misses
    }
}
