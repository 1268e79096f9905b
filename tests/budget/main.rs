//! The token budget against the simulator's own account, in virtual time.

mod account;
mod bedrock;
mod estimate;
mod examples;
mod pool;
