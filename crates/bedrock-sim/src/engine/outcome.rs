//! What faults and refusals look like to the caller.

use std::{ops::ControlFlow, time::Duration};

use super::{Admission, Call, ErrorText, Refusal, StreamFault, ledger::Cause};
use crate::{DownAnswer, FaultKind, ModelSpec, WhenFull};

/// What a fault changes in an answer that is given all the same.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) delay: Duration,
    pub(super) stream: Option<StreamFault>,
}

/// What a fault changes in the answer, or the end that it puts to the call.
pub(super) fn of_fault(
    fault: Option<&FaultKind>,
    model: Option<&ModelSpec>,
) -> ControlFlow<Admission, Change> {
    let Some(fault) = fault else {
        return ControlFlow::Continue(Change::default());
    };
    let stream = match *fault {
        FaultKind::Error(ref error) => {
            return ControlFlow::Break(Admission::Refused(error.refusal(model)));
        }
        FaultKind::Reset
        | FaultKind::Down {
            answer: DownAnswer::Reset,
        } => return ControlFlow::Break(Admission::Reset),
        FaultKind::NoAnswer
        | FaultKind::Down {
            answer: DownAnswer::NoAnswer,
        } => return ControlFlow::Break(Admission::NoAnswer),
        FaultKind::Down {
            answer: DownAnswer::ServiceUnavailable,
        } => {
            let text = ErrorText::ServiceUnavailable;
            return ControlFlow::Break(Admission::Refused(Refusal::known(text, "", 0)));
        }
        FaultKind::SlowFirstToken { delay } => {
            return ControlFlow::Continue(Change {
                delay,
                stream: None,
            });
        }
        FaultKind::StreamCut {
            after_events: events,
        } => StreamFault::CutAfter { events },
        FaultKind::StreamStall {
            after_events: events,
            lasts,
        } => StreamFault::StallAfter { events, lasts },
        FaultKind::StreamException {
            after_events: events,
            ref error,
        } => StreamFault::ExceptionAfter {
            events,
            refusal: error.refusal(model),
        },
        FaultKind::BadCrc {
            after_events: events,
        } => StreamFault::BadCrcAfter { events },
        FaultKind::InvalidJson {
            after_events: events,
        } => StreamFault::InvalidJsonAfter { events },
        FaultKind::NoMessageStop => StreamFault::NoMessageStop,
        FaultKind::CloseInsideFrame {
            after_events: events,
        } => StreamFault::CloseInsideFrame { events },
        FaultKind::Recording(ref recording) => StreamFault::Recording(recording.clone()),
    };
    ControlFlow::Continue(Change {
        delay: Duration::ZERO,
        stream: Some(stream),
    })
}

/// What the model cannot take, however much quota is left.
pub(super) fn of_limits(call: &Call, spec: &ModelSpec) -> Option<ErrorText> {
    let over = |asked: u64, limit: Option<u64>| limit.is_some_and(|limit| asked > limit);
    if over(call.total_input(), spec.context_window) {
        Some(ErrorText::InputTooLong)
    } else if over(call.max_tokens.unwrap_or(0), spec.refused_above()) {
        Some(ErrorText::MaxTokensTooLarge)
    } else {
        None
    }
}

/// What a refused call hears.
pub(super) fn of_cause(cause: Cause, when_full: WhenFull) -> ErrorText {
    match (cause, when_full) {
        (Cause::RequestsPerMinute, _) => ErrorText::RequestsPerMinute,
        (Cause::TokensPerMinute, _) => ErrorText::TokensPerMinute,
        (Cause::TokensPerDay, _) => ErrorText::TokensPerDay,
        (Cause::Capacity, WhenFull::Overloaded) => ErrorText::Overloaded,
        (Cause::Capacity, WhenFull::ServiceUnavailable) => ErrorText::TooManyConnections,
    }
}
