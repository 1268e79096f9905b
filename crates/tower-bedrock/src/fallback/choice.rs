//! Which route a call takes next: no clock, no runtime, no lock of its own.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{error::SkipReason, rules::Routes};
use crate::{
    call::CallContext,
    cause::Cause,
    route_gate::{Passage, RouteGate},
};

/// How far a call has come. Sets of routes are bits, by their place in the ladder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Where it was sent, or refused for good.
    tried: u16,
    /// Where it was refused because it would not wait, with nothing sent.
    refused: u16,
    /// The window that it did not fit: only a larger one may help.
    outgrown: Option<u32>,
    /// Whether it is one of those that keep the first rung warm.
    pub(super) is_warm: bool,
}

/// The route that a call takes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) index: usize,
    /// Whether there is another one after it.
    pub(super) has_next: bool,
    /// Whether it rather takes that one than wait longer than its patience.
    pub(super) is_hasty: bool,
}

/// What a look at a route tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// The call has been there, or would come there as another rung too.
    Gone,
    Skip(SkipReason),
    /// It could go, after this wait.
    Free(Duration),
}

/// A call at the foot of its ladder.
pub(super) struct Chooser<'a> {
    pub(super) routes: Routes<'a>,
    pub(super) gates: Gates<'a>,
    pub(super) patience: Duration,
    /// `None` if there is neither gate nor cap that would ask.
    pub(super) now: Option<Instant>,
}

/// The gates that have to be asked for each route.
#[derive(Clone, Copy)]
pub(super) struct Gates<'a> {
    all: &'a [Arc<dyn RouteGate>],
    /// Those that are open on whatever route, as bits by their place.
    open: u64,
}

impl<'a> Gates<'a> {
    /// What `gates` are to `call`.
    pub(super) fn of(gates: &'a [Arc<dyn RouteGate>], call: &CallContext) -> Self {
        let mut open = 0;
        for (index, gate) in gates.iter().take(u64::BITS as usize).enumerate() {
            open |= u64::from(gate.is_open_everywhere(call)) << index;
        }
        Self { all: gates, open }
    }

    fn asked(self) -> impl Iterator<Item = &'a Arc<dyn RouteGate>> {
        let is_asked = move |index: usize| index >= 64 || self.open >> index & 1 == 0;
        let asked = self.all.iter().enumerate();
        asked.filter_map(move |(index, gate)| is_asked(index).then_some(gate))
    }
}

impl Choice {
    /// The call's own route, come what may.
    pub(super) const OWN: Self = Self {
        index: 0,
        has_next: false,
        is_hasty: false,
    };
}

impl Progress {
    const fn bit(index: usize) -> u16 {
        1 << index
    }

    /// Whether the call was nowhere yet.
    pub(super) const fn is_untouched(self) -> bool {
        self.tried | self.refused == 0
    }

    /// The call is sent there.
    pub(super) const fn went(&mut self, index: usize) {
        self.tried |= Self::bit(index);
    }

    /// It was refused there because it would not wait: it may come back to wait.
    pub(super) const fn would_not_wait(&mut self, index: usize) {
        self.tried &= !Self::bit(index);
        self.refused |= Self::bit(index);
    }

    /// It did not fit a model's window; `None` if that window is not known.
    pub(super) fn outgrew(&mut self, window: Option<u32>) {
        self.outgrown = self.outgrown.max(Some(window.unwrap_or(u32::MAX)));
    }
}

