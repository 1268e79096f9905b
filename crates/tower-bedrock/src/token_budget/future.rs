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
    clock,
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
        #[pin]
        state: State<S, R, S::Future, E>,
    }
}

pin_project! {
    // One in the place of the other, and what waits apart: a future is moved several times before it
    // is polled, and what is moved is what it might become.
    #[project = StateProj]
    enum State<S, R, F, E> {
        /// The inner service does not have the call yet.
        Before { before: Before<S, R, E> },
        /// The inner service has it.
        Called { #[pin] response: F, held: Option<(Hold, Arc<Config<E>>)> },
    }
}

/// A call that the inner service does not have yet.
struct Before<S, R, E> {
    service: S,
    request: Option<R>,
    /// Goes along with the call when the inner service has it.
    config: Option<Arc<Config<E>>>,
    late: LateSend,
    stage: Stage,
}

enum Stage {
    /// Not polled yet, or to be admitted anew.
    Asking,
    /// Its input is being counted, as it does not fit with room to spare.
    Counting(TokenCount),
    /// In line.
    Waiting(Box<Waiting>),
    /// Admitted, or in no need of it; the inner service is not ready.
    Readying { hold: Option<Hold> },
}

struct Waiting {
    turnstile: Turnstile,
    draw: Draw,
    since: Instant,
}

impl<S, R, E> ResponseFuture<S, R, E>
where
    S: Service<R>,
{
    #[inline]
    pub(super) fn new(service: S, request: R, config: Arc<Config<E>>) -> Self {
        let before = Before {
            service,
            request: Some(request),
            config: Some(config),
            late: LateSend::default(),
            stage: Stage::Asking,
        };
        Self {
            state: State::Before { before },
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
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Before { before } => {
                    let hold = ready!(before.poll_admission(cx))?;
                    let taken = (before.request.take(), before.config.take());
                    let (Some(mut request), Some(config)) = taken else {
                        return Poll::Pending;
                    };
                    if let Some(hold) = &hold {
                        request.context_mut().send_signal = hold.signal();
                    }
                    let held = hold.map(|hold| (hold, config));
                    let response = before.service.call(request);
                    state.set(State::Called { response, held });
                }
                StateProj::Called { response, held } => {
                    // Looked at where it is: a response is large, and need not be moved.
                    let mut polled = response.poll(cx).map_err(Into::into);
                    if let Poll::Ready(result) = &mut polled
                        && let Some((hold, config)) = held.take()
                    {
                        let settlement = Settlement::new(hold, config);
                        match result {
                            Ok(response) => response.watch(settlement),
                            Err(error) => settlement.failed(error),
                        }
                    }
                    return polled;
                }
            }
        }
    }
}

impl<S, R, E> Before<S, R, E>
where
    R: BedrockRequest,
    S: Service<R>,
    S::Error: Into<Error>,
    E: TokenEstimator<R>,
{
    /// Waits to be admitted, and for the inner service to be ready.
    fn poll_admission(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Hold>, Error>> {
        let (Some(request), Some(config)) = (&mut self.request, &self.config) else {
            return Poll::Pending;
        };
        loop {
            self.stage = match &mut self.stage {
                Stage::Asking => match config.ask(request) {
                    Asked::Passes => Stage::Readying { hold: None },
                    Asked::Admitted(hold) => Stage::Readying { hold: Some(hold) },
                    Asked::Counts(count) => Stage::Counting(count),
                    Asked::Stands(need) => config.stand_in_line(request, need, &mut self.late)?,
                },
                Stage::Counting(count) => {
                    let counted = ready!(count.as_mut().poll(cx));
                    if let Some(tokens) = counted {
                        config.learn_count(request.context(), tokens);
                    }
                    let need = config.need(request, counted);
                    config.stand_in_line(request, need, &mut self.late)?
                }
                Stage::Waiting(waiting) => {
                    let passed = ready!(waiting.turnstile.poll_pass(cx));
                    let waited = Instant::now().saturating_duration_since(waiting.since);
                    let call = request.context();
                    let sent = passed.map_err(|refusal| config.refuse(call, refusal))?;
                    let gate = Arc::clone(waiting.turnstile.gate());
                    let line = config.line;
                    let hold = Hold::of_waiter(gate, call, waiting.draw, line, sent);
                    let event = TokenBudgetEvent::Waited { call, waited };
                    config.rules.tell(&event);
                    Stage::Readying { hold: Some(hold) }
                }
                Stage::Readying { hold } => {
                    let call = request.context();
                    let ready = match self.service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => self.late.poll_sends(call, cx),
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                        Poll::Pending => {
                            self.late.waits(call);
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
                    if hold.as_mut().is_none_or(Hold::send) {
                        return Poll::Ready(Ok(hold.take()));
                    }
                    Stage::Asking
                }
            };
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
        let admitted = gate.admit_with_room(clock::now(), call, need, self.line);
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
    fn stand_in_line<R: BedrockRequest>(
        &self,
        request: &R,
        need: Need,
        late: &mut LateSend,
    ) -> Result<Stage, Error> {
        let call = request.context();
        let now = Instant::now();
        let gate = self.rules.quotas.gate(&call.route);
        match gate.admit(now, call, need, self.line) {
            Admission::Admitted(hold) => Ok(Stage::Readying { hold: Some(hold) }),
            Admission::Waits(turnstile, draw) => {
                late.waits(call);
                Ok(Stage::Waiting(Box::new(Waiting {
                    turnstile,
                    draw,
                    since: now,
                })))
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
