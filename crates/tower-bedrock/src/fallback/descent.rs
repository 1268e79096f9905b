//! A call on its way down the ladder.

use std::mem;

use super::{
    choice::{Choice, Progress},
    config::Config,
    error::{FallbackExhausted, SkippedRoute},
    event::FallbackEvent,
    rules::is_degraded,
};
use crate::{
    call::{BedrockRequest, CallContext},
    cause::Cause,
    clock,
    error::Error,
    reply::BedrockResponse,
    route::Route,
    token_budget::BudgetExhausted,
};

/// Where a call is on its way down the ladder. What it is called with is the call as it was made.
#[derive(Debug, Default)]
pub(super) struct Descent {
    progress: Progress,
    /// Which attempt comes next, over all routes.
    attempt: u32,
    /// Where the call was sent last.
    last: Choice,
    errors: Vec<Error>,
    /// Which routes a listener knows to be passed over.
    told: u16,
}

impl Descent {
    pub(super) fn of(call: &CallContext) -> Self {
        Self {
            attempt: call.attempt,
            ..Self::default()
        }
    }

    /// The route that the call takes first.
    #[inline]
    pub(super) fn start(&mut self, config: &Config, call: &CallContext) -> Result<Choice, Error> {
        match config.quiet_choice(call) {
            Some(choice) => Ok(choice),
            None => self.choose_first(config, call),
        }
    }

    #[cold]
    fn choose_first(&mut self, config: &Config, call: &CallContext) -> Result<Choice, Error> {
        self.progress = match config.begin(call) {
            Ok(progress) => progress,
            Err(refusal) => {
                let error = Error::from(refusal).with_context(call);
                tell_exhausted(config, call, &error);
                return Err(error);
            }
        };
        if call.fallback.is_disabled || !config.has_ladder(call) {
            return Ok(Choice::OWN);
        }
        let chooser = config.chooser(call);
        // A call that was nowhere always has somewhere to go.
        let choice = chooser.choose(&mut self.progress).unwrap_or(Choice::OWN);
        if choice.index > 0 {
            self.tell_move(config, call, choice.index);
        }
        Ok(choice)
    }

    /// The route that the call takes after others have failed.
    pub(super) fn next(&mut self, config: &Config, call: &CallContext) -> Result<Choice, Error> {
        let choice = if has_expired(call) {
            None
        } else {
            config.chooser(call).choose(&mut self.progress)
        };
        if let Some(choice) = choice {
            self.tell_move(config, call, choice.index);
            return Ok(choice);
        }
        let error = self.errors.pop().unwrap_or_else(deadline_exceeded);
        Err(self.exhaust(config, call, error))
    }

    /// A copy of `request` that is the attempt of `choice`.
    #[inline]
    pub(super) fn sent<R>(&mut self, config: &Config, choice: Choice, request: &mut R) -> R
    where
        R: BedrockRequest,
    {
        let index = choice.index;
        let is_first = self.progress.is_untouched();
        self.progress.went(index);
        self.last = choice;
        if index > 0 || !is_first {
            let mut attempt = request.clone();
            self.redirect(config, choice, is_first, attempt.context_mut());
            return attempt;
        }
        // On its own way. Changed before it is copied, and changed back: so the copy is made where it
        // is to be.
        let call = request.context_mut();
        let made = (call.has_next_route, call.max_wait);
        self.tell_next(config, choice, call);
        let attempt = request.clone();
        let call = request.context_mut();
        (call.has_next_route, call.max_wait) = made;
        attempt
    }

    #[cold]
    fn redirect(&self, config: &Config, choice: Choice, is_first: bool, call: &mut CallContext) {
        if choice.index > 0 {
            call.route = config.chooser(call).routes.route(choice.index);
        }
        if !is_first {
            call.send_signal = None;
        }
        call.attempt = self.attempt;
        self.tell_next(config, choice, call);
    }

    /// Tells the layers below what comes after the route of `choice`.
    #[inline]
    fn tell_next(&self, config: &Config, choice: Choice, call: &mut CallContext) {
        let most = call.retry.max_attempts;
        let may_go_on = most.is_none_or(|most| self.attempt < most.get());
        call.has_next_route |= choice.has_next && may_go_on;
        if choice.is_hasty {
            let max_wait = call.max_wait.unwrap_or(config.patience);
            call.max_wait = Some(max_wait.min(config.patience));
        }
    }

    /// The route that the call was sent to has answered.
    pub(super) fn serve(
        &self,
        config: &Config,
        call: &CallContext,
        response: &mut impl BedrockResponse,
    ) {
        let choice = self.last;
        let served = response.served_mut();
        served.route_index = choice.index;
        served.attempts = served.attempts.max(self.attempt);
        if served.route == Route::default() {
            served.route = config.chooser(call).routes.route(choice.index);
        }
        served.degraded |= is_degraded(&call.route, &served.route);
    }

