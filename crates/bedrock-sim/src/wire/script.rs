//! The course of a streamed reply: which frame is due when, and what goes wrong with it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{
    error::exception_payload,
    frame::{self, FrameError},
    replay::Replay,
    reply::{Reply, Step, Took},
};
use crate::engine::StreamFault;

/// The pace of generation, counted from the call's admission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) first_token_after: Duration,
    pub(crate) per_token: Duration,
}

impl Pace {
    /// When that many tokens are there.
    pub(crate) fn due(self, tokens: u64) -> Duration {
        let steps = u32::try_from(tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_token_after
            .saturating_add(self.per_token.saturating_mul(steps))
    }

    /// How many of `tokens` are there by then.
    pub(crate) fn tokens_by(self, elapsed: Duration, tokens: u64) -> u64 {
        let Some(generating) = elapsed.checked_sub(self.first_token_after) else {
            return 0;
        };
        let steps = generating.as_nanos().checked_div(self.per_token.as_nanos());
        let there = steps.map_or(tokens, |steps| {
            u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1)
        });
        there.min(tokens)
    }
}

/// What comes next in a stream.
#[derive(Debug)]
pub(crate) enum Act {
    /// These bytes.
    Send(Bytes),
    /// The connection is cut.
    Cut,
    /// The body ends.
    End,
}

/// What is sent in answer to a streaming call.
#[expect(
    clippy::large_enum_variant,
    reason = "a body has one, behind a box already"
)]
pub(crate) enum Course {
    /// What the model generates.
    Generated(Script),
    /// What was recorded.
    Recorded(Replay),
}

impl Course {
    /// The course of a reply, or of the recording that a fault plays in its place.
    ///
    /// # Errors
    ///
    /// When a frame of the recording cannot be written.
    pub(crate) fn new(
        reply: Reply,
        pace: Pace,
        fault: Option<StreamFault>,
    ) -> Result<Self, FrameError> {
        if let Some(StreamFault::Recording(recording)) = &fault {
            let replay = Replay::new(recording, pace.first_token_after, reply.answer.tokens)?;
            return Ok(Self::Recorded(replay));
        }
        Ok(Self::Generated(Script::new(reply, pace, fault)))
    }

    /// When the next act is due, counted from the call's admission; `None` for never.
    pub(crate) fn due(&self) -> Option<Duration> {
        match self {
            Self::Generated(script) => script.due(),
            Self::Recorded(replay) => replay.due(),
        }
    }

    /// What is due now, `elapsed` after the call's admission.
    ///
    /// # Errors
    ///
    /// When a frame cannot be written.
    pub(crate) fn act(&mut self, elapsed: Duration) -> Result<Act, FrameError> {
        match self {
            Self::Generated(script) => script.act(elapsed),
            Self::Recorded(replay) => Ok(replay.act()),
        }
    }

    /// How many tokens have been sent.
    pub(crate) fn tokens_sent(&self) -> u64 {
        match self {
            Self::Generated(script) => script.tokens_sent(),
            Self::Recorded(replay) => replay.tokens_sent(),
        }
    }

    /// Whether everything was sent.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Generated(script) => script.is_complete(),
            Self::Recorded(replay) => replay.is_complete(),
        }
    }
}

/// A streamed reply on its way.
pub(crate) struct Script {
    reply: Reply,
    pace: Pace,
    /// What goes wrong, until it has.
    fault: Option<StreamFault>,
    /// The event that comes next; `None` at the end.
    next: Option<Step>,
    /// Events sent.
    events: u32,
    /// How long the stream has stalled.
    stalled: Duration,
    /// The tokens sent before a fault ended it.
    broken_after: Option<u64>,
}

impl Script {
    pub(crate) fn new(reply: Reply, pace: Pace, fault: Option<StreamFault>) -> Self {
        Self {
            reply,
            pace,
            fault,
            next: Some(Step::MessageStart),
            events: 0,
            stalled: Duration::ZERO,
            broken_after: None,
        }
    }

    /// When the next act is due, counted from the call's admission; `None` for never.
    pub(crate) fn due(&self) -> Option<Duration> {
        let tokens = match self.next {
            Some(Step::Delta(index)) => self.reply.answer.tokens_after(index + 1),
            _ => self.tokens_sent(),
        };
        let due = self.pace.due(tokens).saturating_add(self.stalled);
        match &self.fault {
            Some(StreamFault::StallAfter { events, lasts }) if *events == self.events => {
                lasts.map(|lasts| due.saturating_add(lasts))
            }
            Some(StreamFault::ExceptionAfter { events, refusal }) if *events == self.events => {
                Some(due.saturating_add(refusal.after))
            }
            _ => Some(due),
        }
    }

