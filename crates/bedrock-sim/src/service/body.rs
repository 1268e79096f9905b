//! Bodies of responses.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{SimError, settlement::Settlement, state::later};
use crate::wire::script::{Act, Course};

/// How long a cut waits, so that a server gets out what was sent before it. The scenario's own
/// times are far longer.
const CUT_GRACE: Duration = Duration::from_millis(5);

/// The body of a response: a document, or an event stream at the pace of its model.
pub struct SimBody(Kind);

enum Kind {
    Whole(Bytes),
    Stream(Box<StreamBody>),
}

/// An event stream under way.
pub(super) struct StreamBody {
    course: Course,
    admitted: Instant,
    /// `None` once settled.
    settlement: Option<Settlement>,
    sleep: Pin<Box<Sleep>>,
    cutting: bool,
}

impl SimBody {
    pub(super) fn whole(body: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(body.into()))
    }

    pub(super) fn stream(course: Course, admitted: Instant, settlement: Settlement) -> Self {
        Self(Kind::Stream(Box::new(StreamBody {
            course,
            admitted,
            settlement: Some(settlement),
            sleep: Box::pin(sleep_until(admitted)),
            cutting: false,
        })))
    }
}

impl StreamBody {
    fn poll_act(&mut self, cx: &mut Context<'_>) -> Poll<Result<Act, SimError>> {
        let Some(due) = self.course.due() else {
            return Poll::Pending;
        };
        if !self.cutting {
            ready!(self.poll_until(later(self.admitted, due), cx));
            let act = self.course.act(self.admitted.elapsed());
            match act {
                Ok(Act::Cut) => self.cutting = true,
                Ok(act) => return Poll::Ready(Ok(act)),
                // No frame of ours is too long for the format.
                Err(_) => return Poll::Ready(Err(SimError::ConnectionReset)),
            }
            self.sleep.as_mut().reset(Instant::now() + CUT_GRACE);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Ok(Act::Cut))
    }

    fn poll_until(&mut self, instant: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if instant <= Instant::now() {
            return Poll::Ready(());
        }
        if self.sleep.deadline() != instant {
            self.sleep.as_mut().reset(instant);
        }
        self.sleep.as_mut().poll(cx)
    }

    /// Settles as soon as the stream's fate is sealed: nobody has to poll the body to its end.
    fn note_progress(&mut self) {
        let tokens = self.course.tokens_sent();
        if self.course.is_complete() {
            if let Some(settlement) = self.settlement.take() {
                settlement.complete(tokens);
            }
        } else if let Some(settlement) = &mut self.settlement {
            settlement.sent(tokens);
        }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = SimError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SimError>>> {
        let stream = match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Kind::Stream(stream) => stream,
        };
        let act = ready!(stream.poll_act(cx));
        stream.note_progress();
        Poll::Ready(match act {
            Ok(Act::Send(frame)) => Some(Ok(Frame::data(frame))),
            Ok(Act::End) => {
                stream.settlement = None;
                None
            }
            Ok(Act::Cut) => {
                stream.settlement = None;
                Some(Err(SimError::ConnectionReset))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for SimBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Whole(_) => "Whole",
            Kind::Stream(_) => "Stream",
        };
        f.debug_tuple("SimBody").field(&kind).finish()
    }
}
