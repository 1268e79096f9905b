//! Callers that leave: at every event of a stream, and wherever a call or a stream waits.

use std::{
    fmt::Debug,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bedrock_sim::{
    FaultKind, FaultSpec, ModelSpec, Recording, RecordingEnd, Scenario, ScenarioBuilder, SimService,
};
use tokio::time::advance;
use tower::ServiceExt;
use tower_bedrock::{
    Backoff, Bedrock, Cause, HoldBack, Jitter, PoolKey, Quota, Reaction, Reactions, Request,
    ResponseStream, RetryLayer, SdkOperation, StreamEvent,
};
use tower_bedrock_tests::{MODEL, REGION, converse_stream, in_process, invoke_claude_stream};

use crate::{
    outcome::{End, Outcome, Reader},
    recordings::{ConverseEvents, begun, claude_whole, whole},
    row::Calls,
    stack::{Gauges, INPUT, MAX_OUTPUT, stack},
    words::InAWord,
};

/// Shorter than anything that is waited for.
const STEP: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(30);

/// A Bedrock that plays these recordings in turn, and from then on answers by itself.
fn playing(calls: Calls, recordings: &[Recording]) -> SimService {
    let model = ModelSpec::new(calls.model()).regions([REGION]);
    recordings
        .iter()
        .cloned()
        .map(|recording| FaultSpec::new(FaultKind::Recording(recording)).count(1))
        .fold(Scenario::builder().model(model), ScenarioBuilder::fault)
        .build()
        .map(SimService::new)
        .expect("a sound scenario")
}

fn bedrock(sim: &SimService) -> Bedrock {
    Bedrock::from_builder(in_process(sim))
}

/// Retries soon.
fn retries() -> RetryLayer {
    let soon = Backoff::new(PAUSE * 2, PAUSE * 2);
    let reaction = Reaction::to(Cause::Internal).retried(soon, 2);
    RetryLayer::new()
        .with_reactions(Reactions::default().with(Cause::Internal, reaction))
        .with_jitter(Jitter::seeded(3))
}

/// Nothing is held, by the layers or at the service.
#[track_caller]
fn assert_at_rest(gauges: &Gauges, sim: &SimService, when: impl Debug) {
    assert_eq!(gauges.left(), Vec::<String>::new(), "{when:?}");
    assert_eq!(sim.ledger().totals.in_flight, 0, "{when:?}");
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Reads so many events of an answer and leaves. Returns what is settled then.
async fn leave_after<Op, E>(
    input: Op,
    calls: Calls,
    recording: Recording,
    hold_back: HoldBack,
    events: usize,
) -> u64
where
    Op: SdkOperation<Response = ResponseStream<E>>,
    E: StreamEvent,
{
    let sim = playing(calls, &[recording]);
    let gauges = Gauges::of(calls.model());
    let bedrock = bedrock(&sim).with_hold_back(hold_back);
    let call = stack(retries(), bedrock, &gauges).oneshot(Request::from(input));
    let mut stream = call.await.expect("an answer");
    for _ in 0..events {
        let event = stream.next().await.expect("an event");
        event.expect("a sound event");
    }
    if !stream.is_complete() {
        let held = gauges.quotas.snapshot_of(&gauges.route).tokens_held;
        assert_eq!((gauges.in_flight(), held), (1, INPUT + MAX_OUTPUT));
    }
    drop(stream);
    assert_at_rest(&gauges, &sim, events);
    gauges.settled()
}

/// A stream can be left after any event: everything is given back, and settled is what came until
/// then, or what the service counted once the answer is whole, whoever reads it.
#[tokio::test(start_paused = true)]
async fn a_stream_can_be_left_after_any_event() {
    // What "Hel" and "lo" come to, at three bytes to a token.
    let (none, one, two, all) = (INPUT, INPUT + 1, INPUT + 2, 18);
    for (hold_back, settled) in [
        (
            HoldBack::until_content(),
            [one, one, one, two, two, all, all],
        ),
        (
            HoldBack::until_first_event(),
            [none, none, one, two, two, all, all],
        ),
        (
            HoldBack::until_bytes(5),
            [two, two, two, two, two, all, all],
        ),
    ] {
        for (events, settled) in settled.into_iter().enumerate() {
            let input = converse_stream(MODEL);
            let left = leave_after(input, Calls::Converse, whole(), hold_back, events);
            assert_eq!(left.await, settled, "after {events} events, {hold_back:?}");
        }
    }
    // Claude tells its input at once, and what it generated before it ends; output counts five times.
    let (one, two, all) = (11 + 5, 11 + 2 * 5, 11 + 7 * 5);
    for (events, settled) in [one, one, one, two, all, all].into_iter().enumerate() {
        let (input, hold_back) = (invoke_claude_stream(), HoldBack::until_content());
        let left = leave_after(input, Calls::Claude, claude_whole(), hold_back, events);
        assert_eq!(left.await, settled, "after {events} events");
    }
}

/// A stream can be left while it waits for what does not come.
#[tokio::test(start_paused = true)]
async fn a_stream_can_be_left_while_it_waits() {
    let sim = playing(Calls::Converse, &[begun().end(RecordingEnd::Stall)]);
    let gauges = Gauges::of(MODEL);
    let stack = stack(retries(), bedrock(&sim), &gauges);
    let call = stack.oneshot(Request::from(converse_stream(MODEL)));
    let mut stream = call.await.expect("an answer");
    for _ in 0..3 {
        stream
            .next()
            .await
            .expect("an event")
            .expect("a sound event");
    }
    assert!(poll_once(pin!(stream.next())).is_pending());
    assert_eq!((gauges.in_flight(), sim.ledger().totals.in_flight), (1, 1));
    drop(stream);
    assert_at_rest(&gauges, &sim, "left");
    assert_eq!(gauges.settled(), INPUT + 2);
}

/// Whoever waits for the next event may stop waiting, and come back: nothing is lost.
#[tokio::test(start_paused = true)]
async fn waiting_can_be_given_up_and_taken_up_again() {
    let pauses = Recording::new()
        .start()
        .text("Hel")
        .pause(PAUSE)
        .text("lo")
        .pause(PAUSE)
        .block_stop()
        .stop()
        .pause(PAUSE)
        .usage(11, 7)
        .in_chunks_of(1);
    let sim = playing(Calls::Converse, &[pauses]);
    let gauges = Gauges::of(MODEL);
    let stack = stack(retries(), bedrock(&sim), &gauges);
    let call = stack.oneshot(Request::from(converse_stream(MODEL)));
    let mut stream = call.await.expect("an answer");
    let (mut events, mut given_up) = (Vec::new(), 0);
    loop {
        match poll_once(pin!(stream.next())) {
            Poll::Ready(Some(event)) => events.push(event.expect("a sound event").in_a_word()),
            Poll::Ready(None) => break,
            Poll::Pending => {
                given_up += 1;
                advance(STEP).await;
            }
        }
    }
    assert!(given_up >= 6, "{given_up}");
    let expected = [
        "start",
        "text:Hel",
        "text:lo",
        "block-stop",
        "stop",
        "metadata",
    ];
    assert_eq!(events, expected);
    assert_eq!(gauges.settled(), 18);
    assert_at_rest(&gauges, &sim, "read");
}

/// What stands in the way of a call for a while, beside what it waits for at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    None,
    /// Another stream has the only place.
    Pool,
    /// Another stream holds the tokens.
    Quota,
}

impl Obstacle {
    fn set_up(self, gauges: &Gauges) {
        match self {
            Self::None => {}
            Self::Pool => gauges.pools.set_limit(&PoolKey::region(REGION), 1),
            Self::Quota => {
                // Room for one call, and for what the other and a first attempt will have used.
                let quota = Quota::new().with_tokens_per_minute(MAX_OUTPUT + 3 * INPUT + 10);
                gauges
                    .quotas
                    .set(&gauges.route, quota)
                    .expect("a sound quota");
            }
        }
    }
}

/// Polls a call `polls` times, a moment apart, and drops it. Returns whether it was answered before.
async fn drop_after(polls: usize, obstacle: Obstacle) -> bool {
    let start = || Recording::new().pause(PAUSE).start().pause(PAUSE);
    let mut recordings = vec![
        start()
            .event("heartbeat", "{}")
            .pause(PAUSE)
            .refusal("internalServerException", "Try your request again."),
        start().text("Hello").end(RecordingEnd::Stall),
    ];
    if obstacle != Obstacle::None {
        recordings.insert(0, begun().end(RecordingEnd::Stall));
    }
    let sim = playing(Calls::Converse, &recordings);
    let gauges = Gauges::of(MODEL);
    obstacle.set_up(&gauges);
    let stack = stack(retries(), bedrock(&sim), &gauges);
    let request = || Request::from(converse_stream(MODEL));
    let mut other = None;
    if obstacle != Obstacle::None {
        other = Some(stack.clone().oneshot(request()).await.expect("an answer"));
    }
    let mut is_answered = false;
    {
        let mut call = pin!(stack.clone().oneshot(request()));
        for poll in 0..polls {
            if let Poll::Ready(answer) = poll_once(call.as_mut()) {
                answer.expect("the second attempt is answered");
                is_answered = true;
                break;
            }
            if poll == 5 && other.take().is_some() {
                let requests = sim.ledger().totals.requests;
                assert_eq!(requests, 1, "only the other is on its way");
            }
            advance(STEP).await;
        }
    }
    drop(other);
    assert_at_rest(&gauges, &sim, (polls, obstacle));

    // Nothing is in the way of the next call, once it is not told to fail.
    let next = Outcome::of(stack.oneshot(request()), Reader::Until("text:Hello")).await;
    let is_well = matches!(next.end, End::Whole | End::Left);
    assert!(is_well, "{polls} polls, {obstacle:?}: {:?}", next.error);
    assert_at_rest(&gauges, &sim, (polls, obstacle));
    is_answered
}

/// A call can be dropped wherever it waits: for its tokens, for its place, for the head of the
/// answer, for its first events, for its retry and all that again. It leaves nothing behind, and the
/// next call is answered.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_wherever_it_waits() {
    for obstacle in [Obstacle::None, Obstacle::Pool, Obstacle::Quota] {
        let mut polls = 0;
        while !drop_after(polls, obstacle).await {
            polls += 1;
            assert!(polls < 1000, "{obstacle:?}: never answered");
        }
        // Five pauses of three steps, a retry, and what stands in the way.
        assert!(polls > 15, "{obstacle:?}: answered after {polls} polls");
    }
}
