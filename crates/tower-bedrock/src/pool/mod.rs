//! [`PoolLayer`]: no more in flight than the other side bears.
//!
//! A region that gets more calls at once than it has connections or capacity for refuses some of
//! them, and an application that opens a connection for each call of a burst runs dry of them. So
//! calls take a place before they are sent, and wait in line for it:
//!
//! * [`Pools`] keeps a pool for each [`PoolKey`], for each region by default. It says how many may be
//!   in flight, how many may wait and for how long, and can be looked at while calls go on.
//! * A place is taken until the reply is *finished*: of a stream, until its last event was seen, it
//!   failed, or was dropped.
//! * [`AdaptiveLimit`] finds the number by itself, from refusals for want of capacity.

mod adaptive;
mod error;
mod event;
mod free;
mod full;
pub mod future;
mod key;
mod layer;
mod permit;
mod permits;
mod places;
mod pools;
mod snapshot;
#[cfg(test)]
mod tests;

pub use self::{
    adaptive::{AdaptiveLimit, InvalidAdaptiveLimit},
    error::{PoolSaturated, SaturatedReason},
    event::PoolEvent,
    key::PoolKey,
    layer::{Pool, PoolLayer},
    pools::Pools,
    snapshot::PoolSnapshot,
};
