//! A call that waits for its turn.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    error::BudgetExhausted,
    gate::Gate,
    ledger::Sent,
    queue::{Place, Waiter},
    state::{State, Verdict},
};
use crate::call::CallContext;

/// A place in the line of a gate. Dropping it frees the place, or what was reserved for it.
///
/// Of all that wait at a gate, one keeps the timer; when it goes, another is woken to keep it.
#[derive(Debug)]
pub(super) struct Turnstile {
    gate: Arc<Gate>,
    place: Place,
    tenant: Option<Arc<str>>,
    tokens: u64,
    deadline: u64,
    timer: Option<Pin<Box<Sleep>>>,
    has_passed: bool,
}

enum Look {
    Passed(Result<Sent, BudgetExhausted>),
    /// Somebody else keeps the timer.
    Wait,
    /// Keeps the timer, set to this if there is anything to wait for but others.
    KeepTime(Option<Instant>),
}

impl Turnstile {
    pub(super) fn new(
        gate: Arc<Gate>,
        place: Place,
        call: &CallContext,
        tokens: u64,
        deadline: u64,
    ) -> Self {
        Self {
            gate,
            place,
            tenant: call.tenant.clone(),
            tokens,
            deadline,
            timer: None,
            has_passed: false,
        }
    }

    pub(super) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Whether it has the timer for all that wait.
    #[cfg(all(test, any(loom_cores, shuttle_cores)))]
    pub(super) const fn keeps_time(&self) -> bool {
        self.timer.is_some()
    }

    /// Waits for the call's turn, at which it counts as sent.
    pub(super) fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sent, BudgetExhausted>> {
        loop {
            let alarm = match self.look(Instant::now(), cx.waker()) {
                Look::Passed(result) => return Poll::Ready(result),
                Look::Wait => None,
                Look::KeepTime(alarm) => alarm,
            };
            let Some(alarm) = alarm else {
                self.timer = None;
                return Poll::Pending;
            };
            let timer = match &mut self.timer {
                Some(timer) => {
                    timer.as_mut().reset(alarm);
                    timer
                }
                None => self.timer.insert(Box::pin(sleep_until(alarm))),
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn look(&mut self, now: Instant, waker: &Waker) -> Look {
        let gate = Arc::clone(&self.gate);
        let tokens = self.tokens;
        gate.at(now, |state| {
            match state.verdicts.remove(&self.place.number) {
                Some(Verdict::Refused(refusal)) => {
                    self.has_passed = true;
                    Look::Passed(Err(refusal))
                }
                Some(Verdict::Granted) if state.ledger.can_send(tokens) => {
                    self.has_passed = true;
                    Look::Passed(Ok(state.ledger.send(tokens)))
                }
                Some(Verdict::Granted) => {
                    // Something has come between grant and send: back into the old place.
                    state.ledger.unreserve(tokens);
                    state.is_at_rest = false;
                    let waiter = Waiter {
                        tokens,
                        deadline: self.deadline,
                        waker: Some(waker.clone()),
                    };
                    let tenant = self.tenant.as_ref();
                    self.place = state.queue.rejoin(self.place, tenant, waiter);
                    self.wait(state)
                }
                None => {
                    if let Some(waiter) = state.queue.waiter_mut(self.place)
                        && !waiter.is_woken_by(waker)
                    {
                        let known = waiter.waker.replace(waker.clone());
                        state.retired.extend(known);
                    }
                    self.wait(state)
                }
            }
        })
    }

    fn wait(&self, state: &mut State) -> Look {
        match state.keep_time(self.place) {
            Some(alarm) => Look::KeepTime(self.gate.instant(alarm)),
            None => Look::Wait,
        }
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        if !self.has_passed {
            let (place, tokens) = (self.place, self.tokens);
            self.gate
                .at(Instant::now(), |state| state.withdraw(place, tokens));
        }
    }
}
