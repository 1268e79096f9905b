//! When two calls are the same: what caches, and layers that share attempts, know calls by.

mod facts;
mod key;
mod rule;

#[cfg(test)]
pub(crate) use self::key::Counted;
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
