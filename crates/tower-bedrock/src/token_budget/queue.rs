//! Who waits for a ledger, and whose turn it is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    task::Waker,
};

use super::{
    ledger::Ahead,
    promise::{Promise, part},
};
use crate::call::Priority;

const CLASSES: usize = 3;

/// The waiters of one ledger.
///
/// Of the priorities, the highest that has waiters goes first. Within a priority, tenants take turns
/// by deficit round robin: each turn lets a tenant go on with as many tokens as the largest waiting
/// call has, and what it does not use it keeps for its next turn while it has waiters. A tenant's own
/// calls go in the order in which they came.
///
/// A call that joins is promised its turn behind what waits, at the pace of the whole quota. Others may
/// come after it and take turns of which nobody knew. What they take keeps nobody out: those who join
/// for the tenant that was passed are promised as much as if its own calls had gone. So there are always
/// some in its line who have time left, and when the others stop, they use the quota to its end.
///
/// Whoever is [`next`](Self::next) stays next until it has gone or somebody of a higher priority
/// comes, so that a large call is not passed by small ones for ever. Joining, leaving and taking
/// turns are `O(log n)`.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    classes: [Class; CLASSES],
    /// Waiters by the time at which they give up.
    deadlines: BTreeMap<(u64, u64), Place>,
    joined: u64,
    waiting: Ahead,
    /// Tokens that went so far, of all together.
    gone: u64,
}

/// Where a waiter stands. Its number tells it from all others that ever waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: u64,
    class: u8,
    tenant: u32,
}

/// What a waiter waits for.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) tokens: u64,
    pub(super) deadline: u64,
    pub(super) waker: Option<Waker>,
}

/// The calls of one priority.
#[derive(Debug, Default)]
struct Class {
    tenants: Vec<Tenant>,
    free: Vec<u32>,
    by_name: HashMap<Option<Arc<str>>, u32>,
    /// Whose turn it is, first to last.
    ring: BTreeMap<u64, u32>,
    turns: u64,
    /// The largest call since the class was last empty: what one turn is worth.
    quantum: u64,
    /// Whether the first of the ring has been given its turn's worth.
    is_served: bool,
    waiting: Ahead,
}

#[derive(Debug, Default)]
struct Tenant {
    name: Option<Arc<str>>,
    waiters: BTreeMap<u64, Waiter>,
    turn: u64,
    deficit: u64,
    tokens: u64,
    promise: Promise,
}

impl Waiter {
    /// Whether it has a waker that wakes the same task as this one.
    pub(super) fn is_woken_by(&self, waker: &Waker) -> bool {
        self.waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
    }
}

impl WaitQueue {
    pub(super) const fn len(&self) -> usize {
        self.waiting.requests as usize
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.waiting.requests == 0
    }

    /// What waits in all.
    pub(super) const fn waiting(&self) -> Ahead {
        self.waiting
    }

    /// What will go before a call of `tokens` that joins now, if nobody joins after it: the higher
    /// priorities, what its tenant has waiting and was not passed, and of every other tenant as much as
    /// the round robin lets go meanwhile.
    pub(super) fn ahead(
        &self,
        priority: Priority,
        tenant: Option<&Arc<str>>,
        tokens: u64,
    ) -> Ahead {
        let index = class_of(priority);
        let class = &self.classes[index];
        let own = class.find(tenant).map(|id| &class.tenants[id as usize]);
        self.above(index, class.ahead(own, tokens, self.gone))
    }

    /// The same, and the higher priorities.
    fn above(&self, class: usize, mut ahead: Ahead) -> Ahead {
        for higher in &self.classes[..class] {
            ahead.tokens = ahead.tokens.saturating_add(higher.waiting.tokens);
            ahead.requests += higher.waiting.requests;
        }
        ahead
    }

    pub(super) fn join(
        &mut self,
        priority: Priority,
        tenant: Option<&Arc<str>>,
        waiter: Waiter,
    ) -> Place {
        let number = self.joined;
        self.joined += 1;
        let class = class_of(priority);
        let place = Place {
            number,
            class: class as u8,
            tenant: self.classes[class].tenant(tenant),
        };
        self.join_again(place, waiter);
        place
    }

