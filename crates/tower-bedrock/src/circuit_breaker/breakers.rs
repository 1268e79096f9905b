//! The circuits of all routes.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use super::{
    breaker::Breaker,
    bus::Bus,
    circuit::Circuit,
    circuits::Circuits,
    entrance::Way,
    event::{CircuitEvent, CircuitTransition},
    invalid::InvalidCircuitPolicy,
    key::CircuitKey,
    lanes,
    outcome::Refused,
    permit::Permit,
    policy::CircuitPolicy,
    snapshot::{CircuitSnapshot, CircuitState},
    turn::Waiting,
};
use crate::{
    call::CallContext,
    cause::{Cause, Reactions},
    error::Error,
    retry::Jitter,
    route::{Region, Route},
    route_gate::{Passage, RouteGate},
    sync::atomic::{AtomicU32, Ordering},
};

/// The circuits of all routes: to be looked at, listened to, and opened or closed by hand while
/// calls go on.
///
/// A circuit comes into being with its route's first call. Some thousand are remembered; beyond
/// that, those are forgotten that are not in use.
///
/// # Shared state
///
/// Clones share all circuits. Give clones of one `CircuitBreakers` to all layers of a process, so
/// that what one of them finds out the others know. The methods that begin with `with_` say how
/// circuits are made, and begin with none: call them before cloning.
///
/// # Example
///
/// ```
/// use tower_bedrock::{CircuitBreakerLayer, CircuitBreakers, CircuitEvent, CircuitState, Route};
///
/// let breakers = CircuitBreakers::new()
///     .with_home_region("us-east-1")
///     .on_event(|event| {
///         if let CircuitEvent::Changed { transition, .. } = event {
///             eprintln!("{} is {}: {}", transition.route, transition.to, transition.reason);
///         }
///     });
/// let layer = CircuitBreakerLayer::new(breakers.clone());
///
/// let nova = Route::to("us.amazon.nova-lite-v1:0".parse()?);
/// assert_eq!(breakers.state(&nova), CircuitState::Closed);
/// // The region is being looked after: nothing is sent there until it is reset.
/// breakers.force_open(&nova);
/// assert_eq!(breakers.state(&nova.clone().in_region("us-east-1")), CircuitState::Open);
/// breakers.reset(&nova);
/// # let _ = layer;
/// # Ok::<(), tower_bedrock::InvalidModelId>(())
/// ```
#[derive(Clone)]
pub struct CircuitBreakers(Arc<Panel>);

struct Panel {
    settings: Arc<Settings>,
    circuits: Circuits,
}

/// What all circuits share.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) policy: CircuitPolicy,
    pub(super) reactions: Reactions,
    pub(super) jitter: Jitter,
    pub(super) bus: Bus,
    /// How many circuits do not let calls pass as they come.
    stops: AtomicU32,
    key: CircuitKey,
    home: Option<Region>,
}

/// A circuit that does not let a call through.
pub(super) struct Closed {
    pub(super) circuit: Arc<Circuit>,
    pub(super) retry_in: Option<Duration>,
}

impl Closed {
    /// Has the call wait, or refuses it.
    #[cold]
    pub(super) fn wait(self, call: &CallContext) -> Result<Pin<Box<Waiting>>, Error> {
        let Self { circuit, retry_in } = self;
        Waiting::begin(&circuit, call, Instant::now(), retry_in)
            .ok_or_else(|| circuit.refuse(call, retry_in))
    }
}

