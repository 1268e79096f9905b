//! When a call is really sent, told from below to the layers above.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use crate::{call::CallContext, error::Error};

/// Tells a layer above that a call stands in line below it, and when it is really sent.
///
/// A layer that counts time from the moment at which it calls the inner service, as the token budget
/// does for its windows, is wrong by whatever the call waits below. So it leaves a signal in the
/// call's [`CallContext::send_signal`], and a layer below that has the call stand in line tells it.
/// Where nothing waits, nothing is told.
///
/// A layer finds at most one signal, the nearest. Whoever puts its own in the place of another keeps
/// the other and passes on what it hears.
///
/// A signal is good for one attempt. Afterwards, or told twice, it means nothing; it does not keep
/// its listener.
///
/// # Example
///
/// A layer that has calls stand in line tells of it when a call really waits, and before it sends a
/// call that has waited:
///
/// ```
/// use tower_bedrock::{CallContext, Error};
///
/// async fn in_turn(call: &CallContext, is_our_turn: impl Future<Output = ()>) -> Result<(), Error> {
///     let Some(signal) = &call.send_signal else {
///         is_our_turn.await;
///         return Ok(());
///     };
///     signal.waits();
///     is_our_turn.await;
///     // Above, something may have come between. A permit should not be kept meanwhile.
///     match signal.sends(call) {
///         Some(readmission) => readmission.await,
///         None => Ok(()),
///     }
/// }
/// # let _ = in_turn(
/// #     &CallContext::new(tower_bedrock::Operation::Converse, Default::default()),
/// #     async {},
/// # );
/// ```
#[derive(Clone)]
pub struct SendSignal {
    listener: Listener,
    key: u64,
}

#[derive(Clone)]
enum Listener {
    Counted(Weak<dyn SendListener>),
    /// By its number among those that are known.
    Known(u64),
}

/// Listeners that hear of many calls: those are told by a number, so that not every call counts who knows
/// the listener, where other threads count too.
static KNOWN: RwLock<BTreeMap<u64, Weak<dyn SendListener>>> = RwLock::new(BTreeMap::new());
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// A listener's entry among those that are known; it goes with the listener, which keeps it.
#[derive(Debug)]
pub(crate) struct KnownListener(u64);

/// Hears of calls that stand in line below when they are really sent.
///
/// It must not block, and has to bear keys of calls that are over.
pub trait SendListener: Send + Sync + 'static {
    /// The call of `key` is not sent yet: it stands in line.
    fn waits(&self, key: u64);

    /// The call of `key`, which stood in line, is sent now, unless a [`Readmission`] is returned:
    /// then it has to wait for that first, and is sent when that is over.
    ///
    /// What has a call wait is asked anew after a readmission: it has given up its turn meanwhile.
    fn sends(self: Arc<Self>, key: u64, call: &CallContext) -> Option<Readmission>;
}

/// What a call has to wait for before it is sent; the error it is refused with if that never comes.
pub type Readmission = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl SendSignal {
    /// A signal to `listener`, of the call that it knows by `key`. Does not allocate.
    #[must_use]
    pub fn new<L: SendListener>(listener: &Arc<L>, key: u64) -> Self {
        let listener = Listener::Counted(Arc::downgrade(listener) as Weak<_>);
        Self { listener, key }
    }

    fn listener(&self) -> Option<Arc<dyn SendListener>> {
        match &self.listener {
            Listener::Counted(listener) => listener.upgrade(),
            Listener::Known(number) => {
                let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
                known.get(number)?.upgrade()
            }
        }
    }

    /// The call is not sent yet: it stands in line.
    pub fn waits(&self) {
        if let Some(listener) = self.listener() {
            listener.waits(self.key);
        }
    }

    /// The call, which stood in line, is sent now, unless it has to wait for what is returned.
    #[must_use = "a call that has to wait must not be sent"]
    pub fn sends(&self, call: &CallContext) -> Option<Readmission> {
        self.listener()?.sends(self.key, call)
    }
}

impl KnownListener {
    /// Makes `listener` known.
    pub(crate) fn new<L: SendListener>(listener: &Weak<L>) -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let listener = Weak::clone(listener) as Weak<dyn SendListener>;
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(number, listener);
        Self(number)
    }

    /// A signal to the listener, of the call that it knows by `key`.
    #[inline]
    pub(crate) const fn signal(&self, key: u64) -> SendSignal {
        let listener = Listener::Known(self.0);
        SendSignal { listener, key }
    }
}

impl Drop for KnownListener {
    fn drop(&mut self) {
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = known.remove(&self.0);
        drop(known);
        drop(forgotten);
    }
}

impl fmt::Debug for SendSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSignal")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What a layer that has calls stand in line tells the layers above of one call.
#[derive(Default)]
pub(crate) struct LateSend {
    has_waited: bool,
    readmission: Option<Readmission>,
}

impl LateSend {
    /// The call stands in line.
    pub(crate) fn waits(&mut self, call: &CallContext) {
        if !self.has_waited {
            self.has_waited = true;
            if let Some(signal) = &call.send_signal {
                signal.waits();
            }
        }
    }

    /// Whether the call waits for something above that has come between.
    pub(crate) const fn is_readmitting(&self) -> bool {
        self.readmission.is_some()
    }

    /// Whether the call may be sent now. Ready at once for a call that never stood in line. While it
    /// is pending, the call's turn is lost.
    #[inline]
    pub(crate) fn poll_sends(
        &mut self,
        call: &CallContext,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if !self.has_waited {
            return Poll::Ready(Ok(()));
        }
        self.poll_late(call, cx)
    }

    #[cold]
    fn poll_late(&mut self, call: &CallContext, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.readmission.is_none() {
            let signal = call.send_signal.as_ref();
            self.readmission = signal.and_then(|signal| signal.sends(call));
        }
        if let Some(readmission) = &mut self.readmission {
            let result = ready!(readmission.as_mut().poll(cx));
            self.readmission = None;
            result?;
        }
        self.has_waited = false;
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for LateSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateSend")
            .field("has_waited", &self.has_waited)
            .field("readmission", &self.readmission.is_some())
            .finish()
    }
}
