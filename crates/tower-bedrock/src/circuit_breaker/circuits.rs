//! The circuits that are remembered.

use tokio::time::Instant;

use super::{breakers::Settings, circuit::Circuit, snapshot::CircuitState};
use crate::{
    route::Route,
    sync::{Arc, Map, OnceLock, PoisonError, RwLock, table_of},
};

/// Circuits that are found by comparing, without a lock: for as few, that is quicker than hashing.
/// They are never forgotten.
const FIRST: usize = table_of(8);
/// Circuits beside them. More than any application calls; beyond it, those that are not in use are
/// forgotten, and if there are too few of them, those that have not been used for longest.
pub(super) const MAX_OTHERS: usize = table_of(1024);

/// Circuits by what they stand for.
#[derive(Debug, Default)]
pub(super) struct Circuits {
    first: [OnceLock<Arc<Circuit>>; FIRST],
    others: RwLock<Map<Route, Arc<Circuit>>>,
}

impl Circuits {
    /// The circuit of `route`, if it is known.
    #[inline]
    pub(super) fn get(&self, settings: &Settings, route: &Route) -> Option<Arc<Circuit>> {
        match self.first_of(settings, route) {
            Some(circuit) => Some(Arc::clone(circuit)),
            None => self.other_of(settings, route),
        }
    }

    /// Whether the circuit of `route` lets calls pass as they come, as one does that is not known.
    pub(super) fn passes(&self, settings: &Settings, route: &Route) -> bool {
        match self.first_of(settings, route) {
            Some(circuit) => circuit.passes(),
            None => self
                .other_of(settings, route)
                .is_none_or(|circuit| circuit.passes()),
        }
    }

    #[inline]
    fn first_of(&self, settings: &Settings, route: &Route) -> Option<&Arc<Circuit>> {
        let mut first = self.first.iter().map_while(OnceLock::get);
        first.find(|circuit| settings.is_of(circuit.route(), route))
    }

    fn other_of(&self, settings: &Settings, route: &Route) -> Option<Arc<Circuit>> {
        // The others come into being when the first are all taken.
        self.first[FIRST - 1].get()?;
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        others.get(&settings.key_of(route)).cloned()
    }

    /// The circuit of `route`, a closed one if it is not known.
    #[inline]
    pub(super) fn get_or_insert(&self, settings: &Arc<Settings>, route: &Route) -> Arc<Circuit> {
        if let Some(known) = self.get(settings, route) {
            return known;
        }
        let key = settings.key_of(route);
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever else did not find it either may have been quicker.
        let known = self.first.iter().filter_map(OnceLock::get);
        if let Some(known) = known.into_iter().find(|known| *known.route() == key) {
            return Arc::clone(known);
        }
        if let Some(known) = others.get(&key) {
            return Arc::clone(known);
        }
        let circuit = Arc::new(Circuit::new(key.clone(), Arc::clone(settings)));
        let free = self.first.iter().find(|place| place.get().is_none());
        if let Some(place) = free {
            return Arc::clone(place.get_or_init(|| circuit));
        }
        let forgotten = if others.len() < MAX_OTHERS {
            Vec::new()
        } else {
            make_room(&mut others)
        };
        others.insert(key, Arc::clone(&circuit));
        drop(others);
        for circuit in forgotten {
            circuit.forget();
        }
        circuit
    }

    /// All circuits, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Circuit>> {
        let first = self.first.iter().filter_map(OnceLock::get).cloned();
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        first.chain(others.values().cloned()).collect()
    }
}

/// Takes out what can be missed best, and returns what somebody may still hold.
fn make_room(others: &mut Map<Route, Arc<Circuit>>) -> Vec<Arc<Circuit>> {
    let now = Instant::now();
    others.retain(|_, circuit| Arc::strong_count(circuit) > 1 || !is_idle(circuit, now));
    // Room for many at once, so that the search is not made for each of them.
    let excess = others.len().saturating_sub(MAX_OTHERS / 4 * 3);
    if excess == 0 {
        return Vec::new();
    }
    let mut candidates: Vec<_> = others
        .values()
        .map(|circuit| (how_missed(circuit, now), Arc::clone(circuit)))
        .filter_map(|(missed, circuit)| Some((missed?, circuit)))
        .collect();
    candidates.sort_by_key(|(missed, _)| *missed);
    candidates.truncate(excess);
    let forgotten: Vec<_> = candidates.into_iter().map(|(_, circuit)| circuit).collect();
    for circuit in &forgotten {
        others.remove(circuit.route());
    }
    forgotten
}

/// Whether a fresh circuit would be the same.
fn is_idle(circuit: &Circuit, now: Instant) -> bool {
    let view = circuit.view(now);
    view.state == CircuitState::Closed
        && !view.is_forced
        && view.counts.calls == 0
        && view.consecutive_failures == 0
        && !circuit.is_watched()
}

/// The less, the sooner it is forgotten: the closed ones before the others, the longest unused
/// first. What somebody set by hand or watches is never forgotten.
fn how_missed(circuit: &Circuit, now: Instant) -> Option<(bool, Instant)> {
    let last_used = circuit.last_used();
    let view = circuit.view(now);
    let is_kept = view.is_forced || circuit.is_watched();
    (!is_kept).then_some((view.state != CircuitState::Closed, last_used))
}
