//! How long answers take.

/// How long the answers of one kind take, learned from the last ones: their mean, and how far they
/// stray from it, smoothed as TCP smooths round trips (RFC 6298).
#[derive(Debug, Default)]
pub(crate) struct AnswerTime {
    mean: u64,
    strays: u64,
}

impl AnswerTime {
    /// An answer took so long, from when its call was sent to its end.
    pub(crate) const fn observe(&mut self, took: u64) {
        if self.mean == 0 {
            self.mean = took;
            self.strays = took / 2;
            return;
        }
        let off = self.mean.abs_diff(took);
        self.strays = self.strays - self.strays / 4 + off / 4;
        self.mean = self.mean - self.mean / 8 + took / 8;
    }

    /// How much of the time that a call has left is to be kept for its answer. No more than half of
    /// it: answers differ, and one that is waited for in vain is better than none that is waited for.
    pub(crate) fn reserve(&self, left: u64) -> u64 {
        self.expected().min(left / 2)
    }

    /// Within what time nearly all answers are there; 0 before anything is known.
    pub(crate) const fn expected(&self) -> u64 {
        self.mean.saturating_add(self.strays.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Nothing is kept before anything is known, and never more than half of what is left.
    #[test]
    fn what_is_kept_is_bounded() {
        let mut answers = AnswerTime::default();
        assert_eq!(answers.reserve(60 * SECOND), 0);
        answers.observe(40 * SECOND);
        assert_eq!(answers.reserve(60 * SECOND), 30 * SECOND);
        assert_eq!(answers.reserve(1), 0);
    }

    /// Of answers that take from one to three seconds, nearly all fit into what is kept, and what is
    /// kept is not much longer than the longest.
    #[test]
    fn nearly_all_answers_fit() {
        let mut answers = AnswerTime::default();
        let times: Vec<u64> = (0..1000_u64)
            .map(|number| SECOND + (number * 7_919) % 1_000 * 2 * SECOND / 1_000)
            .collect();
        times.iter().for_each(|took| answers.observe(*took));
        let kept = answers.reserve(3600 * SECOND);
        let fit = times.iter().filter(|took| **took <= kept).count();
        assert!(fit >= 900, "{fit} of 1000 in {kept}");
        assert!(kept <= 4 * SECOND, "{kept}");
    }

    /// Longer answers are noticed within some dozen of them, and so is that they are shorter again.
    #[test]
    fn a_change_is_noticed() {
        let mut answers = AnswerTime::default();
        for (took, at_least, at_most) in [(1, 0, 2), (20, 19, 30), (1, 0, 3)] {
            (0..60).for_each(|_| answers.observe(took * SECOND));
            let kept = answers.reserve(3600 * SECOND);
            assert!(
                kept >= at_least * SECOND && kept <= at_most * SECOND,
                "{kept}"
            );
        }
    }
}
