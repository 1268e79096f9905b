//! A sliding window: never more than the quota in any span of its length.

use std::mem;

use super::{Drawn, Stamp, UsedShare};

/// Slices of the ring: what is drawn counts as if drawn at the end of its slice, so a finer ring
/// wastes less of the quota. 511 waste 0.2 % and keep a window below 9 KiB.
const SLICES: usize = 512;
/// They are allocated so many at a time, when time first comes to them: most quotas of an account are
/// hardly ever called.
const PART: usize = 64;
/// A ring of `SLICES` covers one slice less than itself: the newest is not over yet.
const WHOLE_SLICES: u64 = SLICES as u64 - 1;

/// Counts what was drawn in the last `span`.
///
/// Time is cut into slices; an amount counts until its slice *ended* a span ago. So at every moment
/// at least what was drawn in the last span counts, and at most what was drawn in the last span and
/// a slice.
///
/// What settles above its hold is debt. Debt takes whatever room appears before anything else is
/// admitted, and counts from then on, so that what counts never exceeds the quota by it.
///
/// # Why this never draws more than the service allows
///
/// Let `Q` be the quota and `W` the span of at least 60 s. Whenever an amount is admitted, all that
/// counts, itself included, is at most `Q`, and what was sent later than `W` ago counts, at no less
/// than the service has charged for it: an amount counts its hold until it settles, and debt is paid,
/// and so counted, before the next admission. Hence the net charge of any interval of at most `W`
/// that ends with an admission is at most `Q`:
///
/// * a sliding log of 60 s holds no more than that;
/// * a fixed minute has counted an interval shorter than 60 s;
/// * a token bucket of capacity `Q`, refilled at `Q` a minute, admits if the net charge of every
///   interval that ends now is at most `Q` plus the refill of the interval. An interval of length
///   `L` splits into `⌊L/W⌋ + 1` spans, each with at most `Q`, and regains at least `⌊L/W⌋ · Q`.
///
/// This holds for the same instants on both sides. If the service sees calls later than they are
/// sent by anything from nothing to `m`, a span of `60 s + m` keeps it true: what the service sees
/// within 60 s was then sent within the span.
#[derive(Debug)]
pub(in crate::token_budget) struct Sliding {
    /// The number of the newest slice since the start.
    head: u64,
    /// What counts in all slices.
    total: u64,
    /// Of that, what has not settled.
    open: u64,
    /// The newest slice, with what most calls write; its place in the ring is empty.
    newest: Slice,
    /// What is reserved and not sent: counts, and does not age.
    reserved: u64,
    debt: u64,
    /// When the newest slice is over.
    head_ends: u64,
    slice_nanos: u64,
    parts: Parts,
}

type Parts = [Option<Box<[Slice; PART]>>; SLICES / PART];

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    total: u64,
    open: u64,
}

impl Sliding {
    /// A window of at least `span` nanoseconds.
    pub(in crate::token_budget) fn new(span: u64) -> Self {
        let slice_nanos = span.div_ceil(WHOLE_SLICES).max(1);
        Self {
            head: 0,
            total: 0,
            open: 0,
            newest: Slice::default(),
            reserved: 0,
            debt: 0,
            head_ends: slice_nanos,
            slice_nanos,
            parts: Default::default(),
        }
    }

    pub(super) const fn is_like(&self, other: &Self) -> bool {
        self.slice_nanos == other.slice_nanos
    }

    pub(super) fn advance(&mut self, now: u64, limit: u64) {
        if now >= self.head_ends {
            let current = now / self.slice_nanos;
            self.step_to(current, limit);
            self.head_ends = (self.head + 1).saturating_mul(self.slice_nanos);
        }
    }

    /// When the newest slice is over.
    pub(super) const fn steady_until(&self) -> u64 {
        self.head_ends
    }

    fn step_to(&mut self, current: u64, limit: u64) {
        while self.head < current {
            if self.total == 0 && (self.debt == 0 || self.room(limit) == 0) {
                self.head = current;
                return;
            }
            self.skip_paying_windows(current, limit);
            if self.head == current {
                return;
            }
            let oldest = self.turn();
            self.total = self.total.saturating_sub(oldest.total);
            self.open = self.open.saturating_sub(oldest.open);
            self.pay(limit);
        }
    }

    /// Goes on to the next slice. Returns what was in the oldest one, which is in its place.
    fn turn(&mut self) -> Slice {
        let newest = mem::take(&mut self.newest);
        if newest.total > 0 {
            let index = index(self.head);
            self.parts[index / PART].get_or_insert_with(none_drawn)[index % PART] = newest;
        }
        self.head += 1;
        let index = index(self.head);
        let part = self.parts[index / PART].as_mut();
        part.map_or_else(Slice::default, |part| mem::take(&mut part[index % PART]))
    }

    /// While debt pays more than a window's worth, every window looks like the one before: skips as
    /// many of them as time and debt allow, so that a long sleep costs no long loop.
    fn skip_paying_windows(&mut self, current: u64, limit: u64) {
        let a_window = limit.saturating_sub(self.reserved);
        let windows = (current - self.head) / SLICES as u64;
        if windows < 2 || self.open > 0 || self.total != a_window || a_window == 0 {
            return;
        }
        let windows = windows.min(self.debt / a_window);
        self.debt -= windows * a_window;
        self.head += windows * SLICES as u64;
    }

    /// Pays debt out of what room there is.
    #[inline]
    pub(super) fn pay(&mut self, limit: u64) {
        if self.debt > 0 {
            self.pay_what_fits(limit);
        }
    }

