//! A quota as the service sees it: a meter that may learn late of what is drawn.

use std::collections::VecDeque;

use super::meter::Meter;

#[derive(Debug)]
pub(super) struct Quota {
    meter: Meter,
    lag: u64,
    /// What the meter does not know of yet, oldest first.
    pending: VecDeque<(u64, Change)>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Draw(u64),
    Drain(u64),
    Settle { drawn_at: u64, held: u64, used: u64 },
}

impl Quota {
    pub(super) fn new(meter: Meter, lag: u64) -> Self {
        Self {
            meter,
            lag,
            pending: VecDeque::new(),
        }
    }

    /// Whether that much is left, as far as the meter knows.
    pub(super) fn fits(&mut self, now: u64, amount: u64) -> bool {
        self.catch_up(now);
        self.meter.fits(now, amount)
    }

    /// Takes that much, and tells when the meter will have it: [`settle`](Self::settle) asks for
    /// that.
    pub(super) fn draw(&mut self, now: u64, amount: u64) -> u64 {
        self.change(now, Change::Draw(amount))
    }

    /// Takes what is left, but no more than that much.
    pub(super) fn drain(&mut self, now: u64, amount: u64) {
        self.change(now, Change::Drain(amount));
    }

    /// Replaces `held` by `used`.
    pub(super) fn settle(&mut self, now: u64, drawn_at: u64, held: u64, used: u64) {
        self.change(
            now,
            Change::Settle {
                drawn_at,
                held,
                used,
            },
        );
    }

    fn change(&mut self, now: u64, change: Change) -> u64 {
        let due = now.saturating_add(self.lag);
        if self.lag == 0 {
            self.apply(due, change);
        } else {
            self.catch_up(now);
            self.pending.push_back((due, change));
        }
        due
    }

    fn catch_up(&mut self, now: u64) {
        while let Some(&(due, change)) = self.pending.front() {
            if due > now {
                break;
            }
            self.pending.pop_front();
            self.apply(due, change);
        }
    }

    fn apply(&mut self, due: u64, change: Change) {
        match change {
            Change::Draw(amount) => self.meter.draw(due, amount),
            Change::Drain(amount) => self.meter.drain(due, amount),
            Change::Settle {
                drawn_at,
                held,
                used,
            } => self.meter.settle(due, drawn_at, held, used),
        }
    }
}
