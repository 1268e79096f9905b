//! RetryLayer.
mod backoff;
pub use backoff::Backoff;
