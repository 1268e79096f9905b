//! The catalogue of errors (BEDROCK.md §2.1): the code decides first, the status where the code is
//! not known, the text last and only among what code and status have left open.

mod codes;
mod rules;

use crate::{
    cause::Cause,
    error::{ErrorDetails, RawError},
};

use self::rules::{Family, WRAPPER};

pub(super) use self::codes::bare as bare_code;

/// How much of a message is read: every known text stands within, after a model id of at most 2 kB.
const TEXT_LIMIT: usize = 4096;

/// The cause of `raw`, or the honest bucket for what is not in the catalogue.
pub(super) fn cause(raw: &RawError) -> Cause {
    match raw {
        RawError::Answered(details) => answered(details),
        // Code and status came with the head, so they are good; the message tells of our trouble.
        RawError::Unreadable(details) => {
            family(details).map_or(Cause::Unknown, |family| family.otherwise)
        }
        RawError::Connect(_) => Cause::Connect,
        RawError::Timeout(_) => Cause::Timeout,
        RawError::Credentials(_) => Cause::Credentials,
        RawError::NotSent(_) => Cause::InvalidRequest,
        RawError::Truncated(_) => Cause::StreamTruncated,
        RawError::Garbled(_) => Cause::StreamFailed,
        RawError::Stalled(_) => Cause::StreamStalled,
        RawError::Classified(error) => error.cause(),
        RawError::Other(_) => Cause::Unknown,
    }
}

fn answered(details: &ErrorDetails) -> Cause {
    let Some(mut family) = family(details) else {
        return Cause::Unknown;
    };
    let text = normalized(details.message.as_deref().unwrap_or_default());
    let mut words = text.as_str();
    if let Some((_, inner)) = text.split_once(WRAPPER) {
        words = inner.trim_start();
        family = family.wrapped.unwrap_or(family);
    }
    family
        .rules()
        .find(|(pattern, cause)| {
            !contradicts(*cause, details.original_status) && matches(pattern, words)
        })
        .map_or(family.otherwise, |(_, cause)| *cause)
}

fn family(details: &ErrorDetails) -> Option<&'static Family> {
    let by_code = details.code.as_deref().and_then(codes::family);
    by_code.or_else(|| details.status.and_then(codes::family_of_status))
}

/// Whether the status that the model itself answered with speaks against what its text says.
fn contradicts(cause: Cause, original_status: Option<u16>) -> bool {
    match cause {
        Cause::ContextTooLong => matches!(original_status, Some(429 | 500..=599)),
        Cause::Internal => matches!(original_status, Some(400..=499)),
        _ => false,
    }
}

/// The message as the patterns are written: in lower case, runs of white space as one space,
/// typographic apostrophes as `'`, without backticks.
fn normalized(message: &str) -> String {
    let mut text = String::with_capacity(message.len().min(TEXT_LIMIT));
    let mut gap = false;
    for char in message.chars() {
        if text.len() >= TEXT_LIMIT {
            break;
        }
        if char.is_whitespace() {
            gap = !text.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push(' ');
        }
        match char {
            '\u{2018}' | '\u{2019}' => text.push('\''),
            '`' => {}
            _ => text.push(char.to_ascii_lowercase()),
        }
    }
    text
}

/// Whether `text` has the parts of `pattern` in their order: `…` stands for anything between them.
/// With `^` the text must begin so, with `=` it must be just that.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some(whole) = pattern.strip_prefix('=') {
        return text == whole;
    }
    let (pattern, anchored) = match pattern.strip_prefix('^') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut rest = text;
    for (index, part) in pattern.split('…').enumerate() {
        match rest.find(part) {
            Some(at) if at == 0 || index > 0 || !anchored => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern that is not written as messages are read would never match.
    #[test]
    fn patterns_are_written_as_messages_are_read() {
        for family in rules::ALL {
            for (pattern, _) in family.rules() {
                let bare = pattern.trim_start_matches(['^', '=']);
                for part in bare.split('…') {
                    let read = normalized(&format!("x{part}x"));
                    assert_eq!(read, format!("x{part}x"), "{pattern:?}");
                    assert!(part.trim().len() > 2, "{pattern:?} has an empty part");
                }
            }
        }
    }

    /// A rule behind one that matches all it matches would be dead.
    #[test]
    fn no_rule_hides_another() {
        for family in rules::ALL {
            let rules: Vec<_> = family.rules().collect();
            for (index, (pattern, _)) in rules.iter().enumerate() {
                let sample = pattern.trim_start_matches(['^', '=']);
                let sample = sample.replace('…', " … ");
                let first = rules
                    .iter()
                    .position(|(pattern, _)| matches(pattern, &sample));
                assert_eq!(first, Some(index), "{pattern:?}");
            }
        }
    }

    /// Each code stands in the table once, as it is looked up, so none is dead or ambiguous.
    #[test]
    fn codes_are_listed_once() {
        let mut codes: Vec<_> = codes::all().map(str::to_ascii_lowercase).collect();
        for code in &codes {
            assert!(!code.ends_with("exception"), "{code} is never looked up");
        }
        let listed = codes.len();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), listed);
    }

    /// Parts match in their order and do not overlap; anchors hold the ends.
    #[test]
    fn a_pattern_is_its_parts_in_order() {
        assert!(matches("model … is busy", "the model x is busy now"));
        assert!(!matches("model … is busy", "it is busy, the model "));
        assert!(!matches("model … is busy", "model is busy"));
        assert!(matches("^prompt is", "prompt is long"));
        assert!(!matches("^prompt is", "negative prompt is long"));
        assert!(matches("=not allowed", "not allowed"));
        assert!(!matches("=not allowed", "not allowed here"));
    }

    /// Case, white space, apostrophes and backticks are writing, not meaning.
    #[test]
    fn messages_are_read_alike_however_written() {
        assert_eq!(
            normalized("  It\u{2019}s\n\t `Too`  LONG "),
            "it's too long"
        );
    }

    /// A message of any length costs a bounded copy.
    #[test]
    fn long_messages_are_read_in_part() {
        assert!(normalized(&"é".repeat(1 << 20)).len() <= TEXT_LIMIT + 4);
        assert_eq!(normalized(&" ".repeat(1 << 20)), "");
    }
}
