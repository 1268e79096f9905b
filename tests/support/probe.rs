//! A service that looks at how it is used, and answers by a script.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};
use tower::Service;
use tower_bedrock::{
    BedrockRequest, BedrockResponse, CallContext, Cause, Error, Finish, Served, Usage, Watcher,
};

/// How a [`Probe`] becomes ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// When it is asked.
    AtOnce,
    /// When it is asked for the second time.
    SecondTime,
    /// So long after it was first asked.
    After(Duration),
    /// When it is asked; after so many calls it breaks for good.
    Breaks(u64),
}

/// What a [`Probe`] does with one call.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// When it answers.
    pub after: Duration,
    /// What it answers.
    pub answer: Answer,
}

/// What a [`Probe`] answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// A whole reply.
    Whole,
    /// A reply that goes on until it is finished, or dropped.
    Stream,
    /// An error of this cause.
    Failure(Cause),
    /// A panic.
    Panic,
}

type Script = dyn Fn(&CallContext, u64) -> Play + Send + Sync;
type Heard = dyn FnMut(Finish<'_>, Usage) + Send;

/// A service that objects to being called by a clone that was not made ready, counts what is under
/// way, and answers by a script.
///
/// A clone is a service that was never asked whether it is ready.
pub struct Probe {
    shared: Arc<Shared>,
    readiness: Readiness,
    state: State,
}

enum State {
    Unasked,
    Asked,
    Waits(Pin<Box<Sleep>>),
    Ready,
    Broken,
}

struct Shared {
    script: Box<Script>,
    calls: AtomicU64,
    violations: Mutex<Vec<String>>,
    under_way: AtomicU64,
    open_replies: AtomicU64,
}

/// Counts one while it is alive.
struct Counted {
    shared: Arc<Shared>,
    what: fn(&Shared) -> &AtomicU64,
}

/// A reply of a [`Probe`].
pub struct Reply {
    served: Served,
    usage: Usage,
    watchers: Vec<Box<Heard>>,
    open: Option<Counted>,
}

// === impl Play ===

impl Play {
    /// A whole reply after `after`.
    #[must_use]
    pub const fn whole(after: Duration) -> Self {
        let answer = Answer::Whole;
        Self { after, answer }
    }

    /// A stream that begins after `after`.
    #[must_use]
    pub const fn stream(after: Duration) -> Self {
        let answer = Answer::Stream;
        Self { after, answer }
    }

    /// A failure after `after`.
    #[must_use]
    pub const fn failure(after: Duration, cause: Cause) -> Self {
        let answer = Answer::Failure(cause);
        Self { after, answer }
    }
}

// === impl Probe ===

impl Probe {
    /// A service that does with each call what `script` says of it and its number, from 0.
    pub fn new<F>(readiness: Readiness, script: F) -> Self
    where
        F: Fn(&CallContext, u64) -> Play + Send + Sync + 'static,
    {
        let shared = Shared {
            script: Box::new(script),
            calls: AtomicU64::new(0),
            violations: Mutex::default(),
            under_way: AtomicU64::new(0),
            open_replies: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
            readiness,
            state: State::Unasked,
        }
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// How many calls are not answered yet.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.shared.under_way.load(Ordering::Relaxed)
    }

    /// How many replies go on.
    #[must_use]
    pub fn open_replies(&self) -> u64 {
        self.shared.open_replies.load(Ordering::Relaxed)
    }

    /// How it was used otherwise than a service may be.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations().clone()
    }
}

impl Shared {
    fn violations(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        let violations = self.violations.lock();
        violations.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            readiness: self.readiness,
            state: State::Unasked,
        }
    }
}

impl<R: BedrockRequest> Service<R> for Probe {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let calls_so_far = self.calls();
        match (&mut self.state, self.readiness) {
            (State::Broken, _) => {
                let told = "asked again after it had failed".to_owned();
                self.shared.violations().push(told);
                return Poll::Ready(Err(Error::new(Cause::Connect)));
            }
            (State::Ready, _) => {}
            (State::Waits(wait), _) => std::task::ready!(wait.as_mut().poll(cx)),
            (State::Unasked, Readiness::SecondTime) => {
                self.state = State::Asked;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            (State::Unasked, Readiness::After(time)) => {
                let mut wait = Box::pin(sleep(time));
                if wait.as_mut().poll(cx).is_pending() {
                    self.state = State::Waits(wait);
                    return Poll::Pending;
                }
            }
            (_, Readiness::Breaks(calls)) if calls_so_far >= calls => {
                self.state = State::Broken;
                return Poll::Ready(Err(Error::new(Cause::Connect)));
            }
            (State::Unasked | State::Asked, _) => {}
        }
        self.state = State::Ready;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let call = request.context();
        if !matches!(self.state, State::Ready) {
            let told = format!("called before it was ready: {call:?}");
            self.shared.violations().push(told);
        }
        self.state = State::Unasked;
        let number = self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let play = (self.shared.script)(call, number);
        let under_way = Counted::new(&self.shared, |shared| &shared.under_way);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let _under_way = under_way;
            if !play.after.is_zero() {
                sleep(play.after).await;
            }
            let open = match play.answer {
                Answer::Whole => None,
                Answer::Stream => Some(Counted::new(&shared, |shared| &shared.open_replies)),
                Answer::Failure(cause) => return Err(Error::new(cause)),
                Answer::Panic => panic!("on purpose"),
            };
            Ok(Reply {
                served: Served::default(),
                usage: Usage {
                    input: 100,
                    output: 10,
                    ..Usage::default()
                },
                watchers: Vec::new(),
                open,
            })
        })
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("calls", &self.calls())
            .field("under_way", &self.under_way())
            .finish_non_exhaustive()
    }
}

// === impl Counted ===

impl Counted {
    fn new(shared: &Arc<Shared>, what: fn(&Shared) -> &AtomicU64) -> Self {
        what(shared).fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
            what,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.what)(&self.shared).fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Reply ===

impl Reply {
    /// Whether it goes on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// It goes away without a word to those who watch it.
    pub fn vanish(mut self) {
        self.watchers.clear();
    }

    /// It comes to its end.
    pub fn finish(mut self) {
        self.end(Finish::Complete);
    }

    /// It breaks.
    pub fn fail(mut self, cause: Cause) {
        self.end(Finish::Failed(&Error::new(cause)));
    }

    fn end(&mut self, finish: Finish<'_>) {
        for mut watcher in self.watchers.drain(..) {
            watcher(finish, self.usage);
        }
        self.open = None;
    }
}

impl BedrockResponse for Reply {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    fn watch(&mut self, mut watcher: impl Watcher) {
        if self.open.is_none() {
            watcher.usage(&self.usage);
            watcher.finish(Finish::Complete);
            return;
        }
        self.watchers.push(Box::new(move |finish, usage| {
            if let Finish::Complete = finish {
                watcher.usage(&usage);
            }
            watcher.finish(finish);
        }));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.end(Finish::Abandoned);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("served", &self.served)
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}
