//! What an event tells of its stream.

use crate::{error::RawError, model_id::ModelId, reply::Usage, route::ServiceTier};

/// An event of a stream, as far as [`ResponseStream`](crate::ResponseStream) has to know it.
///
/// Implemented for the SDK's events of ConverseStream and InvokeModelWithResponseStream.
pub trait StreamEvent: Send + 'static {
    /// What the event tells of its stream.
    fn facts(&self) -> EventFacts;

    /// The error that the event is, if its facts say that it is one. It ends the stream, and is not
    /// delivered.
    fn error(&self) -> Option<RawError> {
        None
    }
}

/// What an event tells of its stream, without its content.
///
/// # Example
///
/// ```
/// use tower_bedrock::{EventFacts, StreamEvent};
///
/// enum Line {
///     Text(String),
///     End,
/// }
///
/// impl StreamEvent for Line {
///     fn facts(&self) -> EventFacts {
///         let mut facts = EventFacts::default();
///         // A stream of lines that stops without its end has been cut.
///         facts.has_known_end = true;
///         match self {
///             Self::Text(text) => {
///                 facts.is_content = true;
///                 facts.output_bytes = text.len() as u64;
///             }
///             Self::End => facts.is_end = true,
///         }
///         facts
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventFacts {
    /// Whether it is a part of the answer. One that only announces the answer is not.
    pub is_content: bool,
    /// Bytes of what the model generated, in UTF-8: text, reasoning, arguments of tools.
    pub output_bytes: u64,
    /// Whether the answer is whole with it.
    pub is_end: bool,
    /// Whether its format has an end that is always sent, so that a stream without it has been cut.
    pub has_known_end: bool,
    /// The tokens that the service has counted so far.
    pub counts: Option<TokenCounts>,
    /// Whether no other counts follow.
    pub counts_are_final: bool,
    /// The service tier that served the call.
    pub tier: Option<ServiceTier>,
    /// Whether it is an error in the place of the answer, in a format that reports errors as events.
    pub is_error: bool,
}

/// Tokens as the service counts them, before they mean the same for every model.
///
/// `None` is what the service has not told.
///
/// # Example
///
/// ```
/// use tower_bedrock::{TokenCounts, Usage};
///
/// // An OpenAI model: what was read from the cache is counted among the input.
/// let mut counts = TokenCounts::default();
/// counts.input = Some(1_000);
/// counts.output = Some(50);
/// counts.cache_read = Some(900);
/// counts.total = Some(1_050);
///
/// let usage = Usage { input: 100, output: 50, cache_read: 900, cache_write: 0 };
/// assert_eq!(counts.usage(None), Some(usage));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCounts {
    /// Input tokens: for some models all of them, for others those that no cache is about.
    pub input: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
    /// Input tokens that were read from a prompt cache.
    pub cache_read: Option<u64>,
    /// Input tokens that were written to a prompt cache.
    pub cache_write: Option<u64>,
    /// All tokens together.
    pub total: Option<u64>,
}

// === impl TokenCounts ===

impl TokenCounts {
    /// What was used, in the one way in which [`Usage`] counts; `None` if neither input nor output
    /// was told. Where all are zero none was: no call reads nothing, and the SDK writes zeros where
    /// the service says nothing.
    ///
    /// Claude and Nova count cached tokens beside the input, OpenAI's models within it
    /// (BEDROCK.md §1.3). The total tells which of the two it was; where there is none, the name of
    /// the model does.
    #[must_use]
    pub fn usage(&self, model: Option<&ModelId>) -> Option<Usage> {
        if self.is_empty() {
            return None;
        }
        let input = self.input.unwrap_or(0);
        let output = self.output.unwrap_or(0);
        let cache_read = self.cache_read.unwrap_or(0);
        let cache_write = self.cache_write.unwrap_or(0);
        let cached = cache_read.saturating_add(cache_write);
        let without_cached = input.saturating_add(output);
        let is_within = match self.total {
            Some(total) if total == without_cached => true,
            Some(total) if total == without_cached.saturating_add(cached) => false,
            _ => model.is_some_and(counts_cache_as_input),
        };
        Some(Usage {
            input: if is_within {
                input.saturating_sub(cached)
            } else {
                input
            },
            output,
            cache_read,
            cache_write,
        })
    }

    /// Takes over what `later` tells.
    pub(crate) fn update(&mut self, later: &Self) {
        if later.is_empty() {
            return;
        }
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cache_read = later.cache_read.or(self.cache_read);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.total = later.total.or(self.total);
    }

    /// Whether nothing has been told.
    fn is_empty(&self) -> bool {
        [self.input, self.output, self.cache_read, self.cache_write]
            .into_iter()
            .all(|count| count.unwrap_or(0) == 0)
    }

    /// Whether both sides have been told.
    pub(crate) const fn is_whole(&self) -> bool {
        self.input.is_some() && self.output.is_some()
    }
}

fn counts_cache_as_input(model: &ModelId) -> bool {
    model
        .base_model()
        .is_some_and(|base| base.starts_with("openai."))
}
