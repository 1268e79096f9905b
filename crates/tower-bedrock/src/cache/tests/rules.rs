use super::*;
use crate::{call::Operation, call_key::InputFacts};

fn is_kept(layer: &CacheLayer, request: &Request<Question>) -> bool {
    let service = layer.layer(Backend::new());
    answered(&service, request.clone(), "one");
    answered(&service, request.clone(), "two").output().text == "one"
}

fn warm() -> Request<Question> {
    asking(Question {
        text: "hello",
        ..Question::default()
    })
}

/// By default a cache is about calls that may be expected to be answered the same.
#[tokio::test(start_paused = true)]
async fn by_default_what_is_repeatable_is_kept() {
    assert!(is_kept(&layer(), &ask("hello")));
    assert!(!is_kept(&layer(), &warm()));
    let tools = asking(Question {
        facts: InputFacts {
            temperature: Some(0.0),
            has_tools: true,
            ..InputFacts::default()
        },
        ..Question::default()
    });
    assert!(!is_kept(&layer(), &tools));
}

/// A call's own wish goes before any rule.
#[tokio::test(start_paused = true)]
async fn a_call_says_for_itself_whether_it_is_kept() {
    for layer in [
        layer(),
        layer().without_rule(),
        layer().with_rule(|_, _| true),
    ] {
        assert!(is_kept(&layer, &warm().with_cache(CacheControl::Use)));
        assert!(!is_kept(
            &layer,
            &ask("hello").with_cache(CacheControl::Bypass)
        ));
    }
    assert!(!is_kept(&layer().without_rule(), &ask("hello")));
}

/// A rule of one's own goes in the place of the default one, and hears of call and input.
#[tokio::test(start_paused = true)]
async fn a_rule_decides() {
    let layer = layer().with_rule(|call, facts| {
        call.operation == Operation::CountTokens && facts.temperature.is_none()
    });
    let mut counts = warm();
    crate::BedrockRequest::context_mut(&mut counts).operation = Operation::CountTokens;
    assert!(is_kept(&layer, &counts));
    assert!(!is_kept(&layer, &warm()));
    assert!(!is_kept(&layer, &ask("hello")));
}

/// A refreshed call is sent, though an answer is there, and its answer takes the place of that one.
#[tokio::test(start_paused = true)]
async fn a_refresh_asks_anew_and_keeps() {
    let service = layer().layer(Backend::new());
    answered(&service, ask("hello"), "one");
    let refresh = ask("hello").with_cache(CacheControl::Refresh);
    let fresh = answered(&service, refresh, "two");
    assert_eq!(fresh.output().text, "two");
    assert_eq!(fresh.served().cache, CacheStatus::Miss);
    assert_eq!(
        answered(&service, ask("hello"), "three").output().text,
        "two"
    );
}

/// What the cache is not about passes as if it were not there.
#[tokio::test(start_paused = true)]
async fn what_is_bypassed_knows_nothing_of_the_cache() {
    let service = layer().layer(Backend::new());
    let bypass = || ask("hello").with_cache(CacheControl::Bypass);
    let passed = answered(&service, bypass(), "one");
    assert_eq!(passed.served().cache, CacheStatus::Unused);
    assert_eq!(passed.usage(), Some(&USAGE));
    answered(&service, ask("hello"), "two");
    assert_eq!(answered(&service, bypass(), "three").output().text, "three");
}
