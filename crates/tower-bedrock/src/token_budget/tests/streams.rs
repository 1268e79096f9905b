use futures_util::stream;

use super::*;
use crate::{
    RawError,
    error::ErrorDetails,
    stream::{EventFacts, ResponseStream, StreamEvent, TokenCounts},
};

/// A piece of an answer, told by what it tells.
#[derive(Clone, Copy)]
struct Piece(EventFacts);

impl StreamEvent for Piece {
    fn facts(&self) -> EventFacts {
        self.0
    }
}

/// An event of 40 bytes, which are 10 tokens.
fn text() -> Piece {
    Piece(EventFacts {
        is_content: true,
        output_bytes: 40,
        has_known_end: true,
        ..EventFacts::default()
    })
}

/// The event that tells the input, as Claude's own streams begin.
fn start(input: u64) -> Piece {
    Piece(EventFacts {
        has_known_end: true,
        counts: Some(TokenCounts {
            input: Some(input),
            ..TokenCounts::default()
        }),
        ..EventFacts::default()
    })
}

fn end() -> Piece {
    Piece(EventFacts {
        is_end: true,
        has_known_end: true,
        ..EventFacts::default()
    })
}

fn throttled() -> RawError {
    RawError::Answered(Box::new(ErrorDetails {
        code: Some("throttlingException".to_owned()),
        message: Some("Too many tokens, please wait before trying again.".to_owned()),
        ..ErrorDetails::default()
    }))
}

type Script = Vec<Result<Piece, RawError>>;

/// The stream that answers a call of 300 tokens by estimate, which may generate 700.
async fn call_for(quotas: &Quotas, events: Script) -> ResponseStream<Piece> {
    let events = Arc::new(Mutex::new(Some(events)));
    let inner = service_fn(move |request: Request<()>| {
        let events = events.lock().unwrap().take().unwrap();
        let stream = ResponseStream::new(stream::iter(events), request.context().clone());
        async move { Ok::<_, Error>(stream) }
    });
    let service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
    let request = Request::new((), call(300, 700));
    service.oneshot(request).await.unwrap()
}

/// A stream whose usage nobody told is charged its input, as it was told or else estimated, and
/// what came of its output at the rate of its model: 5 for this one.
#[tokio::test(start_paused = true)]
async fn a_stream_is_charged_what_came_of_it() {
    let cases: [(Script, usize, u64); 7] = [
        // Dropped by the caller.
        (vec![Ok(text()), Ok(text())], 0, 300),
        (vec![Ok(text()), Ok(text())], 1, 300 + 10 * 5),
        (vec![Ok(text()), Ok(text())], 2, 300 + 20 * 5),
        (vec![Ok(start(80)), Ok(text())], 2, 80 + 10 * 5),
        // Cut, refused half way, and without its usage.
        (vec![Ok(text())], 2, 300 + 10 * 5),
        (vec![Ok(text()), Err(throttled())], 2, 300 + 10 * 5),
        (vec![Ok(text()), Ok(end())], 3, 300 + 10 * 5),
    ];
    for (events, taken, charged) in cases {
        let quotas = quotas(1000);
        let mut stream = call_for(&quotas, events).await;
        assert_eq!(quotas.snapshot_of(&route()).tokens_held, 1000);
        for _ in 0..taken {
            let _event = stream.next().await;
        }
        drop(stream);
        let snapshot = quotas.snapshot_of(&route());
        assert_eq!(snapshot.tokens_held, 0);
        assert_eq!(snapshot.tokens_used, charged);
        tokio::time::advance(secs(120)).await;
        assert_eq!(used(&quotas), 0);
    }
}

/// What refusals taught of a quota that nobody told is no less than what a stream was admitted with,
/// although it was dropped half way.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_was_admitted_all_the_same() {
    let quotas = Quotas::new();
    let refusing =
        service_fn(|_: Request<()>| async { Err::<Response<()>, _>(Error::new(Cause::TokenRate)) });
    let service = TokenBudgetLayer::new(quotas.clone()).layer(refusing);
    // One refusal alone teaches nothing of a quota that nobody told.
    for _ in 0..2 {
        let refused = service.clone().oneshot(holding(500)).await;
        refused.unwrap_err();
    }
    let learned = || quotas.snapshot_of(&route()).learned_tokens_per_minute;
    assert!(learned().unwrap() < 1000);
    let stream = call_for(&quotas, vec![Ok(text())]).await;
    drop(stream);
    assert!(learned().unwrap() >= 1000);
}
