//! Plays a failure through the whole stack, and tells how it differs from what is expected.

use std::{fmt::Debug, future::Future, time::Duration};

use aws_sdk_bedrockruntime::config::Builder;
use bedrock_sim::{Server, SimService};
use tokio::{task::yield_now, time::timeout};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Backoff, Bedrock, Cause, ClassifyLayer, Estimate, Jitter, Quota, Quotas, Reaction, Reactions,
    Request, RetryLayer, RetryReaction, TokenBudgetLayer, TokenEstimator,
};
use tower_bedrock_tests::{
    MODEL, REGION, config, converse_stream, in_process, invoke_claude_stream,
};

use crate::{
    outcome::Outcome,
    row::{Calls, INPUT, Row},
};

impl Row {
    /// Plays it over a real socket. Returns what is not as expected.
    pub(crate) async fn play_over_a_socket(&self) -> Vec<String> {
        let server = Server::bind("127.0.0.1:0", self.scenario())
            .await
            .expect("a port");
        // Over a real socket, no time is waited away.
        let retries = RetryLayer::new().with_reactions(at_once());
        let played = self.play(config(server.url()), retries, server.service());
        let flaws = in_time(Duration::from_secs(60), played).await;
        drop(server);
        flaws
    }

    /// Plays it in process, on a paused clock.
    pub(crate) async fn play_in_process(&self) -> Vec<String> {
        let sim = SimService::new(self.scenario());
        let retries = RetryLayer::new().with_jitter(Jitter::seeded(3));
        let played = self.play(in_process(&sim), retries, &sim);
        in_time(Duration::from_secs(24 * 3600), played).await
    }

    async fn play(&self, sdk: Builder, retries: RetryLayer, sim: &SimService) -> Vec<String> {
        let quotas = Quotas::new().with_home_region(REGION);
        let quota = Quota::new()
            .with_tokens_per_minute(1_000_000)
            // Outlives the minutes that some rows take.
            .with_tokens_per_day(1_000_000_000)
            .without_learning();
        quotas.set(&self.route(), quota).expect("a sound quota");
        let stack = ServiceBuilder::new()
            .layer(retries)
            .layer(TokenBudgetLayer::new(quotas.clone()).with_estimator(Fixed))
            .layer(ClassifyLayer::new())
            .service(Bedrock::from_builder(sdk).with_stream_limits(self.limits));
        let outcome = match self.calls {
            Calls::Converse => {
                let call = stack.oneshot(Request::from(converse_stream(MODEL)));
                Outcome::of(call, self.reader).await
            }
            Calls::Claude => {
                let call = stack.oneshot(Request::from(invoke_claude_stream()));
                Outcome::of(call, self.reader).await
            }
        };
        // The server notices a client that left when it looks.
        until(|| sim.ledger().totals.in_flight == 0).await;

        let mut flaws = Vec::new();
        expect(&mut flaws, "end", &outcome.end, &self.end);
        expect(&mut flaws, "events", &outcome.events, &self.events);
        let requests = sim.ledger().totals.requests;
        expect(
            &mut flaws,
            "requests on the wire",
            &requests,
            &self.requests,
        );
        if let Some(attempts) = outcome.attempts {
            expect(&mut flaws, "attempts", &u64::from(attempts), &self.requests);
        }
        let status = outcome.error.and_then(|error| error.original_status());
        expect(
            &mut flaws,
            "original status",
            &status,
            &self.original_status,
        );
        expect(&mut flaws, "leaks", &outcome.leaks, &false);
        let now = quotas.snapshot_of(&self.route());
        expect(&mut flaws, "waiting", &now.waiting, &0);
        expect(&mut flaws, "tokens held", &now.tokens_held, &0);
        expect(
            &mut flaws,
            "tokens settled",
            &now.day_tokens_used,
            &self.cost(),
        );
        flaws
    }
}

fn expect<T: PartialEq + Debug>(flaws: &mut Vec<String>, what: &str, is: &T, should: &T) {
    if is != should {
        flaws.push(format!("{what}: is {is:?}, should be {should:?}"));
    }
}

/// Every call reads the same.
pub(crate) struct Fixed;

impl<R> TokenEstimator<R> for Fixed {
    fn estimate(&self, _: &R) -> Estimate {
        Estimate::Tokens(INPUT)
    }
}

/// The table of reactions without its waits.
fn at_once() -> Reactions {
    let backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
    Cause::ALL
        .iter()
        .fold(Reactions::default(), |reactions, &cause| {
            let reaction = Reaction::to(cause);
            match reaction.retry {
                RetryReaction::Backoff { max_retries, .. } => {
                    reactions.with(cause, reaction.retried(backoff, max_retries))
                }
                _ => reactions,
            }
        })
}

/// A limit that nothing comes near but what hangs.
async fn in_time<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    timeout(limit, future).await.expect("nothing hangs")
}

/// Waits until something has happened.
pub(crate) async fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        yield_now().await;
    }
}
