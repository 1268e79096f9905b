//! From the size of an input to its tokens, learned from what the service counts.

use super::estimate::Estimate;
use crate::{model_id::ModelId, size::InputSize};

/// What an input's tokens are made of: text, tools, documents, images, parts, and a constant.
const FEATURES: usize = 6;
type Features = [f64; FEATURES];
/// The first of them are counted in bytes.
const BYTES: usize = 3;

/// UTF-8 bytes to a token of a model that is not known, and the safety on top (BEDROCK.md §3.7,
/// SHAPER).
const BYTES_PER_TOKEN: u64 = 4;
/// The fewest of a model that is known.
const FEWEST_BYTES_PER_TOKEN: u64 = 3;
const SAFETY: f64 = 1.1;
/// An image of the largest size that Claude does not scale down, about 1.15 megapixels.
const TOKENS_PER_IMAGE: f64 = 1600.0;
/// What surrounds a message or a content block.
const TOKENS_PER_PART: f64 = 4.0;
const TOKENS_PER_CALL: f64 = 8.0;
/// Bytes are counted in thousands, so that all weights are of a size.
const KILO: f64 = 1000.0;

/// How far a weight may go from where it started: text has between half a byte and 20 bytes to a
/// token in any script.
const LARGEST_FACTOR: f64 = 8.0;
/// How much less an observation counts with each one after it: about the last 200 matter.
const FORGETTING: f64 = 0.995;
const MATTERS: u64 = 200;
/// Of how many observations that came as expected, or as outliers, one is learned from, once there are
/// enough.
const EXPECTED_ONES: u64 = 8;
/// How uncertain the first weights are, relative to themselves.
const FIRST_DOUBT: f64 = 0.6;
/// Relative error of an observation, to begin with and at least.
const FIRST_SPREAD: f64 = 0.5;
const LEAST_SPREAD: f64 = 0.01;
/// An error beyond this many spreads is an outlier, and counts as one of that many.
const OUTLIER: f64 = 3.0;
/// A part of a token that is none.
const ROUNDING: f64 = 1e-6;
/// After how many observations the usual error no longer changes faster than it does later: far more
/// than tell that all of them have changed.
const OFTEN: u64 = 39;
/// How much of an observation goes into the error that estimates have lately on the whole, and how many
/// spreads that may be: eight outliers in a row to the same side are more.
const LEANING: f64 = 1.0 / 12.0;
const MOST_LEANING: f64 = 1.2;
/// The most that is added to an estimate because estimates are off.
const MOST_SAFETY: f64 = 0.05;

/// What each thing comes to when its weight has gone as far as it may, all safety included.
const MOST_FACTOR: f64 = LARGEST_FACTOR * (1.0 + MOST_SAFETY);
const MOST_PER_BYTE: u64 = (SAFETY / FEWEST_BYTES_PER_TOKEN as f64 * MOST_FACTOR) as u64 + 1;
const MOST_PER_IMAGE: u64 = (TOKENS_PER_IMAGE * MOST_FACTOR) as u64 + 1;
const MOST_PER_PART: u64 = (TOKENS_PER_PART * MOST_FACTOR) as u64 + 1;
const MOST_PER_CALL: u64 = (TOKENS_PER_CALL * MOST_FACTOR) as u64 + 2;

/// Learns how many tokens an input has: recursive least squares over what it is made of, in relative
/// errors, so that a long prompt teaches no more than a short one.
///
/// An observation that is far off what was usual counts for less, so that a single odd one changes
/// little; and no weight leaves a band around where it started. Where estimates have lately all been off
/// to the same side, the service counts another way, and all weights are doubted anew. Half a kilobyte a
/// model, whatever happens.
#[derive(Debug)]
pub(super) struct Calibration {
    /// What a byte, an image, a part and a call come to: the weights in the units of an [`InputSize`].
    per_unit: Features,
    /// What all that is multiplied by before it is held.
    safety: f64,
    weights: Features,
    first: Features,
    /// How uncertain the weights are, together.
    doubt: [Features; FEATURES],
    /// The usual relative error.
    spread: f64,
    /// The relative error lately, by which estimates lean to one side.
    lean: f64,
    observed: u64,
}

