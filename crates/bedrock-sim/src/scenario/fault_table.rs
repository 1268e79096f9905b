//! A `[[fault]]` of a scenario file.

use std::time::Duration;

use serde::Deserialize;

use super::{
    DownAnswer, ErrorSpec, FaultKind, FaultSpec, Message, RecordingEnd,
    check::{Flaw, Place},
    recording_table::{FrameTable, recording},
    shapes::one_or_many,
};
use crate::{ErrorText, Exception, Operation, RetryAfterHint};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultTable {
    what: String,

    text: Option<ErrorText>,
    message: Option<String>,
    original_status: Option<u16>,
    #[serde(default, with = "humantime_serde")]
    retry_after: Option<Duration>,
    #[serde(default, with = "humantime_serde")]
    x_amz_retry_after: Option<Duration>,
    #[serde(default, with = "humantime_serde")]
    delay: Option<Duration>,
    answer: Option<DownAnswer>,
    exception: Option<String>,
    after_events: Option<u32>,
    #[serde(default, with = "humantime_serde")]
    lasts: Option<Duration>,
    frames: Option<Vec<FrameTable>>,
    chunk_bytes: Option<usize>,
    end: Option<RecordingEnd>,

    #[serde(default, deserialize_with = "one_or_many")]
    model: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    region: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    operation: Vec<Operation>,

    #[serde(default, with = "humantime_serde")]
    from: Duration,
    #[serde(default, with = "humantime_serde")]
    until: Option<Duration>,
    #[serde(default)]
    skip: u64,
    every: Option<u64>,
    count: Option<u64>,
    probability: Option<f64>,
}

/// The keys that say what an error answer is like.
const ERROR_KEYS: [&str; 6] = [
    "text",
    "message",
    "original_status",
    "retry_after",
    "x_amz_retry_after",
    "delay",
];

impl FaultTable {
    pub(super) fn into_spec(self, number: usize) -> Result<FaultSpec, Flaw> {
        let what = self.kind(number)?;
        Ok(FaultSpec {
            what,
            models: self.model,
            regions: self.region,
            operations: self.operation,
            from: self.from,
            until: self.until,
            skip: self.skip,
            every: self.every.unwrap_or(1),
            count: self.count,
            probability: self.probability.unwrap_or(1.0),
        })
    }

    fn kind(&self, number: usize) -> Result<FaultKind, Flaw> {
        let after_events = self.after_events.unwrap_or(0);
        let (kind, keys): (_, &[&str]) = match self.what.as_str() {
            "reset" => (FaultKind::Reset, &[]),
            "no-answer" => (FaultKind::NoAnswer, &[]),
            "slow-first-token" => {
                let delay = self.delay.ok_or_else(|| {
                    Flaw::new(
                        Place::Fault(number, "what"),
                        "`slow-first-token` needs a `delay`: how much later the token comes",
                    )
                })?;
                (FaultKind::SlowFirstToken { delay }, &["delay"])
            }
            "down" => (
                FaultKind::Down {
                    answer: self.answer.unwrap_or_default(),
                },
                &["answer"],
            ),
            "stream-cut" => (FaultKind::StreamCut { after_events }, &["after_events"]),
            "stream-stall" => (
                FaultKind::StreamStall {
                    after_events,
                    lasts: self.lasts,
                },
                &["after_events", "lasts"],
            ),
            "stream-exception" => {
                let code = self.exception.as_deref().ok_or_else(|| {
                    Flaw::new(
                        Place::Fault(number, "what"),
                        "`stream-exception` needs an `exception`, such as \"ThrottlingException\"",
                    )
                })?;
                let Some(exception) = Exception::from_code(code) else {
                    return Err(unknown(number, "exception", code));
                };
                let error = self.error(number, exception)?;
                (
                    FaultKind::StreamException {
                        after_events,
                        error,
                    },
                    &[
                        "exception",
                        "after_events",
                        "text",
                        "message",
                        "original_status",
                    ],
                )
            }
            "bad-crc" => (FaultKind::BadCrc { after_events }, &["after_events"]),
            "invalid-json" => (FaultKind::InvalidJson { after_events }, &["after_events"]),
            "no-message-stop" => (FaultKind::NoMessageStop, &[]),
            "close-inside-frame" => (
                FaultKind::CloseInsideFrame { after_events },
                &["after_events"],
            ),
            "recording" => {
                let frames = self.frames.as_deref().ok_or_else(|| {
                    Flaw::new(
                        Place::Fault(number, "what"),
                        "`recording` needs `frames`: what is sent",
                    )
                })?;
                let recording =
                    recording(frames, self.chunk_bytes, self.end.unwrap_or_default())
                        .map_err(|(key, reason)| Flaw::new(Place::Fault(number, key), reason))?;
                (
                    FaultKind::Recording(recording),
                    &["frames", "chunk_bytes", "end"],
                )
            }
            code => {
                let Some(exception) = Exception::from_code(code) else {
                    return Err(unknown(number, "what", code));
                };
                (
                    FaultKind::Error(self.error(number, exception)?),
                    &ERROR_KEYS,
                )
            }
        };
        self.only(number, keys)?;
        Ok(kind)
    }