    /// The route that the call was sent to has failed. Returns the error if that ends the call.
    pub(super) fn fail(
        &mut self,
        config: &Config,
        call: &CallContext,
        error: Error,
    ) -> Option<Error> {
        let choice = self.last;
        let chooser = config.chooser(call);
        let error = if error.operation().is_some() {
            error
        } else {
            let mut attempt = call.clone();
            attempt.route = chooser.routes.route(choice.index);
            attempt.attempt = self.attempt;
            error.with_context(&attempt)
        };
        let cause = error.cause();
        let was_sent = !cause.is_own_refusal() || cause == Cause::DeadlineExceeded;
        let attempt = error.attempts().unwrap_or(self.attempt);
        self.attempt = attempt.saturating_add(was_sent.into());
        if !was_sent {
            chooser.give_back(choice.index);
            if choice.is_hasty && was_in_haste(&error) {
                self.progress.would_not_wait(choice.index);
            }
        }
        if cause == Cause::ContextTooLong {
            self.progress.outgrew(chooser.routes.window(choice.index));
        }

        if !config.moves_on(call, choice.index, &error) {
            return Some(self.give_up(error));
        }
        let most = call.retry.max_attempts;
        let is_spent = most.is_some_and(|most| self.attempt > most.get());
        if is_spent || has_expired(call) || !chooser.is_any_free(self.progress) {
            return Some(self.exhaust(config, call, error));
        }
        self.errors.push(error);
        None
    }

    /// The inner service did not become ready for another route.
    pub(super) fn fail_unready(&mut self, call: &CallContext, error: Error) -> Error {
        let error = match error.operation() {
            Some(_) => error,
            None => error.with_context(call),
        };
        self.give_up(error)
    }

    /// Ends the call with an error that another route would not cure.
    fn give_up(&mut self, error: Error) -> Error {
        if self.errors.is_empty() {
            return error;
        }
        let errors = mem::take(&mut self.errors);
        error.with_other_routes(FallbackExhausted::new(errors, Vec::new()))
    }

    /// Ends the call with the error of its last route, as it can take no other.
    fn exhaust(&mut self, config: &Config, call: &CallContext, error: Error) -> Error {
        let chooser = config.chooser(call);
        self.tell_skipped(config, call, chooser.routes.len());
        let skipped = (0..chooser.routes.len()).filter_map(|index| {
            Some(SkippedRoute {
                reason: chooser.skips(index, self.progress)?,
                route: chooser.routes.route(index),
            })
        });
        let skipped: Vec<_> = skipped.collect();
        let errors = mem::take(&mut self.errors);
        if errors.is_empty() && skipped.is_empty() {
            return error;
        }
        let error = error.with_other_routes(FallbackExhausted::new(errors, skipped));
        tell_exhausted(config, call, &error);
        error
    }

    fn tell_move(&mut self, config: &Config, call: &CallContext, to: usize) {
        if !config.is_heard() {
            return;
        }
        self.tell_skipped(config, call, to);
        let chooser = config.chooser(call);
        let cause = match self.errors.last() {
            Some(error) => Some(error.cause()),
            None => chooser
                .skips(0, self.progress)
                .and_then(|reason| reason.cause()),
        };
        config.tell(&FallbackEvent::Moved {
            call,
            from: &chooser.routes.route(self.last.index),
            to: &chooser.routes.route(to),
            cause,
        });
    }

    /// Tells of the routes before `end` that the call passes over.
    fn tell_skipped(&mut self, config: &Config, call: &CallContext, end: usize) {
        if !config.is_heard() {
            return;
        }
        let chooser = config.chooser(call);
        for index in 0..end {
            let bit = 1 << index;
            if self.told & bit != 0 {
                continue;
            }
            if let Some(why) = chooser.skips(index, self.progress) {
                self.told |= bit;
                config.tell(&FallbackEvent::Skipped {
                    call,
                    route: &chooser.routes.route(index),
                    why,
                });
            }
        }
    }
}

/// Whether a route that refused a call might have it, if it waited there.
fn was_in_haste(error: &Error) -> bool {
    match error.cause() {
        Cause::BudgetExhausted => {
            BudgetExhausted::of(error).is_none_or(|refusal| refusal.wait().is_some())
        }
        cause => cause == Cause::PoolSaturated,
    }
}

fn tell_exhausted(config: &Config, call: &CallContext, error: &Error) {
    config.tell(&FallbackEvent::Exhausted { call, error });
}

fn has_expired(call: &CallContext) -> bool {
    call.deadline
        .is_some_and(|deadline| deadline <= clock::now())
}

pub(super) fn deadline_exceeded() -> Error {
    Error::new(Cause::DeadlineExceeded).with_message("the call's deadline has passed")
}