impl Calibration {
    pub(super) fn new(model: Option<&ModelId>) -> Self {
        let bytes_per_token = model.map_or(BYTES_PER_TOKEN, ModelId::bytes_per_token);
        let bytes_per_token = bytes_per_token.max(FEWEST_BYTES_PER_TOKEN);
        let kilobyte = KILO * SAFETY / bytes_per_token as f64;
        let weights = [
            kilobyte,
            kilobyte,
            kilobyte,
            TOKENS_PER_IMAGE,
            TOKENS_PER_PART,
            TOKENS_PER_CALL,
        ];
        Self {
            per_unit: per_unit(&weights),
            // The first weights have theirs in them.
            safety: 1.0,
            weights,
            first: weights,
            doubt: first_doubt(&weights),
            spread: FIRST_SPREAD,
            lean: 0.0,
            observed: 0,
        }
    }

    /// Doubts all that is known as at first.
    #[cold]
    fn doubt_all(&mut self) {
        self.doubt = first_doubt(&self.first);
        self.spread = FIRST_SPREAD;
        self.lean = 0.0;
        self.observed = 0;
    }

    /// How many inputs the service has counted, since it counts them as it does.
    pub(super) const fn observed(&self) -> u64 {
        self.observed
    }

    /// The tokens to hold for an input.
    #[inline]
    pub(super) fn tokens(&self, estimate: Estimate) -> u64 {
        let size = match estimate {
            Estimate::Tokens(tokens) => return tokens,
            Estimate::Size(size) => size,
        };
        let tokens = self.predict(&size) * self.safety;
        // Sizes stay far below 2^53, and a cast saturates. Upwards, but not for what only rounding has
        // brought about.
        let whole = tokens as i64;
        whole.unsigned_abs() + u64::from(tokens > whole as f64 + ROUNDING)
    }

    #[inline]
    fn predict(&self, size: &InputSize) -> f64 {
        dot(&self.per_unit, &units(size)).max(1.0)
    }

    /// The service counted `tokens` for an input of that size.
    #[inline]
    pub(super) fn observe(&mut self, size: &InputSize, tokens: u64) {
        if tokens == 0 {
            return;
        }
        let actual = number(tokens);
        let predicted = self.predict(size);
        // In relative errors: of what was expected and what came, whichever is larger, so that
        // neither direction weighs more. Every answered call comes by here under the lock of its
        // ledger: what is divided by more than once is inverted.
        let per_scale = predicted.max(actual).recip();
        let error = (actual - predicted) * per_scale;

        let usual = self.spread;
        let clipped = error.clamp(-OUTLIER * usual, OUTLIER * usual);
        let rate = match self.observed {
            OFTEN.. => 1.0 / (OFTEN + 2) as f64,
            few => 1.0 / (few + 2) as f64,
        };
        self.spread = (usual + (clipped.abs() - usual) * rate).max(LEAST_SPREAD);
        self.safety = 1.0 + self.spread.min(MOST_SAFETY);
        self.observed += 1;
        // Outliers are left out as often, or they would weigh more than what is expected.
        let off = error.abs();
        if !self.teaches_little(off <= usual || off >= OUTLIER * usual) {
            self.learn(size, per_scale, clipped, usual);
        }
        self.lean += (clipped - self.lean) * LEANING;
        if self.lean.abs() > MOST_LEANING * usual {
            self.doubt_all();
        }
    }

