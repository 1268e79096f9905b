//! [`Batch`]: many calls through one stack, so many at a time.
//!
//! A batch pulls its requests lazily, keeps a bounded number of them in flight and yields what became
//! of each as a [`Stream`](futures_core::Stream). One failure does not lose the others, and a batch
//! that is broken off tells what is left to do.

mod input;
mod item;
mod progress;
mod results;
mod settings;
#[cfg(test)]
mod tests;

pub use self::{
    input::BatchInput,
    item::{BatchItem, BatchRemains},
    progress::BatchProgress,
    results::BatchResults,
    settings::Batch,
};
