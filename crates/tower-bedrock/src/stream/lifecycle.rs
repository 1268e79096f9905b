//! The life of a stream: no source, no clock.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    facts::{EventFacts, TokenCounts},
    limits::{HoldBack, StreamLimit, StreamLimits, Until},
    stalled::StreamStalled,
};
use crate::{
    model_id::ModelId,
    reply::{Usage, UsageEstimate},
};

/// Who comes later than this to a limit that has passed did not wait for the stream: no runtime
/// that still works wakes a task so late.
const LATE: Duration = Duration::from_secs(1);

/// What a stream has come to, and how long it may still take.
///
/// It is told of events, of times when none is there, and of the end; it says what follows.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    limits: StreamLimits,
    hold_back: HoldBack,
    deadline: Option<Instant>,
    stage: Stage,
    /// Since when the service is waited for; `None` while the caller has what came last.
    waits_since: Option<Instant>,
    /// All waits that are over.
    waited: Duration,
    first_event: Option<Instant>,
    events: u64,
    first_content: Option<Instant>,
    has_known_end: bool,
    output_bytes: u64,
    counts: TokenCounts,
    counts_are_final: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has reached the caller.
    Held,
    /// Events go to the caller as they come.
    Flowing,
    /// The answer is whole; what it used may still come.
    Whole,
}

/// What follows when no event is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It is waited, at most until then.
    Wait(Option<Instant>),
    /// What was held back goes to the caller.
    Release,
    /// The answer is whole, and nothing more is waited for.
    Finish,
    /// The service has been waited for too long.
    Stalled(StreamStalled),
    /// The caller's deadline has passed.
    DeadlineExceeded,
}

/// The most events that are held back, whatever a call waits for: before its content, an answer says one
/// or two. What a service says beyond is for the caller to read, at the caller's pace.
const MAX_HELD: u64 = 4096;

impl Lifecycle {
    /// A stream whose call is sent at `now`.
    pub(crate) const fn new(now: Instant, deadline: Option<Instant>) -> Self {
        Self {
            limits: StreamLimits::new(),
            hold_back: HoldBack::until_content(),
            deadline,
            stage: Stage::Held,
            waits_since: Some(now),
            waited: Duration::ZERO,
            first_event: None,
            events: 0,
            first_content: None,
            has_known_end: false,
            output_bytes: 0,
            counts: NO_COUNTS,
            counts_are_final: false,
        }
    }

    pub(crate) const fn set_limits(&mut self, limits: StreamLimits) {
        self.limits = limits;
    }

    pub(crate) const fn set_hold_back(&mut self, hold_back: HoldBack) {
        self.hold_back = hold_back;
    }

    /// An event came.
    pub(crate) fn event(&mut self, facts: &EventFacts, now: Instant) {
        // What else comes once the answer is whole does not prolong the wait for the usage.
        if !self.is_whole()
            && let Some(since) = self.waits_since.take()
            && !self.was_away(since, now)
        {
            self.waited += now.saturating_duration_since(since);
        }
        self.first_event.get_or_insert(now);
        self.events += 1;
        if facts.is_content {
            self.first_content.get_or_insert(now);
        }
        self.has_known_end |= facts.has_known_end;
        self.output_bytes = self.output_bytes.saturating_add(facts.output_bytes);
        if let Some(counts) = &facts.counts {
            self.counts.update(counts);
        }
        self.counts_are_final |= facts.counts_are_final;
        if facts.is_end {
            self.stage = Stage::Whole;
        }
    }

    /// No event is there at `now`, and somebody waits for one.
    pub(crate) fn silence(&mut self, now: Instant) -> Silence {
        loop {
            let since = *self.waits_since.get_or_insert(now);
            let Some((at, then)) = self.next_limit(since) else {
                return Silence::Wait(None);
            };
            if at > now {
                return Silence::Wait(Some(at));
            }
            // Nobody was there to see an event come in time: the wait begins anew.
            if self.was_away(since, now) {
                self.waits_since = Some(now);
            } else {
                return then;
            }
        }
    }

    /// Whether a wait since `since` would have been over long before `now`, had anybody waited.
    fn was_away(&self, since: Instant, now: Instant) -> bool {
        matches!(
            self.next_limit(since),
            Some((at, Silence::Stalled(_))) if now.saturating_duration_since(at) > LATE
        )
    }

