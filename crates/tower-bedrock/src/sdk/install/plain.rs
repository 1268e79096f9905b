//! The usual attempt.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use super::{
    attempt::{Attempt, Sent},
    response::SdkResponse,
    whole::Reader,
};
use crate::error::RawError;

/// An attempt that sends the SDK's own request and reads a whole answer, with nothing to bound it: as
/// a rule that is all there is to a call. By hand, since it is what every call moves about.
pub(super) struct Plain {
    attempt: Attempt,
    step: Step,
}

enum Step {
    Sent(Sent),
    Reading(HttpResponse, Box<Reader>),
    /// Once more, for what is not usual.
    Again(Pin<Box<dyn Future<Output = Result<SdkResponse, RawError>> + Send>>),
    Done,
}

impl Plain {
    pub(super) const fn new(attempt: Attempt, sent: Sent) -> Self {
        let step = Step::Sent(sent);
        Self { attempt, step }
    }
}

impl Future for Plain {
    type Output = Result<SdkResponse, RawError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let whole = match &mut this.step {
                Step::Sent(sent) => {
                    let answer = ready!(Pin::new(&mut sent.answer).poll(cx));
                    match this.attempt.head(answer, sent.at) {
                        Ok(mut http) if http.body().bytes().is_none() => {
                            let body = mem::replace(http.body_mut(), SdkBody::taken());
                            this.step = Step::Reading(http, Box::new(Reader::new(body)));
                            continue;
                        }
                        whole => whole,
                    }
                }
                Step::Reading(_, reader) => {
                    let read = ready!(reader.poll(cx, |body| this.attempt.guarded(body)));
                    let Step::Reading(http, _) = mem::replace(&mut this.step, Step::Done) else {
                        return Poll::Pending;
                    };
                    this.attempt.read(http, read)
                }
                Step::Again(again) => return again.as_mut().poll(cx),
                Step::Done => return Poll::Pending,
            };
            let result = whole.and_then(|http| this.attempt.outcome(http));
            if !this.attempt.is_clocks_fault(&result) {
                return Poll::Ready(result.map_err(|error| this.attempt.locate(error)));
            }
            this.step = Step::Again(Box::pin(this.attempt.clone().once_more()));
        }
    }
}
