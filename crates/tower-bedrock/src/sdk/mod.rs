//! The AWS SDK's faces: [`Bedrock`] sends requests, and what the SDK returns becomes a
//! [`RawError`](crate::RawError).

mod count;
pub(crate) mod error;
mod intercept;
mod operation;
mod service;
mod size;
mod stream;
#[cfg(test)]
mod tests;

pub mod future;
pub mod install;

pub use self::{
    count::CountTokensEstimator, operation::SdkOperation, service::Bedrock,
    stream::MessageAssembler,
};