    /// The next limit of a wait, and what follows when it passes.
    fn next_limit(&self, since: Instant) -> Option<(Instant, Silence)> {
        let deadline = self.deadline;
        if self.stage == Stage::Whole {
            let usage = since.checked_add(self.limits.usage);
            let at = usage.into_iter().chain(deadline).min()?;
            return Some((at, Silence::Finish));
        }
        let stall = |limit, after: Option<Duration>, past| {
            let after = after?;
            let at = since.checked_add(after.saturating_sub(past))?;
            let stalled = StreamStalled::new(limit, after, self.events);
            Some((at, Silence::Stalled(stalled)))
        };
        let next = match self.events {
            0 => stall(
                StreamLimit::FirstEvent,
                self.limits.first_event,
                Duration::ZERO,
            ),
            _ => stall(
                StreamLimit::BetweenEvents,
                self.limits.between_events,
                Duration::ZERO,
            ),
        };
        let whole = stall(StreamLimit::Whole, self.limits.whole, self.waited);
        let deadline = deadline.map(|at| (at, Silence::DeadlineExceeded));
        // The first of several that pass at once counts.
        [deadline, self.release(), next, whole]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn release(&self) -> Option<(Instant, Silence)> {
        let at_most = self.hold_back.at_most.filter(|_| self.stage == Stage::Held);
        let at = self.first_event?.checked_add(at_most?)?;
        Some((at, Silence::Release))
    }

    /// Whether the deadline has passed while the answer was not whole.
    pub(crate) fn is_past_deadline(&self, now: Instant) -> bool {
        self.stage != Stage::Whole && self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether enough has come that the call counts as answered.
    pub(crate) fn is_answered(&self, now: Instant) -> bool {
        match self.hold_back.until {
            _ if self.events == 0 => false,
            _ if self.is_whole() || self.events >= MAX_HELD => true,
            _ if self.release().is_some_and(|(at, _)| at <= now) => true,
            Until::FirstEvent => true,
            Until::Content => self.first_content.is_some(),
            Until::Bytes(bytes) => self.output_bytes >= bytes,
        }
    }

    /// What was held back goes to the caller: from here on nothing is retried.
    pub(crate) fn release_held(&mut self) {
        if self.stage == Stage::Held {
            self.stage = Stage::Flowing;
        }
    }

    /// Whether nothing has reached the caller.
    #[cfg(feature = "aws")]
    pub(crate) fn is_held(&self) -> bool {
        self.stage == Stage::Held
    }

    /// Whether the answer is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.stage == Stage::Whole
    }

    /// Nothing follows. Returns whether the answer is whole: it is if its end was seen, or if its
    /// format has none that we know.
    pub(crate) fn end(&mut self) -> bool {
        if self.events > 0 && !self.has_known_end {
            self.stage = Stage::Whole;
        }
        self.is_whole()
    }

    /// Whether the service has told all that it will tell of what was used.
    pub(crate) fn is_counted(&self) -> bool {
        self.is_whole() && (self.counts_are_final || self.counts.is_whole())
    }

    /// When the first content came.
    pub(crate) const fn first_content(&self) -> Option<Instant> {
        self.first_content
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// What was used, if the service has told it.
    pub(crate) fn usage(&self, model: Option<&ModelId>) -> Option<Usage> {
        self.is_counted()
            .then(|| self.counts.usage(model))
            .flatten()
    }

    /// What was used, as far as it can be told from what came.
    pub(crate) fn estimate(&self, model: Option<&ModelId>) -> UsageEstimate {
        let told = self.counts.usage(model).unwrap_or_default();
        let bytes_per_token = model.map_or(4, ModelId::bytes_per_token);
        UsageEstimate {
            input: self.counts.input.map(|_| told.input),
            cache_read: told.cache_read,
            cache_write: told.cache_write,
            output: told.output.max(self.output_bytes.div_ceil(bytes_per_token)),
        }
    }
}

const NO_COUNTS: TokenCounts = TokenCounts {
    input: None,
    output: None,
    cache_read: None,
    cache_write: None,
    total: None,
};
