//! Ledger and line, held against models that are written as plainly as they can be.
//!
//! The models keep lists of all that counts and go through them each time. They share no code with
//! what they are held against.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    call::Priority,
    token_budget::{
        allowance::Allowance,
        ledger::{Ledger, Sent},
        queue::{Place, WaitQueue, Waiter},
        window::{DAY, MINUTE, Meter, SECOND, Sliding},
    },
};

/// As many slices as a window is cut into.
const SLICES: u64 = 512;

/// What counts of one limit: a list.
#[derive(Clone, Debug)]
struct Limit {
    quota: u64,
    /// How long a slice is.
    width: u64,
    slice: u64,
    /// In which slice what was drawn, by whom, unless it is settled.
    drawn: Vec<(u64, u64, Option<u64>)>,
    reserved: u64,
    debt: u64,
}

impl Limit {
    fn new(quota: u64, span: u64) -> Self {
        Self {
            quota,
            width: span.div_ceil(SLICES - 1),
            slice: 0,
            drawn: Vec::new(),
            reserved: 0,
            debt: 0,
        }
    }

    fn used(&self) -> u64 {
        self.reserved + self.drawn.iter().map(|(_, amount, _)| amount).sum::<u64>()
    }

    fn held(&self) -> u64 {
        let open = self.drawn.iter().filter(|(.., call)| call.is_some());
        self.reserved + open.map(|(_, amount, _)| amount).sum::<u64>()
    }

    fn fits(&self, amount: u64) -> bool {
        self.debt == 0 && self.used() + amount <= self.quota
    }

    fn can_send(&self, amount: u64) -> bool {
        self.debt == 0 && self.used() - self.reserved + amount <= self.quota
    }

    /// Room that appears goes to what is owed.
    fn pay(&mut self) {
        let paid = self.debt.min(self.quota.saturating_sub(self.used()));
        if paid > 0 {
            self.debt -= paid;
            self.drawn.push((self.slice, paid, None));
        }
    }

    fn advance(&mut self, now: u64) {
        let to = now / self.width;
        while self.slice < to {
            // With nothing owed, nothing but age changes anything.
            self.slice = if self.debt == 0 { to } else { self.slice + 1 };
            let oldest = (self.slice + 1).saturating_sub(SLICES);
            self.drawn.retain(|(slice, ..)| *slice >= oldest);
            self.pay();
        }
    }

    fn send(&mut self, call: u64, amount: u64) {
        self.reserved -= amount;
        self.drawn.push((self.slice, amount, Some(call)));
    }

    fn settle(&mut self, call: u64, held: u64, used: u64) {
        for (_, amount, whose) in &mut self.drawn {
            if *whose == Some(call) {
                *amount = (*amount).min(used);
                *whose = None;
            }
        }
        self.debt += used.saturating_sub(held);
        self.pay();
    }

    /// The first moment at which `amount` fits, if nothing else happens.
    fn not_before(&self, amount: u64) -> Option<u64> {
        let mut then = self.clone();
        for _ in 0..=SLICES {
            if then.fits(amount) {
                let at = then.slice * then.width;
                return Some(if then.slice == self.slice { 0 } else { at });
            }
            then.advance((then.slice + 1) * then.width);
        }
        None
    }
}

/// The limits of one key.
struct Limits {
    requests: Limit,
    tokens: Limit,
    day: Option<Limit>,
}

impl Limits {
    fn each(&mut self, tokens: u64, mut change: impl FnMut(&mut Limit, u64)) {
        change(&mut self.requests, 1);
        change(&mut self.tokens, tokens);
        if let Some(day) = &mut self.day {
            change(day, tokens);
        }
    }

    fn all(&self, tokens: u64, is: impl Fn(&Limit, u64) -> bool) -> bool {
        let day = self.day.as_ref();
        is(&self.requests, 1) && is(&self.tokens, tokens) && day.is_none_or(|day| is(day, tokens))
    }
}

fn minute(quota: u64) -> Allowance {
    Allowance::new(quota, Meter::Sliding(Sliding::new(MINUTE)), None, false)
}

