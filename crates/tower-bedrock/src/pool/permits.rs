//! Who has a place and who waits for one: no clock, no lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    task::Waker,
};

/// A number of places, and a line of those who wait for one: first come, first served.
#[derive(Debug)]
pub(super) struct Permits {
    limit: usize,
    /// Places that are taken, with those that are granted to somebody in line.
    taken: usize,
    /// Those who wait, by the number that they drew.
    line: BTreeMap<u64, Option<Waker>>,
    /// Those of the line who have a place and have not come for it yet.
    granted: BTreeSet<u64>,
    next: u64,
    /// How many may be taken without asking.
    lent: usize,
    most_taken: usize,
    most_waiting: usize,
}

impl Permits {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: 0,
            line: BTreeMap::new(),
            granted: BTreeSet::new(),
            next: 0,
            lent: 0,
            most_taken: 0,
            most_waiting: 0,
        }
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// The most places that were ever taken, and the most that ever waited.
    pub(super) const fn high_water(&self) -> (usize, usize) {
        (self.most_taken, self.most_waiting)
    }

    /// Takes a place, if one is free that nobody waits for.
    #[inline]
    pub(super) fn take(&mut self) -> bool {
        let is_free = self.has_free();
        if is_free {
            self.occupy();
        }
        is_free
    }

    /// Whether a place is free that nobody waits for.
    #[inline]
    pub(super) fn has_free(&self) -> bool {
        self.line.is_empty() && self.taken < self.limit
    }

    /// Lets at most `most` places be taken, and given back, without asking. Returns how many may be
    /// taken; `None` while somebody waits for one.
    pub(super) fn lend(&mut self, most: usize) -> Option<usize> {
        let free = self.limit.checked_sub(self.taken)?;
        self.lent = free.min(most);
        self.line.is_empty().then_some(self.lent)
    }

    /// Takes back what was lent: so many are free now, and so many were at least.
    pub(super) fn call_in(&mut self, free: usize, least_free: usize) {
        let taken = self.taken + self.lent;
        self.most_taken = self.most_taken.max(taken.saturating_sub(least_free));
        self.taken = taken.saturating_sub(free);
        self.lent = 0;
    }

    /// Stands in line, and returns the number drawn.
    pub(super) fn join(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.line.insert(number, None);
        self.most_waiting = self.most_waiting.max(self.line.len());
        number
    }

    /// Stands in line where `number` stood before, ahead of all who came after it.
    pub(super) fn rejoin(&mut self, number: u64) {
        self.line.insert(number, None);
        self.most_waiting = self.most_waiting.max(self.line.len());
    }

    /// Takes the place that was granted to `number`; until there is one, `waker` is to be woken for
    /// it. Returns a waker that is not needed any more, too.
    pub(super) fn poll(&mut self, number: u64, waker: &Waker) -> (bool, Option<Waker>) {
        if self.granted.remove(&number) {
            return (true, None);
        }
        let known = self.line.entry(number).or_default();
        let is_known = known.as_ref().is_some_and(|known| known.will_wake(waker));
        let retired = if is_known {
            None
        } else {
            known.replace(waker.clone())
        };
        (false, retired)
    }

    /// Leaves the line, or gives back the place that was granted. Returns a waker that is not needed
    /// any more.
    pub(super) fn leave(&mut self, number: u64) -> Option<Waker> {
        if self.granted.remove(&number) {
            self.give_back();
        }
        self.line.remove(&number).flatten()
    }

    /// Gives a place back.
    #[inline]
    pub(super) const fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Allows as many places. Those who have one keep it.
    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Grants free places to those who are first in line, and tells who is to be woken.
    pub(super) fn grant(&mut self, woken: &mut Vec<Waker>) {
        while self.taken < self.limit
            && let Some((number, waker)) = self.line.pop_first()
        {
            self.occupy();
            self.granted.insert(number);
            woken.extend(waker);
        }
    }

    #[inline]
    fn occupy(&mut self) {
        self.taken += 1;
        self.most_taken = self.most_taken.max(self.taken);
    }
}
