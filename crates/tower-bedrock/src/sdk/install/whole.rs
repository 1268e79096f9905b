//! Reads an answer to its end.

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use aws_smithy_types::body::{Error, SdkBody};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

/// Reads `body` to its end. As a rule it came together with its head; only what did not is watched by
/// `guard`, whose timer would cost more than all the rest.
pub(super) async fn read(
    body: SdkBody,
    guard: impl FnOnce(SdkBody) -> SdkBody,
) -> Result<Bytes, Error> {
    let mut reader = Reader {
        body,
        guard: Some(guard),
    };
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| reader.poll(cx)).await {
        let Ok(chunk) = frame?.into_data() else {
            continue;
        };
        if first.is_empty() {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&chunk);
        }
        if reader.body.is_end_stream() {
            break;
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

struct Reader<G> {
    body: SdkBody,
    guard: Option<G>,
}

impl<G: FnOnce(SdkBody) -> SdkBody> Reader<G> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        match self.guard.take() {
            Some(guard) => {
                let body = mem::replace(&mut self.body, SdkBody::taken());
                self.body = guard(body);
                Pin::new(&mut self.body).poll_frame(cx)
            }
            None => Poll::Pending,
        }
    }
}
