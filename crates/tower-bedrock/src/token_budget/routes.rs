//! Which gate the calls to a route go through.

use super::gate::Gate;
use crate::{
    route::Route,
    sync::{
        Arc, Map, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        table_of,
    },
};

/// Routes whose key is remembered; more than any application calls. Beyond it, they are resolved
/// anew.
const MAX_ROUTES: usize = table_of(1024);
/// Routes that are found by comparing.
const FIRST_ROUTES: usize = table_of(8);
/// Routes without a gate that are remembered, to be found by comparing: those of a few ladders.
const MAX_ABSENT: usize = table_of(64);

/// The gates of routes that were called before, and routes that were asked for and have none.
#[derive(Default)]
pub(super) struct Routes {
    /// The first ones, found by comparing and without a lock: for as few, that is quicker than
    /// hashing.
    first: [OnceLock<(Route, Arc<Gate>)>; FIRST_ROUTES],
    /// The first ones that had no gate when somebody asked for it, when there were so many gates.
    first_absent: [OnceLock<(Route, AtomicU64)>; FIRST_ROUTES],
    others: RwLock<OtherRoutes>,
}

#[derive(Default)]
struct OtherRoutes {
    gates: Map<Route, Arc<Gate>>,
    /// Routes that had no gate when somebody asked for it, when there were so many gates.
    absent: Vec<Route>,
    absent_at: u64,
}

/// The gate of a route.
#[derive(Clone)]
pub(super) enum Found<G> {
    /// One of the first, by its number: whoever has the routes has it.
    First(u8, G),
    Other(Arc<Gate>),
}

impl Found<&Arc<Gate>> {
    #[inline]
    pub(super) const fn gate(&self) -> &Arc<Gate> {
        match self {
            Self::First(_, gate) => gate,
            Self::Other(gate) => gate,
        }
    }

    /// The same, to be kept.
    #[inline]
    pub(super) fn keep(self) -> Kept {
        match self {
            Self::First(number, _) => Found::First(number, ()),
            Self::Other(gate) => Found::Other(gate),
        }
    }
}

/// A gate that is kept without counting who keeps it, if it is one of the first.
pub(super) type Kept = Found<()>;

impl Routes {
    #[inline]
    pub(super) fn first(&self, route: &Route) -> Option<Found<&Arc<Gate>>> {
        for (number, known) in (0..).zip(&self.first) {
            let (known, gate) = known.get()?;
            if is_same(known, route) {
                return Some(match gate.successor() {
                    None => Found::First(number, gate),
                    Some(successor) => Found::Other(Arc::clone(successor)),
                });
            }
        }
        None
    }

    /// What was found before.
    #[inline]
    pub(super) fn kept<'a>(&'a self, kept: &'a Kept) -> Option<&'a Arc<Gate>> {
        match kept {
            Found::First(number, ()) => {
                let known = self.first.get(usize::from(*number))?;
                known.get().map(|(_, gate)| gate)
            }
            Found::Other(gate) => Some(gate),
        }
    }

    pub(super) fn other(&self, route: &Route) -> Option<Arc<Gate>> {
        // The others come into being when the first are all taken.
        self.first[FIRST_ROUTES - 1].get()?;
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        others.gates.get(route).map(Gate::current).cloned()
    }

    pub(super) fn insert(&self, route: &Route, gate: &Arc<Gate>) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        if self.first(route).is_some() {
            return;
        }
        let free = self.first.iter().find(|free| free.get().is_none());
        if let Some(free) = free {
            free.get_or_init(|| (route.clone(), Arc::clone(gate)));
            return;
        }
        if others.gates.len() >= MAX_ROUTES {
            *others = OtherRoutes::default();
        }
        others.gates.insert(route.clone(), Arc::clone(gate));
    }

    /// Whether `route` had no gate when so many were `made`.
    #[inline]
    pub(super) fn is_absent(&self, route: &Route, made: u64) -> bool {
        let mut first = self.first_absent.iter().map_while(OnceLock::get);
        match first.find(|(known, _)| is_same(known, route)) {
            Some((_, absent_at)) => absent_at.load(Ordering::Acquire) == made,
            None => self.is_other_absent(route, made),
        }
    }

    fn is_other_absent(&self, route: &Route, made: u64) -> bool {
        // The others come into being when the first are all taken.
        if self.first_absent[FIRST_ROUTES - 1].get().is_none() {
            return false;
        }
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        others.absent_at == made && others.absent.contains(route)
    }

    pub(super) fn insert_absent(&self, route: &Route, made: u64) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        for place in &self.first_absent {
            // Nobody else fills one: the others are locked.
            let (known, absent_at) = place.get_or_init(|| (route.clone(), AtomicU64::new(made)));
            if is_same(known, route) {
                absent_at.store(made, Ordering::Release);
                return;
            }
        }
        if others.absent_at != made || others.absent.len() >= MAX_ABSENT {
            others.absent.clear();
            others.absent_at = made;
        }
        others.absent.push(route.clone());
    }
}

/// Whether two routes are the same. What differs between those of one application comes first: most have the
/// same model, in another region.
#[inline]
fn is_same(one: &Route, other: &Route) -> bool {
    one.tier == other.tier && one.region == other.region && one.model == other.model
}