fn ledger(requests: u64, tokens: u64, day: Option<u64>) -> Ledger {
    let day = day.map(|day| {
        let meter = Meter::Sliding(Sliding::new(DAY));
        Allowance::new(day, meter, None, false)
    });
    Ledger::new(minute(requests), minute(tokens)).with_day(day)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Calls reserve, are sent, called back, given up, settled above and below their holds, and lapse,
    /// while time goes on, stands still and goes back, and the quotas change: who fits, what counts,
    /// what is held and owed, and when the next one fits, are the same as in the lists.
    #[test]
    fn a_ledger_counts_like_a_list(
        (requests, tokens) in (1..12_u64, 50..2000_u64),
        day in prop::option::of(200..6000_u64),
        steps in vec(any::<(u8, u16, u16)>(), 1..60),
    ) {
        let mut real = ledger(requests, tokens, day);
        let mut model = Limits {
            requests: Limit::new(requests, MINUTE),
            tokens: Limit::new(tokens, MINUTE),
            day: day.map(|day| Limit::new(day, DAY)),
        };
        let (mut clock, mut latest, mut calls, mut closed) = (0_u64, 0, 0, 0);
        let mut reserved: Vec<u64> = Vec::new();
        let mut sent: Vec<(u64, u64, Sent)> = Vec::new();
        for (kind, size, more) in steps {
            let (size, which) = (u64::from(size), usize::from(more));
            match kind % 32 {
                0..4 => clock += size * SECOND / 4000,
                4 => clock += size * SECOND / 500,
                // To the slice: so many, or a window and one more or less.
                5 => clock += (SLICES - 3 + size % 6) * MINUTE.div_ceil(SLICES - 1),
                6 => clock += size * 2 * SECOND,
                7 => clock = clock.saturating_sub(size * SECOND / 2000),
                _ => {}
            }
            latest = latest.max(clock);
            real.advance(clock);
            model.each(0, |limit, _| limit.advance(latest));
            match kind % 32 {
                8..16 => {
                    let amount = 1 + size % (tokens / 2);
                    let fits = latest >= closed && model.all(amount, Limit::fits);
                    prop_assert_eq!(real.fits(amount), fits);
                    if fits {
                        real.reserve(amount);
                        model.each(amount, |limit, amount| limit.reserved += amount);
                        reserved.push(amount);
                    }
                }
                16..22 if !reserved.is_empty() => {
                    let amount = reserved[which % reserved.len()];
                    let can = model.all(amount, Limit::can_send);
                    prop_assert_eq!(real.can_send(amount), can);
                    if can {
                        reserved.swap_remove(which % reserved.len());
                        calls += 1;
                        sent.push((calls, amount, real.send(amount)));
                        model.each(amount, |limit, amount| limit.send(calls, amount));
                    }
                }
                22 if !reserved.is_empty() => {
                    let amount = reserved.swap_remove(which % reserved.len());
                    real.unreserve(amount);
                    model.each(amount, |limit, amount| {
                        limit.reserved -= amount;
                        limit.pay();
                    });
                }
                23 if !sent.is_empty() => {
                    let (call, amount, stamp) = sent.swap_remove(which % sent.len());
                    real.recall(stamp, amount);
                    model.each(amount, |limit, amount| {
                        limit.settle(call, amount, 0);
                        limit.reserved += amount;
                    });
                    reserved.push(amount);
                }
                24..28 if !sent.is_empty() => {
                    let (call, amount, stamp) = sent.swap_remove(which % sent.len());
                    let used = amount * (size % 300) / 100;
                    real.settle(stamp, amount, used);
                    model.requests.settle(call, 1, 1);
                    model.tokens.settle(call, amount, used);
                    if let Some(day) = &mut model.day {
                        day.settle(call, amount, used);
                    }
                }
                28 if !sent.is_empty() => {
                    let (call, amount, stamp) = sent.swap_remove(which % sent.len());
                    real.lapse(stamp, amount);
                    model.each(amount, |limit, amount| limit.settle(call, amount, amount));
                }
                29 if !sent.is_empty() => {
                    let (call, amount, stamp) = sent.swap_remove(which % sent.len());
                    real.give_back(stamp, amount);
                    model.each(amount, |limit, amount| limit.settle(call, amount, 0));
                }
                30 if more % 4 == 0 => {
                    closed = closed.max(latest + size * SECOND / 1000);
                    real.close(closed);
                }
                31 if more % 3 == 0 => {
                    let (requests, tokens) = (1 + size % 12, 50 + size % 1500);
                    real.become_like(ledger(requests, tokens, day));
                    closed = 0;
                    (model.requests.quota, model.tokens.quota) = (requests, tokens);
                    model.each(0, |limit, _| limit.pay());
                }
                _ => {}
            }
            // A request is used as it is drawn, whether it has settled or not.
            let (drawn, requests) = (real.requests.drawn(), &model.requests);
            prop_assert_eq!((drawn.used, drawn.debt), (requests.used(), requests.debt));
            let (drawn, tokens) = (real.tokens.drawn(), &model.tokens);
            prop_assert_eq!(
                (drawn.used, drawn.held, drawn.debt),
                (tokens.used(), tokens.held(), tokens.debt)
            );
            if let (Some(real), Some(model)) = (&real.day, &model.day) {
                let drawn = real.drawn();
                prop_assert_eq!(
                    (drawn.used, drawn.held, drawn.debt),
                    (model.used(), model.held(), model.debt)
                );
            }
            // When it fits is known to the moment, as far as time alone brings it about.
            if more % 16 == 0 && model.tokens.debt == 0 {
                let amount = 1 + size % 400;
                prop_assert_eq!(real.tokens.not_before(amount), model.tokens.not_before(amount));
            }
        }
    }
}

/// A tenant, what it has saved, and its calls: their numbers and tokens.
type Tenant = (u8, u64, Vec<(u64, u64)>);

