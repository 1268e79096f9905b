//! Calls that were admitted, and stand in line below the layer.

use std::{future::poll_fn, sync::Arc};

use tokio::time::Instant;

use super::{
    gate::{Gate, Line},
    open_calls::Stage,
    state::State,
};
use crate::{
    call::CallContext,
    error::Error,
    send_signal::{Readmission, SendListener, SendSignal},
};

/// A call whose future is polled first this much later than it was admitted was sent then, not before.
/// What timers can tell apart, and far below the margin of a quota.
pub(super) const LATE: u64 = 1_000_000;

impl State {
    /// A call that was sent was not sent after all. Returns who else wants to know.
    pub(super) fn recall(&mut self, key: u64) -> Option<SendSignal> {
        let call = self.open.get_mut(key)?;
        if let Stage::Sent(sent) = call.stage {
            self.ledger.recall(sent, call.draw.tokens);
            call.stage = Stage::Reserved;
        }
        call.above.clone()
    }

    /// A call that was sent was first waited for now: nothing need have been sent before.
    #[inline]
    pub(super) fn send_late(&mut self, key: u64) {
        if let Some(call) = self.open.get_mut(key)
            && let Stage::Sent(sent) = &mut call.stage
            && sent.age(self.ledger.now()) > LATE
        {
            self.ledger.recall(*sent, call.draw.tokens);
            *sent = self.ledger.send(call.draw.tokens);
        }
    }

    /// A call is sent now, if it has not been. `false` if something has come between: then it draws
    /// nothing, and has to be admitted anew.
    pub(super) fn send(&mut self, key: u64) -> bool {
        let Some(call) = self.open.get_mut(key) else {
            return true;
        };
        match call.stage {
            Stage::Sent(_) => {}
            Stage::Reserved if self.ledger.can_send(call.draw.tokens) => {
                call.stage = Stage::Sent(self.ledger.send(call.draw.tokens));
            }
            Stage::Reserved => {
                self.ledger.unreserve(call.draw.tokens);
                call.stage = Stage::Out;
            }
            Stage::Out | Stage::Closed => {}
        }
        !matches!(call.stage, Stage::Out)
    }
}

impl SendListener for Gate {
    fn waits(&self, key: u64) {
        let above = self.at(Instant::now(), |state| state.recall(key));
        if let Some(above) = above {
            above.waits();
        }
    }

    fn sends(self: Arc<Self>, key: u64, call: &CallContext) -> Option<Readmission> {
        let (is_sent, above) = self.at(Instant::now(), |state| {
            let above = state.open.get_mut(key).and_then(|call| call.above.clone());
            (state.send(key), above)
        });
        let wait = match &above {
            Some(above) if is_sent => above.sends(call),
            _ => None,
        };
        if is_sent && wait.is_none() {
            return None;
        }
        let call = call.clone();
        Some(Box::pin(async move {
            self.readmit(key, &call, above.as_ref(), wait).await
        }))
    }
}

impl Gate {
    /// Has a call wait until it fits once more here, and above.
    async fn readmit(
        self: &Arc<Self>,
        key: u64,
        call: &CallContext,
        above: Option<&SendSignal>,
        mut wait: Option<Readmission>,
    ) -> Result<(), Error> {
        loop {
            if let Some(wait) = wait.take() {
                self.at(Instant::now(), |state| state.recall(key));
                wait.await?;
            }
            if !self.at(Instant::now(), |state| state.send(key)) {
                self.admit_again(key, call).await?;
            }
            wait = above.and_then(|above| above.sends(call));
            if wait.is_none() {
                return Ok(());
            }
        }
    }

    async fn admit_again(self: &Arc<Self>, key: u64, call: &CallContext) -> Result<(), Error> {
        let now = Instant::now();
        let open = self.at(now, |state| {
            let open = state.open.get_mut(key)?;
            Some((open.draw.tokens, open.max_wait))
        });
        let Some((tokens, max_wait)) = open else {
            return Ok(());
        };
        let line = Line {
            waits: max_wait.is_some(),
            // It was admitted before: there is room for it.
            max_waiting: usize::MAX,
            max_wait: max_wait.unwrap_or_default(),
        };
        let refused = |refusal| Error::from(refusal).with_context(call);
        let mut turnstile = self
            .stand_in_line(now, call, tokens, line)
            .map_err(refused)?;
        let sent = poll_fn(|cx| turnstile.poll_pass(cx)).await;
        let sent = sent.map_err(refused)?;
        self.at(Instant::now(), |state| match state.open.get_mut(key) {
            Some(open) => open.stage = Stage::Sent(sent),
            None => state.ledger.give_back(sent, tokens),
        });
        Ok(())
    }
}
