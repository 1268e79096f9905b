mod corpus;
mod hint;
mod layer;
mod properties;

use super::Classifier;
use crate::{
    cause::Cause,
    error::{ErrorDetails, RawError},
};

fn answered(code: Option<&str>, status: Option<u16>, message: Option<&str>) -> RawError {
    RawError::Answered(Box::new(ErrorDetails {
        code: code.map(str::to_owned),
        status,
        message: message.map(str::to_owned),
        ..ErrorDetails::default()
    }))
}

fn cause(code: Option<&str>, status: Option<u16>, message: Option<&str>) -> Cause {
    Classifier::default().cause(&answered(code, status, message))
}
