//! What a call's input comes to, before the service has counted it.

use std::{future::Future, pin::Pin};

use crate::{
    call::{BedrockRequest, Tokens},
    size::InputSize,
};

/// A count of tokens that is under way; `None` if it could not be had.
pub type TokenCount = Pin<Box<dyn Future<Output = Option<u64>> + Send>>;

/// Estimates the input of requests of type `R`.
///
/// Asked once for every attempt, on the path of the call: it must be quick, and must not block.
///
/// # Example
///
/// A tokenizer that knows its own request:
///
/// ```
/// use tower_bedrock::{Estimate, Quotas, Request, TokenBudgetLayer, TokenEstimator};
///
/// struct WordCount;
///
/// impl TokenEstimator<Request<String>> for WordCount {
///     fn estimate(&self, request: &Request<String>) -> Estimate {
///         Estimate::Tokens(request.input().split_whitespace().count() as u64)
///     }
/// }
///
/// let layer = TokenBudgetLayer::new(Quotas::new()).with_estimator(WordCount);
/// # let _ = layer;
/// ```
pub trait TokenEstimator<R>: Send + Sync + 'static {
    /// What is known of the input.
    fn estimate(&self, request: &R) -> Estimate;

    /// Counts the input, which may take a while.
    ///
    /// Asked only for a call that does not fit its quota with room to spare, as much as half of its
    /// input: only then is it worth the time. Without a count, the estimate stands. There is none by
    /// default.
    fn count(&self, request: &R) -> Option<TokenCount> {
        let _ = request;
        None
    }
}

/// What is known of a call's input before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Estimate {
    /// This many tokens, as somebody counted or estimated them. Held as they are.
    Tokens(u64),
    /// An input of this size. The ledger makes tokens of it by what calls to the same model really
    /// had.
    Size(InputSize),
}

/// Goes by [`Tokens::input`](crate::Tokens) where somebody has set it, else by the input's size.
///
/// At first, text, tools and documents count 4.0 bytes to a token (Nova 3.0) and 10 % on top
/// (BEDROCK.md §3.7), an image 1600 tokens. From then on the ledger of each model learns from what
/// the service counts how many tokens each of these really has, and within some tens of calls when it
/// counts another way.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeEstimator;

impl<R: BedrockRequest> TokenEstimator<R> for SizeEstimator {
    #[inline]
    fn estimate(&self, request: &R) -> Estimate {
        Estimate::of(&request.context().tokens)
    }
}

impl Estimate {
    /// What is known of an input that somebody has counted, or else its size.
    #[inline]
    pub(super) fn of(tokens: &Tokens) -> Self {
        match tokens.input {
            Some(input) => Self::Tokens(input.into()),
            None => Self::Size(tokens.size),
        }
    }
}