/// The calls of one priority, as lists: whose turn it is comes first.
#[derive(Default)]
struct Turns {
    tenants: Vec<Tenant>,
    has_been_served: bool,
    quantum: u64,
}

impl Turns {
    fn join(&mut self, tenant: u8, number: u64, tokens: u64, saved: u64) {
        self.quantum = self.quantum.max(tokens);
        let known = self.tenants.iter().position(|(name, ..)| *name == tenant);
        let at = known.unwrap_or_else(|| {
            self.tenants.push((tenant, 0, Vec::new()));
            self.tenants.len() - 1
        });
        let (_, deficit, calls) = &mut self.tenants[at];
        *deficit += saved;
        let place = calls.partition_point(|(before, _)| *before < number);
        calls.insert(place, (number, tokens));
    }

    fn leave(&mut self, number: u64) -> bool {
        for at in 0..self.tenants.len() {
            let calls = &mut self.tenants[at].2;
            let before = calls.len();
            calls.retain(|(known, _)| *known != number);
            if calls.len() == before {
                continue;
            }
            if calls.is_empty() {
                self.tenants.remove(at);
                self.has_been_served &= at != 0;
            }
            if self.tenants.is_empty() {
                *self = Self::default();
            }
            return true;
        }
        false
    }

    fn next(&mut self) -> Option<(u64, u64)> {
        loop {
            let (_, deficit, calls) = self.tenants.first_mut()?;
            if !self.has_been_served {
                self.has_been_served = true;
                *deficit += self.quantum;
            }
            let (number, tokens) = calls[0];
            if tokens <= *deficit {
                return Some((number, tokens));
            }
            self.tenants.rotate_left(1);
            self.has_been_served = false;
        }
    }

    fn take(&mut self) -> Option<u64> {
        let (number, tokens) = self.next()?;
        self.tenants[0].1 -= tokens;
        self.leave(number);
        Some(number)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whoever joins, leaves, has its turn and comes back into its place, with whatever priority and
    /// for whatever tenant: whose turn it is, who gives up first, and how much waits, are the same as
    /// in the lists.
    #[test]
    fn a_line_takes_turns_like_lists(steps in vec(any::<(u8, u16, u16)>(), 1..100)) {
        const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];
        let mut queue = WaitQueue::default();
        let mut classes: [Turns; 3] = Default::default();
        let mut waiting: Vec<(Place, u64, u64, usize, u8)> = Vec::new();
        let mut gone: Vec<(Place, u64, u64, usize, u8)> = Vec::new();
        let tenants: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
        let tenant = |which: u8| tenants.get(usize::from(which));
        for (kind, size, more) in steps {
            let which = usize::from(more);
            match kind % 16 {
                0..8 => {
                    let (tokens, class) = (u64::from(size % 500), which % 3);
                    let (name, deadline) = ((more / 3 % 4) as u8, u64::from(more));
                    let waiter = Waiter { tokens, deadline, waker: None };
                    let place = queue.join(PRIORITIES[class], tenant(name), waiter);
                    classes[class].join(name, place.number, tokens, 0);
                    classes[class].quantum = classes[class].quantum.max(1);
                    waiting.push((place, tokens, deadline, class, name));
                }
                8..10 if !waiting.is_empty() => {
                    let (place, .., class, _) = waiting.swap_remove(which % waiting.len());
                    prop_assert!(queue.leave(place).is_some());
                    prop_assert!(queue.leave(place).is_none());
                    prop_assert!(classes[class].leave(place.number));
                }
                10..14 => {
                    let expected = classes.iter_mut().find_map(Turns::take);
                    let taken = queue.take_next().map(|(place, _)| place.number);
                    prop_assert_eq!(taken, expected);
                    if let Some(number) = taken {
                        let at = waiting.iter().position(|call| call.0.number == number);
                        gone.push(waiting.swap_remove(at.unwrap()));
                    }
                }
                14 if !gone.is_empty() => {
                    let (place, tokens, deadline, class, name) =
                        gone.swap_remove(which % gone.len());
                    let waiter = Waiter { tokens, deadline, waker: None };
                    let place = queue.rejoin(place, tenant(name), waiter);
                    classes[class].join(name, place.number, tokens, tokens);
                    classes[class].quantum = classes[class].quantum.max(1);
                    waiting.push((place, tokens, deadline, class, name));
                }
                _ => {}
            }
            let expected = classes.iter_mut().find_map(Turns::next);
            let next = queue.next().map(|(place, tokens)| (place.number, tokens));
            prop_assert_eq!(next, expected);
            let first = waiting.iter().map(|call| (call.2, call.0.number)).min();
            let first_deadline = queue.first_deadline();
            prop_assert_eq!(first_deadline.map(|(at, place)| (at, place.number)), first);
            let tokens: u64 = waiting.iter().map(|call| call.1).sum();
            let all = queue.waiting();
            prop_assert_eq!((all.requests, all.tokens), (waiting.len() as u64, tokens));
            prop_assert_eq!(queue.len(), waiting.len());
        }
    }
}
