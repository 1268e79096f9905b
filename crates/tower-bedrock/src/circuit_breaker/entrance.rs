//! How threads hold on to a circuit.

use super::{circuit::Circuit, lanes::LANES, outcome::Ticket};
use crate::sync::{Arc, OnceLock};

/// A circuit as the threads of one lane hold on to it, so that how many calls they have under way is
/// counted apart, too.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Entrance {
    pub(super) circuit: Arc<Circuit>,
    pub(super) lane: usize,
}

/// The way past a circuit for one call, which has not gone it yet.
pub(super) struct Way<'a> {
    pub(super) entrance: &'a Arc<Entrance>,
    pub(super) generation: u64,
}

/// A circuit that is remembered, with one entrance for each lane that calls have come by.
#[derive(Debug)]
pub(super) struct Entrances {
    circuit: Arc<Circuit>,
    entrances: [OnceLock<Arc<Entrance>>; LANES],
}

impl Way<'_> {
    /// The call goes.
    #[inline(never)]
    pub(super) fn go(&self) -> (Arc<Entrance>, Ticket) {
        let Entrance { circuit, lane } = &**self.entrance;
        let ticket = circuit.bypass().admit(*lane, self.generation);
        (Arc::clone(self.entrance), ticket)
    }
}

impl Entrances {
    pub(super) fn new(circuit: Arc<Circuit>) -> Self {
        Self {
            circuit,
            entrances: Default::default(),
        }
    }

    #[inline]
    pub(super) const fn circuit(&self) -> &Arc<Circuit> {
        &self.circuit
    }

    /// The one of `lane`.
    #[inline]
    pub(super) fn of(&self, lane: usize) -> &Arc<Entrance> {
        let lane = lane % LANES;
        self.entrances[lane].get_or_init(|| {
            let circuit = Arc::clone(&self.circuit);
            Arc::new(Entrance { circuit, lane })
        })
    }

    /// Whether somebody else holds on to the circuit.
    pub(super) fn is_in_use(&self) -> bool {
        let own = self.entrances.iter().filter_map(OnceLock::get);
        Arc::strong_count(&self.circuit) > 1 + own.clone().count()
            || own
                .into_iter()
                .any(|entrance| Arc::strong_count(entrance) > 1)
    }
}
