//! The future of [`TokenBudget`](super::TokenBudget).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    error::BudgetExhausted,
    estimate::TokenEstimator,
    event::TokenBudgetEvent,
    gate::{Admission, Gate},
    hold::Hold,
    layer::Config,
    settlement::Settlement,
    terms::Need,
    turnstile::Turnstile,
};
use crate::{
    call::{BedrockRequest, CallContext, Operation},
    error::Error,
    reply::BedrockResponse,
};

pin_project! {
    /// The future of [`TokenBudget`](super::TokenBudget).
    pub struct ResponseFuture<S, R, E>
    where
        S: Service<R>,
    {
        service: S,
        request: Option<R>,
        config: Arc<Config<E>>,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// Not polled yet, or to be admitted anew.
        Asking,
        /// In line.
        Waiting { turnstile: Turnstile, since: Instant },
        /// Admitted, or in no need of it; the inner service is not ready.
        Readying { hold: Option<Hold> },
        /// The inner service has the call.
        Called { #[pin] response: F, hold: Option<Hold> },
    }
}

impl<S, R, E> ResponseFuture<S, R, E>
where
    S: Service<R>,
{
    pub(super) const fn new(service: S, request: R, config: Arc<Config<E>>) -> Self {
        Self {
            service,
            request: Some(request),
            config,
            state: State::Asking,
        }
    }
}

impl<S, R, E> Future for ResponseFuture<S, R, E>
where
    R: BedrockRequest,
    S: Service<R>,
    S::Response: BedrockResponse,
    S::Error: Into<Error>,
    E: TokenEstimator<R>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Asking => {
                    let Some(request) = this.request.as_mut() else {
                        return Poll::Pending;
                    };
                    let hold = match this.config.ask(request) {
                        Some(Admission::Admitted(hold)) => Some(hold),
                        Some(Admission::Waits(turnstile)) => {
                            let since = Instant::now();
                            this.state.set(State::Waiting { turnstile, since });
                            continue;
                        }
                        Some(Admission::Refused(refusal)) => {
                            let call = request.context();
                            return Poll::Ready(Err(this.config.refuse(call, refusal)));
                        }
                        None => None,
                    };
                    this.state.set(State::Readying { hold });
                }
                StateProj::Waiting { turnstile, since } => {
                    let passed = ready!(turnstile.poll_pass(cx));
                    let waited = Instant::now().saturating_duration_since(*since);
                    let call = this.request.as_ref().map(BedrockRequest::context);
                    match (passed, call) {
                        (Ok(hold), Some(call)) => {
                            let event = TokenBudgetEvent::Waited { call, waited };
                            this.config.rules.tell(&event);
                            let hold = Some(hold);
                            this.state.set(State::Readying { hold });
                        }
                        (Err(refusal), Some(call)) => {
                            return Poll::Ready(Err(this.config.refuse(call, refusal)));
                        }
                        (_, None) => return Poll::Pending,
                    }
                }
                StateProj::Readying { hold } => {
                    match this.service.poll_ready(cx) {
                        Poll::Pending => {
                            if let Some(hold) = hold {
                                hold.recall(Instant::now());
                            }
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => {
                            // Nothing was sent.
                            if let Some(hold) = hold.take() {
                                hold.give_back(Instant::now());
                            }
                            return Poll::Ready(Err(error.into()));
                        }
                        Poll::Ready(Ok(())) => {}
                    }
                    if hold.as_mut().is_some_and(|hold| !hold.send()) {
                        this.state.set(State::Asking);
                        continue;
                    }
                    let Some(request) = this.request.take() else {
                        return Poll::Pending;
                    };
                    let hold = hold.take();
                    let response = this.service.call(request);
                    this.state.set(State::Called { response, hold });
                }
                StateProj::Called { response, hold } => {
                    let result = ready!(response.poll(cx)).map_err(Into::into);
                    let Some(hold) = hold.take() else {
                        return Poll::Ready(result);
                    };
                    let settlement = Settlement::new(hold, Arc::clone(&this.config.rules));
                    return Poll::Ready(match result {
                        Ok(mut response) => {
                            response.watch(settlement);
                            Ok(response)
                        }
                        Err(error) => {
                            settlement.failed(&error);
                            Err(error)
                        }
                    });
                }
            }
        }
    }
}

impl<E> Config<E> {
    /// Asks for admission; `None` if the call draws on no quota.
    fn ask<R>(&self, request: &mut R) -> Option<Admission>
    where
        R: BedrockRequest,
        E: TokenEstimator<R>,
    {
        let call = request.context();
        if call.route.model.is_none()
            || matches!(
                call.operation,
                Operation::CountTokens | Operation::ApplyGuardrail
            )
        {
            return None;
        }
        let gate = self.rules.quotas.gate(&call.route);
        if call.tokens.max_output.is_none() {
            self.bound_output(&gate, request);
        }
        let need = Need {
            input: self.estimator.estimate(request),
            max_output: request.context().tokens.max_output,
        };
        Some(gate.admit(Instant::now(), request.context(), need, self.line))
    }

    /// Sets the clamp on a call without `maxTokens`, or tells that there is none.
    fn bound_output<R: BedrockRequest>(&self, gate: &Gate, request: &mut R) {
        let is_clamped = self
            .output_clamp
            .is_some_and(|tokens| request.set_max_output_tokens(tokens.get()));
        if !is_clamped && gate.is_first_unbounded() {
            self.rules.tell(&TokenBudgetEvent::MaxTokensUnset {
                call: request.context(),
                held: gate.lock().terms.max_output(),
            });
        }
    }

    fn refuse(&self, call: &CallContext, refusal: BudgetExhausted) -> Error {
        self.rules.tell(&TokenBudgetEvent::Refused {
            call,
            refusal: &refusal,
        });
        Error::from(refusal).with_context(call)
    }
}

impl<S, R, E> fmt::Debug for ResponseFuture<S, R, E>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
