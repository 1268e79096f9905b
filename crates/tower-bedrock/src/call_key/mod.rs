//! When two calls are the same: what caches, and layers that share attempts, know calls by.

mod facts;
mod key;
mod rule;

pub use self::{
    facts::InputFacts,
    key::{KeyedInput, KeyedRequest},
};
pub(crate) use self::{
    key::{CallKey, Keys},
    rule::CallRule,
};

#[cfg(test)]
mod tests;
