//! The stream of a batch's results.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    future::{Future, poll_fn},
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use super::{
    item::{BatchItem, BatchRemains},
    progress::BatchProgress,
    settings::Batch,
};
use crate::call::BedrockRequest;

pin_project! {
    /// What became of the requests of a [`Batch`], one after the other: a
    /// [`Stream`](futures_core::Stream) that makes the calls while it is polled.
    ///
    /// [`Batch`] tells of cancellation and panics.
    #[must_use = "a batch makes its calls while it is polled"]
    pub struct BatchResults<S, K, R, I>
    where
        S: Service<R>,
    {
        settings: Batch<S>,
        #[pin]
        input: I,
        // Whether more is pulled: the input has not ended, and nobody has stopped it.
        is_open: bool,
        calls: FuturesUnordered<Numbered<Oneshot<S, R>>>,
        // What was pulled and not yielded yet, by its place in the input.
        slots: BTreeMap<u64, Slot<K, R, S::Response, S::Error>>,
        // Those whose call has panicked.
        lost: Vec<(u64, K, R)>,
        pulled: u64,
        progress: BatchProgress,
        // Found set, a panic has ended the last poll.
        is_polling: bool,
    }
}

pin_project! {
    /// A call that knows its place in the input.
    struct Numbered<F> {
        number: u64,
        #[pin]
        call: F,
    }
}

enum Slot<K, R, T, E> {
    Running(K, R),
    Finished(BatchItem<K, R, T, E>),
}

impl<S, K, R, I> BatchResults<S, K, R, I>
where
    S: Service<R> + Clone,
    R: BedrockRequest,
    I: Stream<Item = (K, R)>,
{
    pub(super) fn new(settings: Batch<S>, input: I) -> Self {
        let total = match input.size_hint() {
            (least, Some(most)) if least == most => u64::try_from(least).ok(),
            _ => None,
        };
        Self {
            settings,
            input,
            is_open: true,
            calls: FuturesUnordered::new(),
            slots: BTreeMap::new(),
            lost: Vec::new(),
            pulled: 0,
            progress: BatchProgress {
                total,
                ..BatchProgress::default()
            },
            is_polling: false,
        }
    }

    /// The next result; `None` when all calls are over. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<BatchItem<K, R, S::Response, S::Error>>
    where
        I: Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Starts calls while there is room for them. Ready when there is nothing more to pull.
    fn start_calls(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let concurrency = this.settings.concurrency.get();
        let window = concurrency.saturating_mul(2);
        while *this.is_open {
            if this.calls.len() >= concurrency || this.slots.len() >= window {
                return Poll::Pending;
            }
            let Some((key, request)) = ready!(this.input.as_mut().poll_next(cx)) else {
                *this.is_open = false;
                break;
            };
            let number = *this.pulled;
            *this.pulled += 1;
            let call = Oneshot::new(
                this.settings.service.clone(),
                this.settings.prepared(&request),
            );
            this.slots.insert(number, Slot::Running(key, request));
            this.calls.push(Numbered { number, call });
            this.progress.in_flight += 1;
            this.settings.tell(*this.progress);
        }
        Poll::Ready(())
    }

    /// Puts down how a call ended; returns what is to be yielded at once.
    fn finish(
        self: Pin<&mut Self>,
        number: u64,
        result: Result<S::Response, S::Error>,
    ) -> Option<BatchItem<K, R, S::Response, S::Error>> {
        let this = self.project();
        this.progress.in_flight -= 1;
        match &result {
            Ok(_) => this.progress.succeeded += 1,
            Err(_) => this.progress.failed += 1,
        }
        this.settings.tell(*this.progress);
        let Some(Slot::Running(key, request)) = this.slots.remove(&number) else {
            return None;
        };
        let item = BatchItem {
            key,
            request,
            result,
        };
        if this.settings.is_ordered {
            this.slots.insert(number, Slot::Finished(item));
            return None;
        }
        Some(item)
    }

    /// The first result of those that were pulled, if it is there.
    fn take_first(self: Pin<&mut Self>) -> Option<BatchItem<K, R, S::Response, S::Error>> {
        let first = self.project().slots.first_entry()?;
        if let Slot::Running(..) = first.get() {
            return None;
        }
        match first.remove() {
            Slot::Finished(item) => Some(item),
            Slot::Running(..) => None,
        }
    }

    /// Finds the calls that a panic has ended.
    fn mark_lost(self: Pin<&mut Self>) {
        let this = self.project();
        if !std::mem::take(this.is_polling) {
            return;
        }
        let running: HashSet<u64> = Pin::new(&*this.calls)
            .iter_pin_ref()
            .map(|call| call.number)
            .collect();
        let is_lost = |number: &u64, slot: &mut Slot<_, _, _, _>| {
            matches!(slot, Slot::Running(..)) && !running.contains(number)
        };
        for (number, slot) in this.slots.extract_if(.., is_lost) {
            if let Slot::Running(key, request) = slot {
                this.lost.push((number, key, request));
            }
        }
        this.progress.in_flight = running.len() as u64;
    }
}

