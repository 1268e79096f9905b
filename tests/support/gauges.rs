//! What is held for calls, read off whatever holds it.

use std::{collections::BTreeMap, fmt};

use bedrock_sim::SimService;
use tower_bedrock::{CircuitBreakers, Pools, Quotas, Stack, StackLayer};

use crate::probe::Probe;

/// What is held for calls. Without calls it reads nothing.
#[derive(Clone, Default)]
pub struct Gauges {
    quotas: Option<Quotas>,
    pools: Option<Pools>,
    breakers: Option<CircuitBreakers>,
    sim: Option<SimService>,
    probe: Option<Probe>,
}

impl Gauges {
    /// Those of all layers of a stack.
    #[must_use]
    pub fn of_stack<S>(stack: &Stack<S>) -> Self {
        Self {
            quotas: stack.quotas().cloned(),
            pools: stack.pools().cloned(),
            breakers: stack.breakers().cloned(),
            ..Self::default()
        }
    }

    /// The same of a stack inside of the SDK.
    #[must_use]
    pub fn of_layer<L>(stack: &StackLayer<L>) -> Self {
        Self {
            quotas: stack.quotas().cloned(),
            pools: stack.pools().cloned(),
            breakers: stack.breakers().cloned(),
            ..Self::default()
        }
    }

    /// Those of these quotas, too.
    #[must_use]
    pub fn and_quotas(mut self, quotas: &Quotas) -> Self {
        self.quotas = Some(quotas.clone());
        self
    }

    /// Those of these pools, too.
    #[must_use]
    pub fn and_pools(mut self, pools: &Pools) -> Self {
        self.pools = Some(pools.clone());
        self
    }

    /// Those of these circuits, too.
    #[must_use]
    pub fn and_breakers(mut self, breakers: &CircuitBreakers) -> Self {
        self.breakers = Some(breakers.clone());
        self
    }

    /// Those of a simulator, too.
    #[must_use]
    pub fn and_sim(mut self, sim: &SimService) -> Self {
        self.sim = Some(sim.clone());
        self
    }

    /// Those of a probe, too.
    #[must_use]
    pub fn and_probe(mut self, probe: &Probe) -> Self {
        self.probe = Some(probe.clone());
        self
    }

    /// What is held now: names and amounts that are not zero.
    #[must_use]
    pub fn held(&self) -> BTreeMap<String, u64> {
        let mut held = BTreeMap::new();
        let mut note = |what: String, amount: u64| {
            if amount != 0 {
                held.insert(what, amount);
            }
        };
        for quota in self.quotas.iter().flat_map(Quotas::snapshot) {
            let key = &quota.key;
            note(format!("calls in line for {key:?}"), quota.waiting as u64);
            note(format!("tokens in line for {key:?}"), quota.tokens_waiting);
            note(format!("tokens held of {key:?}"), quota.tokens_held);
        }
        for pool in self.pools.iter().flat_map(Pools::snapshot) {
            let key = &pool.key;
            note(format!("places taken of {key:?}"), pool.in_flight as u64);
            note(format!("calls in line for {key:?}"), pool.waiting as u64);
        }
        for circuit in self.breakers.iter().flat_map(CircuitBreakers::snapshot) {
            note(
                format!("probes of {}", circuit.route),
                circuit.probes as u64,
            );
        }
        if let Some(sim) = &self.sim {
            let totals = sim.ledger().totals;
            note("in flight at the service".to_owned(), totals.in_flight);
            note("held by the service".to_owned(), totals.tokens_held);
        }
        if let Some(probe) = &self.probe {
            note("under way at the service".to_owned(), probe.under_way());
            note("replies that go on".to_owned(), probe.open_replies());
        }
        held
    }

    /// Nothing is held.
    ///
    /// # Panics
    ///
    /// If anything is, with `when` to tell when.
    #[track_caller]
    pub fn assert_at_rest(&self, when: impl fmt::Display) {
        let held = self.held();
        assert!(held.is_empty(), "{when}: still held: {held:#?}");
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauges")
            .field("held", &self.held())
            .finish()
    }
}