    /// How many tokens have been sent.
    pub(crate) fn tokens_sent(&self) -> u64 {
        if let Some(tokens) = self.broken_after {
            return tokens;
        }
        match self.next {
            Some(Step::MessageStart | Step::BlockStart) => 0,
            Some(Step::Delta(index)) => self.reply.answer.tokens_after(index),
            Some(Step::BlockStop | Step::MessageStop | Step::Metadata) | None => {
                self.reply.answer.tokens
            }
        }
    }

    /// Whether everything was sent.
    pub(crate) fn is_complete(&self) -> bool {
        self.next.is_none() && self.broken_after.is_none()
    }

    /// What is due now, `elapsed` after the call's admission.
    ///
    /// # Errors
    ///
    /// When a frame cannot be written.
    pub(crate) fn act(&mut self, elapsed: Duration) -> Result<Act, FrameError> {
        let (events, next) = (self.events, self.next);
        let fault = self.fault.take_if(|fault| strikes(fault, events, next));
        match fault {
            Some(StreamFault::CutAfter { .. }) => {
                self.break_off();
                Ok(Act::Cut)
            }
            Some(StreamFault::ExceptionAfter { refusal, .. }) => {
                let member = refusal.exception.stream_member();
                let member = member.unwrap_or("internalServerException");
                let frame = frame::exception(member, exception_payload(&refusal))?;
                self.break_off();
                Ok(Act::Send(frame.freeze()))
            }
            Some(StreamFault::NoMessageStop) => {
                self.break_off();
                Ok(Act::End)
            }
            Some(StreamFault::CloseInsideFrame { .. }) => {
                let step = self.next;
                let act = self.send(elapsed, frame::half);
                // Half of an event was not sent.
                self.next = step;
                self.break_off();
                act
            }
            Some(StreamFault::BadCrcAfter { .. }) => self.send(elapsed, frame::corrupt),
            Some(StreamFault::InvalidJsonAfter { .. }) => self.send_invalid_json(elapsed),
            Some(StreamFault::StallAfter { lasts, .. }) => {
                self.stalled = self.stalled.saturating_add(lasts.unwrap_or_default());
                self.send(elapsed, BytesMut::freeze)
            }
            // A recording is played in the place of a script, not within it.
            Some(StreamFault::Recording(_)) | None => self.send(elapsed, BytesMut::freeze),
        }
    }

    fn send(
        &mut self,
        elapsed: Duration,
        finish: impl FnOnce(BytesMut) -> Bytes,
    ) -> Result<Act, FrameError> {
        let Some((name, payload)) = self.event(elapsed) else {
            return Ok(Act::End);
        };
        let frame = frame::event(name, payload)?;
        Ok(Act::Send(finish(frame)))
    }

    fn send_invalid_json(&mut self, elapsed: Duration) -> Result<Act, FrameError> {
        let Some((name, mut payload)) = self.event(elapsed) else {
            return Ok(Act::End);
        };
        // Without its last bracket no object is one.
        payload.pop();
        Ok(Act::Send(frame::event(name, payload)?.freeze()))
    }

    /// The next event, which then counts as sent.
    fn event(&mut self, elapsed: Duration) -> Option<(&'static str, Vec<u8>)> {
        let step = self.next?;
        let took = Took {
            to_first_token: self.pace.first_token_after,
            total: elapsed,
        };
        let event = self.reply.event(step, took);
        self.next = self.reply.step_after(step);
        self.events = self.events.saturating_add(1);
        Some(event)
    }

    /// Ends the stream where it is, keeping count of what was sent.
    fn break_off(&mut self) {
        self.broken_after = Some(self.tokens_sent());
        self.next = None;
    }
}

/// Whether a fault strikes at this point of the stream.
fn strikes(fault: &StreamFault, sent: u32, next: Option<Step>) -> bool {
    match fault {
        StreamFault::CutAfter { events } | StreamFault::ExceptionAfter { events, .. } => {
            *events == sent
        }
        // These need an event to befall.
        StreamFault::CloseInsideFrame { events }
        | StreamFault::StallAfter { events, .. }
        | StreamFault::BadCrcAfter { events }
        | StreamFault::InvalidJsonAfter { events } => *events == sent && next.is_some(),
        StreamFault::NoMessageStop => next == Some(Step::MessageStop),
        StreamFault::Recording(_) => false,
    }
}
