//! Ledgers that go by what an account was found to be allowed.

use std::{borrow::Cow, collections::HashMap};

use tokio::time::Instant;

use super::{gate::Gate, invalid::InvalidQuota, quota::Quota, quotas::Quotas};
use crate::{
    quotas::Listing,
    route::{QuotaKey, Route},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// What became of the ledgers that there were when a [`Listing`] was adopted.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Adoption {
    /// Those that got another quota.
    pub changed: Vec<QuotaKey>,
    /// Those that keep the quota that was set by hand.
    pub kept: Vec<QuotaKey>,
    /// Those whose quota cannot be meant, with the listing's template; they stay as they were.
    pub refused: Vec<(QuotaKey, InvalidQuota)>,
}

/// What accounts were found to be allowed, by the names they go by.
#[derive(Default)]
pub(super) struct Adopted {
    /// Most applications adopt nothing.
    any: AtomicBool,
    listings: RwLock<HashMap<Arc<str>, Arc<Listing>>>,
}

impl Quotas {
    /// Goes by `listing` from now on, for calls of this account. Ledgers that have a quota of an
    /// earlier listing, or none, get theirs while calls go on; so does every ledger that comes into
    /// being. One whose quota is the same keeps what refusals taught it.
    ///
    /// A quota that was [set](Self::set) by hand stays; so does that of a ledger that the listing does
    /// not know. Calls of an application profile that is found to stand for something else are counted
    /// with its other calls from now on; those that are under way or in line then end where they
    /// began.
    ///
    /// Clones with another [account](Self::with_account) have listings of their own.
    // What became of the ledgers is for logs.
    #[allow(clippy::must_use_candidate)]
    pub fn adopt(&self, listing: Listing) -> Adoption {
        let listing = Arc::new(listing);
        self.shared.adopted.insert(&self.account, &listing);
        // Whoever resolves a route from here on sees the listing; all others are among these.
        let gates = self.shared.all_gates();
        let mut adoption = Adoption::default();
        for gate in &gates {
            let Some(route) = Listing::route_of(gate.key()) else {
                continue;
            };
            if let Some(successor) = self.successor(gate, &listing) {
                hand_over(gate, &successor, self);
            } else if *gate.key().account == *self.account {
                self.change(gate, &route, &listing, &mut adoption);
            }
        }
        adoption
    }

    /// What this account was found to be allowed, as of the last [`adopt`](Self::adopt).
    #[must_use]
    pub fn listing(&self) -> Option<Arc<Listing>> {
        self.shared.adopted.of(&self.account)
    }

    /// What `route` is counted as.
    pub(super) fn counted<'a>(&self, route: &'a Route) -> Cow<'a, Route> {
        let listing = self.listing();
        match listing.and_then(|listing| listing.counted_as(route)) {
            Some(counted) => Cow::Owned(counted),
            None => Cow::Borrowed(route),
        }
    }

    /// The quota of a ledger that comes into being; `route` names a region if any is known.
    pub(super) fn found(&self, key: &QuotaKey, route: &Route) -> Option<Quota> {
        let listing = self.listing()?;
        if *key.account != *self.account {
            return None;
        }
        let mut route = route.clone();
        route.region.clone_from(&key.region);
        let quota = listing.quota(&route).ok()?;
        quota.check().is_ok().then_some(quota)
    }

    /// The gate that the calls of `gate` are found to belong to.
    fn successor(&self, gate: &Gate, listing: &Listing) -> Option<Arc<Gate>> {
        let route = Listing::route_of(gate.key())?;
        let counted = listing.counted_as(&route).or_else(|| {
            // The ledger of an ARN with the account's number, where plain ids are counted by a name.
            let account = &gate.key().account;
            let is_named_otherwise = *account != self.account && listing.is_account(account);
            let is_plain = route.model.as_ref()?.account().is_none();
            (is_named_otherwise && is_plain).then_some(route)
        })?;
        Some(self.gate(&counted))
    }

    fn change(&self, gate: &Gate, route: &Route, listing: &Listing, adoption: &mut Adoption) {
        let Ok(quota) = listing.quota(route) else {
            return;
        };
        if let Err(invalid) = quota.check() {
            adoption.refused.push((gate.key().clone(), invalid));
            return;
        }
        let told = gate.at(Instant::now(), |state| match &state.quota {
            Some(_) if !state.is_adopted => Some(&mut adoption.kept),
            Some(old) if *old == quota => None,
            _ => {
                self.shared.go_by(gate, state, route, quota);
                state.is_adopted = true;
                Some(&mut adoption.changed)
            }
        });
        if let Some(keys) = told {
            keys.push(gate.key().clone());
        }
    }
}

/// Has the calls of `gate` go to `successor`, with the quota that was set for them by hand unless it
/// has one.
fn hand_over(gate: &Arc<Gate>, successor: &Arc<Gate>, quotas: &Quotas) {
    gate.give_way(successor);
    let state = gate.lock();
    let by_hand = state.quota.clone().filter(|_| !state.is_adopted);
    drop(state);
    let Some((quota, route)) = by_hand.zip(Listing::route_of(successor.key())) else {
        return;
    };
    successor.at(Instant::now(), |state| {
        if state.quota.is_none() || state.is_adopted {
            quotas.shared.go_by(successor, state, &route, quota);
            state.is_adopted = false;
        }
    });
}

impl Adopted {
    fn insert(&self, account: &Arc<str>, listing: &Arc<Listing>) {
        let mut listings = self
            .listings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        listings.insert(Arc::clone(account), Arc::clone(listing));
        self.any.store(true, Ordering::Release);
    }

    fn of(&self, account: &str) -> Option<Arc<Listing>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let listings = self.listings.read().unwrap_or_else(PoisonError::into_inner);
        listings.get(account).cloned()
    }
}
