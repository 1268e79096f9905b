//! Streams of the SDK as [`ResponseStream`]s.

mod assemble;
mod block;
mod collect;
mod error;
mod event;
mod receive;

use std::{error::Error as StdError, future::Future};

use aws_sdk_bedrockruntime::{
    error::ProvideErrorMetadata, primitives::event_stream::EventReceiver,
};
use tokio::time::{Instant, timeout_at};

pub use self::assemble::MessageAssembler;
pub(super) use self::{
    error::{exception_code, unreadable},
    event::{counts_of, generated_bytes},
};
use crate::{
    call::CallContext,
    error::RawError,
    reply::BedrockResponse,
    route::ServiceTier,
    stream::{HoldBack, ResponseStream, StreamEvent, StreamLimits, StreamStalled},
};

/// How streams are waited for.
#[derive(Clone, Copy, Debug, Default)]
#[allow(unnameable_types)]
pub struct StreamOptions {
    pub(super) limits: StreamLimits,
    pub(super) hold_back: HoldBack,
}

/// What the head of a stream tells, and the stream.
pub(super) struct Opened<E, X> {
    pub(super) receiver: EventReceiver<E, X>,
    pub(super) request_id: Option<Box<str>>,
    pub(super) tier: Option<ServiceTier>,
}

impl StreamOptions {
    /// Bounds the wait for the head of a stream that is sent at `sent`: it comes before the first
    /// event.
    pub(super) async fn head<T>(
        &self,
        sent: Instant,
        head: impl Future<Output = T>,
    ) -> Result<T, StreamStalled> {
        let limit = self.limits.until_head();
        let Some((limit, after, at)) =
            limit.and_then(|(limit, after)| Some((limit, after, sent.checked_add(after)?)))
        else {
            return Ok(head.await);
        };
        timeout_at(at, head)
            .await
            .map_err(|_| StreamStalled::new(limit, after, 0))
    }

    /// The stream that was opened, once it has begun.
    pub(super) async fn answered<E, X>(
        &self,
        sent: Instant,
        opened: Opened<E, X>,
        call: CallContext,
    ) -> Result<ResponseStream<E>, RawError>
    where
        E: StreamEvent,
        X: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        EventReceiver<E, X>: Send + 'static,
    {
        let events = receive::receive(opened.receiver, async |mut receiver| {
            let event = receiver.recv().await.map_err(error::raw).transpose();
            (receiver, event)
        });
        let mut stream = ResponseStream::since(sent, events, call)
            .with_limits(self.limits)
            .with_hold_back(self.hold_back);
        stream.served_mut().request_id = opened.request_id;
        stream.answered().await
    }
}

#[cfg(test)]
mod tests;
