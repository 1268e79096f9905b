//! The usual attempt.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use tokio::time::{Sleep, sleep_until};

use super::{
    attempt::{Attempt, Sent},
    response::SdkResponse,
    whole::Reader,
};
use crate::{clock, error::RawError};

/// An attempt that sends the SDK's own request and reads a whole answer, with nothing to bound it: as
/// a rule that is all there is to a call. By hand, since it is what every call moves about.
pub(super) struct Plain {
    attempt: Attempt,
    step: Step,
    /// Goes off at the call's deadline. There is none before the answer has to be waited for.
    alarm: Option<Pin<Box<Sleep>>>,
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
        Self {
            attempt,
            step: Step::Sent(sent),
            alarm: None,
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<SdkResponse, RawError>> {
        let this = self;
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

impl Future for Plain {
    type Output = Result<SdkResponse, RawError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(result) = this.poll_answer(cx) {
            return Poll::Ready(result);
        }
        let deadline = this.attempt.deadline();
        let Some(deadline) = deadline.filter(clock::comes) else {
            return Poll::Pending;
        };
        let alarm = this
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(alarm.as_mut().poll(cx));
        this.step = Step::Done;
        Poll::Ready(Err(this.attempt.too_late().into()))
    }
}