impl Chooser<'_> {
    /// The route that the call takes next, if there is one.
    ///
    /// The first one that is free within the call's patience; if none is, the one that is free
    /// soonest. A call that was nowhere yet and would be refused everywhere goes where that may end
    /// first, so that it hears from the route itself.
    pub(super) fn choose(&self, progress: &mut Progress) -> Option<Choice> {
        if progress.is_warm {
            progress.is_warm = false;
            if let Some(choice) = self.choose_warm(*progress) {
                return Some(choice);
            }
        }
        let mut soonest: Option<(Duration, usize)> = None;
        let mut opens: Option<(Duration, usize)> = None;
        let mut waits = 0;
        for index in 0..self.routes.len() {
            match self.look(index, *progress) {
                Look::Gone => {}
                Look::Skip(reason) => {
                    let retry_in = reason.retry_in();
                    if let Some(retry_in) = retry_in
                        && opens.is_none_or(|(first, _)| retry_in < first)
                    {
                        opens = Some((retry_in, index));
                    }
                }
                Look::Free(wait) => {
                    let was_refused = progress.refused & Progress::bit(index) != 0;
                    if wait <= self.patience && !was_refused {
                        if !self.take(index) {
                            // Another call was quicker; now the cap is seen to be full.
                            return self.choose(progress);
                        }
                        let has_next = waits > 0 || self.has_free(index + 1, *progress);
                        return Some(Choice {
                            index,
                            has_next,
                            is_hasty: has_next,
                        });
                    }
                    waits += 1;
                    if soonest.is_none_or(|(first, _)| wait < first) {
                        soonest = Some((wait, index));
                    }
                }
            }
        }
        if let Some((_, index)) = soonest {
            if !self.take(index) {
                return self.choose(progress);
            }
            return Some(Choice {
                index,
                has_next: waits > 1,
                is_hasty: false,
            });
        }
        let opens = opens.filter(|&(_, index)| self.take(index));
        progress.is_untouched().then_some(Choice {
            index: opens.map_or(0, |(_, index)| index),
            ..Choice::OWN
        })
    }

    /// The first rung that the call may take, if that is free at once.
    fn choose_warm(&self, progress: Progress) -> Option<Choice> {
        let mut rungs = 1..self.routes.len();
        let index = rungs.find(|&index| {
            self.routes.excludes(index).is_none() && !self.routes.is_repeated(index)
        })?;
        let is_free = self.look(index, progress) == Look::Free(Duration::ZERO);
        (is_free && self.take(index)).then_some(Choice {
            index,
            has_next: true,
            is_hasty: true,
        })
    }

    /// Whether the call could still go anywhere, at once or later.
    pub(super) fn is_any_free(&self, progress: Progress) -> bool {
        self.has_free(0, progress)
    }

    /// Why the call does not take a route that it has not been to; `None` if it could.
    pub(super) fn skips(&self, index: usize, progress: Progress) -> Option<SkipReason> {
        match self.look(index, progress) {
            Look::Skip(reason) => Some(reason),
            Look::Free(wait) if wait > self.patience => Some(SkipReason::Waits { wait }),
            Look::Free(_) | Look::Gone => None,
        }
    }

    fn has_free(&self, from: usize, progress: Progress) -> bool {
        (from..self.routes.len()).any(|index| matches!(self.look(index, progress), Look::Free(_)))
    }

    fn look(&self, index: usize, progress: Progress) -> Look {
        let is_gone = progress.tried & Progress::bit(index) != 0;
        if is_gone || self.routes.is_repeated(index) {
            return Look::Gone;
        }
        if let Some(reason) = self.routes.excludes(index) {
            return Look::Skip(reason);
        }
        if let Some(outgrown) = progress.outgrown {
            let window = self.routes.window(index);
            if window.is_none_or(|window| window <= outgrown) {
                return Look::Skip(SkipReason::ContextWindow);
            }
        }
        let Some(now) = self.now else {
            return Look::Free(Duration::ZERO);
        };
        let cap = self.routes.step(index).and_then(|step| step.cap.as_ref());
        if cap.is_some_and(|cap| !cap.has_room(now)) {
            return Look::Skip(SkipReason::Capped);
        }
        self.ask(index, now)
    }

    /// What all gates together say.
    fn ask(&self, index: usize, now: Instant) -> Look {
        let call = self.routes.call();
        let rung;
        let route = match self.routes.known_route(index) {
            Some(route) => route,
            None => {
                rung = self.routes.route(index);
                &rung
            }
        };
        let mut wait = Duration::ZERO;
        for gate in self.gates.asked() {
            match gate.ask(call, route, now) {
                Passage::Open => {}
                Passage::After(after) => wait = wait.max(after),
                Passage::Closed { cause, retry_in } => {
                    return Look::Skip(SkipReason::Closed { cause, retry_in });
                }
            }
        }
        let is_late = call.deadline.is_some_and(|deadline| {
            !wait.is_zero() && now.checked_add(wait).is_none_or(|then| then > deadline)
        });
        if is_late {
            return Look::Skip(SkipReason::Closed {
                cause: Cause::BudgetExhausted,
                retry_in: Some(wait),
            });
        }
        Look::Free(wait)
    }

    /// Gives back the place under the cap of a route where nothing was sent.
    pub(super) fn give_back(&self, index: usize) {
        if let Some(cap) = self.routes.step(index).and_then(|step| step.cap.as_ref()) {
            cap.give_back();
        }
    }

    /// Takes a place under the route's cap.
    fn take(&self, index: usize) -> bool {
        let cap = self.routes.step(index).and_then(|step| step.cap.as_ref());
        match (cap, self.now) {
            (Some(cap), Some(now)) => cap.take(now),
            _ => true,
        }
    }
}
