//! Tells of transitions, each once, in the order in which they happened.

use std::{collections::VecDeque, fmt};

use tokio::sync::broadcast;

use super::{
    circuit::Circuit,
    event::{CircuitEvent, CircuitTransition},
};
use crate::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

pub(super) type Listener = dyn Fn(&CircuitEvent<'_>) + Send + Sync;

/// Transitions that a subscriber may be behind. A circuit makes a handful in a minute.
const CAPACITY: usize = 256;

/// Who listens, and what they have not heard yet.
///
/// Transitions stand in line from the moment in which they happen. Whoever makes one tells of all
/// that stand there, without holding a lock; while somebody does, others leave theirs to him.
#[derive(Default)]
pub(super) struct Bus {
    line: Mutex<Line>,
    listeners: RwLock<Arc<[Arc<Listener>]>>,
    is_observed: AtomicBool,
    subscribers: OnceLock<broadcast::Sender<CircuitTransition>>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<(Arc<Circuit>, CircuitTransition)>,
    is_served: bool,
}

/// Serves the line until it is dropped, even by a listener that panics.
struct Turn<'a> {
    bus: &'a Bus,
    is_over: bool,
}

impl Bus {
    /// Another bus with the same listeners.
    pub(super) fn another(&self) -> Self {
        Self {
            listeners: RwLock::new(self.listeners()),
            is_observed: AtomicBool::new(self.is_observed.load(Ordering::Relaxed)),
            ..Self::default()
        }
    }

    pub(super) fn listen(&self, listener: Arc<Listener>) {
        let mut listeners = self
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *listeners = listeners.iter().cloned().chain([listener]).collect();
    }

    /// Whether this is the first who asks to observe.
    #[cfg(feature = "metrics")]
    pub(super) fn is_first_observer(&self) -> bool {
        !self.is_observed.swap(true, Ordering::Relaxed)
    }

    /// Tells the listeners, without holding a lock.
    pub(super) fn tell(&self, event: &CircuitEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::circuit(event);
        for listener in &*self.listeners() {
            listener(event);
        }
    }

    fn listeners(&self) -> Arc<[Arc<Listener>]> {
        let listeners = self.listeners.read();
        Arc::clone(&listeners.unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<CircuitTransition> {
        let sender = self
            .subscribers
            .get_or_init(|| broadcast::Sender::new(CAPACITY));
        sender.subscribe()
    }

    pub(super) fn push(&self, circuit: Arc<Circuit>, transition: CircuitTransition) {
        self.line().waiting.push_back((circuit, transition));
    }

    /// Tells of all that stand in line, unless somebody is at it.
    pub(super) fn deliver(&self) {
        let mut line = self.line();
        if line.is_served {
            return;
        }
        line.is_served = true;
        drop(line);
        let mut turn = Turn {
            bus: self,
            is_over: false,
        };
        while let Some((circuit, transition)) = turn.next() {
            circuit.tell_watchers();
            self.tell(&CircuitEvent::Changed {
                transition: &transition,
            });
            if let Some(subscribers) = self.subscribers.get() {
                // Nobody may be subscribed at the moment.
                drop(subscribers.send(transition));
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The next in line. Gives the turn up when there is none, in the same moment.
    fn next(&mut self) -> Option<(Arc<Circuit>, CircuitTransition)> {
        let mut line = self.bus.line();
        let next = line.waiting.pop_front();
        self.is_over = next.is_none();
        line.is_served = !self.is_over;
        next
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // If a listener panicked, the next transition is told by somebody else.
        if !self.is_over {
            self.bus.line().is_served = false;
        }
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("listeners", &self.listeners().len())
            .finish_non_exhaustive()
    }
}
