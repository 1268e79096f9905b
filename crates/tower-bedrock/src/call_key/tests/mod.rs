use std::hash::{Hash, Hasher};

use super::*;
use crate::{
    call::{BedrockRequest, Operation, Request},
    model_id::Residency,
    replay::doubles::{Question, ask, asking},
    route::{Route, ServiceTier},
};

fn key(keys: &Keys, request: &Request<Question>) -> CallKey {
    keys.of(request)
}

/// A clone is the same call, and so is another request that says the same.
#[test]
fn what_says_the_same_is_the_same() {
    let keys = Keys::default();
    let request = ask("hello");
    assert_eq!(key(&keys, &request), key(&keys, &request.clone()));
    assert_eq!(key(&keys, &request), key(&keys, &ask("hello")));
    assert_ne!(key(&keys, &request), key(&keys, &ask("hullo")));
}

/// Everything that is sent beside the input, and everything that bears on who may answer, is in the
/// key; what bears only on how the call is made is not.
#[test]
fn every_part_of_a_call_that_its_answer_depends_on_is_in_its_key() {
    let keys = Keys::default();
    let plain = key(&keys, &ask("hello"));
    type Change = fn(&mut Request<Question>);
    let differs: [(&str, Change); 9] = [
        ("operation", |request| {
            request.context_mut().operation = Operation::InvokeModel;
        }),
        ("model", |request| {
            request.context_mut().route = Route::to("amazon.nova-pro-v1:0".parse().unwrap());
        }),
        ("no model", |request| {
            request.context_mut().route.model = None
        }),
        ("region", |request| {
            request.context_mut().route.region = Some("eu-west-1".into());
        }),
        ("tier", |request| {
            request.context_mut().route.tier = ServiceTier::Flex;
        }),
        ("most tokens", |request| {
            request.context_mut().tokens.max_output = Some(100);
        }),
        ("tenant", |request| {
            request.context_mut().tenant = Some("search".into());
        }),
        ("residency", |request| {
            request.context_mut().fallback.residency = Some(Residency::Geo);
        }),
        ("fallback", |request| {
            request.context_mut().fallback.is_disabled = true;
        }),
    ];
    for (what, change) in differs {
        let mut request = ask("hello");
        change(&mut request);
        assert_ne!(key(&keys, &request), plain, "{what}");
        assert_eq!(key(&keys, &request), key(&keys, &request), "{what}");
    }
    let request = ask("hello")
        .with_priority(crate::Priority::High)
        .with_timeout(std::time::Duration::from_secs(1))
        .with_retry_timeouts(true);
    assert_eq!(key(&keys, &request), plain);
}

/// A call without a region is one to the home region, and to no other.
#[test]
fn no_region_is_the_home_region() {
    let mut keys = Keys::default();
    keys.home = Some("eu-west-1".into());
    let to = |region: &str| {
        let mut request = ask("hello");
        request.context_mut().route.region = Some(region.into());
        key(&keys, &request)
    };
    assert_eq!(key(&keys, &ask("hello")), to("eu-west-1"));
    assert_ne!(key(&keys, &ask("hello")), to("us-east-1"));
}

/// Tenants are told apart until they are not to be.
#[test]
fn tenants_are_told_apart_unless_they_share() {
    let apart = Keys::default();
    let mut together = Keys::default();
    together.across_tenants = true;
    let [one, other] = ["one", "other"].map(|tenant| ask("hello").with_tenant(tenant));
    assert_ne!(key(&apart, &one), key(&apart, &other));
    assert_ne!(key(&apart, &one), key(&apart, &ask("hello")));
    assert_eq!(key(&together, &one), key(&together, &other));
    assert_eq!(key(&together, &one), key(&together, &ask("hello")));
}

#[derive(PartialEq)]
struct Colliding(&'static str);

impl KeyedInput for Colliding {
    fn hash_content<H: Hasher>(&self, _: &mut H) {}
}

#[derive(PartialEq)]
struct Other(&'static str);

impl KeyedInput for Other {
    fn hash_content<H: Hasher>(&self, _: &mut H) {}
}

/// Where hashes collide, equality decides, and types that only look alike are not equal.
#[test]
fn equality_decides_where_hashes_collide() {
    let keys = Keys::default();
    let call = ask("").context().clone();
    let of = |text| keys.of(&Request::new(Colliding(text), call.clone()));
    assert_eq!(of("hello"), of("hello"));
    assert_ne!(of("hello"), of("hullo"));
    let other = keys.of(&Request::new(Other("hello"), call.clone()));
    assert_ne!(of("hello"), other);
    let hash = |key: &CallKey| {
        let mut state = std::hash::DefaultHasher::new();
        key.hash(&mut state);
        state.finish()
    };
    assert_eq!(hash(&of("hello")), hash(&other), "they do collide");
}

/// A number that is equal to none, not even to itself, parts calls, and does not part a call from its
/// own clones: it would be looked for in vain for ever.
#[test]
fn a_call_is_always_the_same_as_itself() {
    let keys = Keys::default();
    let odd = || {
        asking(Question {
            more: f64::NAN,
            ..Question::default()
        })
    };
    let request = odd();
    assert_eq!(key(&keys, &request), key(&keys, &request.clone()));
    assert_ne!(key(&keys, &request), key(&keys, &odd()));
}

/// The hashes of one process are of no use to guess those of another, or of another layer.
#[test]
fn hashes_are_keyed() {
    let hash = |keys: &Keys| {
        let mut state = std::hash::DefaultHasher::new();
        key(keys, &ask("hello")).hash(&mut state);
        state.finish()
    };
    let keys = Keys::default();
    assert_eq!(hash(&keys), hash(&keys));
    assert_ne!(hash(&keys), hash(&Keys::default()));
}

/// An input weighs at least what its texts weigh.
#[cfg(feature = "cache")]
#[test]
fn a_key_knows_what_its_input_weighs() {
    let keys = Keys::default();
    let bytes = key(&keys, &ask("hello")).bytes();
    assert!((5..32).contains(&bytes), "{bytes}");
}

/// Whoever prints a key does not see what was asked.
#[test]
fn debug_does_not_show_the_question() {
    let shown = format!("{:?}", key(&Keys::default(), &ask("hello")));
    assert!(!shown.contains("hello"), "{shown}");
}

/// What is repeatable says so, has no tools, and points nowhere else.
#[test]
fn only_a_said_temperature_of_zero_is_repeatable() {
    let facts = InputFacts {
        temperature: Some(0.0),
        ..InputFacts::default()
    };
    assert!(facts.is_repeatable());
    for facts in [
        InputFacts::default(),
        InputFacts {
            temperature: Some(0.1),
            ..facts
        },
        InputFacts {
            temperature: Some(f32::NAN),
            ..facts
        },
        InputFacts {
            has_tools: true,
            ..facts
        },
        InputFacts {
            refers_elsewhere: true,
            ..facts
        },
    ] {
        assert!(!facts.is_repeatable(), "{facts:?}");
    }
}
