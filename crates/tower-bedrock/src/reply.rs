//! What comes back, and who is told when it is over.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{error::Error, route::Route};

/// The tokens that a reply used, as the service reports them.
///
/// # Example
///
/// ```
/// use tower_bedrock::Usage;
///
/// let usage = Usage { input: 3, output: 52, cache_read: 0, cache_write: 24_479 };
/// assert_eq!(usage.total(), 24_534);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Input tokens, without those read from or written to a prompt cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens that were read from a prompt cache.
    pub cache_read: u64,
    /// Input tokens that were written to a prompt cache.
    pub cache_write: u64,
}

/// What a reply used as far as it can be told when the service does not report it: because a stream
/// was dropped, failed, or ended without its last word.
///
/// It is called what it is: nobody should learn from it how the service counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UsageEstimate {
    /// Input tokens, where the service told them when the stream began, as Claude's own streams do.
    pub input: Option<u64>,
    /// Input tokens that were read from a prompt cache, as far as they were told.
    pub cache_read: u64,
    /// Input tokens that were written to a prompt cache, as far as they were told.
    pub cache_write: u64,
    /// Output tokens: what the text that came amounts to, or what the service has told so far if
    /// that is more. What a model thinks without saying it is not in it.
    pub output: u64,
}

/// By whom and how a call was served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// The model, region and tier that answered.
    pub route: Route,
    /// Which rung of the fallback ladder that was; 0 is the primary.
    pub route_index: usize,
    /// How many attempts the call took over all routes, including the one that answered; 0 for an
    /// answer out of a cache.
    pub attempts: u32,
    /// Whether the answer is another than the one asked for: another model, or a lower tier.
    pub degraded: bool,
    /// The service's id of the request that answered.
    pub request_id: Option<Box<str>>,
    /// What a cache had to do with it.
    pub cache: CacheStatus,
    /// Whether the attempt was another call's, made for both. The answer is that call's, and so is
    /// what it used.
    pub coalesced: bool,
}

/// What a cache had to do with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheStatus {
    /// Nothing: there is none, or it was not asked.
    #[default]
    Unused,
    /// It had none to give.
    Miss,
    /// The answer came out of it: nothing was sent, and nothing used.
    #[non_exhaustive]
    Hit {
        /// How long ago the service gave it.
        age: Duration,
    },
}

/// How a reply ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Finish<'a> {
    /// It came whole.
    Complete,
    /// It failed half way.
    Failed(&'a Error),
    /// The caller dropped it before its end. Neither success nor failure.
    Abandoned,
}

/// Hears what a reply used and how it ended.
///
/// Watchers hold what must be given back when a reply is over: a permit, a hold on a quota, a probe.
/// Dropping a watcher that never heard the finish must give it back too.
pub trait Watcher: Send + 'static {
    /// The first content of a stream was seen, at `at`. At most once, before all else; at once where
    /// it came before the watcher did. Never for a whole reply.
    fn first_content(&mut self, at: Instant) {
        let _ = at;
    }

    /// The service reported what the reply used. At most once, before the finish; never if it did
    /// not report.
    fn usage(&mut self, usage: &Usage) {
        let _ = usage;
    }

    /// The service will not report what the reply used; this is what can be told of it. At most once,
    /// before the finish, and only in the place of [`usage`](Self::usage).
    fn estimate(&mut self, estimate: &UsageEstimate) {
        let _ = estimate;
    }

    /// The reply is over. Called once, last.
    fn finish(&mut self, finish: Finish<'_>);
}

/// A reply that the layers can work on.
pub trait BedrockResponse {
    /// By whom and how the call was served.
    fn served(&self) -> &Served;

    /// The same, to be changed by a layer that knows better.
    fn served_mut(&mut self) -> &mut Served;

    /// Leaves a watcher: it hears at once if the reply is whole already, else when it ends.
    fn watch(&mut self, watcher: impl Watcher);

    /// Whether the reply is whole already, and a watcher would hear at once that it is complete. A layer
    /// that only wants to know this needs no watcher then. By default that is not known.
    fn is_whole(&self) -> bool {
        false
    }
}

/// A whole reply: an operation's output, by whom it was served, and what it used.
///
/// `Debug` shows everything but the output.
#[derive(Clone)]
pub struct Response<Out> {
    output: Out,
    served: Served,
    usage: Option<Usage>,
}

// === impl Usage ===

impl Usage {
    /// All tokens together, as in `totalTokens` (BEDROCK.md §1.3).
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input
            .saturating_add(self.output)
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
    }

    /// The whole input, cached or not.
    #[inline]
    pub(crate) const fn all_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
    }
}

// === impl CacheStatus ===

impl CacheStatus {
    /// Whether the answer came out of a cache.
    #[must_use]
    pub const fn is_hit(self) -> bool {
        matches!(self, Self::Hit { .. })
    }
}

// === impl UsageEstimate ===

impl UsageEstimate {
    /// The estimate as usage; `input` is what the caller thinks that the input was, for where the
    /// service did not tell it.
    #[must_use]
    pub fn with_input(&self, input: u64) -> Usage {
        Usage {
            input: self.input.unwrap_or(input),
            output: self.output,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
        }
    }
}

// === impl Response ===

impl<Out> Response<Out> {
    /// A whole reply.
    #[must_use]
    pub const fn new(output: Out, served: Served, usage: Option<Usage>) -> Self {
        Self {
            output,
            served,
            usage,
        }
    }

    /// The operation's output.
    #[must_use]
    pub const fn output(&self) -> &Out {
        &self.output
    }

    /// The operation's output, by value.
    #[must_use]
    pub fn into_output(self) -> Out {
        self.output
    }

    /// By whom and how the call was served.
    #[must_use]
    pub const fn served(&self) -> &Served {
        &self.served
    }

    /// What the reply used; `None` when the service did not say, as for operations without a model.
    #[must_use]
    pub const fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }
}

impl<Out> BedrockResponse for Response<Out> {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    #[inline]
    fn watch(&mut self, mut watcher: impl Watcher) {
        if let Some(usage) = &self.usage {
            watcher.usage(usage);
        }
        watcher.finish(Finish::Complete);
    }

    fn is_whole(&self) -> bool {
        true
    }
}

impl<Out> fmt::Debug for Response<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("served", &self.served)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Recorder(Arc<Mutex<Vec<String>>>);

    impl Watcher for Recorder {
        fn usage(&mut self, usage: &Usage) {
            self.0
                .lock()
                .unwrap()
                .push(format!("used {}", usage.total()));
        }

        fn finish(&mut self, finish: Finish<'_>) {
            self.0.lock().unwrap().push(format!("{finish:?}"));
        }
    }

    fn heard(usage: Option<Usage>) -> Vec<String> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut response = Response::new("answer", Served::default(), usage);
        response.watch(Recorder(Arc::clone(&heard)));

        heard.lock().unwrap().clone()
    }

    /// A whole reply is over at once: the watcher hears what it used, then that it is complete.
    #[test]
    fn a_watcher_of_a_whole_reply_hears_at_once() {
        let usage = Usage {
            input: 3,
            output: 4,
            ..Usage::default()
        };
        assert_eq!(heard(Some(usage)), ["used 7", "Complete"]);
        assert_eq!(heard(None), ["Complete"]);
    }

    /// `Debug` of a response shows by whom it was served, not what it says.
    #[test]
    fn debug_does_not_show_the_answer() {
        let response = Response::new("the answer", Served::default(), None);
        assert!(!format!("{response:?}").contains("answer"));
    }
}
