//! A call's turn at a circuit that it has waited for.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    circuit::Circuit,
    event::CircuitEvent,
    later,
    line::{Look, Sign},
};
use crate::{
    call::CallContext, cause::BreakerReaction, clock, error::Error, send_signal::LateSend,
    sync::Arc,
};

/// A place in the line of a circuit, or the turn that has come of it. Dropping it frees either.
#[derive(Debug)]
pub(super) struct Turn {
    circuit: Arc<Circuit>,
    number: u64,
    deadline: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    InLine,
    Come { round: u32, sent_at: Instant },
    Over,
}

pin_project! {
    /// A call that waits for its turn.
    pub(super) struct Waiting {
        // `None` when the call is sent.
        turn: Option<Box<Turn>>,
        since: Instant,
        until: Instant,
        late: LateSend,
        is_late: bool,
        #[pin]
        timer: Sleep,
    }
}

impl Turn {
    fn look(&mut self, now: Instant, waker: &Waker) -> Look {
        let look = self.circuit.look(self.number, now, self.deadline, waker);
        if let Look::Come(round) = look {
            self.stage = Stage::Come {
                round,
                sent_at: now,
            };
        }
        look
    }

    const fn has_come(&self) -> bool {
        matches!(self.stage, Stage::Come { .. })
    }

    /// Back into line, where it was.
    fn rejoin(&mut self) {
        self.end(Sign::Nothing);
        self.circuit.rejoin(self.number);
        self.stage = Stage::InLine;
    }

    fn end(&mut self, sign: Sign) {
        match self.stage {
            Stage::InLine => self.circuit.leave(self.number),
            Stage::Come { round, .. } => self.circuit.back(round, sign),
            Stage::Over => {}
        }
        self.stage = Stage::Over;
    }

    /// The response is there.
    pub(super) fn answered(mut self) {
        let took = self.took(Instant::now());
        self.end(Sign::Answered { took });
    }

    /// There is none.
    pub(super) fn failed(mut self, error: &Error) {
        let cause = error.cause();
        let reaction = self.circuit.settings().reactions.of(error).breaker;
        let is_of_route = reaction != BreakerReaction::Ignore || cause.is_throttle();
        if is_of_route && !cause.is_own_refusal() {
            let took = self.took(Instant::now());
            self.end(Sign::Failed { took });
        }
    }

    fn took(&self, now: Instant) -> Duration {
        match self.stage {
            Stage::Come { sent_at, .. } => now.saturating_duration_since(sent_at),
            Stage::InLine | Stage::Over => Duration::ZERO,
        }
    }
}

/// Nobody waits any more. If that is because the time is up, the answer took too long.
impl Drop for Turn {
    fn drop(&mut self) {
        let now = Instant::now();
        let is_cut = self.has_come() && self.deadline <= now;
        let took = self.took(now);
        self.end(if is_cut {
            Sign::Failed { took }
        } else {
            Sign::Nothing
        });
    }
}

impl Waiting {
    /// Has `call` stand in the line of `circuit` from `now` on, or does not if it would not get
    /// through in time: `retry_in` is when it may at the earliest.
    pub(super) fn begin(
        circuit: &Arc<Circuit>,
        call: &CallContext,
        now: Instant,
        retry_in: Option<Duration>,
    ) -> Option<Pin<Box<Self>>> {
        let policy = &circuit.settings().policy;
        let deadline = call.deadline?;
        if call.has_next_route {
            return None;
        }
        let max_wait = call.max_wait.unwrap_or(Duration::MAX).min(policy.max_wait);
        let until = deadline.min(later(now, max_wait));
        if later(now, retry_in?) >= until {
            return None;
        }
        let number = circuit.join(policy.max_waiting)?;
        let turn = Turn {
            circuit: Arc::clone(circuit),
            number,
            deadline,
            stage: Stage::InLine,
        };
        Some(Box::pin(Self {
            turn: Some(Box::new(turn)),
            since: now,
            until,
            late: LateSend::default(),
            is_late: false,
            timer: sleep_until(until),
        }))
    }

    /// Waits for the call's turn.
    pub(super) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        call: &CallContext,
    ) -> Poll<Result<(), Error>> {
        let mut this = self.project();
        let Some(turn) = this.turn else {
            return Poll::Pending;
        };
        if turn.has_come() {
            return Poll::Ready(Ok(()));
        }
        if *this.is_late {
            ready!(this.late.poll_sends(call, cx))?;
            *this.is_late = false;
            turn.rejoin();
        }
        loop {
            let now = Instant::now();
            let look = if *this.until <= now {
                Look::Never
            } else {
                turn.look(now, cx.waker())
            };
            let alarm = match look {
                Look::Come(_) => {
                    let waited = now.saturating_duration_since(*this.since);
                    let bus = &turn.circuit.settings().bus;
                    bus.tell(&CircuitEvent::Waited { call, waited });
                    return Poll::Ready(Ok(()));
                }
                Look::Never => {
                    this.late.waits(call);
                    return Poll::Ready(Err(turn.circuit.refuse_in_line(now, call)));
                }
                Look::Wait(alarm) => alarm.map_or(*this.until, |alarm| alarm.min(*this.until)),
            };
            if this.timer.deadline() != alarm {
                this.timer.as_mut().reset(alarm);
            }
            if this.timer.as_mut().poll(cx).is_pending() {
                this.late.waits(call);
                return Poll::Pending;
            }
            clock::time_has_passed();
        }
    }

    /// Waits until layers above let the call go; if they do not at once, its turn is lost.
    pub(super) fn poll_sends(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        call: &CallContext,
    ) -> Poll<Result<(), Error>> {
        let this = self.project();
        let polled = this.late.poll_sends(call, cx);
        if let (Poll::Pending, Some(turn)) = (&polled, this.turn) {
            turn.end(Sign::Nothing);
            *this.is_late = true;
        }
        polled
    }

    /// The turn, of a call that is sent now.
    pub(super) fn take(self: Pin<&mut Self>) -> Option<Box<Turn>> {
        let mut turn = self.project().turn.take()?;
        if let Stage::Come { sent_at, .. } = &mut turn.stage {
            *sent_at = clock::now();
        }
        Some(turn)
    }

    /// Another call was quicker: back into line, if `circuit` is still the one that it stands in.
    pub(super) fn rejoin(self: Pin<&mut Self>, circuit: &Arc<Circuit>) -> bool {
        match self.project().turn {
            Some(turn) if Arc::ptr_eq(&turn.circuit, circuit) => {
                turn.rejoin();
                true
            }
            _ => false,
        }
    }
}
