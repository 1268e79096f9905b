//! How a stream ends, and who hears of it.

use super::{End, ResponseStream};
use crate::{
    cause::Cause,
    error::{Error, ErrorDetails, RawError},
    reply::{BedrockResponse, Finish, Served, Usage, UsageEstimate, Watcher},
};

impl<E> ResponseStream<E> {
    pub(super) fn complete(&mut self) {
        if self.end.is_none() {
            self.end = Some(End::Complete);
            self.tell(Finish::Complete);
        }
    }

    /// Closes the connection, with the answer whole.
    pub(super) fn close(&mut self) {
        self.source = None;
        self.complete();
        self.tell_tap();
    }

    /// Closes the connection and tells everybody why.
    pub(super) fn fail(&mut self, error: RawError) -> Error {
        self.source = None;
        self.tap = None;
        let classifier = self.call.classifier.take().unwrap_or_default();
        let error = classifier.classify(error);
        let error = match error.operation() {
            Some(_) => error,
            None => error.with_context(&self.call),
        };
        if self.end.is_none() {
            self.end = Some(End::Failed);
            self.tell(Finish::Failed(&error));
        }
        error
    }

    fn tell(&mut self, finish: Finish<'_>) {
        let model = self.served.route.model.as_ref();
        self.usage = match self.is_copy {
            true => Some(Usage::default()),
            false => self.lifecycle.usage(model),
        };
        let usage = self.usage;
        let estimate = self.lifecycle.estimate(model);
        self.watchers
            .tell(|watcher| report(watcher, usage.as_ref(), &estimate, finish));
    }

    pub(super) fn truncated(&self) -> RawError {
        let events = self.lifecycle.events();
        self.located(RawError::Truncated(Box::new(ErrorDetails {
            message: Some(format!(
                "it ended after {events} events, and the answer was not whole"
            )),
            ..ErrorDetails::default()
        })))
    }

    pub(super) fn deadline_exceeded(&self) -> RawError {
        let events = self.lifecycle.events();
        let mut error = Error::new(Cause::DeadlineExceeded).with_message(format!(
            "the call's deadline passed after {events} events of its stream"
        ));
        if let Some(request_id) = &self.served.request_id {
            error = error.with_request_id(&**request_id);
        }
        error.with_context(&self.call).into()
    }

    /// The same error with what is known of the call.
    pub(super) fn located(&self, mut error: RawError) -> RawError {
        if let Some(details) = error.details_mut() {
            if details.request_id.is_none() {
                details.request_id = self.served.request_id.as_deref().map(str::to_owned);
            }
            details.route = Some(self.call.route.clone());
        }
        error
    }
}

fn report(
    watcher: &mut dyn Watcher,
    usage: Option<&Usage>,
    estimate: &UsageEstimate,
    finish: Finish<'_>,
) {
    match usage {
        Some(usage) => watcher.usage(usage),
        None => watcher.estimate(estimate),
    }
    watcher.finish(finish);
}

impl<E> BedrockResponse for ResponseStream<E> {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    /// The watcher costs one allocation. It hears at once if the answer came whole already.
    fn watch(&mut self, mut watcher: impl Watcher) {
        if let Some(at) = self.lifecycle.first_content() {
            watcher.first_content(at);
        }
        let finish = match self.end {
            None => return self.watchers.push(watcher),
            Some(End::Complete) => Finish::Complete,
            // The error is with the caller.
            Some(End::Failed) => Finish::Abandoned,
        };
        let estimate = self.estimated_usage();
        report(&mut watcher, self.usage.as_ref(), &estimate, finish);
    }
}

impl<E> Drop for ResponseStream<E> {
    fn drop(&mut self) {
        self.source = None;
        if self.end.is_none() {
            self.tell(if self.lifecycle.is_whole() {
                Finish::Complete
            } else {
                Finish::Abandoned
            });
        }
        self.tell_tap();
    }
}
