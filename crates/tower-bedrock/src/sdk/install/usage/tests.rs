use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn counted(counts: [Option<u64>; 5]) -> TokenCounts {
    let [input, output, total, cache_read, cache_write] = counts;
    TokenCounts {
        input,
        output,
        total,
        cache_read,
        cache_write,
    }
}

/// What the service answers today, is read: an empty object among the counts, and space anywhere.
#[test]
fn an_answer_of_the_services_is_read() {
    let answer = br#"{"output":{"message":{"content":[{"text":"\"usage\":{}"}]}},"usage":
        { "cacheReadInputTokens" : 7, "inputTokens": 9,"outputTokens":12, "serverToolUsage": { },
        "totalTokens":21 } } "#;
    let counts = counted([Some(9), Some(12), Some(21), Some(7), None]);
    assert_eq!(at_the_end(answer), Some(counts));
}

/// What is no number by a plain name is left to who reads JSON: nothing is made up.
#[test]
fn what_is_not_plain_is_left_alone() {
    for usage in [
        r#"{"inputTokens":1.5}"#,
        r#"{"inputTokens":1e3}"#,
        r#"{"inputTokens":-1}"#,
        r#"{"inputTokens":01}"#,
        r#"{"inputTokens":}"#,
        r#"{"inputTokens":null}"#,
        r#"{"inputTokens":{}}"#,
        r#"{"inputTokens":18446744073709551616}"#,
        r#"{"inputTokens":1,"inputTokens":2}"#,
        r#"{"input\u0054okens":1}"#,
        r#"{"inputTokens":1,}"#,
        r#"{"inputTokens":1"#,
        r#"{"inputTokens" 1}"#,
        r#"{"cacheDetails":[1]}"#,
        r#"{"cacheDetails":{"a":1}}"#,
        r#"{}"#,
        r#"21"#,
        r#""#,
    ] {
        let answer = format!(r#"{{"usage":{usage}}}"#);
        assert_eq!(at_the_end(answer.as_bytes()), None, "{answer}");
    }
}

/// A member of another object is not the answer's, wherever it stands.
#[test]
fn usage_of_something_else_is_not_the_answers() {
    for answer in [
        r#"{"trace":{"usage":{"inputTokens":1}}}"#,
        r#"{"usage":{"inputTokens":1},"trace":{}}"#,
        r#"{"usage":{"inputTokens":1}"#,
        r#"{"text":"\"usage\":{\"inputTokens\":1}}"}"#,
        r#"{}"#,
    ] {
        assert_eq!(at_the_end(answer.as_bytes()), None, "{answer}");
    }
}

proptest! {
    /// Whatever is read is what a reader of JSON reads.
    #[test]
    fn what_is_read_is_what_json_says(
        text in ".{0,40}",
        counts in prop::array::uniform5(prop::option::of(any::<u64>())),
        others in prop::collection::btree_map("[a-z]{1,8}", 0..9_u64, 0..3),
        is_pretty: bool,
    ) {
        const NAMES: [&str; 5] = [
            "inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens",
            "cacheWriteInputTokens",
        ];
        let known = NAMES.into_iter().zip(counts);
        let known = known.filter_map(|(name, count)| Some((name.to_owned(), json!(count?))));
        let others = others.into_iter().map(|(name, count)| (name, json!(count)));
        let usage: serde_json::Map<String, Value> = known.chain(others).collect();
        let is_told = !usage.is_empty();
        let usage = Value::Object(usage);
        let write = if is_pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let (text, usage) = (json!(text).to_string(), write(&usage)?);
        let answer = format!(r#"{{"text":{text},"usage":{usage}}}"#);
        prop_assert_eq!(at_the_end(answer.as_bytes()), is_told.then(|| counted(counts)));
    }

    /// No text makes it panic, and what it says of one a reader of JSON says too.
    #[test]
    fn no_text_is_misread(text in r#"[\{\}":,0-9 usagei]{0,40}"#) {
        let answer = format!(r#"{{"usage":{text}"#);
        if at_the_end(answer.as_bytes()).is_some() {
            prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
        }
    }
}
