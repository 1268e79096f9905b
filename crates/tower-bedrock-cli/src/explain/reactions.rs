//! The row of the table of reactions, in words.

use std::time::Duration;

use humantime::format_duration;
use tower_bedrock::{Backoff, BreakerReaction, Cause, Limit, NextRoute, Reaction, RetryReaction};

/// What the recommended stack does about `cause`, from the row that it acts on.
pub(super) fn to(cause: Cause, reaction: Reaction) -> Vec<String> {
    let mut lines = vec![retry(reaction.retry)];
    lines.push(
        match reaction.next_route {
            NextRoute::Never => "Tries no other route: the answer would be the same there.",
            NextRoute::AfterRetries => {
                "Goes to the next route of the ladder, if there is one, when the retries are spent."
            }
            NextRoute::AtOnce => "Goes to the next route of the ladder, if there is one, at once.",
            _ => "Goes to other routes at a time that this program does not know.",
        }
        .to_owned(),
    );
    match reaction.breaker {
        BreakerReaction::Failure => {
            lines.push(
                "Counts it as a failure of the route, which opens its circuit in the end.".into(),
            );
        }
        BreakerReaction::Slow => {
            lines.push(
                "Counts it as a slow call of the route, where slow calls are looked at.".into(),
            );
        }
        _ => {}
    }
    if let Some(limit) = reaction.limit {
        lines.push(learns(limit).to_owned());
    }
    if cause.is_own_refusal() {
        lines.push(
            "It is the stack itself that refused: the service has not seen this attempt.".into(),
        );
    }
    lines
}

fn retry(retry: RetryReaction) -> String {
    match retry {
        RetryReaction::Never => "Does not retry.".to_owned(),
        RetryReaction::Backoff {
            backoff,
            max_retries,
        } => format!("Retries {}.", waits(backoff, max_retries)),
        RetryReaction::BackoffIfAllowed {
            backoff,
            max_retries,
        } => format!(
            "Retries only if told that work may be done and billed twice; then {}.",
            waits(backoff, max_retries)
        ),
        _ => "Retries in a way that this program does not know.".to_owned(),
    }
}

fn waits(backoff: Backoff, max_retries: u32) -> String {
    let times = match max_retries {
        1 => "once".to_owned(),
        times => format!("up to {times} times"),
    };
    let (base, cap) = (short(backoff.base()), short(backoff.cap()));
    format!(
        "{times}, after a random wait of up to {base} that doubles with each retry to at most {cap}, \
         or longer if the service says so, but never past the deadline"
    )
}

fn learns(limit: Limit) -> &'static str {
    match limit {
        Limit::RequestsPerMinute => {
            "Tells the token budget that requests per minute were hit; it sends fewer for a while."
        }
        Limit::TokensPerMinute => {
            "Tells the token budget that tokens per minute were hit; it sends fewer for a while."
        }
        Limit::TokensPerDay => {
            "Tells the token budget that the day is used up; it refuses calls on this quota at once."
        }
        _ => "Tells the token budget which quota was hit.",
    }
}

fn short(wait: Duration) -> String {
    format_duration(wait).to_string()
}