    #[cold]
    fn pay_what_fits(&mut self, limit: u64) {
        let paid = self.debt.min(self.room(limit));
        self.debt -= paid;
        self.count(paid);
    }

    fn count(&mut self, amount: u64) {
        self.newest.total = self.newest.total.saturating_add(amount);
        self.total = self.total.saturating_add(amount);
    }

    #[inline]
    const fn room(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.total.saturating_add(self.reserved))
    }

    #[inline]
    pub(in crate::token_budget) const fn fits(&self, amount: u64, limit: u64) -> bool {
        self.debt == 0 && amount <= self.room(limit)
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.total == 0 && self.reserved == 0 && self.debt == 0
    }

    pub(super) const fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    pub(super) fn unreserve(&mut self, amount: u64, limit: u64) {
        self.reserved = self.reserved.saturating_sub(amount);
        self.pay(limit);
    }

    pub(super) const fn can_send(&self, amount: u64, limit: u64) -> bool {
        self.debt == 0 && self.total.saturating_add(amount) <= limit
    }

    pub(super) fn send(&mut self, amount: u64) -> Stamp {
        self.reserved = self.reserved.saturating_sub(amount);
        self.draw(amount)
    }

    /// Sends what was not reserved.
    #[inline]
    pub(in crate::token_budget) const fn draw(&mut self, amount: u64) -> Stamp {
        self.newest.total = self.newest.total.saturating_add(amount);
        self.newest.open = self.newest.open.saturating_add(amount);
        self.total = self.total.saturating_add(amount);
        self.open = self.open.saturating_add(amount);
        self.head
    }

    #[inline]
    pub(in crate::token_budget) fn settle(
        &mut self,
        sent: Stamp,
        held: u64,
        used: u64,
        limit: u64,
    ) {
        let slice = if sent == self.head {
            Some(&mut self.newest)
        } else {
            older(&mut self.parts, self.head, sent)
        };
        if let Some(slice) = slice {
            // A hold is in its slice as a whole, so neither subtraction cuts anything off.
            let over = held.saturating_sub(used).min(slice.total);
            let held = held.min(slice.open);
            slice.total -= over;
            slice.open -= held;
            self.total -= over;
            self.open -= held;
        }
        if used > held {
            self.debt = self.debt.saturating_add(used - held);
        }
        self.pay(limit);
    }

    pub(super) fn not_before(&self, amount: u64, limit: u64) -> Option<u64> {
        let wanted = self.debt.saturating_add(amount);
        if self.total > 0 && wanted > limit.saturating_sub(self.reserved) && self.debt > 0 {
            // The debt pays itself off over more than one window: ask again after this one.
            return Some(self.end_of_window());
        }
        // More than the limit may be drawn, when that was lowered.
        let drawn = self.total.saturating_add(self.reserved);
        let excess = drawn.saturating_add(wanted).saturating_sub(limit);
        if excess > self.total {
            return None;
        }
        Some(self.freed_at(excess, |slice| slice.total))
    }

    pub(super) fn expected(&self, amount: u64, limit: u64, used: UsedShare) -> u64 {
        let open = used.apply(self.open.saturating_add(self.reserved));
        let drawn = (self.total.saturating_sub(self.open)).saturating_add(open);
        let wanted = drawn.saturating_add(self.debt).saturating_add(amount);
        let excess = wanted.saturating_sub(limit);
        let comes_back = |slice: &Slice| slice.total - slice.open + used.apply(slice.open);
        if excess <= drawn {
            return self.freed_at(excess, comes_back);
        }
        // Every further window gives back one quota's worth.
        let span = u128::from(self.slice_nanos) * u128::from(WHOLE_SLICES);
        let further = u128::from(excess - drawn) * span / u128::from(limit.max(1));
        let further = u64::try_from(further).unwrap_or(u64::MAX);
        self.end_of_window().saturating_add(further)
    }

    /// When `amount` of what counts has aged out.
    fn freed_at(&self, amount: u64, comes_back: impl Fn(&Slice) -> u64) -> u64 {
        if amount == 0 {
            return 0;
        }
        let mut freed = 0u64;
        for age in (0..SLICES as u64).rev() {
            let Some(number) = self.head.checked_sub(age) else {
                continue;
            };
            freed = freed.saturating_add(self.slice(number).map_or(0, &comes_back));
            if freed >= amount {
                return (number + 1 + WHOLE_SLICES) * self.slice_nanos;
            }
        }
        self.end_of_window()
    }

    /// When all that counts now has aged out.
    const fn end_of_window(&self) -> u64 {
        (self.head + 1 + WHOLE_SLICES).saturating_mul(self.slice_nanos)
    }

    pub(super) const fn drawn(&self) -> Drawn {
        Drawn {
            used: self.total.saturating_add(self.reserved),
            held: self.open.saturating_add(self.reserved),
            debt: self.debt,
        }
    }

    fn slice(&self, number: u64) -> Option<&Slice> {
        if number == self.head {
            return Some(&self.newest);
        }
        let index = index(number);
        Some(&self.parts[index / PART].as_ref()?[index % PART])
    }

    /// How many slices there is memory for.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.parts.iter().flatten().count() * PART
    }
}

/// A slice that was closed before the newest, `head`; `None` if it has aged out, or nothing was drawn.
fn older(parts: &mut Parts, head: u64, number: u64) -> Option<&mut Slice> {
    if head - number >= SLICES as u64 {
        return None;
    }
    let index = index(number);
    Some(&mut parts[index / PART].as_mut()?[index % PART])
}

const fn index(number: u64) -> usize {
    (number % SLICES as u64) as usize
}

#[cold]
fn none_drawn() -> Box<[Slice; PART]> {
    Box::new([Slice::default(); PART])
}
