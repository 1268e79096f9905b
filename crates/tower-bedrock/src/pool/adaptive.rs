//! How many may be in flight, found out from refusals.

use std::{error::Error as StdError, fmt, time::Duration};

use tokio::time::Instant;

use crate::cause::Cause;

/// Finds out how many calls the other side bears at once: additive increase, multiplicative decrease.
///
/// The limit goes down when calls fail for want of capacity or get no answer in time
/// ([`CapacityExceeded`](Cause::CapacityExceeded), [`ServiceUnavailable`](Cause::ServiceUnavailable),
/// [`Timeout`](Cause::Timeout)), and up by about one for each limitful of answers, while at least half
/// of it is in use, as in Netflix's AIMD limit. How long answers take is not looked at: they differ in
/// length. What one model is short of ([`ModelOverloaded`](Cause::ModelOverloaded),
/// [`ModelTimeout`](Cause::ModelTimeout)) counts only in pools whose key names the model.
///
/// A storm is one event: calls that were sent before the limit went down do not bring it down again,
/// nor does any within a second of it.
///
/// # Example
///
/// ```
/// use tower_bedrock::{AdaptiveLimit, PoolLayer, Pools};
///
/// let limit = AdaptiveLimit::between(10, 200)?.with_initial(50);
/// let layer = PoolLayer::new(Pools::new().with_adaptive_limit(limit));
/// # let _ = layer;
/// # Ok::<(), tower_bedrock::InvalidAdaptiveLimit>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveLimit {
    least: usize,
    most: usize,
    initial: usize,
    decrease: f64,
}

/// An [`AdaptiveLimit`] that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidAdaptiveLimit {
    /// The least is 0, or more than the most.
    Bounds {
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// The factor does not lie between 0 and 1.
    Decrease {
        /// The factor.
        factor: f64,
    },
}

/// What is kept of the limit at one event: CUBIC's factor (RFC 9438 §4.6), and that of the SDK's own
/// adaptive mode (BEDROCK.md §7.3). The loss-based limiters of others take a tenth for each of many
/// failures; here a whole storm counts once.
const DECREASE: f64 = 0.7;
/// A service that is short of capacity refuses within milliseconds, so that what is sent right after a
/// cut is refused before the cut has any effect.
const BETWEEN_CUTS: Duration = Duration::from_secs(1);

impl AdaptiveLimit {
    /// A limit that never leaves `least..=most`, starts at `most`, and keeps 0.7 of itself at each
    /// event.
    ///
    /// # Errors
    ///
    /// If `least` is 0, so that nothing would ever be sent, or more than `most`.
    pub const fn between(least: usize, most: usize) -> Result<Self, InvalidAdaptiveLimit> {
        if least == 0 || least > most {
            return Err(InvalidAdaptiveLimit::Bounds { least, most });
        }
        Ok(Self {
            least,
            most,
            initial: most,
            decrease: DECREASE,
        })
    }

    /// Starts at `limit`, or as near to it as the bounds allow.
    #[must_use]
    pub fn with_initial(mut self, limit: usize) -> Self {
        self.initial = limit.clamp(self.least, self.most);
        self
    }

    /// Keeps this share of the limit at each event; 0.7 by default.
    ///
    /// # Errors
    ///
    /// If it does not lie between 0 and 1.
    pub fn with_decrease(mut self, factor: f64) -> Result<Self, InvalidAdaptiveLimit> {
        if !(factor > 0.0 && factor < 1.0) {
            return Err(InvalidAdaptiveLimit::Decrease { factor });
        }
        self.decrease = factor;
        Ok(self)
    }

    pub(super) const fn initial(&self) -> usize {
        self.initial
    }
}

impl fmt::Display for InvalidAdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounds { least, most } => write!(
                f,
                "a limit between {least} and {most} cannot be kept: the least has to be at least 1 \
                 and at most the most"
            ),
            Self::Decrease { factor } => write!(
                f,
                "a limit that keeps {factor} of itself does not go down: the factor has to lie \
                 between 0 and 1"
            ),
        }
    }
}

impl StdError for InvalidAdaptiveLimit {}

/// The limit as it is at the moment.
#[derive(Clone, Debug)]
pub(super) struct Adaptation {
    settings: AdaptiveLimit,
    limit: f64,
    /// Calls that were sent before this one say nothing of the limit as it is now.
    first_since_cut: u64,
    cut_at: Option<Instant>,
}

/// What came of a call, as far as it says something of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Answered,
    OutOfCapacity,
    Nothing,
}

impl Adaptation {
    pub(super) fn new(settings: AdaptiveLimit) -> Self {
        Self {
            settings,
            limit: settings.initial as f64,
            first_since_cut: 0,
            cut_at: None,
        }
    }

    /// A call is over at `now` that was the `number`th to be sent of `sent`, with `in_flight` calls
    /// that had a place, its own among them. Returns the limit from now on.
    pub(super) fn observe(
        &mut self,
        sign: Sign,
        number: u64,
        sent: u64,
        in_flight: usize,
        now: Instant,
    ) -> usize {
        let AdaptiveLimit { least, most, .. } = self.settings;
        match sign {
            Sign::OutOfCapacity if number >= self.first_since_cut && self.may_cut(now) => {
                self.limit = (self.limit * self.settings.decrease).max(least as f64);
                self.first_since_cut = sent;
                self.cut_at = Some(now);
            }
            Sign::Answered
                if number >= self.first_since_cut && in_flight as f64 * 2.0 >= self.limit =>
            {
                self.limit = (self.limit + 1.0 / self.limit).min(most as f64);
            }
            _ => {}
        }
        (self.limit as usize).max(least)
    }

    fn may_cut(&self, now: Instant) -> bool {
        self.cut_at
            .is_none_or(|at| now.saturating_duration_since(at) >= BETWEEN_CUTS)
    }
}

impl Sign {
    /// What a failure for `cause` says of a pool, which may be that of one model.
    pub(super) const fn of(cause: Cause, is_of_one_model: bool) -> Self {
        match cause {
            Cause::CapacityExceeded | Cause::ServiceUnavailable | Cause::Timeout => {
                Self::OutOfCapacity
            }
            Cause::ModelOverloaded | Cause::ModelTimeout if is_of_one_model => Self::OutOfCapacity,
            _ => Self::Nothing,
        }
    }
}
