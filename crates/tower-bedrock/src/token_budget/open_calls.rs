//! The calls of a ledger that have drawn and are not over.

use std::time::Duration;

use super::{gate::Line, ledger::Sent, terms::Draw};
use crate::{call::CallContext, send_signal::SendSignal};

/// Slots that are kept when no call is open, about 150 bytes each: far more than are open at a time
/// but in a storm.
const KEPT_SLOTS: usize = 1 << 16;

/// The open calls, each by a key that no other call has had for four thousand million calls.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    slots: Vec<Slot>,
    /// The first free slot; the one past the last if none is.
    free: u32,
    open: u32,
    /// How many there ever were.
    opened: u32,
}

#[derive(Debug)]
struct Slot {
    /// Which call has it, or had it last.
    number: u32,
    /// The next free slot, if this one is free.
    next_free: u32,
    call: OpenCall,
}

/// A call that has drawn.
#[derive(Debug)]
pub(super) struct OpenCall {
    pub(super) draw: Draw,
    pub(super) stage: Stage,
    /// How long it may stand in line if it has to be admitted anew; `None` if its layer does not wait.
    pub(super) max_wait: Option<Duration>,
    /// Who wants to know when it is sent.
    pub(super) above: Option<SendSignal>,
}

/// Where an open call stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// What it draws counts, and does not age.
    Reserved,
    Sent(Sent),
    /// It has given back what it drew, to be admitted anew.
    Out,
    /// It is over.
    Closed,
}

// Every call goes through here under the lock of its ledger: inlined, so that what is drawn is written
// in place.
impl OpenCalls {
    /// Opens `call`, which draws `draw` and is sent, and returns its key.
    #[inline]
    pub(super) fn open(&mut self, draw: Draw, sent: Sent, line: Line, call: &CallContext) -> u64 {
        self.opened = self.opened.wrapping_add(1);
        self.open += 1;
        let index = self.free;
        if index as usize == self.slots.len() {
            self.push();
        }
        let slot = &mut self.slots[index as usize];
        self.free = slot.next_free;
        slot.number = self.opened;
        slot.call.draw = draw;
        slot.call.stage = Stage::Sent(sent);
        slot.call.max_wait = line.waits.then_some(line.max_wait);
        if call.send_signal.is_some() {
            slot.call.above.clone_from(&call.send_signal);
        }
        u64::from(self.opened) << 32 | u64::from(index)
    }

    #[cold]
    fn push(&mut self) {
        self.slots.push(Slot {
            number: 0,
            next_free: self.free + 1,
            call: OpenCall {
                draw: Draw::NOTHING,
                stage: Stage::Closed,
                max_wait: None,
                above: None,
            },
        });
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut OpenCall> {
        let slot = self.slots.get_mut(key as u32 as usize)?;
        let is_open = u64::from(slot.number) == key >> 32;
        let is_open = is_open && !matches!(slot.call.stage, Stage::Closed);
        is_open.then_some(&mut slot.call)
    }

    /// A call that is sent, and when it was.
    #[inline]
    pub(super) fn sent(&mut self, key: u64) -> Option<(&mut OpenCall, Sent)> {
        let call = self.get_mut(key)?;
        match call.stage {
            Stage::Sent(sent) => Some((call, sent)),
            Stage::Reserved | Stage::Out | Stage::Closed => None,
        }
    }

    /// Closes a call. Returns what it drew, and where it stood; and who wanted to know when it is sent.
    pub(super) fn close(&mut self, key: u64) -> Option<(Draw, Stage, Option<SendSignal>)> {
        let call = self.get_mut(key)?;
        let closed = (call.draw, call.stage, call.above.take());
        self.free(key);
        Some(closed)
    }

    /// Closes a call that is open, of which nobody wants to know any more.
    #[inline]
    pub(super) fn free(&mut self, key: u64) {
        let index = key as u32;
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        slot.call.stage = Stage::Closed;
        slot.next_free = std::mem::replace(&mut self.free, index);
        self.open -= 1;
        if self.open == 0 && self.slots.len() > KEPT_SLOTS {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        self.slots = Vec::new();
        self.free = 0;
    }
}
