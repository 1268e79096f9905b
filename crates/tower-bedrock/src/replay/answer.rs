use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::stream::{KeptEvents, Recording};
use crate::{
    call::CallContext,
    replay::readers::Readers,
    reply::{BedrockResponse, CacheStatus, Response, Served, Usage},
    stream::{ResponseStream, StreamEvent},
};

/// A part of an answer that can be given again: the output of an operation, or an event of a stream.
///
/// Implemented for the SDK's own outputs and events.
///
/// # Example
///
/// ```
/// use tower_bedrock::AnswerPart;
///
/// #[derive(Clone)]
/// struct Answer {
///     text: String,
///     is_cut: bool,
/// }
///
/// impl AnswerPart for Answer {
///     fn held_bytes(&self) -> usize {
///         self.text.len()
///     }
///
///     fn is_whole(&self) -> bool {
///         !self.is_cut
///     }
/// }
/// ```
pub trait AnswerPart: Clone + Send + Sync + 'static {
    /// About how many bytes it holds beside its own size.
    fn held_bytes(&self) -> usize;

    /// Whether the model ended the answer by itself, as far as the part tells. An answer is kept only if
    /// all of its parts say so: not one that ran out of tokens, and not one that was blocked.
    fn is_whole(&self) -> bool {
        true
    }
}

/// For services in the place of Bedrock.
impl AnswerPart for () {
    fn held_bytes(&self) -> usize {
        0
    }
}

/// A reply that can be given to more than one call: a [`Response`] or a [`ResponseStream`] of
/// [`AnswerPart`]s. It cannot be implemented elsewhere.
#[allow(private_interfaces)]
pub trait ReplayResponse: BedrockResponse + Sized + Send + 'static {
    /// The answer, as it is kept.
    #[doc(hidden)]
    type Kept: Send + Sync + 'static;

    /// The answer, or the beginning of one, as it is shared.
    #[doc(hidden)]
    type Shared: Send + 'static;

    /// Has the answer handed over when it is whole, if it may be kept and holds at most so many bytes.
    #[doc(hidden)]
    fn record<K>(&mut self, most_bytes: usize, keep: K)
    where
        K: FnOnce(Kept<Self::Kept>) + Send + 'static;

    /// The answer that was kept.
    #[doc(hidden)]
    fn replay(kept: &Arc<Kept<Self::Kept>>, call: &CallContext, status: CacheStatus) -> Self;

    /// Begins to share; `is_open` tells while others may still join.
    #[doc(hidden)]
    fn share(self, is_open: Arc<AtomicBool>) -> Self::Shared;

    /// The same for one of those who share it. All but one are told that they used nothing. What is
    /// not over yet keeps `listed`, so that others may join.
    #[doc(hidden)]
    fn take(shared: &Self::Shared, call: &CallContext, is_copy: bool, listed: Listed) -> Self;
}

/// What keeps that on the list of what is under way which may still be joined.
pub(super) type Listed = Arc<dyn Any + Send + Sync>;

/// A whole answer.
#[allow(unnameable_types)]
#[derive(Clone)]
pub struct Kept<A> {
    pub(crate) answer: A,
    pub(crate) served: Served,
    pub(crate) usage: Option<Usage>,
    pub(crate) bytes: usize,
}

impl<A> Kept<A> {
    /// By whom it is served when it is given again.
    pub(super) fn served_again(&self, status: CacheStatus) -> Served {
        Served {
            attempts: 0,
            cache: status,
            coalesced: false,
            ..self.served.clone()
        }
    }
}

impl<A> fmt::Debug for Kept<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("served", &self.served)
            .field("usage", &self.usage)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[allow(private_interfaces)]
impl<Out: AnswerPart> ReplayResponse for Response<Out> {
    type Kept = Out;
    type Shared = Self;

    fn record<K>(&mut self, most_bytes: usize, keep: K)
    where
        K: FnOnce(Kept<Out>) + Send + 'static,
    {
        let output = self.output();
        let bytes = size_of::<Out>().saturating_add(output.held_bytes());
        if output.is_whole() && bytes <= most_bytes {
            keep(Kept {
                answer: output.clone(),
                served: self.served().clone(),
                usage: self.usage().copied(),
                bytes,
            });
        }
    }

    fn replay(kept: &Arc<Kept<Out>>, _: &CallContext, status: CacheStatus) -> Self {
        let nothing = Some(Usage::default());
        Self::new(kept.answer.clone(), kept.served_again(status), nothing)
    }

    fn share(self, is_open: Arc<AtomicBool>) -> Self {
        is_open.store(false, Ordering::Release);
        self
    }

    fn take(shared: &Self, _: &CallContext, is_copy: bool, _: Listed) -> Self {
        if !is_copy {
            return shared.clone();
        }
        let served = Served {
            coalesced: true,
            ..shared.served().clone()
        };
        let nothing = Some(Usage::default());
        Self::new(shared.output().clone(), served, nothing)
    }
}

#[allow(private_interfaces)]
impl<E: StreamEvent + AnswerPart> ReplayResponse for ResponseStream<E> {
    type Kept = Box<[E]>;
    type Shared = Readers<E>;

    fn record<K>(&mut self, most_bytes: usize, keep: K)
    where
        K: FnOnce(Kept<Box<[E]>>) + Send + 'static,
    {
        self.tap(Recording::new(most_bytes, keep));
    }

    fn replay(kept: &Arc<Kept<Box<[E]>>>, call: &CallContext, status: CacheStatus) -> Self {
        // It is all there: no deadline cuts it.
        let mut call = call.clone();
        call.deadline = None;
        let events = KeptEvents::new(Arc::clone(kept));
        Self::again(events, call, kept.served_again(status), true)
    }

    fn share(self, is_open: Arc<AtomicBool>) -> Readers<E> {
        Readers::of(self, is_open)
    }

    fn take(shared: &Readers<E>, call: &CallContext, is_copy: bool, listed: Listed) -> Self {
        shared.another(call, is_copy, listed)
    }
}
