//! Plays a failure through the whole stack, and tells how it differs from what is expected.

use std::{fmt::Debug, future::Future, num::NonZeroU32, time::Duration};

use aws_sdk_bedrockruntime::config::Builder;
use bedrock_sim::{
    FaultKind, FaultSpec, ModelSpec, Recording, Scenario, ScenarioBuilder, Server, SimService,
};
use tokio::{task::yield_now, time::timeout};
use tower::ServiceExt;
use tower_bedrock::{
    Backoff, Bedrock, Cause, Jitter, Reaction, Reactions, Request, RetryLayer, RetryReaction,
};
use tower_bedrock_tests::{
    MODEL, REGION, config, converse_stream, in_process, invoke_claude_stream,
};

use crate::{
    outcome::{Outcome, Reader},
    row::{Calls, Row},
    stack::{Gauges, stack},
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
        let gauges = Gauges::of(self.calls.model());
        let bedrock = Bedrock::from_builder(sdk).with_stream_limits(self.limits);
        let outcome = match self.calls {
            Calls::Converse => {
                let stack = stack(retries, bedrock, &gauges);
                let call = stack.oneshot(Request::from(converse_stream(MODEL)));
                Outcome::of(call, self.reader).await
            }
            Calls::Claude => {
                let stack = stack(retries, bedrock, &gauges);
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
        expect(&mut flaws, "left", &gauges.left(), &Vec::new());
        expect(
            &mut flaws,
            "tokens settled",
            &gauges.settled(),
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

/// Plays each recording to a call of its own, which is made once, and hands what comes of it to
/// `judge` with the number of the recording. After each call everything is given back.
pub(crate) async fn play_each(
    calls: Calls,
    recordings: Vec<Recording>,
    mut judge: impl FnMut(usize, Outcome),
) {
    // A fault is asked by every call until it is spent, so there are few at a time.
    for (batch, recordings) in recordings.chunks(BATCH).enumerate() {
        play_batch(calls, recordings, |number, outcome| {
            judge(batch * BATCH + number, outcome);
        })
        .await;
    }
}

const BATCH: usize = 64;

async fn play_batch(calls: Calls, recordings: &[Recording], mut judge: impl FnMut(usize, Outcome)) {
    let model = ModelSpec::new(calls.model()).regions([REGION]);
    let scenario = recordings
        .iter()
        .cloned()
        .map(|recording| FaultSpec::new(FaultKind::Recording(recording)).count(1))
        .fold(Scenario::builder().model(model), ScenarioBuilder::fault);
    let sim = SimService::new(scenario.build().expect("a sound scenario"));
    let bedrock = Bedrock::from_builder(in_process(&sim));
    let once = || RetryLayer::new().with_max_attempts(NonZeroU32::MIN);
    for number in 0..recordings.len() {
        // What befell one call is nothing to the next.
        let gauges = Gauges::of(calls.model());
        let reader = Reader::ToTheEnd;
        let outcome = match calls {
            Calls::Converse => {
                let stack = stack(once(), bedrock.clone(), &gauges);
                let call = stack.oneshot(Request::from(converse_stream(MODEL)));
                Outcome::of(call, reader).await
            }
            Calls::Claude => {
                let stack = stack(once(), bedrock.clone(), &gauges);
                let call = stack.oneshot(Request::from(invoke_claude_stream()));
                Outcome::of(call, reader).await
            }
        };
        assert_eq!(gauges.left(), Vec::<String>::new(), "call {number}");
        assert_eq!(sim.ledger().totals.in_flight, 0, "call {number}");
        judge(number, outcome);
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
