//! [`CacheLayer`]: the cheapest call is the one that is not made.
//!
//! Answers are kept and given again to calls that the service could not tell from the first one. What
//! that takes:
//!
//! * **The same key.** Operation, route as asked (model, region, tier), most output tokens, what the call
//!   asks of the fallback, tenant, and the whole input, compared field by field with the SDK's own
//!   equality. A hash only says where to look.
//! * **A call that may be repeated.** By default one that says a temperature of zero, has no tools,
//!   and points to nothing that can change behind it ([`InputFacts`](crate::InputFacts)). A call says
//!   otherwise with [`CacheControl`](crate::CacheControl), a layer with a
//!   [rule](CacheLayer::with_rule) of its own.
//! * **An answer worth keeping.** Whole, and ended by the model itself: no error, no stream that its
//!   reader left, nothing that ran out of tokens or was blocked, and nothing that a fallback
//!   answered [in the place](crate::Served::degraded) of what was asked for.
//!
//! | who answered | kept |
//! |---|---|
//! | Converse, its stream | if it stopped by `end_turn`, `stop_sequence` or `tool_use` |
//! | InvokeModel, its stream | unless its body names another reason to have stopped than the like of these; a body that names none, as of an embedding, is kept |
//! | CountTokens | yes |
//! | ApplyGuardrail | yes |
//!
//! An answer out of the cache says so: [`Served::cache`](crate::Served::cache) is a
//! [`Hit`](crate::CacheStatus::Hit) with its age, the attempts are none, and [`Usage`](crate::Usage) is
//! zero, since nothing was used. The SDK's output itself stays as it came, its own `usage` included.
//!
//! The cache lives in the memory of the process, holds prompts and answers in the clear, and gives them up
//! after its time to live, or when there is too little room.

mod error;
mod event;
pub mod future;
mod layer;
mod store;
#[cfg(test)]
mod tests;

pub use self::{
    error::InvalidCache,
    event::{CacheEvent, NotKept},
    layer::{Cache, CacheLayer},
    store::CacheStore,
};
