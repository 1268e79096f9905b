//! Clients that go away.

use std::time::Duration;

use http_body_util::BodyExt;
use proptest::prelude::*;
use tokio::time::{advance, timeout};

use super::{NOVA, SimService, bedrock, call, hello, request, send, slow, totals};

/// The input of [`hello`].
const INPUT: u64 = 4;

// Dropped before its first token, a call is charged for its input; dropped later, for what there was.
#[tokio::test(start_paused = true)]
async fn dropped_call_pays_for_what_there_was() {
    for (millis, generated) in [(0, 0), (1_999, 0), (2_000, 1), (2_150, 2), (2_899, 9)] {
        let bedrock = bedrock(slow());
        let call = send(&bedrock, request(NOVA, "converse", &hello()));
        let patience = Duration::from_millis(millis);
        assert!(timeout(patience, call).await.is_err());
        let totals = totals(&bedrock);
        assert_eq!(
            (totals.in_flight, totals.failed, totals.completed),
            (0, 1, 0)
        );
        assert_eq!(totals.tokens_held, 0);
        assert_eq!(
            totals.tokens_settled,
            INPUT + generated,
            "after {millis} ms"
        );
    }
}

// A future that was never polled has asked for nothing.
#[tokio::test(start_paused = true)]
async fn unpolled_call_is_none() {
    let bedrock = bedrock(slow());
    drop(send(&bedrock, request(NOVA, "converse", &hello())));
    assert_eq!(totals(&bedrock).requests, 0);
}

/// Reads some events of a stream, and drops it.
async fn read_some(bedrock: &SimService, events: usize) {
    let answer = send(bedrock, request(NOVA, "converse-stream", &hello()));
    let mut body = answer.await.expect("an answer").into_body();
    for _ in 0..events {
        body.frame().await.expect("a frame").expect("a sound frame");
    }
}

// A dropped stream is charged for what was sent, and complete once its last event was.
#[tokio::test(start_paused = true)]
async fn dropped_stream_pays_for_what_was_sent() {
    for (events, sent) in [(0, 0), (1, 0), (2, 3), (3, 6), (4, 10), (6, 10), (7, 10)] {
        let bedrock = bedrock(slow());
        read_some(&bedrock, events).await;
        let totals = totals(&bedrock);
        assert_eq!(totals.in_flight, 0);
        assert_eq!(totals.completed == 1, events == 7, "after {events} events");
        assert_eq!(totals.failed == 1, events < 7, "after {events} events");
        assert_eq!(totals.tokens_settled, INPUT + sent, "after {events} events");
    }
}

// While an answer is under way its slot is taken; whoever drops it makes room at once.
#[tokio::test(start_paused = true)]
async fn slot_is_free_after_a_drop() {
    let bedrock = bedrock(slow().concurrency(1));
    let answer = send(&bedrock, request(NOVA, "converse-stream", &hello()));
    let response = answer.await.expect("an answer");
    assert_eq!(totals(&bedrock).in_flight, 1);
    assert_eq!(call(&bedrock, "converse", &hello()).await.status(), 503);
    drop(response);
    assert_eq!(call(&bedrock, "converse", &hello()).await.status(), 200);
}

// A reset in the middle of calls leaves nothing of them, whenever they end.
#[tokio::test(start_paused = true)]
async fn reset_forgets_calls_under_way() {
    let bedrock = bedrock(slow().concurrency(1));
    let stream = send(&bedrock, request(NOVA, "converse-stream", &hello()));
    let stream = stream.await.expect("an answer");
    bedrock.reset();
    assert_eq!(totals(&bedrock).in_flight, 0);
    let other = send(&bedrock, request(NOVA, "converse-stream", &hello()));
    let other = other.await.expect("an answer");
    assert_eq!(other.status(), 200);
    drop(stream);
    assert_eq!(totals(&bedrock).in_flight, 1);
    drop(other);
    let totals = totals(&bedrock);
    assert_eq!(
        (totals.requests, totals.in_flight, totals.failed),
        (1, 0, 1)
    );
}

/// What a client does with a call.
#[derive(Clone, Copy, Debug)]
enum Client {
    Waits { millis: u64 },
    Reads { events: usize, then_idles: u64 },
}

fn clients() -> impl Strategy<Value = Client> {
    prop_oneof![
        (0_u64..4_000).prop_map(|millis| Client::Waits { millis }),
        (0_usize..8, 0_u64..4_000)
            .prop_map(|(events, then_idles)| Client::Reads { events, then_idles }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Whenever clients leave, nothing stays in flight, nothing stays held, and every admitted call is
    // counted exactly once as completed or failed.
    #[test]
    fn nothing_leaks(clients in prop::collection::vec(clients(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let bedrock = bedrock(slow().concurrency(4).tpm(100_000));
            let calls = clients.into_iter().map(|client| {
                let bedrock = bedrock.clone();
                tokio::spawn(async move {
                    match client {
                        Client::Waits { millis } => {
                            let call = send(&bedrock, request(NOVA, "converse", &hello()));
                            drop(timeout(Duration::from_millis(millis), call).await);
                        }
                        Client::Reads { events, then_idles } => {
                            let answer = send(&bedrock, request(NOVA, "converse-stream", &hello()));
                            let mut body = answer.await.expect("an answer").into_body();
                            for _ in 0..events {
                                drop(body.frame().await);
                            }
                            tokio::time::sleep(Duration::from_millis(then_idles)).await;
                        }
                    }
                })
            });
            for call in calls.collect::<Vec<_>>() {
                call.await.expect("a client");
            }
            advance(Duration::from_secs(60)).await;
            let totals = totals(&bedrock);
            assert_eq!((totals.in_flight, totals.tokens_held), (0, 0));
            assert_eq!(totals.completed + totals.failed, totals.admitted);
            assert_eq!(totals.admitted + totals.refused.total(), totals.requests);
        });
    }
}