    fn error(&self, number: usize, exception: Exception) -> Result<ErrorSpec, Flaw> {
        let text = match (self.text, &self.message) {
            (Some(_), Some(_)) => {
                return Err(Flaw::new(
                    Place::Fault(number, "message"),
                    "`text` picks a known text and `message` sets another: keep one of them",
                ));
            }
            (Some(text), None) if text.exception() != exception => {
                return Err(Flaw::new(
                    Place::Fault(number, "text"),
                    format!(
                        "this text is one of {}, not of {exception}",
                        text.exception()
                    ),
                ));
            }
            (Some(text), None) => Message::Known(text),
            (None, Some(message)) => Message::Custom(message.clone()),
            (None, None) => Message::Known(ErrorText::default_of(exception)),
        };
        Ok(ErrorSpec {
            exception,
            text,
            original_status: self.original_status,
            retry_after: self.hint(number)?,
            delay: self.delay.unwrap_or_default(),
        })
    }

    fn hint(&self, number: usize) -> Result<Option<RetryAfterHint>, Flaw> {
        match (self.retry_after, self.x_amz_retry_after) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Flaw::new(
                Place::Fault(number, "x_amz_retry_after"),
                "`retry_after` and `x_amz_retry_after` exclude each other",
            )),
            (Some(wait), None) if wait.subsec_nanos() != 0 => Err(Flaw::new(
                Place::Fault(number, "retry_after"),
                "`retry_after` counts whole seconds; `x_amz_retry_after` counts milliseconds",
            )),
            (Some(wait), None) => Ok(Some(RetryAfterHint::Seconds(wait.as_secs()))),
            (None, Some(wait)) => Ok(Some(RetryAfterHint::AmzMillis(
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            ))),
        }
    }

    /// Refuses a key that has no meaning for this kind of fault.
    fn only(&self, number: usize, keys: &[&str]) -> Result<(), Flaw> {
        let given = [
            ("text", self.text.is_some()),
            ("message", self.message.is_some()),
            ("original_status", self.original_status.is_some()),
            ("retry_after", self.retry_after.is_some()),
            ("x_amz_retry_after", self.x_amz_retry_after.is_some()),
            ("delay", self.delay.is_some()),
            ("answer", self.answer.is_some()),
            ("exception", self.exception.is_some()),
            ("after_events", self.after_events.is_some()),
            ("lasts", self.lasts.is_some()),
            ("frames", self.frames.is_some()),
            ("chunk_bytes", self.chunk_bytes.is_some()),
            ("end", self.end.is_some()),
        ];
        match given
            .into_iter()
            .find(|(key, given)| *given && !keys.contains(key))
        {
            Some((key, _)) => Err(Flaw::new(
                Place::Fault(number, key),
                format!("`{key}` means nothing to {:?}", self.what),
            )),
            None => Ok(()),
        }
    }
}

fn unknown(number: usize, key: &'static str, name: &str) -> Flaw {
    let codes: Vec<_> = Exception::ALL.iter().map(|one| one.code()).collect();
    let kinds = "reset, no-answer, slow-first-token, down, stream-cut, stream-stall, \
                 stream-exception, bad-crc, invalid-json, no-message-stop, close-inside-frame, recording";
    let mut reason = format!("{name:?} is none of {}", codes.join(", "));
    if key == "what" {
        reason.push_str(", ");
        reason.push_str(kinds);
    }
    Flaw::new(Place::Fault(number, key), reason)
}
