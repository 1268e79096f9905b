//! The circuits that are remembered.

use tokio::time::Instant;

use super::{breakers::Settings, circuit::Circuit, entrance::Entrances, snapshot::CircuitState};
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
    first: [OnceLock<Entrances>; FIRST],
    others: RwLock<Map<Route, Entrances>>,
}

impl Circuits {
    /// What `pick` takes from the circuit of `route`, if that is known.
    #[inline]
    pub(super) fn get<T>(
        &self,
        settings: &Settings,
        route: &Route,
        pick: impl FnOnce(&Entrances) -> T,
    ) -> Option<T> {
        match self.first(settings, route) {
            Some(known) => Some(pick(known)),
            None => self.other_of(settings, route, pick),
        }
    }

    /// The circuit of `route`, if it is one of the first.
    #[inline]
    pub(super) fn first(&self, settings: &Settings, route: &Route) -> Option<&Entrances> {
        let mut first = self.first.iter().map_while(OnceLock::get);
        first.find(|known| settings.is_of(known.circuit().route(), route))
    }

    fn other_of<T>(
        &self,
        settings: &Settings,
        route: &Route,
        pick: impl FnOnce(&Entrances) -> T,
    ) -> Option<T> {
        // The others come into being when the first are all taken.
        self.first[FIRST - 1].get()?;
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        others.get(&settings.key_of(route)).map(pick)
    }

    /// The same of a circuit that is made, closed, if it is not known.
    #[inline]
    pub(super) fn get_or_insert<T>(
        &self,
        settings: &Arc<Settings>,
        route: &Route,
        pick: impl Fn(&Entrances) -> T,
    ) -> T {
        match self.get(settings, route, &pick) {
            Some(known) => known,
            None => self.insert(settings, route, pick),
        }
    }

    #[cold]
    fn insert<T>(
        &self,
        settings: &Arc<Settings>,
        route: &Route,
        pick: impl FnOnce(&Entrances) -> T,
    ) -> T {
        let key = settings.key_of(route);
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever else did not find it either may have been quicker.
        let known = self.first.iter().filter_map(OnceLock::get);
        if let Some(known) = known
            .into_iter()
            .find(|known| *known.circuit().route() == key)
        {
            return pick(known);
        }
        if let Some(known) = others.get(&key) {
            return pick(known);
        }
        let circuit = Circuit::new(key.clone(), Arc::clone(settings));
        let made = Entrances::new(Arc::new(circuit));
        let free = self.first.iter().find(|place| place.get().is_none());
        if let Some(place) = free {
            return pick(place.get_or_init(|| made));
        }
        let forgotten = if others.len() < MAX_OTHERS {
            Vec::new()
        } else {
            make_room(&mut others)
        };
        let picked = pick(&made);
        others.insert(key, made);
        drop(others);
        for circuit in forgotten {
            circuit.forget();
        }
        picked
    }

    /// All circuits, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Circuit>> {
        let first = self.first.iter().filter_map(OnceLock::get);
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        let all = first.chain(others.values());
        all.map(|known| Arc::clone(known.circuit())).collect()
    }
}

/// Takes out what can be missed best, and returns what somebody may still hold.
fn make_room(others: &mut Map<Route, Entrances>) -> Vec<Arc<Circuit>> {
    let now = Instant::now();
    others.retain(|_, known| known.is_in_use() || !is_idle(known.circuit(), now));
    // Room for many at once, so that the search is not made for each of them.
    let excess = others.len().saturating_sub(MAX_OTHERS / 4 * 3);
    if excess == 0 {
        return Vec::new();
    }
    let mut candidates: Vec<_> = others
        .values()
        .map(Entrances::circuit)
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
