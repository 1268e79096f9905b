//! What cannot be meant.

use std::{error::Error as StdError, fmt, time::Duration};

/// A [`CircuitPolicy`](crate::CircuitPolicy) that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidCircuitPolicy {
    /// A number or a time that is 0 and must not be.
    Zero {
        /// Which.
        setting: &'static str,
    },
    /// A time of more than a day.
    TooLong {
        /// Which.
        setting: &'static str,
        /// What it was set to.
        value: Duration,
    },
    /// A rate that is not above 0 and at most 1.
    Rate {
        /// Which.
        setting: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// A window of less than a millisecond, or of more than a day.
    Window {
        /// What it was set to.
        value: Duration,
    },
    /// A first cooldown that is longer than the longest.
    Cooldown {
        /// The first.
        first: Duration,
        /// The longest.
        longest: Duration,
    },
    /// Neither failures nor slow calls would ever open the circuit.
    NeverOpens,
}

impl fmt::Display for InvalidCircuitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { setting } => write!(f, "{setting} is 0; it is at least 1"),
            Self::TooLong { setting, value } => {
                write!(f, "the {setting} is {value:?}; it is at most a day")
            }
            Self::Rate { setting, value } => {
                write!(f, "the {setting} is {value}; it is above 0 and at most 1")
            }
            Self::Window { value } => {
                write!(f, "the window is {value:?}; it is from 1 ms to a day")
            }
            Self::Cooldown { first, longest } => write!(
                f,
                "the first cooldown is {first:?}, which is longer than the longest, {longest:?}"
            ),
            Self::NeverOpens => f.write_str(
                "nothing opens the circuit: set a failure rate, consecutive failures or slow calls",
            ),
        }
    }
}

impl StdError for InvalidCircuitPolicy {}