    /// Takes a waiter back into the place that it left, ahead of those who joined after it.
    pub(super) fn rejoin(
        &mut self,
        place: Place,
        tenant: Option<&Arc<str>>,
        waiter: Waiter,
    ) -> Place {
        let class = &mut self.classes[usize::from(place.class)];
        let place = Place {
            tenant: class.tenant(tenant),
            ..place
        };
        let tokens = waiter.tokens;
        self.join_again(place, waiter);
        // The turn that was taken for it was not used.
        self.gone = self.gone.saturating_sub(tokens);
        let class = &mut self.classes[usize::from(place.class)];
        let tenant = &mut class.tenants[place.tenant as usize];
        tenant.deficit = tenant.deficit.saturating_add(tokens);
        place
    }

    fn join_again(&mut self, place: Place, waiter: Waiter) {
        let index = usize::from(place.class);
        let class = &self.classes[index];
        let own = &class.tenants[place.tenant as usize];
        let ahead = class.ahead(Some(own), waiter.tokens, self.gone);
        let before = own.ahead(self.gone).tokens;
        let promise = Promise::new(
            before.saturating_add(waiter.tokens),
            self.above(index, ahead)
                .tokens
                .saturating_add(waiter.tokens),
            self.gone,
        );
        self.waiting.add(waiter.tokens);
        self.deadlines
            .insert((waiter.deadline, place.number), place);
        self.classes[index].join(place, waiter, promise);
    }

    /// Takes a waiter out, wherever it stands; `None` if it has gone.
    pub(super) fn leave(&mut self, place: Place) -> Option<Waiter> {
        let waiter = self.classes[usize::from(place.class)].leave(place)?;
        self.waiting.sub(waiter.tokens);
        self.deadlines.remove(&(waiter.deadline, place.number));
        Some(waiter)
    }

    pub(super) fn waiter_mut(&mut self, place: Place) -> Option<&mut Waiter> {
        let class = &mut self.classes[usize::from(place.class)];
        let tenant = class.tenants.get_mut(place.tenant as usize)?;
        tenant.waiters.get_mut(&place.number)
    }

    /// Whose turn it is, and for how many tokens. Asking again without a change gives the same
    /// answer.
    pub(super) fn next(&mut self) -> Option<(Place, u64)> {
        (0..CLASSES).find_map(|index| {
            let (tenant, number, tokens) = self.classes[index].next()?;
            let place = Place {
                number,
                class: index as u8,
                tenant,
            };
            Some((place, tokens))
        })
    }

    /// Takes out the one whose turn it is.
    pub(super) fn take_next(&mut self) -> Option<(Place, Waiter)> {
        let (place, tokens) = self.next()?;
        let class = &mut self.classes[usize::from(place.class)];
        let tenant = &mut class.tenants[place.tenant as usize];
        tenant.deficit = tenant.deficit.saturating_sub(tokens);
        self.gone = self.gone.saturating_add(tokens);
        self.leave(place).map(|waiter| (place, waiter))
    }

    /// Who gives up first, and when.
    pub(super) fn first_deadline(&self) -> Option<(u64, Place)> {
        let (&(deadline, _), &place) = self.deadlines.first_key_value()?;
        Some((deadline, place))
    }
}

impl Class {
    /// What goes before a call of `tokens` of that tenant, if it has any waiting, after all that has
    /// `gone`.
    fn ahead(&self, own: Option<&Tenant>, tokens: u64, gone: u64) -> Ahead {
        let known = own.map_or(Ahead::default(), Tenant::waiting);
        let other_tokens = self.waiting.tokens.saturating_sub(known.tokens);
        let other_requests = self.waiting.requests - known.requests;
        let others = self.ring.len() as u64 - u64::from(own.is_some());
        let own = own.map_or(Ahead::default(), |own| own.ahead(gone));
        let each = own.tokens.saturating_add(tokens);
        let tokens = other_tokens.min(others.saturating_mul(each));
        // Requests go with tokens as they stand in the queue.
        Ahead {
            requests: own.requests + part(other_requests, tokens, other_tokens),
            tokens: own.tokens.saturating_add(tokens),
        }
    }

