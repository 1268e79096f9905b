//! Answers that are given more than once: out of a cache, or to several calls at a time.

mod answer;
#[cfg(test)]
pub(crate) mod doubles;
mod readers;
mod stream;
mod wakers;

#[cfg(feature = "cache")]
pub(crate) use self::answer::Kept;
pub use self::answer::{AnswerPart, ReplayResponse};
pub(crate) use self::readers::broken;
pub(crate) use self::wakers::{Turnout, Wakers};

#[cfg(test)]
mod tests;
