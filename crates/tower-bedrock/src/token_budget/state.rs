//! What is behind the lock of a gate: no clock, no lock.

use std::{collections::HashMap, task::Waker, time::Duration};

use super::{
    calibration::Calibration,
    error::{BudgetExhausted, ExhaustedReason},
    gate::Line,
    ledger::Ledger,
    open_calls::OpenCalls,
    queue::{Place, WaitQueue, Waiter},
    quota::Quota,
    terms::{Draw, Need, Terms},
};
use crate::{answer_time::AnswerTime, call::CallContext, cause::Limit};

/// What tokio's timers can tell apart.
const TICK: u64 = 1_000_000;
/// How long after its alarm somebody else keeps the timer, if anybody comes by.
const PATIENCE: u64 = 100 * TICK;

/// Ledger and queue, and what is known of the calls of a key.
#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) open: OpenCalls,
    pub(super) queue: WaitQueue,
    pub(super) terms: Terms,
    pub(super) calibration: Calibration,
    pub(super) answers: AnswerTime,
    pub(super) quota: Option<Quota>,
    /// Whether the quota was read of the account, not set by hand.
    pub(super) is_adopted: bool,
    /// What became of waiters that have not asked since.
    pub(super) verdicts: HashMap<u64, Verdict>,
    /// Wakers that are not needed any more. Dropping one may run anything, even something that comes
    /// back here, so they are dropped when the lock is released.
    pub(super) retired: Vec<Waker>,
    /// Whose future keeps the timer for all that wait, and when it is set to go off.
    pub(super) keeper: Option<Place>,
    pub(super) alarm: u64,
    /// Whether nobody waits, or has waited, who is to be told or let go.
    pub(super) is_at_rest: bool,
}

/// What became of a waiter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// What it draws is reserved for it.
    Granted,
    Refused(BudgetExhausted),
}
impl State {
    /// Whether `tokens` can be drawn now, and nobody waits.
    #[inline]
    pub(super) fn has_room(&self, tokens: u64) -> bool {
        (self.is_at_rest || self.queue.is_empty()) && self.ledger.fits(tokens)
    }

    /// What a call draws that needs `need`.
    #[inline]
    pub(super) fn draw(&self, need: Need) -> Draw {
        let input = self.calibration.tokens(need.input);
        Draw {
            estimate: need.input,
            input,
            tokens: self.terms.hold(input, need.max_output),
        }
    }

    /// Until when a call may wait that is to be answered by `deadline`. One that goes later would use
    /// quota for an answer that nobody hears.
    pub(super) fn latest_start(&self, deadline: u64) -> u64 {
        let left = deadline.saturating_sub(self.ledger.now());
        deadline - self.answers.reserve(left)
    }

    /// Has a call draw and go at once, if nobody waits and it would fit with `spare` more. Returns the
    /// key it is open by.
    #[inline]
    pub(super) fn draw_now(
        &mut self,
        draw: Draw,
        spare: u64,
        line: Line,
        call: &CallContext,
    ) -> Option<u64> {
        if !self.is_at_rest && !self.queue.is_empty() {
            return None;
        }
        let wanted = draw.tokens.saturating_add(spare);
        let sent = self.ledger.send_if_fits(draw.tokens, wanted)?;
        self.ledger.admitted(draw.tokens);
        Some(self.open.open(draw, sent, line, call))
    }

    /// Everybody was told and let go who could be.
    pub(super) fn rest(&mut self) {
        self.is_at_rest = self.queue.is_empty() && self.keeper.is_none() && self.retired.is_empty();
    }

    pub(super) fn join(
        &mut self,
        call: &CallContext,
        tokens: u64,
        deadline: u64,
        line: Line,
    ) -> Result<Place, BudgetExhausted> {
        if let Some(refusal) = self.never_fits(tokens) {
            return Err(refusal);
        }
        let tenant = call.tenant.as_ref();
        let ahead = self.queue.ahead(call.priority, tenant, tokens);
        let (then, limit) = self.ledger.expected(ahead, tokens);
        let wait = self.until(then);
        let refuse = |reason| Err(BudgetExhausted::new(limit, reason, Some(wait)));
        let closed = self.ledger.closed_until();
        if closed.is_some_and(|until| until > deadline) {
            return refuse(ExhaustedReason::DayUsedUp);
        }
        if !line.waits || call.max_wait == Some(Duration::ZERO) {
            return refuse(ExhaustedReason::WouldWait);
        }
        let waiting = self.queue.len();
        if waiting >= line.max_waiting {
            return refuse(ExhaustedReason::QueueFull { waiting });
        }
        if then > deadline || deadline <= self.ledger.now() {
            return refuse(ExhaustedReason::Deadline);
        }
        let waiter = Waiter {
            tokens,
            deadline,
            waker: None,
        };
        self.is_at_rest = false;
        Ok(self.queue.join(call.priority, tenant, waiter))
    }

