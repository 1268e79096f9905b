//! Replies that come in events: [`ResponseStream`], its [`StreamLimits`] and its [`HoldBack`].

mod facts;
pub(crate) mod lifecycle;
mod limits;
mod response;
mod source;
mod stalled;
pub(crate) mod watchers;
// Raw frames are read where the SDK's own client is wrapped.
#[cfg(feature = "aws")]
pub(crate) mod wire;

pub(crate) use self::response::Tap;
pub use self::{
    facts::{EventFacts, StreamEvent, TokenCounts},
    limits::{HoldBack, StreamLimit, StreamLimits},
    response::ResponseStream,
    stalled::StreamStalled,
};

#[cfg(test)]
mod tests;
