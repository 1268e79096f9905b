use super::*;
use crate::replay::doubles::Question;

/// What would keep nothing is refused, with what to do about it.
#[test]
fn a_cache_that_keeps_nothing_is_refused() {
    let invalid = CacheLayer::new(0, TTL).unwrap_err();
    assert_eq!(invalid, InvalidCache::ZeroCapacity);
    assert!(invalid.to_string().contains("0 bytes"), "{invalid}");
    let invalid = CacheLayer::new(1 << 20, Duration::ZERO).unwrap_err();
    assert_eq!(invalid, InvalidCache::ZeroTimeToLive);
    assert!(invalid.to_string().contains("time to live"), "{invalid}");
}

/// The longest time to live is longer than anybody waits, and no overflow.
#[tokio::test(start_paused = true)]
async fn an_answer_may_live_for_ever() {
    let layer = CacheLayer::new(u64::MAX, Duration::MAX).unwrap();
    let service = layer.layer(Backend::new());
    answered(&service, ask("hello"), "one");
    tokio::time::advance(Duration::from_secs(1_000_000_000)).await;
    assert_eq!(answered(&service, ask("hello"), "two").output().text, "one");
    assert_eq!(layer.store().time_to_live(), Duration::MAX);
    assert_eq!(layer.store().max_bytes(), u64::MAX);
}

fn numbered(number: u32) -> Request<Question> {
    asking(Question {
        more: number.into(),
        ..Question::default()
    })
    .with_cache(CacheControl::Use)
}

/// However much is kept, it weighs no more than it may; what was given up is counted.
#[tokio::test(start_paused = true)]
async fn a_full_cache_makes_room() {
    const ROOM: u64 = 16 << 10;
    let layer = CacheLayer::new(ROOM, TTL).unwrap();
    let service = layer.layer(Backend::new());
    let store = layer.store();
    for number in 0..200 {
        answered(&service, numbered(number), "an answer");
        // A task that never gives way is made to by tokio's channels.
        tokio::task::yield_now().await;
        assert!(store.bytes() <= ROOM, "{}", store.bytes());
    }
    let entries = store.entries();
    assert!((10..32).contains(&entries), "{entries}");
    assert_eq!(store.evicted(), 200 - entries);
    assert!(store.bytes() > ROOM * 3 / 4, "{}", store.bytes());
}

/// An answer that is larger than the whole cache does not push out what is there.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_not_kept() {
    let long: &'static str = String::leak("x".repeat(4096));
    let layer = CacheLayer::new(4096, TTL).unwrap();
    let service = layer.layer(Backend::new());
    answered(&service, ask("hello"), "one");
    answered(&service, ask("tell me more"), long);
    assert_eq!(answered(&service, ask("hello"), "two").output().text, "one");
    answered(&service, ask("tell me more"), "less");
    // Nor is one whose question alone is.
    answered(&service, ask(long), "one");
    let again = answered(&service, ask(long), "two");
    assert_eq!(again.output().text, "two");
    assert_eq!(layer.store().evicted(), 0);
    assert_eq!(layer.store().entries(), 2);
}

/// Thrown away, an answer is asked for anew.
#[tokio::test(start_paused = true)]
async fn what_is_cleared_is_gone() {
    let layer = layer();
    let service = layer.layer(Backend::new());
    answered(&service, ask("hello"), "one");
    assert_eq!(layer.store().entries(), 1);
    assert!(layer.store().bytes() > 0);
    layer.store().clear();
    assert_eq!(layer.store().entries(), 0);
    assert_eq!(layer.store().bytes(), 0);
    assert_eq!(answered(&service, ask("hello"), "two").output().text, "two");
}
