//! The cache and what shares attempts, with the SDK's own types and through the SDK.

mod answers;
mod facts;
mod inputs;
mod wire;
