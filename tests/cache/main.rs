//! The cache and what shares attempts, with the SDK's own types and through the SDK.

mod answers;
mod any_input;
mod facts;
mod inputs;
mod wire;