    fn find(&self, name: Option<&Arc<str>>) -> Option<u32> {
        self.by_name.get(&name.cloned()).copied()
    }

    /// The tenant of that name, made if it has no waiters yet.
    fn tenant(&mut self, name: Option<&Arc<str>>) -> u32 {
        if let Some(id) = self.find(name) {
            return id;
        }
        let tenant = Tenant {
            name: name.cloned(),
            turn: self.turns,
            ..Tenant::default()
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.tenants[id as usize] = tenant;
                id
            }
            None => {
                self.tenants.push(tenant);
                (self.tenants.len() - 1) as u32
            }
        };
        self.by_name.insert(name.cloned(), id);
        self.ring.insert(self.turns, id);
        self.turns += 1;
        id
    }

    fn join(&mut self, place: Place, waiter: Waiter, promise: Promise) {
        self.quantum = self.quantum.max(waiter.tokens).max(1);
        self.waiting.add(waiter.tokens);
        let tenant = &mut self.tenants[place.tenant as usize];
        tenant.tokens = tenant.tokens.saturating_add(waiter.tokens);
        tenant.promise = promise;
        tenant.waiters.insert(place.number, waiter);
    }

    fn leave(&mut self, place: Place) -> Option<Waiter> {
        let tenant = self.tenants.get_mut(place.tenant as usize)?;
        let waiter = tenant.waiters.remove(&place.number)?;
        tenant.tokens = tenant.tokens.saturating_sub(waiter.tokens);
        self.waiting.sub(waiter.tokens);
        if tenant.waiters.is_empty() {
            self.forget(place.tenant);
        }
        Some(waiter)
    }

    /// Forgets a tenant without waiters, and what it had saved up.
    fn forget(&mut self, id: u32) {
        let tenant = std::mem::take(&mut self.tenants[id as usize]);
        let was_first = self
            .ring
            .first_key_value()
            .is_some_and(|(_, &first)| first == id);
        self.is_served &= !was_first;
        self.ring.remove(&tenant.turn);
        self.by_name.remove(&tenant.name);
        self.free.push(id);
        if self.ring.is_empty() {
            // An empty class starts anew, and keeps no memory of its busiest time.
            *self = Self::default();
        }
    }

    fn next(&mut self) -> Option<(u32, u64, u64)> {
        loop {
            let (&turn, &id) = self.ring.first_key_value()?;
            let tenant = &mut self.tenants[id as usize];
            if !self.is_served {
                self.is_served = true;
                tenant.deficit = tenant.deficit.saturating_add(self.quantum);
            }
            let (&number, waiter) = tenant.waiters.first_key_value()?;
            if waiter.tokens <= tenant.deficit {
                return Some((id, number, waiter.tokens));
            }
            // Its turn is over; what is left it keeps.
            tenant.turn = self.turns;
            self.ring.remove(&turn);
            self.ring.insert(self.turns, id);
            self.turns += 1;
            self.is_served = false;
        }
    }
}

impl Tenant {
    fn waiting(&self) -> Ahead {
        Ahead {
            requests: self.waiters.len() as u64,
            tokens: self.tokens,
        }
    }

    /// What waits and is still promised, after all that has `gone`.
    fn ahead(&self, gone: u64) -> Ahead {
        let waiting = self.waiting();
        let tokens = self.promise.left(gone).min(waiting.tokens);
        Ahead {
            requests: part(waiting.requests, tokens, waiting.tokens),
            tokens,
        }
    }
}

impl Ahead {
    fn add(&mut self, tokens: u64) {
        self.requests += 1;
        self.tokens = self.tokens.saturating_add(tokens);
    }

    fn sub(&mut self, tokens: u64) {
        self.requests -= 1;
        self.tokens = self.tokens.saturating_sub(tokens);
    }
}

const fn class_of(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}
