//! The calls of a ledger that have drawn and are not over.

use super::{gate::Line, ledger::Sent};
use crate::send_signal::SendSignal;

/// Slots that are kept when no call is open.
const KEPT_SLOTS: usize = 1024;

/// The open calls, each by a key that no other call has had for four thousand million calls.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    slots: Vec<Option<(u32, OpenCall)>>,
    free: Vec<u32>,
    opened: u32,
}

/// A call that has drawn.
#[derive(Debug)]
pub(super) struct OpenCall {
    pub(super) tokens: u64,
    pub(super) stage: Stage,
    pub(super) line: Line,
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
}

impl OpenCalls {
    pub(super) fn open(&mut self, call: OpenCall) -> u64 {
        self.opened = self.opened.wrapping_add(1);
        let content = Some((self.opened, call));
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = content;
                index
            }
            None => {
                self.slots.push(content);
                (self.slots.len() - 1) as u32
            }
        };
        u64::from(self.opened) << 32 | u64::from(index)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut OpenCall> {
        match self.slots.get_mut(key as u32 as usize)? {
            Some((number, call)) if u64::from(*number) == key >> 32 => Some(call),
            _ => None,
        }
    }

    pub(super) fn close(&mut self, key: u64) -> Option<OpenCall> {
        self.get_mut(key)?;
        let index = key as u32;
        let (_, call) = self.slots[index as usize].take()?;
        self.free.push(index);
        if self.free.len() == self.slots.len() && self.slots.len() > KEPT_SLOTS {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
        Some(call)
    }
}
