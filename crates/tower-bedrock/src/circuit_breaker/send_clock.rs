//! Since when a call is really under way.

use tokio::time::Instant;

use super::{circuit::Circuit, outcome::Ticket};
use crate::{
    call::CallContext,
    send_signal::{Readmission, SendListener, SendSignal},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Hears from the layers below when a call stands in line there and when it is sent.
///
/// There is one for a call whose time matters, and none for others.
#[derive(Debug)]
pub(super) struct SendClock {
    /// `None` while the call stands in line.
    sent_at: Mutex<Option<Instant>>,
    /// By what it has to be let through once more when it is sent, if it has to.
    asks_again: Option<(Arc<Circuit>, Ticket)>,
    /// A layer further up that wants to hear the same.
    above: Option<SendSignal>,
}

impl SendClock {
    /// Takes the time of `call` from `now` on, unless it has to stand in line below.
    pub(super) fn start(
        now: Instant,
        asks_again: Option<(Arc<Circuit>, Ticket)>,
        call: &mut CallContext,
    ) -> Arc<Self> {
        let clock = Arc::new(Self {
            sent_at: Mutex::new(Some(now)),
            asks_again,
            above: call.send_signal.take(),
        });
        call.send_signal = Some(SendSignal::new(&clock, 0));
        clock
    }

    pub(super) fn sent_at(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.sent_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SendListener for SendClock {
    fn waits(&self, _: u64) {
        *self.lock() = None;
        if let Some(above) = &self.above {
            above.waits();
        }
    }

    fn sends(self: Arc<Self>, _: u64, call: &CallContext) -> Option<Readmission> {
        if let Some((circuit, ticket)) = &self.asks_again
            && let Err(refusal) = circuit.ask_again(*ticket, call)
        {
            return Some(Box::pin(std::future::ready(Err(refusal))));
        }
        let above = self.above.as_ref();
        let Some(readmission) = above.and_then(|above| above.sends(call)) else {
            *self.lock() = Some(Instant::now());
            return None;
        };
        Some(Box::pin(async move {
            readmission.await?;
            *self.lock() = Some(Instant::now());
            Ok(())
        }))
    }
}
