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
    #[inline]
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

    /// Within what time nearly all answers are there; 0 before anything is known. Of evenly spread ones,
    /// two strays beyond the mean are the longest; a third is for what the last few do not tell.
    pub(crate) const fn expected(&self) -> u64 {
        self.mean.saturating_add(self.strays.saturating_mul(3))
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

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

    /// Of answers that take from one to three seconds, as chance has it, at most two of a hundred take
    /// longer than what was kept for them, and what is kept is not much longer than the longest.
    #[test]
    fn nearly_all_answers_fit() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut answers = AnswerTime::default();
        let (mut late, mut longest) = (0, 0);
        for number in 0..2000 {
            let took = rng.random_range(SECOND..3 * SECOND);
            let kept = answers.reserve(3600 * SECOND);
            if number >= 20 {
                late += u32::from(took > kept);
                longest = longest.max(kept);
            }
            answers.observe(took);
        }
        assert!(late <= 40, "{late} of 2000");
        assert!(longest <= 5 * SECOND, "{longest}");
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
