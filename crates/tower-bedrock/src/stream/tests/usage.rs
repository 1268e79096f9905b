use tokio::time::Instant;

use super::*;
use crate::{model_id::ModelId, reply::BedrockResponse};

/// The last event comes with the usage: who stops there has it, and everything is settled.
#[tokio::test(start_paused = true)]
async fn the_last_event_waits_for_the_usage() {
    let recorder = Recorder::default();
    let start = Instant::now();
    let mut stream = stream_of(answer());
    stream.watch(recorder.clone());
    while stream.next().await.unwrap().unwrap() != Event::Stop {
        assert_eq!(stream.usage(), None);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(stream.usage(), Some(&USAGE));
    assert_eq!(recorder.heard(), ["used 7+5", "complete"]);
}

/// Once the usage is there nobody waits for anything but the end of the connection, and for that
/// only who asks for more, within the one wait that follows the end.
#[tokio::test(start_paused = true)]
async fn the_last_event_does_not_wait_for_the_connection() {
    let recorder = Recorder::default();
    let mut steps = answer();
    steps.push(Hangs);
    let start = Instant::now();
    let mut stream = stream_of(steps);
    stream.watch(recorder.clone());
    for _ in 0..5 {
        stream.next().await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(recorder.heard(), ["used 7+5", "complete"]);
    assert!(stream.next().await.is_none());
    assert_eq!(start.elapsed(), Duration::from_secs(9));
}

/// Usage that does not come is not waited for without end, and what is told in its place is called
/// an estimate: 12 bytes of Nova are 4 tokens.
#[tokio::test(start_paused = true)]
async fn usage_that_does_not_come_is_estimated() {
    for limit in [1, 5] {
        let recorder = Recorder::default();
        let mut steps = answer()[..4].to_vec();
        steps.push(Hangs);
        let limits = StreamLimits::new().with_usage(Duration::from_secs(limit));
        let mut stream = stream_of(steps).with_limits(limits);
        stream.watch(recorder.clone());
        let start = Instant::now();
        let (events, error) = drain(&mut stream).await;
        assert!(error.is_none());
        assert_eq!(events.len(), 4);
        assert_eq!(start.elapsed(), Duration::from_secs(4 + limit));
        assert_eq!(stream.usage(), None);
        assert_eq!(recorder.heard(), ["about ?+4", "complete"]);
    }
}

/// An estimate takes the input as it was told, and never less output than was told.
#[test]
fn an_estimate_keeps_what_was_told() {
    let estimate = UsageEstimate {
        input: Some(9),
        cache_read: 3,
        output: 2,
        ..UsageEstimate::default()
    };
    assert_eq!(estimate.with_input(100).input, 9);
    assert_eq!(estimate.with_input(100).cache_read, 3);
    assert_eq!(UsageEstimate::default().with_input(100).input, 100);
}

/// No call reads nothing: zeros are what the SDK writes where the service says nothing. They tell
/// nothing, and take nothing back.
#[test]
fn zeros_are_no_counts() {
    let zeros = counts(0, 0, (0, 0), Some(0));
    assert_eq!(zeros.usage(None), None);
    let mut told = counts(11, 7, (0, 0), Some(18));
    told.update(&zeros);
    assert_eq!(told, counts(11, 7, (0, 0), Some(18)));
    // A prompt that came whole from a cache, and an answer without a word.
    assert!(counts(0, 0, (5, 0), Some(5)).usage(None).is_some());
}

/// Counts are all there when both sides were told, be it one after the other: until then more is waited
/// for.
#[test]
fn counts_are_whole_with_both_sides() {
    let both = counts(3, 52, (0, 0), None);
    let mut told = TokenCounts {
        output: None,
        ..both
    };
    let output = TokenCounts {
        input: None,
        ..both
    };
    assert!(!told.is_whole() && !output.is_whole());
    told.update(&output);
    assert!(told.is_whole());
}

fn counts(input: u64, output: u64, cache: (u64, u64), total: Option<u64>) -> TokenCounts {
    TokenCounts {
        input: Some(input),
        output: Some(output),
        cache_read: Some(cache.0),
        cache_write: Some(cache.1),
        total,
    }
}

/// However a family counts its cached tokens, usage has them beside the input, and nothing twice.
#[test]
fn usage_means_the_same_for_every_family() {
    let claude = "us.anthropic.claude-sonnet-4-6".parse::<ModelId>().unwrap();
    let openai = "openai.gpt-5.6-sol-v1:0".parse::<ModelId>().unwrap();
    let usage = |input, cache_read, cache_write| Usage {
        input,
        output: 52,
        cache_read,
        cache_write,
    };
    for (counts, model, expected) in [
        // A captured record of Claude.
        (
            counts(3, 52, (0, 24_479), Some(24_534)),
            Some(&claude),
            usage(3, 0, 24_479),
        ),
        // The total tells, whatever the model is called.
        (
            counts(1_000, 52, (900, 50), Some(1_052)),
            None,
            usage(50, 900, 50),
        ),
        (
            counts(1_000, 52, (900, 0), Some(1_952)),
            Some(&openai),
            usage(1_000, 900, 0),
        ),
        // Without a total the name tells, and with one that is the sum of neither.
        (
            counts(1_000, 52, (900, 0), None),
            Some(&openai),
            usage(100, 900, 0),
        ),
        (
            counts(1_000, 52, (900, 0), Some(1)),
            Some(&openai),
            usage(100, 900, 0),
        ),
        (
            counts(1_000, 52, (900, 0), None),
            Some(&claude),
            usage(1_000, 900, 0),
        ),
        (
            counts(1_000, 52, (900, 0), None),
            None,
            usage(1_000, 900, 0),
        ),
        // Nothing cached, nothing to tell apart.
        (
            counts(1_000, 52, (0, 0), Some(1_052)),
            Some(&openai),
            usage(1_000, 0, 0),
        ),
        // Counts that make no sense do not wrap.
        (
            counts(10, 52, (900, 0), Some(62)),
            Some(&openai),
            usage(0, 900, 0),
        ),
    ] {
        assert_eq!(counts.usage(model), Some(expected), "{counts:?} {model:?}");
    }
    assert_eq!(TokenCounts::default().usage(Some(&claude)), None);
}
