//! A recorded stream on its way.

use std::{collections::VecDeque, num::NonZeroUsize, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{
    frame::{self, FrameError},
    script::Act,
};
use crate::scenario::{Part, Recording, RecordingEnd};

/// A recorded stream on its way.
pub(crate) struct Replay {
    /// What is sent, and when it is due, counted from the call's admission.
    chunks: VecDeque<(Duration, Bytes)>,
    end: RecordingEnd,
    /// When the last pause is over.
    ends_at: Duration,
    /// How long the answer counts as if it comes to a good end.
    tokens: u64,
}

impl Replay {
    /// A recording whose first chunk is due at `start`.
    ///
    /// # Errors
    ///
    /// When a frame cannot be written.
    pub(crate) fn new(
        recording: &Recording,
        start: Duration,
        tokens: u64,
    ) -> Result<Self, FrameError> {
        let mut chunks = VecDeque::new();
        let mut now = start;
        let mut run = Vec::new();
        for part in &recording.parts {
            match part {
                Part::Pause(pause) => {
                    send(&mut chunks, now, &mut run, recording.chunk_bytes);
                    now = now.saturating_add(*pause);
                }
                part => run.push(encode(part)?),
            }
        }
        send(&mut chunks, now, &mut run, recording.chunk_bytes);
        Ok(Self {
            chunks,
            end: recording.end,
            ends_at: now,
            tokens,
        })
    }

    /// When the next act is due; `None` for never.
    pub(crate) fn due(&self) -> Option<Duration> {
        match (self.chunks.front(), self.end) {
            (Some((due, _)), _) => Some(*due),
            (None, RecordingEnd::Stall) => None,
            (None, RecordingEnd::Close | RecordingEnd::Cut) => Some(self.ends_at),
        }
    }

    /// What is due now.
    pub(crate) fn act(&mut self) -> Act {
        match (self.chunks.pop_front(), self.end) {
            (Some((_, chunk)), _) => Act::Send(chunk),
            (None, RecordingEnd::Cut) => Act::Cut,
            (None, RecordingEnd::Close | RecordingEnd::Stall) => Act::End,
        }
    }

    /// How many tokens have been sent: nobody knows before the end.
    pub(crate) fn tokens_sent(&self) -> u64 {
        if self.is_complete() { self.tokens } else { 0 }
    }

    /// Whether everything was sent.
    pub(crate) fn is_complete(&self) -> bool {
        self.end == RecordingEnd::Close && self.chunks.is_empty()
    }
}

fn encode(part: &Part) -> Result<Bytes, FrameError> {
    let frame = match part {
        Part::Event { name, payload } => frame::event(name.clone(), payload.clone().into())?,
        Part::Exception { name, payload } => {
            frame::exception(name.clone(), payload.clone().into())?
        }
        Part::Error { code, message } => frame::error(code.clone(), message.clone())?,
        Part::Bytes(bytes) => return Ok(Bytes::copy_from_slice(bytes)),
        Part::Pause(_) => BytesMut::new(),
    };
    Ok(frame.freeze())
}

/// Cuts a run of frames into the chunks that it is sent in.
fn send(
    chunks: &mut VecDeque<(Duration, Bytes)>,
    due: Duration,
    run: &mut Vec<Bytes>,
    chunk_bytes: Option<NonZeroUsize>,
) {
    let Some(most) = chunk_bytes else {
        chunks.extend(run.drain(..).map(|frame| (due, frame)));
        return;
    };
    let run = Bytes::from(std::mem::take(run).concat());
    let starts = (0..run.len()).step_by(most.get());
    chunks.extend(starts.map(|start| {
        let end = run.len().min(start.saturating_add(most.get()));
        (due, run.slice(start..end))
    }));
}