    fn never_fits(&self, needed: u64) -> Option<BudgetExhausted> {
        let (limit, quota) = self.ledger.exceeds(needed)?;
        let reason = ExhaustedReason::TooLarge { needed, quota };
        Some(BudgetExhausted::new(limit, reason, None))
    }

    fn until(&self, then: u64) -> Duration {
        Duration::from_nanos(then.saturating_sub(self.ledger.now()))
    }

    /// Refuses who has waited too long, reserves for those who fit, in their turn, and sees to it
    /// that somebody keeps the timer. Tells who is to be woken.
    pub(super) fn let_go(&mut self, woken: &mut Vec<Waker>) {
        if self.queue.is_empty() {
            self.keeper = None;
            self.alarm = u64::MAX;
            return;
        }
        self.refuse_expired(woken);
        while let Some((_, tokens)) = self.queue.next() {
            let verdict = match self.never_fits(tokens) {
                Some(refusal) => Verdict::Refused(refusal),
                None if self.ledger.fits(tokens) => Verdict::Granted,
                None => break,
            };
            if let Some((place, waiter)) = self.queue.take_next() {
                if let Verdict::Granted = verdict {
                    self.ledger.reserve(tokens);
                }
                self.tell(place, waiter, verdict, woken);
            }
        }
        self.appoint_keeper(woken);
    }

    fn refuse_expired(&mut self, woken: &mut Vec<Waker>) {
        let closed = self.ledger.closed_until();
        let until = closed.unwrap_or(self.ledger.now());
        while let Some((deadline, place)) = self.queue.first_deadline() {
            if deadline > until {
                break;
            }
            let Some(waiter) = self.queue.leave(place) else {
                break;
            };
            let (reason, limit, then) = match closed {
                Some(until) => (ExhaustedReason::DayUsedUp, Limit::TokensPerDay, until),
                None => {
                    let (then, limit) = self.ledger.expected(Default::default(), waiter.tokens);
                    (ExhaustedReason::Deadline, limit, then)
                }
            };
            let refusal = BudgetExhausted::new(limit, reason, Some(self.until(then)));
            self.tell(place, waiter, Verdict::Refused(refusal), woken);
        }
    }

    fn tell(&mut self, place: Place, waiter: Waiter, verdict: Verdict, woken: &mut Vec<Waker>) {
        self.verdicts.insert(place.number, verdict);
        woken.extend(waiter.waker);
    }

    /// When the next thing can happen by time alone.
    fn next_event(&mut self) -> u64 {
        let Some((_, tokens)) = self.queue.next() else {
            return u64::MAX;
        };
        let fits = self
            .ledger
            .not_before(tokens)
            .map_or(u64::MAX, |(at, _)| at);
        let gives_up = self.queue.first_deadline().map_or(u64::MAX, |(at, _)| at);
        // Timers are no finer, and nobody spins on one that is due.
        fits.min(gives_up).max(self.ledger.now() + TICK)
    }

    fn appoint_keeper(&mut self, woken: &mut Vec<Waker>) {
        let Some((next, _)) = self.queue.next() else {
            self.keeper = None;
            self.alarm = u64::MAX;
            return;
        };
        let event = self.next_event();
        // One that does not come when its alarm has gone off is not polled by its task.
        let is_overdue = self.ledger.now() > self.alarm.saturating_add(PATIENCE);
        let kept = self.keeper.filter(|_| !is_overdue);
        let kept = kept.filter(|&keeper| self.queue.waiter_mut(keeper).is_some());
        if kept.is_some() && event >= self.alarm {
            return;
        }
        let keeper = kept.unwrap_or(next);
        self.keeper = Some(keeper);
        // The keeper sets the alarm when it is polled.
        self.alarm = event;
        if let Some(waiter) = self.queue.waiter_mut(keeper) {
            woken.extend(waiter.waker.clone());
        }
    }

    /// Has `place` keep the timer unless somebody else does; returns what to set it to.
    pub(super) fn keep_time(&mut self, place: Place) -> Option<u64> {
        if self.keeper.is_some_and(|keeper| keeper != place) {
            return None;
        }
        self.is_at_rest = false;
        self.keeper = Some(place);
        self.alarm = self.next_event();
        Some(self.alarm)
    }

    /// Frees a place in line, and what was reserved for it.
    pub(super) fn withdraw(&mut self, place: Place, tokens: u64) {
        if let Some(waiter) = self.queue.leave(place) {
            self.is_at_rest = false;
            self.retired.extend(waiter.waker);
        }
        if let Some(Verdict::Granted) = self.verdicts.remove(&place.number) {
            self.ledger.unreserve(tokens);
        }
    }
}
