//! Every error of the corpus means what it means, however it is spelled.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{
    cause::Cause,
    classify::Classifier,
    error::{ErrorDetails, RawError},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    code: Option<String>,
    status: Option<u16>,
    cause: String,
    errors: Vec<Answer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    message: Option<String>,
    original: Option<u16>,
    seen: Option<String>,
}

fn corpus() -> Vec<Group> {
    let corpus: Corpus = toml::from_str(include_str!("../corpus.toml")).unwrap();
    corpus.group
}

/// Runs every error through the classifier, spelled as `spell` says: code, status, message.
fn check(how: &str, spell: impl Fn(&mut ErrorDetails)) {
    let mut wrong = Vec::new();
    for group in corpus() {
        for error in &group.errors {
            let mut details = ErrorDetails {
                code: group.code.clone(),
                status: group.status,
                message: error.message.clone(),
                original_status: error.original,
                ..ErrorDetails::default()
            };
            spell(&mut details);
            let raw = RawError::Answered(Box::new(details));
            let found = Classifier::default().cause(&raw);
            if found.as_str() != group.cause {
                wrong.push(format!("{found} instead of {}: {raw}", group.cause));
            }
        }
    }
    assert!(wrong.is_empty(), "{how}:\n{}", wrong.join("\n"));
}

fn change_code(details: &mut ErrorDetails, change: impl Fn(&str) -> String) {
    details.code = details.code.as_deref().map(change);
}

fn change_message(details: &mut ErrorDetails, change: impl Fn(&str) -> String) {
    details.message = details.message.as_deref().map(change);
}

fn camel_case(code: &str) -> String {
    let mut chars = code.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

/// As the service writes it.
#[test]
fn errors_mean_what_they_mean() {
    check("as it is", |_| {});
}

/// Codes in lower and upper case, as gateways and logs make them.
#[test]
fn the_case_of_a_code_does_not_matter() {
    check("lower case", |details| {
        change_code(details, str::to_lowercase);
    });
    check("upper case", |details| {
        change_code(details, str::to_uppercase);
    });
}

/// Codes as `x-amzn-errortype` and `__type` have them.
#[test]
fn namespace_and_suffix_of_a_code_do_not_matter() {
    for (prefix, suffix) in [
        ("", ":http://internal.amazon.com/coral/com.amazon.bedrock/"),
        ("com.amazonaws.bedrock#", ""),
        (
            "aws.bedrock#",
            ":http://internal.amazon.com/coral/com.amazon.coral.service/",
        ),
        (" com.amazon.coral.service#", " "),
    ] {
        check(&format!("{prefix}…{suffix}"), |details| {
            change_code(details, |code| format!("{prefix}{code}{suffix}"));
        });
    }
}

/// Codes as members of an event stream: in camel case, under a status that says nothing.
#[test]
fn a_code_in_a_stream_needs_no_status() {
    for status in [None, Some(200)] {
        check("in a stream", |details| {
            let known = details.code.as_deref().is_some_and(|code| {
                let by_code = super::cause(Some(code), None, None);
                by_code != Cause::Unknown
            });
            if known {
                details.status = status;
                change_code(details, camel_case);
            }
        });
    }
}

/// Codes without `Exception`, as some SDKs print them.
#[test]
fn a_code_needs_no_exception() {
    check("without Exception", |details| {
        change_code(details, |code| {
            code.trim_end_matches("Exception").to_owned()
        });
    });
}

/// Messages in other letters, with other spaces and other apostrophes.
#[test]
fn the_writing_of_a_message_does_not_matter() {
    check("upper case", |details| {
        change_message(details, str::to_uppercase);
    });
    check("white space", |details| {
        change_message(details, |text| {
            format!("\n {} ", text.replace(' ', "\t \u{a0}"))
        });
    });
    check("typographic apostrophes", |details| {
        change_message(details, |text| text.replace('\'', "\u{2019}"));
    });
    check("ASCII apostrophes", |details| {
        change_message(details, |text| text.replace('\u{2019}', "'"));
    });
    check("no backticks", |details| {
        change_message(details, |text| text.replace('`', ""));
    });
}

/// The corpus has what it claims: enough real errors and near misses, each once, of every cause
/// that an answer can have, and nobody's account.
#[test]
fn the_corpus_covers_every_cause_of_an_answer() {
    let groups = corpus();
    let mut rows = BTreeSet::new();
    let (mut seen, mut made) = (0, 0);
    for group in &groups {
        for error in &group.errors {
            let row = (&group.code, group.status, &error.message, error.original);
            assert!(rows.insert(row), "twice: {row:?}");
            match &error.seen {
                Some(_) => seen += 1,
                None => made += 1,
            }
            let message = error.message.as_deref().unwrap_or_default();
            for digits in message.split(|char: char| !char.is_ascii_digit()) {
                assert!(digits.len() != 12 || digits == "123456789012", "{message}");
            }
        }
    }
    assert!(seen >= 120 && made >= 80, "{seen} seen, {made} made up");

    let covered: BTreeSet<_> = groups.iter().map(|group| group.cause.as_str()).collect();
    let never_answered = [Cause::StreamTruncated, Cause::StreamStalled, Cause::Connect];
    let expected: BTreeSet<_> = Cause::ALL
        .iter()
        .filter(|cause| !cause.is_own_refusal() && !never_answered.contains(cause))
        .map(|cause| cause.as_str())
        .collect();
    assert_eq!(covered, expected);
}
