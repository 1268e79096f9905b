//! Reads an answer to its end.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use aws_smithy_types::body::{Error, SdkBody};
use bytes::{Bytes, BytesMut};
use http_body::Body;

/// What is read of a body so far.
pub(super) struct Reader {
    body: SdkBody,
    is_guarded: bool,
    /// What came first, until there is more: as a rule it is all.
    first: Bytes,
    rest: BytesMut,
}

impl Reader {
    pub(super) fn new(body: SdkBody) -> Self {
        Self {
            body,
            is_guarded: false,
            first: Bytes::new(),
            rest: BytesMut::new(),
        }
    }

    /// Reads on to the end. As a rule a body comes together with its head; only what does not is
    /// watched by `guard`, whose timer would cost more than all the rest.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        guard: impl FnOnce(SdkBody) -> SdkBody,
    ) -> Poll<Result<Bytes, Error>> {
        let mut guard = Some(guard).filter(|_| !self.is_guarded);
        loop {
            let frame = match (Pin::new(&mut self.body).poll_frame(cx), guard.take()) {
                (Poll::Pending, Some(guard)) => {
                    let body = mem::replace(&mut self.body, SdkBody::taken());
                    self.body = guard(body);
                    self.is_guarded = true;
                    continue;
                }
                (frame, unused) => {
                    guard = unused;
                    ready!(frame)
                }
            };
            let is_last = match frame {
                Some(frame) => {
                    if let Ok(chunk) = frame?.into_data() {
                        self.keep(chunk);
                    }
                    self.body.is_end_stream()
                }
                None => true,
            };
            if is_last {
                let (first, rest) = (mem::take(&mut self.first), mem::take(&mut self.rest));
                let is_one = rest.is_empty();
                return Poll::Ready(Ok(if is_one { first } else { rest.freeze() }));
            }
        }
    }

    fn keep(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&chunk);
    }
}
