//! [`CoalesceLayer`]: calls that are the same and under way at the same time share one attempt.
//!
//! A page that many open at once, a cache whose entry has just run out, a client that asks twice: the
//! first call is made, and those like it that come before its answer are given the same one. Which
//! calls are the same is a matter of the key that the [cache](crate::InputFacts) uses too: operation,
//! route, most output tokens, what is asked of the fallback, tenant, and the whole input.
//!
//! * **Nobody owns the attempt.** It is polled by whoever waits for it, so a call that is dropped takes
//!   nothing from the others; the attempt is dropped with the last of them. No task is spawned.
//! * **Deadlines are each call's own.** The attempt is given a tenth more time than the call that
//!   begins it has left, and calls join it whose own deadline is not later than that. So no call fails
//!   for another's deadline, and a burst of calls with the same timeout is one attempt. A call with
//!   a later deadline begins an attempt of its own, which those after it join.
//! * **It is charged once.** Below the layer there is one attempt: one hold on the quota, one permit, one
//!   count. Of its answers one says what was used; all others are
//!   [marked](crate::Served::coalesced), with a [`Usage`](crate::Usage) of zero.
//! * **Streams are shared, too.** Each call reads the stream from its beginning and at its own pace,
//!   however late it joins; who wants more than has come reads on for all. What came stays in memory
//!   until the last of them is done.
//! * **What fails, fails for all.** Each gets the same error: retries have been made by then.

mod event;
mod flight;
mod flights;
pub mod future;
mod layer;
#[cfg(test)]
mod tests;

pub use self::{
    event::CoalesceEvent,
    layer::{Coalesce, CoalesceLayer},
};
