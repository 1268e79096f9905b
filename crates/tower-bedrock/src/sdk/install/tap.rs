//! A stream's body, read through.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::reply::{Finish, Watcher};

/// A body that tells watchers of its end. Nothing is held back or copied.
pub(super) struct Tap {
    /// What was read ahead.
    ahead: VecDeque<Bytes>,
    inner: SdkBody,
    /// A watcher is `Send` and a body must be `Sync`; nobody ever waits for this lock.
    watchers: Mutex<Vec<Box<dyn HeardOnce>>>,
}

/// A [`Watcher`] whose type is forgotten.
trait HeardOnce: Send {
    fn finish(&mut self, finish: Finish<'_>);
}

impl<W: Watcher> HeardOnce for W {
    fn finish(&mut self, finish: Finish<'_>) {
        Watcher::finish(self, finish);
    }
}

impl Tap {
    pub(super) const fn new(ahead: VecDeque<Bytes>, inner: SdkBody) -> Self {
        Self {
            ahead,
            inner,
            watchers: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn watch(&mut self, watcher: impl Watcher) {
        self.watchers().push(Box::new(watcher));
    }

    fn finish(&mut self, finish: Finish<'_>) {
        for mut watcher in self.watchers().drain(..) {
            watcher.finish(finish);
        }
    }

    fn watchers(&mut self) -> &mut Vec<Box<dyn HeardOnce>> {
        self.watchers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.finish(Finish::Abandoned);
    }
}

impl Body for Tap {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(chunk) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(None) = &frame {
            self.finish(Finish::Complete);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let ahead: usize = self.ahead.iter().map(Bytes::len).sum();
        let ahead = ahead as u64;
        let inner = Body::size_hint(&self.inner);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + ahead);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + ahead);
        }
        hint
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}
