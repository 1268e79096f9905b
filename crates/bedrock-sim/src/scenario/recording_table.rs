//! The `frames` of a recorded stream in a scenario file.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{Recording, RecordingEnd};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrameTable {
    event: Option<String>,
    exception: Option<String>,
    chunk: Option<String>,
    error: Option<String>,
    bytes: Option<String>,
    #[serde(default, with = "humantime_serde")]
    pause: Option<Duration>,

    payload: Option<String>,
    message: Option<String>,
}

/// The recording that the frames make up, or the key that stands in the way and why.
pub(super) fn recording(
    frames: &[FrameTable],
    chunk_bytes: Option<usize>,
    end: RecordingEnd,
) -> Result<Recording, (&'static str, String)> {
    let recording = frames
        .iter()
        .enumerate()
        .try_fold(Recording::new(), |recording, (number, frame)| {
            frame
                .add_to(recording)
                .map_err(|reason| ("frames", format!("frame {}: {reason}", number + 1)))
        })?
        .end(end);
    match chunk_bytes {
        Some(0) => Err(("chunk_bytes", "`chunk_bytes` is at least 1".to_owned())),
        Some(bytes) => Ok(recording.in_chunks_of(bytes)),
        None => Ok(recording),
    }
}

impl FrameTable {
    fn add_to(&self, recording: Recording) -> Result<Recording, String> {
        let kinds = [
            ("event", self.event.is_some()),
            ("exception", self.exception.is_some()),
            ("chunk", self.chunk.is_some()),
            ("error", self.error.is_some()),
            ("bytes", self.bytes.is_some()),
            ("pause", self.pause.is_some()),
        ];
        let mut given = kinds.iter().filter(|(_, given)| *given);
        let (Some((kind, _)), None) = (given.next(), given.next()) else {
            let names: Vec<_> = kinds.iter().map(|(name, _)| *name).collect();
            return Err(format!("it has one of {}", names.join(", ")));
        };
        let meaningless = match *kind {
            "event" | "exception" => self.message.as_ref().map(|_| "message"),
            "error" => self.payload.as_ref().map(|_| "payload"),
            _ => self
                .message
                .as_ref()
                .map(|_| "message")
                .or(self.payload.as_ref().map(|_| "payload")),
        };
        if let Some(key) = meaningless {
            return Err(format!("`{key}` means nothing to {kind:?}"));
        }
        let payload = self.payload.as_deref().unwrap_or("{}");
        let message = self.message.as_deref().unwrap_or_default();
        Ok(match self {
            Self {
                event: Some(name), ..
            } => recording.event(name, payload),
            Self {
                exception: Some(name),
                ..
            } => recording.exception(name, payload),
            Self {
                chunk: Some(event), ..
            } => recording.chunk(event),
            Self {
                error: Some(code), ..
            } => recording.error(code, message),
            Self {
                bytes: Some(bytes), ..
            } => recording.bytes(
                STANDARD
                    .decode(bytes)
                    .map_err(|error| format!("`bytes` is not Base64: {error}"))?,
            ),
            Self { pause, .. } => recording.pause(pause.unwrap_or_default()),
        })
    }
}
