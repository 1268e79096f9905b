//! Words that must not show up, and the search for them.

use std::fmt;

/// Where a word is put, and where it may show up all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canary {
    pub(crate) word: &'static str,
    /// Text that the SDK encodes for the wire shows up so, too.
    pub(crate) encoded: Option<&'static str>,
    pub(crate) may: May,
}

/// Where a word may show up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Nowhere.
    Nowhere,
    /// In an error and in the `Debug` of a call: what the service said, and whose call it is.
    InTexts,
}

/// Where something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// Spans and events of this crate, at every level.
    Trace,
    /// Names and labels of metrics, and what Prometheus is told.
    Metrics,
    /// What somebody outside is answered.
    Answer,
    /// `Debug` and `Display` of what the crate hands out.
    Text,
}

const fn nowhere(word: &'static str) -> Canary {
    Canary {
        word,
        encoded: None,
        may: May::Nowhere,
    }
}

pub(crate) const TEXT: &str = "canary-of-the-text-xqz01";
pub(crate) const SYSTEM: &str = "canary-of-the-system-xqz02";
pub(crate) const DOCUMENT: &str = "canary-of-the-document-xqz03";
pub(crate) const DOCUMENT_NAME: &str = "canary-of-the-document-name-xqz04";
pub(crate) const IMAGE: &str = "canary-of-the-image-xqz05";
pub(crate) const TOOL: &str = "canary-of-the-tool-xqz06";
pub(crate) const TOOL_INPUT: &str = "canary-of-the-tool-input-xqz07";
pub(crate) const TOOL_RESULT: &str = "canary-of-the-tool-result-xqz08";
pub(crate) const FIELDS: &str = "canary-of-the-model-fields-xqz09";
pub(crate) const BODY: &str = "canary-of-the-invoke-body-xqz10";
pub(crate) const GUARDED: &str = "canary-of-the-guarded-text-xqz11";
pub(crate) const ANSWER: &str = "canary-of-the-answer-xqz12";
pub(crate) const ANSWERED_TOOL: &str = "canary-of-the-answered-tool-xqz13";
pub(crate) const SECRET_KEY: &str = "canary-of-the-secret-key-xqz14";
pub(crate) const SESSION: &str = "canary-of-the-session-token-xqz15";
pub(crate) const BEARER: &str = "canary-of-the-bearer-key-xqz16";
/// What the service repeats of a prompt in a message.
pub(crate) const ECHO: &str = "canary-of-the-echo-xqz17";
pub(crate) const TENANT: &str = "canary-of-the-tenant-xqz18";

/// All of them.
pub(crate) const ALL: [Canary; 18] = [
    nowhere(TEXT),
    nowhere(SYSTEM),
    Canary {
        encoded: Some("Y2FuYXJ5LW9mLXRoZS1kb2N1bWVudC14cXowMw"),
        ..nowhere(DOCUMENT)
    },
    nowhere(DOCUMENT_NAME),
    Canary {
        encoded: Some("Y2FuYXJ5LW9mLXRoZS1pbWFnZS14cXowNQ"),
        ..nowhere(IMAGE)
    },
    nowhere(TOOL),
    nowhere(TOOL_INPUT),
    nowhere(TOOL_RESULT),
    nowhere(FIELDS),
    nowhere(BODY),
    nowhere(GUARDED),
    nowhere(ANSWER),
    nowhere(ANSWERED_TOOL),
    nowhere(SECRET_KEY),
    nowhere(SESSION),
    nowhere(BEARER),
    Canary {
        may: May::InTexts,
        ..nowhere(ECHO)
    },
    Canary {
        may: May::InTexts,
        ..nowhere(TENANT)
    },
];

/// A word where it must not be.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Leak {
    pub(crate) sink: Sink,
    pub(crate) word: &'static str,
    around: String,
}

/// The words that must not be in `text`, which was written to `sink`.
pub(crate) fn leaks(sink: Sink, text: &str) -> Vec<Leak> {
    let is_bound = |canary: &&Canary| !(canary.may == May::InTexts && sink == Sink::Text);
    let bound = ALL.iter().filter(is_bound);
    let leak = |canary: &Canary| {
        let at = position(text, canary)?;
        let before: Vec<_> = text[..at].chars().rev().take(300).collect();
        let around = before.into_iter().rev().chain(text[at..].chars().take(80));
        Some(Leak {
            sink,
            word: canary.word,
            around: around.collect(),
        })
    };
    bound.filter_map(leak).collect()
}

/// Where the word is, as it stands, as its bytes are printed, or as they are sent.
fn position(text: &str, canary: &Canary) -> Option<usize> {
    let bytes = format!("{:?}", canary.word.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    text.find(canary.word)
        .or_else(|| text.find(bytes))
        .or_else(|| text.find(canary.encoded?))
}

impl fmt::Debug for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}: …{}…", self.word, self.sink, self.around)
    }
}