    /// An input's error was `clipped`, in parts of what `per_scale` is the inverse of, where `usual` is
    /// usual.
    fn learn(&mut self, size: &InputSize, per_scale: f64, clipped: f64, usual: f64) {
        let relative = features(size).map(|feature| feature * per_scale);
        let doubted: Features = std::array::from_fn(|row| dot(&self.doubt[row], &relative));
        let noise = usual * usual;
        let per_total = (noise + dot(&relative, &doubted)).recip();
        let gain = doubted.map(|doubt| doubt * per_total);
        for (index, weight) in self.weights.iter_mut().enumerate() {
            let first = self.first[index];
            *weight = (*weight + gain[index] * clipped)
                .clamp(first / LARGEST_FACTOR, first * LARGEST_FACTOR);
        }
        for (row, one) in doubted.iter().enumerate() {
            for (column, other) in doubted.iter().enumerate() {
                // In this order, so that both halves stay the same to the last bit.
                self.doubt[row][column] -= one * other * per_total;
            }
            self.doubt[row][row] = self.doubt[row][row].max(0.0);
        }
        self.forget();
        self.per_unit = per_unit(&self.weights);
    }

    /// The largest doubt of a weight, as a part of what it was at first.
    #[cfg(test)]
    pub(super) fn most_doubt(&self) -> f64 {
        let share = |row: usize| self.doubt[row][row] / (self.first[row] * FIRST_DOUBT).powi(2);
        (0..FEATURES).map(share).fold(0.0, f64::max)
    }

    /// Whether an observation can be left out: when as many are known as matter, one of those that came
    /// about as expected, or are far off, does for several.
    const fn teaches_little(&self, is_common: bool) -> bool {
        is_common && self.observed > MATTERS && !self.observed.is_multiple_of(EXPECTED_ONES)
    }

    /// Lets doubt grow again with time, but never beyond where it started.
    fn forget(&mut self) {
        let growth = FORGETTING.sqrt().recip();
        for row in 0..FEATURES {
            let most = (self.first[row] * FIRST_DOUBT).powi(2);
            if self.doubt[row][row] < most * FORGETTING {
                for column in 0..FEATURES {
                    self.doubt[row][column] *= growth;
                    self.doubt[column][row] *= growth;
                }
            }
        }
    }
}

/// The first weights are doubted each for itself.
fn first_doubt(first: &Features) -> [Features; FEATURES] {
    let mut doubt = [[0.0; FEATURES]; FEATURES];
    for (index, row) in doubt.iter_mut().enumerate() {
        row[index] = (first[index] * FIRST_DOUBT).powi(2);
    }
    doubt
}

/// More tokens than are ever held for an input of that size, whatever was learned.
pub(super) fn most_tokens(size: &InputSize) -> u64 {
    let bytes = [size.text_bytes, size.tool_bytes, size.document_bytes];
    let bytes = bytes.into_iter().fold(0, u64::saturating_add);
    let of_bytes = bytes.saturating_mul(MOST_PER_BYTE);
    let of_rest = MOST_PER_IMAGE * u64::from(size.images)
        + MOST_PER_PART * u64::from(size.parts)
        + MOST_PER_CALL;
    of_bytes.saturating_add(of_rest)
}

fn features(size: &InputSize) -> Features {
    let mut features = units(size);
    for bytes in &mut features[..BYTES] {
        *bytes /= KILO;
    }
    features
}

#[inline]
fn units(size: &InputSize) -> Features {
    [
        number(size.text_bytes),
        number(size.tool_bytes),
        number(size.document_bytes),
        size.images.into(),
        size.parts.into(),
        1.0,
    ]
}

fn per_unit(weights: &Features) -> Features {
    let mut per_unit = *weights;
    for bytes in &mut per_unit[..BYTES] {
        *bytes /= KILO;
    }
    per_unit
}

/// Processors have an instruction for signed numbers alone; nothing is as large as the difference.
#[inline]
const fn number(amount: u64) -> f64 {
    (amount & i64::MAX as u64) as i64 as f64
}

#[inline]
fn dot(one: &Features, other: &Features) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}
