//! What became of a row.

use std::time::Duration;

use bedrock_sim::Ledger;
use tower_bedrock::{Cause, Error, QuotaSnapshot, Served};
use tower_bedrock_tests::REGION;

use super::streams::Streamed;

/// What both faces must agree on.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What each call was told, in the order of the calls.
    pub(crate) told: Vec<Told>,
    /// When each was told.
    pub(crate) when: Vec<Duration>,
    /// What the service counted.
    pub(crate) ledger: Ledger,
    /// How long it took, on the paused clock.
    pub(crate) took: Duration,
    /// What the retry layer decided.
    pub(crate) decisions: String,
    /// What the token budget holds afterwards.
    pub(crate) quotas: Vec<QuotaSnapshot>,
    /// The calls that are in flight or in line in any pool afterwards.
    pub(crate) in_pools: usize,
}

/// What a caller is told of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Answered(Answer),
    Failed(Failure),
    Streamed(Streamed),
}

/// An answer, as far as both faces tell of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// What was generated, or counted, or whatever the operation answers.
    pub(crate) output: String,
    /// Input and output tokens, where the output itself tells them.
    pub(crate) usage: Option<(u64, u64)>,
    pub(crate) served: Served,
}

/// An error, as far as both faces tell of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// What the service or a layer said; `None` for a timeout, which is the SDK's own to word on one
    /// face.
    pub(crate) message: Option<String>,
    /// Where it happened. On the Tower face layers leave the home region out, which they do not know.
    pub(crate) route: Option<String>,
    pub(crate) cause: Cause,
    pub(crate) code: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) original_status: Option<u16>,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) attempts: Option<u32>,
    pub(crate) operation: Option<String>,
}

impl Outcome {
    /// The requests that came to the service.
    pub(crate) fn requests(&self) -> u64 {
        self.ledger.totals.requests
    }

    /// The causes of the calls that failed.
    pub(crate) fn causes(&self) -> Vec<Cause> {
        let failures = self.told.iter().filter_map(Told::failure);
        failures.map(|failure| failure.cause).collect()
    }

    /// How many calls were answered.
    pub(crate) fn answered(&self) -> usize {
        self.told
            .iter()
            .filter(|told| told.failure().is_none())
            .count()
    }
}

impl Told {
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Answered(_) | Self::Streamed(_) => None,
        }
    }

    pub(crate) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Failed(_) | Self::Streamed(_) => None,
        }
    }

    pub(crate) fn streamed(&self) -> &Streamed {
        match self {
            Self::Streamed(streamed) => streamed,
            other => panic!("no stream: {other:?}"),
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let home = format!("@{REGION}");
        let message = error.message().filter(|_| error.cause() != Cause::Timeout);
        let route = error.route().map(ToString::to_string);
        Self {
            message: message.map(|message| message.replace(&home, "")),
            route: route.map(|route| route.replace(&home, "")),
            cause: error.cause(),
            code: error.code().map(str::to_owned),
            status: error.status(),
            original_status: error.original_status(),
            request_id: error.request_id().map(str::to_owned),
            retry_after: error.retry_after(),
            attempts: error.attempts(),
            operation: error.operation().map(|operation| operation.to_string()),
        }
    }
}
