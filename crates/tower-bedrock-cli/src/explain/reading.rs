//! Reads an error out of whatever somebody has copied from a log.

mod json;
mod text;

use serde::Serialize;
use tower_bedrock::{Cause, Classifier, Error, ErrorDetails, RawError};

/// An error that was found, and what told its cause.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) error: Error,
    pub(super) basis: Basis,
}

/// What of an error told its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    /// The service's code; the message too, where one code has many meanings.
    Code,
    /// The HTTP status, and the message.
    Status,
    /// The message alone: other errors may use the same words.
    Words,
    /// It names one of our own causes.
    Cause,
    /// Nothing that is known.
    Nothing,
}

/// What was found of an error, before anybody asks for its cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// The name of one of our own causes.
    cause: Option<Cause>,
    code: Option<String>,
    status: Option<u16>,
    original_status: Option<u16>,
    message: Option<String>,
    request_id: Option<String>,
    /// What went wrong between the caller and the service, where no answer came.
    trouble: Option<Trouble>,
}

/// No answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Connect,
    Timeout,
    Credentials,
}

/// A code for each family of errors, to ask what a message means in it.
const FAMILIES: &[&str] = &[
    "ThrottlingException",
    "ServiceUnavailableException",
    "ValidationException",
    "AccessDeniedException",
    "ModelErrorException",
    "InternalServerException",
];

impl Reading {
    /// The error in `text`; `None` if there is nothing in it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let found = json::read(text).unwrap_or_else(|| text::read(text));
        Some(found.classified())
    }
}

impl Found {
    /// The same with what `other` knows beside it.
    fn or(self, other: Self) -> Self {
        Self {
            cause: self.cause.or(other.cause),
            code: self.code.or(other.code),
            status: self.status.or(other.status),
            original_status: self.original_status.or(other.original_status),
            message: self.message.or(other.message),
            request_id: self.request_id.or(other.request_id),
            trouble: self.trouble.or(other.trouble),
        }
    }

    fn details(&self) -> Box<ErrorDetails> {
        let mut details = ErrorDetails::default();
        details.code.clone_from(&self.code);
        details.status = self.status;
        details.original_status = self.original_status;
        details.message.clone_from(&self.message);
        details.request_id.clone_from(&self.request_id);
        Box::new(details)
    }

    fn classified(self) -> Reading {
        let classifier = Classifier::default();
        // Our own refusals have no code. Of all others the service's answer is asked again: a log may
        // be older than the catalogue.
        if let (Some(cause), None, None) = (self.cause, &self.code, self.status) {
            let error = Error::from_details(cause, *self.details());
            return Reading {
                error,
                basis: Basis::Cause,
            };
        }
        if self.code.is_some() || self.status.is_some() {
            let known_by_code = self.code.is_some() && {
                let mut code_alone = ErrorDetails::default();
                code_alone.code.clone_from(&self.code);
                classifier.cause(&RawError::Answered(Box::new(code_alone))) != Cause::Unknown
            };
            let error = classifier.classify(RawError::Answered(self.details()));
            let basis = match error.cause() {
                Cause::Unknown => Basis::Nothing,
                _ if known_by_code => Basis::Code,
                _ => Basis::Status,
            };
            return Reading { error, basis };
        }
        let details = self.details();
        if let Some(trouble) = self.trouble {
            let raw = match trouble {
                Trouble::Connect => RawError::Connect(details),
                Trouble::Timeout => RawError::Timeout(details),
                Trouble::Credentials => RawError::Credentials(details),
            };
            return Reading {
                error: classifier.classify(raw),
                basis: Basis::Words,
            };
        }
        match by_words(&classifier, &details) {
            Some(cause) => Reading {
                error: Error::from_details(cause, *details),
                basis: Basis::Words,
            },
            None => Reading {
                error: Error::from_details(Cause::Unknown, *details),
                basis: Basis::Nothing,
            },
        }
    }
}

/// What a message means that came without code and status: the one cause that the words of some family
/// of errors give it, if no other family gives it another.
fn by_words(classifier: &Classifier, details: &ErrorDetails) -> Option<Cause> {
    let ask = |code: &str, message: Option<String>| {
        let mut details = ErrorDetails::default();
        details.code = Some(code.to_owned());
        details.message = message;
        classifier.cause(&RawError::Answered(Box::new(details)))
    };
    let mut causes = FAMILIES.iter().filter_map(|code| {
        let cause = ask(code, details.message.clone());
        // Without the words the family says this of any error.
        (cause != ask(code, None)).then_some(cause)
    });
    let cause = causes.next()?;
    causes.all(|other| other == cause).then_some(cause)
}
