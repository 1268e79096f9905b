//! A fixed window: the quota once in every day, all back at once.

use super::{Drawn, Stamp, UsedShare};

/// Counts what was drawn since the last boundary.
#[derive(Debug)]
pub(in crate::token_budget) struct Fixed {
    length: u64,
    /// How far into a window time starts.
    offset: u64,
    /// The number of the window.
    window: u64,
    total: u64,
    open: u64,
    reserved: u64,
}

impl Fixed {
    /// Windows of `length` nanoseconds, the first of which was `offset` old at the start.
    pub(in crate::token_budget) const fn new(length: u64, offset: u64) -> Self {
        Self {
            length,
            offset,
            window: 0,
            total: 0,
            open: 0,
            reserved: 0,
        }
    }

    pub(super) const fn advance(&mut self, now: u64) {
        let window = now.saturating_add(self.offset) / self.length;
        if window > self.window {
            self.window = window;
            self.total = 0;
            self.open = 0;
        }
    }

    const fn drawn_with(&self, amount: u64) -> u64 {
        self.total
            .saturating_add(self.reserved)
            .saturating_add(amount)
    }

    pub(super) const fn fits(&self, amount: u64, limit: u64) -> bool {
        self.drawn_with(amount) <= limit
    }

    pub(super) const fn can_send(&self, amount: u64, limit: u64) -> bool {
        self.total.saturating_add(amount) <= limit
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.drawn_with(0) == 0
    }

    pub(super) const fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    pub(super) const fn unreserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_sub(amount);
    }

    pub(super) const fn send(&mut self, amount: u64) -> Stamp {
        self.unreserve(amount);
        self.total = self.total.saturating_add(amount);
        self.open = self.open.saturating_add(amount);
        self.window
    }

    pub(super) const fn settle(&mut self, sent: Stamp, held: u64, used: u64) {
        if sent == self.window {
            self.open = self.open.saturating_sub(held);
            self.total = self.total.saturating_sub(held.saturating_sub(used));
        }
        self.total = self.total.saturating_add(used.saturating_sub(held));
    }

    const fn next_window(&self) -> u64 {
        ((self.window + 1) * self.length).saturating_sub(self.offset)
    }

    pub(super) const fn not_before(&self, amount: u64, limit: u64) -> Option<u64> {
        if self.fits(amount, limit) {
            Some(0)
        } else if self.reserved.saturating_add(amount) <= limit {
            Some(self.next_window())
        } else {
            None
        }
    }

    pub(super) fn expected(&self, amount: u64, limit: u64, used: UsedShare) -> u64 {
        let open = used.apply(self.open.saturating_add(self.reserved));
        let drawn = self.total.saturating_sub(self.open).saturating_add(open);
        if drawn.saturating_add(amount) <= limit {
            return 0;
        }
        // Every further window gives back one quota's worth.
        let left = limit.saturating_sub(drawn);
        let windows = amount.saturating_sub(left).div_ceil(limit.max(1));
        let further = windows.saturating_sub(1).saturating_mul(self.length);
        self.next_window().saturating_add(further)
    }

    pub(super) const fn drawn(&self) -> Drawn {
        Drawn {
            used: self.drawn_with(0),
            held: self.open.saturating_add(self.reserved),
            debt: 0,
        }
    }
}