impl CircuitBreakers {
    /// No circuits yet, with the defaults of [`CircuitPolicy::new`], one for each route.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Settings {
            policy: CircuitPolicy::new(),
            reactions: Reactions::default(),
            jitter: Jitter::new(),
            bus: Bus::default(),
            stops: AtomicU32::new(0),
            key: CircuitKey::Route,
            home: None,
        })
    }

    fn of(settings: Settings) -> Self {
        Self(Arc::new(Panel {
            settings: Arc::new(settings),
            circuits: Circuits::default(),
        }))
    }

    /// Opens and closes circuits as `policy` says.
    ///
    /// # Errors
    ///
    /// [`InvalidCircuitPolicy`] says what cannot be meant.
    pub fn with_policy(self, policy: CircuitPolicy) -> Result<Self, InvalidCircuitPolicy> {
        policy.check()?;
        Ok(self.change(|settings| settings.policy = policy))
    }

    /// Counts calls whose route names no region as calls to `region`: the one that the innermost
    /// service sends them to.
    #[must_use]
    pub fn with_home_region(self, region: impl Into<Region>) -> Self {
        self.change(|settings| settings.home = Some(region.into()))
    }

    /// The region that calls without one are counted for, if it is known.
    #[must_use]
    pub fn home_region(&self) -> Option<&Region> {
        self.0.settings.home.as_ref()
    }

    /// Keeps one circuit for each `key`; for each route by default.
    #[must_use]
    pub fn with_key(self, key: CircuitKey) -> Self {
        self.change(|settings| settings.key = key)
    }

    /// Takes what causes say of a route's health from `reactions` instead of the default table.
    ///
    /// What our own layers refuse says nothing of a route, whatever the table says.
    #[must_use]
    pub fn with_reactions(self, reactions: Reactions) -> Self {
        self.change(|settings| settings.reactions = reactions)
    }

    /// Draws cooldowns from `jitter`.
    #[must_use]
    pub fn with_jitter(self, jitter: Jitter) -> Self {
        self.change(|settings| settings.jitter = jitter)
    }

    /// Tells `listener` of every transition of every circuit, in their order and each once, and of
    /// every call that is refused. It hears on the task where that happens, or on that of somebody
    /// who is at telling a transition before it. It must not block; it may look at the circuits.
    ///
    /// Clones of this `CircuitBreakers` tell it too. Listeners that were added before hear first.
    #[must_use]
    pub fn on_event<F>(self, listener: F) -> Self
    where
        F: Fn(&CircuitEvent<'_>) + Send + Sync + 'static,
    {
        self.0.settings.bus.listen(Arc::new(listener));
        self
    }

    /// Adds `observer` to the listeners, unless somebody observes the circuits already.
    #[cfg(feature = "metrics")]
    pub(crate) fn observe(&self, observer: impl Fn(&CircuitEvent<'_>) + Send + Sync + 'static) {
        let bus = &self.0.settings.bus;
        if bus.is_first_observer() {
            bus.listen(Arc::new(observer));
        }
    }

    /// All transitions from now on, of every circuit and in their order. A receiver that is more
    /// than 256 behind is told how many it missed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<CircuitTransition> {
        self.0.settings.bus.subscribe()
    }

    /// The state of the circuit of `route`, to be waited for. As with all `watch` channels, a state
    /// that does not last may be missed; [`subscribe`](Self::subscribe) misses none.
    #[must_use]
    pub fn watch(&self, route: &Route) -> watch::Receiver<CircuitState> {
        self.circuit(route).watch()
    }

    /// The state of the circuit of `route`; closed if it has not been called yet. An open circuit
    /// whose cooldown is over stays open until the next call comes.
    #[must_use]
    pub fn state(&self, route: &Route) -> CircuitState {
        self.known(route)
            .map_or(CircuitState::Closed, |circuit| circuit.state())
    }

    /// What is known of the circuit of `route` now.
    #[must_use]
    pub fn snapshot_of(&self, route: &Route) -> CircuitSnapshot {
        match self.known(route) {
            Some(circuit) => snapshot(&circuit, Instant::now()),
            None => CircuitSnapshot {
                route: self.0.settings.key_of(route),
                ..CircuitSnapshot::default()
            },
        }
    }

    /// What is known of every circuit now, in no order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<CircuitSnapshot> {
        let now = Instant::now();
        let all = self.0.circuits.all();
        all.iter().map(|circuit| snapshot(circuit, now)).collect()
    }

    /// Opens the circuit of `route` until it is [`reset`](Self::reset) or
    /// [closed by hand](Self::force_closed): every call is refused, and no probe is sent.
    pub fn force_open(&self, route: &Route) {
        self.circuit(route).force(Breaker::force_open);
    }

    /// Closes the circuit of `route` until it is [`reset`](Self::reset) or
    /// [opened by hand](Self::force_open), whatever comes of its calls.
    pub fn force_closed(&self, route: &Route) {
        self.circuit(route).force(Breaker::force_closed);
    }

    /// Closes the circuit of `route` as if nothing had ever happened.
    pub fn reset(&self, route: &Route) {
        if let Some(circuit) = self.known(route) {
            circuit.force(Breaker::reset);
        }
    }

    /// The way past a closed circuit, where there is nothing else to do.
    pub(super) fn way(&self, route: &Route) -> Option<Way<'_>> {
        let Panel { settings, circuits } = &*self.0;
        if settings.policy.takes_time() {
            return None;
        }
        let lane = lanes::of_thread();
        let entrance = circuits.first(settings, route)?.of(lane);
        let generation = entrance.circuit.bypass().passes()?;
        Some(Way {
            entrance,
            generation,
        })
    }

    /// Admits a call, or refuses it.
    pub(super) fn admit(&self, call: &mut CallContext) -> Result<Permit, Closed> {
        let Panel { settings, circuits } = &*self.0;
        let lane = lanes::of_thread();
        loop {
            let entrance =
                circuits.get_or_insert(settings, &call.route, |known| Arc::clone(known.of(lane)));
            match entrance.circuit.admit(lane) {
                Ok(ticket) => {
                    let permit = Permit::new(entrance, ticket, call.deadline);
                    if settings.policy.takes_time() {
                        return Ok(permit.timed(Instant::now(), call));
                    }
                    return Ok(permit);
                }
                // Forgotten in this very moment.
                Err(Refused::Forgotten) => {}
                Err(Refused::Open { retry_in }) => {
                    let circuit = Arc::clone(&entrance.circuit);
                    return Err(Closed { circuit, retry_in });
                }
            }
        }
    }

    /// Refuses a call that would not be admitted now, and leaves it be if it would.
    pub(super) fn refuse_early(&self, call: &CallContext) -> Result<(), Closed> {
        match self.known(&call.route) {
            Some(circuit) => circuit
                .refuse_early()
                .map_err(|retry_in| Closed { circuit, retry_in }),
            None => Ok(()),
        }
    }

    pub(super) fn circuit(&self, route: &Route) -> Arc<Circuit> {
        let Panel { settings, circuits } = &*self.0;
        circuits.get_or_insert(settings, route, |known| Arc::clone(known.circuit()))
    }

    fn known(&self, route: &Route) -> Option<Arc<Circuit>> {
        let Panel { settings, circuits } = &*self.0;
        circuits.get(settings, route, |known| Arc::clone(known.circuit()))
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let old = &*self.0.settings;
        let mut settings = Settings {
            policy: old.policy,
            reactions: old.reactions.clone(),
            jitter: old.jitter.clone(),
            bus: old.bus.another(),
            stops: AtomicU32::new(0),
            key: old.key,
            home: old.home.clone(),
        };
        change(&mut settings);
        Self::of(settings)
    }
}

