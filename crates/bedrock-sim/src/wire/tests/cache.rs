//! Prompt caching.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SCALE, content, plain};
use crate::wire::{
    cache::{InputTokens, PromptCache},
    content::Content,
    request::Dialect,
};

const MINUTE: Duration = Duration::from_secs(60);

fn point() -> Value {
    json!({"cachePoint": {"type": "default"}})
}

/// Forty bytes, ten tokens.
fn block(letter: char) -> Value {
    json!({"text": String::from_iter([letter; 40])})
}

fn converse(system: &[Value], messages: &[Value]) -> Content {
    let message = json!({"role": "user", "content": messages});
    content(
        Dialect::Converse,
        &json!({"system": system, "messages": [message]}),
    )
}

/// What a call pays, with what it asks for kept.
fn call(cache: &mut PromptCache<u8>, now: Duration, model: u8, content: &Content) -> InputTokens {
    let tokens = cache.lookup(now, model, content, SCALE);
    cache.store(now, model, content);
    tokens
}

fn read(cache_read: u64, plain: u64) -> InputTokens {
    InputTokens {
        plain,
        cache_read,
        ..InputTokens::default()
    }
}

fn written(cache_write_5m: u64, plain: u64) -> InputTokens {
    InputTokens {
        plain,
        cache_write_5m,
        ..InputTokens::default()
    }
}

// The first call writes the prefix, later ones read it, and input tokens exclude both.
#[test]
fn prefix_is_written_then_read() {
    let mut cache = PromptCache::default();
    let prompt = converse(&[block('s'), point()], &[block('q')]);
    assert_eq!(call(&mut cache, MINUTE, 1, &prompt), written(10, 10));
    assert_eq!(call(&mut cache, MINUTE * 2, 1, &prompt), read(10, 10));
    // Another question behind the same prefix.
    let other = converse(&[block('s'), point()], &[block('r'), block('t')]);
    assert_eq!(call(&mut cache, MINUTE * 2, 1, &other), read(10, 20));
}

// A prompt without cache points is charged plainly, and caches nothing.
#[test]
fn nothing_is_cached_unasked() {
    let mut cache = PromptCache::default();
    let prompt = converse(&[block('s')], &[block('q')]);
    assert_eq!(call(&mut cache, MINUTE, 1, &prompt), plain(20));
    assert_eq!(call(&mut cache, MINUTE, 1, &prompt), plain(20));
    let asking = converse(&[block('s'), point()], &[block('q')]);
    assert_eq!(call(&mut cache, MINUTE, 1, &asking), written(10, 10));
}

// A prefix lasts five minutes from its last use, or an hour where the cache point asks for it.
#[test]
fn prefix_lasts_its_time() {
    for (point, minutes) in [
        (point(), 5),
        (json!({"cachePoint": {"type": "default", "ttl": "5m"}}), 5),
        (json!({"cachePoint": {"type": "default", "ttl": "1h"}}), 60),
    ] {
        let prompt = converse(&[block('s'), point], &[block('q')]);
        let mut cache = PromptCache::default();
        let ttl = MINUTE * minutes;
        let nearly = ttl - Duration::from_nanos(1);
        assert_eq!(
            call(&mut cache, Duration::ZERO, 1, &prompt).cache_write(),
            10
        );
        assert_eq!(call(&mut cache, nearly, 1, &prompt).cache_read, 10);
        assert_eq!(call(&mut cache, nearly * 2, 1, &prompt).cache_read, 10);
        let late = nearly * 2 + ttl;
        assert_eq!(call(&mut cache, late, 1, &prompt).cache_write(), 10);
    }
}

// The time that a cache point asks for is told apart in the usage.
#[test]
fn hour_is_told_apart() {
    let hour = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    let prompt = converse(&[block('s'), hour], &[block('q'), point(), block('r')]);
    let tokens = PromptCache::default().lookup(MINUTE, 1, &prompt, SCALE);
    let expected = InputTokens {
        plain: 10,
        cache_read: 0,
        cache_write_5m: 10,
        cache_write_1h: 10,
    };
    assert_eq!(tokens, expected);
    assert_eq!(tokens.total(), 30);
}

// A cache belongs to a model in a region; a refused call, which stores nothing, leaves none.
#[test]
fn caches_are_apart() {
    let mut cache = PromptCache::default();
    let prompt = converse(&[block('s'), point()], &[block('q')]);
    assert_eq!(cache.lookup(MINUTE, 1, &prompt, SCALE), written(10, 10));
    assert_eq!(call(&mut cache, MINUTE, 1, &prompt), written(10, 10));
    assert_eq!(call(&mut cache, MINUTE, 2, &prompt), written(10, 10));
}

