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
    estimate::{Estimate, TokenCount, TokenEstimator},
    event::TokenBudgetEvent,
    gate::{Admission, Gate},
    hold::Hold,
    layer::Config,
    settlement::Settlement,
    terms::{Draw, Need},
    turnstile::Turnstile,
};
use crate::{
    call::{BedrockRequest, CallContext, Operation},
    error::Error,
    reply::BedrockResponse,
    send_signal::LateSend,
    size::InputSize,
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
        late: LateSend,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// Not polled yet, or to be admitted anew.
        Asking,
        /// Its input is being counted, as it does not fit with room to spare.
        Counting { count: TokenCount },
        /// In line.
        Waiting { turnstile: Turnstile, draw: Draw, since: Instant },
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
    pub(super) fn new(service: S, request: R, config: Arc<Config<E>>) -> Self {
        Self {
            service,
            request: Some(request),
            config,
            late: LateSend::default(),
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
                    let next = match this.config.ask(request) {
                        Asked::Passes => State::Readying { hold: None },
                        Asked::Admitted(hold) => State::Readying { hold: Some(hold) },
                        Asked::Counts(count) => State::Counting { count },
                        Asked::Stands(need) => {
                            match this.config.stand_in_line(request, need, this.late) {
                                Ok(state) => state,
                                Err(error) => return Poll::Ready(Err(error)),
                            }
                        }
                    };
                    this.state.set(next);
                }
                StateProj::Counting { count } => {
                    let counted = ready!(count.as_mut().poll(cx));
                    let Some(request) = this.request.as_mut() else {
                        return Poll::Pending;
                    };
                    if let Some(tokens) = counted {
                        this.config.learn_count(request.context(), tokens);
                    }
                    let need = this.config.need(request, counted);
                    match this.config.stand_in_line(request, need, this.late) {
                        Ok(state) => this.state.set(state),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                StateProj::Waiting {
                    turnstile,
                    draw,
                    since,
                } => {
                    let passed = ready!(turnstile.poll_pass(cx));
                    let waited = Instant::now().saturating_duration_since(*since);
                    let call = this.request.as_ref().map(BedrockRequest::context);
                    match (passed, call) {
                        (Ok(sent), Some(call)) => {
                            let gate = Arc::clone(turnstile.gate());
                            let line = this.config.line;
                            let hold = Some(Hold::of_waiter(gate, call, *draw, line, sent));
                            let event = TokenBudgetEvent::Waited { call, waited };
                            this.config.rules.tell(&event);
                            this.state.set(State::Readying { hold });
                        }
                        (Err(refusal), Some(call)) => {
                            return Poll::Ready(Err(this.config.refuse(call, refusal)));
                        }
                        (_, None) => return Poll::Pending,
                    }
                }
                StateProj::Readying { hold } => {
                    let Some(call) = this.request.as_ref().map(BedrockRequest::context) else {
                        return Poll::Pending;
                    };
                    let ready = match this.service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => this.late.poll_sends(call, cx),
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                        Poll::Pending => {
                            this.late.waits(call);
                            Poll::Pending
                        }
                    };
                    match ready {
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
                            return Poll::Ready(Err(error));
                        }
                        Poll::Ready(Ok(())) => {}
                    }
                    if let (Some(hold), Some(request)) = (hold.as_mut(), this.request.as_mut()) {
                        if !hold.send() {
                            this.state.set(State::Asking);
                            continue;
                        }
                        request.context_mut().send_signal = hold.signal();
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

/// What comes of a call at first.
enum Asked {
    /// It draws on no quota.
    Passes,
    Admitted(Hold),
    /// It might fit or not: its input is counted first.
    Counts(TokenCount),
    /// It is admitted as its turn comes.
    Stands(Need),
}

impl<E> Config<E> {
    fn ask<R>(&self, request: &mut R) -> Asked
    where
        R: BedrockRequest,
        E: TokenEstimator<R>,
    {
        let call = request.context();
        let has_quota = !matches!(
            call.operation,
            Operation::CountTokens | Operation::ApplyGuardrail
        );
        if call.route.model.is_none() || !has_quota {
            return Asked::Passes;
        }
        let gate = self.rules.quotas.gate(&call.route);
        if call.tokens.max_output.is_none() {
            self.bound_output(&gate, request);
        }
        let need = self.need(request, None);
        let call = request.context();
        let admitted = gate.admit_with_room(Instant::now(), call, need, self.line);
        if let Some(hold) = admitted {
            return Asked::Admitted(hold);
        }
        match self.estimator.count(request) {
            Some(count) => Asked::Counts(count),
            None => Asked::Stands(need),
        }
    }

    /// What a call needs, by its count or else by an estimate.
    fn need<R>(&self, request: &R, counted: Option<u64>) -> Need
    where
        R: BedrockRequest,
        E: TokenEstimator<R>,
    {
        let input = match counted {
            Some(tokens) => Estimate::Tokens(tokens),
            None => self.estimator.estimate(request),
        };
        Need {
            input,
            max_output: request.context().tokens.max_output,
        }
    }

    /// A count teaches the estimates of others.
    fn learn_count(&self, call: &CallContext, tokens: u64) {
        if call.tokens.size != InputSize::default() {
            let gate = self.rules.quotas.gate(&call.route);
            let mut state = gate.lock();
            state.calibration.observe(&call.tokens.size, tokens);
        }
    }

    /// Has a call admitted as its turn comes.
    fn stand_in_line<R: BedrockRequest, F>(
        &self,
        request: &R,
        need: Need,
        late: &mut LateSend,
    ) -> Result<State<F>, Error> {
        let call = request.context();
        let now = Instant::now();
        let gate = self.rules.quotas.gate(&call.route);
        match gate.admit(now, call, need, self.line) {
            Admission::Admitted(hold) => Ok(State::Readying { hold: Some(hold) }),
            Admission::Waits(turnstile, draw) => {
                late.waits(call);
                Ok(State::Waiting {
                    turnstile,
                    draw,
                    since: now,
                })
            }
            Admission::Refused(refusal) => Err(self.refuse(call, refusal)),
        }
    }

    /// Sets the clamp on a call without `maxTokens`, or tells that there is none.
    fn bound_output<R: BedrockRequest>(&self, gate: &Gate, request: &mut R) {
        let is_clamped = self
            .output_clamp
            .is_some_and(|tokens| request.set_max_output_tokens(tokens.get()));
        if !is_clamped && gate.is_first_unbounded() {
            let call = request.context();
            // Listeners may ask the ledger, so it is not locked while they are told.
            let held = gate.lock().terms.max_output();
            self.rules
                .tell(&TokenBudgetEvent::MaxTokensUnset { call, held });
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