/// Open where a call would go through, as a probe too. Other calls may be quicker to take the place
/// of the probe.
impl RouteGate for CircuitBreakers {
    fn ask(&self, _: &CallContext, route: &Route, now: Instant) -> Passage {
        let Panel { settings, circuits } = &*self.0;
        let passes = circuits.get(settings, route, |known| known.circuit().passes());
        if passes.unwrap_or(true) {
            return Passage::Open;
        }
        let Some(circuit) = self.known(route) else {
            return Passage::Open;
        };
        match circuit.view(now).passage {
            Ok(()) => Passage::Open,
            Err(retry_in) => Passage::Closed {
                cause: Cause::CircuitOpen,
                retry_in,
            },
        }
    }

    fn is_open_everywhere(&self, _: &CallContext) -> bool {
        self.0.settings.all_pass()
    }
}

fn snapshot(circuit: &Circuit, now: Instant) -> CircuitSnapshot {
    CircuitSnapshot::new(
        circuit.route().clone(),
        circuit.view(now),
        circuit.waiting(),
    )
}

impl Settings {
    /// One of the circuits has come to stop calls, or to let them pass again.
    pub(super) fn count_stop(&self, stops: bool) {
        if stops {
            self.stops.fetch_add(1, Ordering::Release);
        } else {
            self.stops.fetch_sub(1, Ordering::Release);
        }
    }

    /// Whether all circuits let calls pass as they come.
    fn all_pass(&self) -> bool {
        self.stops.load(Ordering::Acquire) == 0
    }

    pub(super) fn key_of(&self, route: &Route) -> Route {
        self.key.of(route, self.home.as_ref())
    }

    /// Whether the circuit that stands for `key` is the one of `route`.
    #[inline]
    pub(super) fn is_of(&self, key: &Route, route: &Route) -> bool {
        self.key.matches(key, route, self.home.as_ref())
    }
}

impl Default for CircuitBreakers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CircuitBreakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakers")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