// A conversation moves its cache point forward: each turn reads the last one's prefix and writes the
// rest, although the old cache point is gone.
#[test]
fn cache_point_moves_forward() {
    let mut cache = PromptCache::default();
    let first = converse(&[], &[block('a'), point()]);
    let second = converse(&[], &[block('a'), block('b'), block('c'), point()]);
    assert_eq!(call(&mut cache, MINUTE, 1, &first), written(10, 0));
    let expected = InputTokens {
        cache_read: 10,
        cache_write_5m: 20,
        ..InputTokens::default()
    };
    assert_eq!(call(&mut cache, MINUTE, 1, &second), expected);
}

// Older prefixes are found up to twenty blocks back, as far as the service looks.
#[test]
fn lookback_ends() {
    for (blocks_behind, found) in [(19, true), (20, false)] {
        let mut cache = PromptCache::default();
        call(
            &mut cache,
            MINUTE,
            1,
            &converse(&[], &[block('a'), point()]),
        );
        let mut blocks = vec![block('a')];
        blocks.extend((0..blocks_behind).map(|_| block('b')));
        blocks.push(point());
        let tokens = call(&mut cache, MINUTE, 1, &converse(&[], &blocks));
        assert_eq!(
            tokens.cache_read > 0,
            found,
            "{blocks_behind} blocks behind"
        );
    }
}

// A prefix is the whole of what stands before the point: a different start, role or tool is another.
#[test]
fn prefix_is_everything_before() {
    let system = |letter| converse(&[block(letter)], &[block('q'), point()]);
    let tools = |name: &str| {
        let tool = json!({"toolSpec": {"name": name, "inputSchema": {"json": {}}}});
        let message = json!({"role": "user", "content": [block('q'), point()]});
        let body = json!({"toolConfig": {"tools": [tool]}, "messages": [message]});
        content(Dialect::Converse, &body)
    };
    let prompts = [system('s'), system('t'), tools("one"), tools("two")];
    let mut cache = PromptCache::default();
    for prompt in &prompts {
        assert_eq!(call(&mut cache, MINUTE, 1, prompt).cache_read, 0);
    }
    for prompt in &prompts {
        assert!(call(&mut cache, MINUTE, 1, prompt).cache_read > 0);
    }
}

// Anthropic's cache_control marks the same prefixes, so that one cache serves both APIs.
#[test]
fn cache_control_is_a_cache_point() {
    let text = String::from_iter(['s'; 40]);
    let anthropic = json!({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 10,
        "system": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "1234"}],
    });
    let mut cache = PromptCache::default();
    let prompt = converse(&[block('s'), point()], &[json!({"text": "1234"})]);
    assert_eq!(call(&mut cache, MINUTE, 1, &prompt), written(10, 1));
    let anthropic = content(Dialect::Anthropic, &anthropic);
    assert_eq!(call(&mut cache, MINUTE, 1, &anthropic), read(10, 1));
}

// A full cache lets go of what would expire first.
#[test]
fn full_cache_forgets_the_oldest() {
    let mut cache = PromptCache::with_capacity(2);
    let prompts: Vec<_> = ['a', 'b', 'c']
        .map(|letter| converse(&[], &[block(letter), point()]))
        .into();
    for (minute, prompt) in (0..).zip(&prompts) {
        call(&mut cache, MINUTE * minute, 1, prompt);
    }
    let reads = prompts
        .iter()
        .map(|prompt| cache.lookup(MINUTE * 3, 1, prompt, SCALE).cache_read);
    assert_eq!(reads.collect::<Vec<_>>(), [0, 10, 10]);
}

proptest! {
    // Whatever is read or written, the parts sum up to the prompt, and the cache keeps its bound.
    #[test]
    fn parts_make_the_whole(calls in prop::collection::vec((0_u64..400, 0_u8..3, prop::collection::vec((0_u8..3, any::<bool>()), 1..6)), 1..40)) {
        let mut cache = PromptCache::with_capacity(3);
        let mut now = Duration::ZERO;
        for (seconds, model, blocks) in calls {
            now += Duration::from_secs(seconds);
            let mut message = Vec::new();
            for (letter, cached) in blocks {
                message.push(block(char::from(b'a' + letter)));
                if cached {
                    message.push(point());
                }
            }
            let prompt = converse(&[], &message);
            let tokens = call(&mut cache, now, model, &prompt);
            prop_assert_eq!(tokens.total(), SCALE.tokens(prompt.size));
            prop_assert!(cache.len() <= 3);
        }
    }
}