impl<S, K, R, I> BatchResults<S, K, R, I>
where
    S: Service<R>,
{
    /// How far the batch has come.
    pub const fn progress(&self) -> BatchProgress {
        self.progress
    }

    /// Keeps so many calls in flight from now on. What is under way goes on.
    pub const fn set_concurrency(&mut self, calls: NonZeroUsize) {
        self.settings.concurrency = calls;
    }

    /// Starts no more calls. The stream ends when those that are under way are over.
    pub const fn stop(&mut self) {
        self.is_open = false;
    }

    /// Breaks the batch off, or takes what is left of one that was stopped. Calls under way are
    /// dropped.
    pub fn into_remains(self) -> BatchRemains<K, R, S::Response, S::Error, I> {
        let mut finished = Vec::new();
        let mut unfinished = self.lost;
        for (number, slot) in self.slots {
            match slot {
                Slot::Running(key, request) => unfinished.push((number, key, request)),
                Slot::Finished(item) => finished.push(item),
            }
        }
        unfinished.sort_unstable_by_key(|&(number, ..)| number);
        BatchRemains {
            finished,
            unfinished: unfinished
                .into_iter()
                .map(|(_, key, request)| (key, request))
                .collect(),
            input: self.input,
        }
    }
}

impl<S, K, R, I> Stream for BatchResults<S, K, R, I>
where
    S: Service<R> + Clone,
    R: BedrockRequest,
    I: Stream<Item = (K, R)>,
{
    type Item = BatchItem<K, R, S::Response, S::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.as_mut().mark_lost();
        loop {
            if let Some(item) = self.as_mut().take_first() {
                return Poll::Ready(Some(item));
            }
            let is_over = self.as_mut().start_calls(cx).is_ready();
            *self.as_mut().project().is_polling = true;
            let polled = Pin::new(self.as_mut().project().calls).poll_next(cx);
            let polled = polled
                .map(|over| over.map(|(number, result)| self.as_mut().finish(number, result)));
            *self.as_mut().project().is_polling = false;
            match ready!(polled) {
                Some(Some(item)) => return Poll::Ready(Some(item)),
                // It waits for one before it.
                Some(None) => {}
                None if is_over => return Poll::Ready(None),
                None => return Poll::Pending,
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = if self.is_open {
            self.input.size_hint()
        } else {
            (0, Some(0))
        };
        let pulled = self.slots.len();
        (
            least.saturating_add(pulled),
            most.and_then(|most| most.checked_add(pulled)),
        )
    }
}

impl<F: Future> Future for Numbered<F> {
    type Output = (u64, F::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.call.poll(cx).map(|output| (*this.number, output))
    }
}

impl<S, K, R, I> fmt::Debug for BatchResults<S, K, R, I>
where
    S: Service<R> + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchResults")
            .field("settings", &self.settings)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
