//! The AWS SDK's faces: [`Bedrock`] sends requests, and what the SDK returns becomes a
//! [`RawError`](crate::RawError).

mod call_key;
mod cause;
mod count;
pub(crate) mod error;
#[cfg(feature = "default-https-client")]
mod https_client;
mod intercept;
mod operation;
mod replay;
mod service;
mod size;
mod stream;
#[cfg(test)]
mod tests;

pub mod future;
pub mod install;

#[cfg(feature = "default-https-client")]
pub use self::https_client::pooled_https_client;
pub use self::{
    count::CountTokensEstimator, operation::SdkOperation, service::Bedrock,
    stream::MessageAssembler,
};
