//! A call that cannot go when it is made.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;
use tower_service::Service;

use super::{
    asking::Asked,
    error::BudgetExhausted,
    estimate::{TokenCount, TokenEstimator},
    event::TokenBudgetEvent,
    gate::Admission,
    hold::Hold,
    layer::Config,
    routes::Found,
    terms::{Draw, Need},
    turnstile::Turnstile,
};
use crate::{
    call::{BedrockRequest, CallContext},
    error::Error,
    send_signal::LateSend,
};

/// A call that waits to be admitted, or for the inner service to be ready.
pub(super) struct Slow<S, R, E> {
    service: S,
    /// Whether the service may have reserved something.
    was_asked: bool,
    request: Option<R>,
    config: Arc<Config<E>>,
    late: LateSend,
    stage: Stage,
}

enum Stage {
    /// To be admitted.
    Asking,
    /// It was not admitted at once.
    Asked(Need),
    /// Its input is being counted, as it does not fit with room to spare.
    Counting(TokenCount),
    /// In line.
    Waiting(Box<Waiting>),
    /// Admitted, or in no need of it; the inner service is not ready.
    Readying { hold: Option<Hold> },
}

/// The future of a call that the inner service has, and what the call holds.
type Called<F> = (F, Option<Hold>);

struct Waiting {
    turnstile: Turnstile,
    draw: Draw,
    since: Instant,
}

impl<S, R, E> Slow<S, R, E> {
    /// A call that was not asked for yet, to an instance that has begun to become ready.
    pub(super) fn readying(service: S, request: R, config: Arc<Config<E>>) -> Self {
        Self {
            service,
            was_asked: true,
            request: Some(request),
            config,
            late: LateSend::default(),
            stage: Stage::Asking,
        }
    }

    /// A call that was not admitted at once, to an instance that was not asked.
    pub(super) fn asked(service: S, request: R, config: Arc<Config<E>>, need: Need) -> Self {
        Self {
            was_asked: false,
            stage: Stage::Asked(need),
            ..Self::readying(service, request, config)
        }
    }
}

impl<S, R, E> Slow<S, R, E>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Error: Into<Error>,
    E: TokenEstimator<R>,
{
    /// Waits until the call can go, and calls the inner service.
    pub(super) fn poll_call(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Called<S::Future>, Error>> {
        let hold = ready!(self.poll_admission(cx))?;
        let Some(mut request) = self.request.take() else {
            return Poll::Pending;
        };
        if let Some(hold) = &hold {
            request.context_mut().send_signal = hold.signal();
        }
        Poll::Ready(Ok((self.service.call(request), hold)))
    }

    /// Waits to be admitted, and for the inner service to be ready.
    fn poll_admission(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Hold>, Error>> {
        loop {
            let Some(request) = &mut self.request else {
                return Poll::Pending;
            };
            let config = &*self.config;
            self.stage = match &mut self.stage {
                Stage::Asking => match config.ask(request) {
                    Asked::Passes => Stage::Readying { hold: None },
                    Asked::Admitted(hold) => Stage::Readying { hold: Some(hold) },
                    Asked::Not(need) => Stage::Asked(need),
                },
                Stage::Asked(need) => {
                    let need = *need;
                    match config.estimator.count(request) {
                        Some(count) => Stage::Counting(count),
                        None => config.stand_in_line(request, need, &mut self.late)?,
                    }
                }
                Stage::Counting(count) => {
                    let Poll::Ready(counted) = count.as_mut().poll(cx) else {
                        self.let_go();
                        return Poll::Pending;
                    };
                    if let Some(tokens) = counted {
                        config.learn_count(request.context(), tokens);
                    }
                    let need = config.need(request, counted);
                    config.stand_in_line(request, need, &mut self.late)?
                }
                Stage::Waiting(waiting) => {
                    let Poll::Ready(passed) = waiting.turnstile.poll_pass(cx) else {
                        self.let_go();
                        return Poll::Pending;
                    };
                    let call = request.context();
                    let sent = passed.map_err(|refusal| config.refuse(call, refusal))?;
                    let waited = Instant::now().saturating_duration_since(waiting.since);
                    let gate = Arc::clone(waiting.turnstile.gate());
                    let line = config.line;
                    let hold = Hold::of_waiter(&config.rules, gate, call, waiting.draw, line, sent);
                    let event = TokenBudgetEvent::Waited { call, waited };
                    config.rules.tell(&event);
                    Stage::Readying { hold: Some(hold) }
                }
                Stage::Readying { hold } => {
                    match ready!(poll_ready(
                        &mut self.service,
                        &mut self.was_asked,
                        request.context(),
                        &mut self.late,
                        hold,
                        cx
                    )) {
                        Ok(()) if hold.as_mut().is_none_or(Hold::send) => {
                            return Poll::Ready(Ok(hold.take()));
                        }
                        Ok(()) => Stage::Asking,
                        Err(error) => {
                            // Nothing was sent.
                            if let Some(hold) = hold.take() {
                                hold.give_back(Instant::now());
                            }
                            return Poll::Ready(Err(error));
                        }
                    }
                }
            };
        }
    }

    /// What the instance has reserved is of no use to a call that waits for its quota.
    fn let_go(&mut self) {
        if std::mem::take(&mut self.was_asked) {
            self.service = self.service.clone();
        }
    }
}

/// Waits for the inner service to be ready, and for what has come between above.
fn poll_ready<S, R>(
    service: &mut S,
    was_asked: &mut bool,
    call: &CallContext,
    late: &mut LateSend,
    hold: &mut Option<Hold>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Error>>
where
    S: Service<R> + Clone,
    S::Error: Into<Error>,
{
    let mut polled = Poll::Ready(Ok(()));
    if late.is_readmitting() {
        polled = late.poll_sends(call, cx);
    }
    if let Poll::Ready(Ok(())) = polled {
        *was_asked = true;
        polled = service.poll_ready(cx).map_err(Into::into);
        match polled {
            Poll::Pending => late.waits(call),
            Poll::Ready(Ok(())) => {
                polled = late.poll_sends(call, cx);
                if polled.is_pending() {
                    // Another call may have what was made ready.
                    *was_asked = false;
                    *service = service.clone();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }
    if polled.is_pending()
        && let Some(hold) = hold
    {
        hold.recall(Instant::now());
    }
    polled
}

impl<E> Config<E> {
    /// A count teaches the estimates of others.
    fn learn_count(&self, call: &CallContext, tokens: u64) {
        if call.tokens.size != Default::default() {
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
            Admission::Admitted(key) => {
                let hold = Hold::new(&self.rules, Found::Other(gate), key);
                Ok(Stage::Readying { hold: Some(hold) })
            }
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

    fn refuse(&self, call: &CallContext, refusal: BudgetExhausted) -> Error {
        self.rules.tell(&TokenBudgetEvent::Refused {
            call,
            refusal: &refusal,
        });
        Error::from(refusal).with_context(call)
    }
}
