//! What must not show up anywhere: prompts, answers and credentials in what is traced, counted,
//! answered or printed, and tenants where nobody asked for them.
//!
//! A word of its own is put wherever somebody can put something, calls are made that go well and that
//! fail in every way, through both faces, and everything that was written down is searched for the
//! words.

mod calls;
mod canaries;
mod faces;
mod service;
mod sinks;

use aws_credential_types::{Credentials, Token};
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Builder, HttpClient, Region};
use tower_bedrock_tests::REGION;
use tracing::Level;

use self::{
    canaries::{ALL, ANSWER, BEARER, ECHO, SECRET_KEY, SESSION, Sink, TENANT, leaks},
    service::{Whole, streaming, streams},
    sinks::Sinks,
};

/// What a client signs with.
#[derive(Clone, Copy, Debug)]
enum Signs {
    WithKeys,
    WithBearerToken,
}

impl Signs {
    const ALL: [Self; 2] = [Self::WithKeys, Self::WithBearerToken];
}

fn config(signs: Signs, client: impl HttpClient + 'static) -> Builder {
    let builder = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url("http://simulator.invalid")
        .http_client(client);
    match signs {
        Signs::WithKeys => {
            let session = Some(SESSION.to_owned());
            let keys = Credentials::new("AKIDEXAMPLE", SECRET_KEY, session, None, "test");
            builder.credentials_provider(keys)
        }
        Signs::WithBearerToken => builder.bearer_token(Token::new(BEARER, None)),
    }
}

/// Calls of every operation, over every way to answer them, through both faces.
async fn run(sinks: &Sinks) {
    for signs in Signs::ALL {
        for whole in Whole::ALL {
            faces::tower(sinks, config(signs, whole.client())).await;
            faces::fluent(sinks, config(signs, whole.client())).await;
        }
    }
    for stream in streams() {
        faces::tower(sinks, config(Signs::WithKeys, streaming(&stream))).await;
        faces::fluent(sinks, config(Signs::WithKeys, streaming(&stream))).await;
    }
}

/// No prompt, no answer and no credential shows up in any span, event, metric, answer to somebody
/// outside, error or `Debug`; what the service repeats of a prompt stays in the error that says what
/// the service said, and the tenant in what is printed of a call.
#[tokio::test(start_paused = true)]
async fn nothing_private_shows_up() {
    let sinks = Sinks::new();
    run(&sinks).await;

    // Calls were made, in every sink there is something of them, and errors say what was said.
    let traced = sinks.ours.text();
    for part in [
        "bedrock.call",
        "bedrock.attempt",
        "tower_bedrock::retry",
        "tower_bedrock::fallback",
    ] {
        assert!(traced.contains(part), "{part} is not traced");
    }
    assert!(sinks.metrics().contains("tower_bedrock_calls"));
    assert!(sinks.answers.text().contains("misconfigured"));
    assert!(sinks.texts.text().contains(ECHO) && sinks.texts.text().contains(TENANT));

    let leaks = sinks.leaks();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// The search finds each word in each place in which it must not be, as text and as bytes, so that the
/// test above can fail.
#[test]
fn the_search_finds_what_is_there() {
    for canary in ALL {
        let sinks = Sinks::new();
        tracing::event!(target: "tower_bedrock::test", Level::TRACE, word = canary.word);
        metrics::counter!("words", "word" => canary.word).increment(1);
        sinks.answers.add(canary.word);
        sinks.texts.debug(&canary.word.as_bytes());
        let found: Vec<_> = sinks.leaks().iter().map(|leak| leak.sink).collect();
        let mut expected = vec![Sink::Trace, Sink::Metrics, Sink::Answer];
        if canary.may == canaries::May::Nowhere {
            expected.push(Sink::Text);
        }
        assert_eq!(found, expected, "{}", canary.word);
    }
}

/// The words really come by: the SDK's own crates show answers at their lowest level, which is why they
/// are to be left out of what is kept.
#[tokio::test(start_paused = true)]
async fn the_sdk_itself_shows_answers() {
    let sinks = Sinks::new();
    faces::fluent(&sinks, config(Signs::WithKeys, Whole::Well.client())).await;
    let shown = leaks(Sink::Trace, &sinks.of_the_sdk.text());
    assert!(shown.iter().any(|leak| leak.word == ANSWER), "{shown:?}");
}
