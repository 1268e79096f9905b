//! The pools of all keys.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::{
    adaptive::AdaptiveLimit,
    event::PoolEvent,
    full::Full,
    key::{KeyOf, PoolKey},
    places::Places,
    snapshot::PoolSnapshot,
};
use crate::{
    call::CallContext,
    cause::Cause,
    route::{Region, Route},
    route_gate::{Passage, RouteGate},
    sync::{Arc, Map, OnceLock, PoisonError, RwLock, table_of},
};

/// Five times the connections that botocore keeps by default (BEDROCK.md §7.4): enough that quotas, not
/// the pool, bound most applications, and a bound all the same.
const MAX_IN_FLIGHT: usize = 50;
/// Twenty rounds of the default pool: more cannot be served before most callers are gone.
const MAX_WAITING: usize = 1000;
/// About as long as a slow answer takes; who waits for longer is better told to go elsewhere.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Pools that are found by comparing, without a lock. They are never forgotten.
const FIRST: usize = table_of(8);
/// Pools beside them before those that nobody uses are forgotten.
const MAX_OTHERS: usize = table_of(1024);

type Listener = dyn Fn(&PoolEvent<'_>) + Send + Sync;

/// The pools of all keys: how many calls may be in flight in each, and how many are.
///
/// A pool comes into being with its key's first call. There is one for each region by default.
///
/// # Shared state
///
/// Clones share all pools. Give clones of one `Pools` to all layers of a process that call the same
/// regions. The methods that begin with `with_` say how pools are made, and begin with none: call
/// them before cloning.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_bedrock::{PoolKey, PoolLayer, Pools};
///
/// let pools = Pools::new()
///     .with_home_region("eu-west-1")
///     .with_max_in_flight(100)
///     .with_max_wait(Duration::from_secs(5));
/// let layer = PoolLayer::new(pools.clone());
///
/// // A region with less capacity than the others:
/// pools.set_limit(&PoolKey::region("eu-south-2"), 10);
/// assert_eq!(pools.snapshot_of(&PoolKey::region("eu-south-2")).limit, 10);
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct Pools(Arc<Shared>);

struct Shared {
    settings: Arc<Settings>,
    first: [OnceLock<Arc<Places>>; FIRST],
    others: RwLock<Map<PoolKey, Arc<Places>>>,
}

/// What all pools share.
#[derive(Clone)]
pub(super) struct Settings {
    limit: usize,
    /// Those of them that are full.
    pub(super) full: Full,
    pub(super) adaptive: Option<AdaptiveLimit>,
    pub(super) max_waiting: usize,
    pub(super) max_wait: Duration,
    home: Option<Region>,
    /// `None`: the region.
    key: Option<Arc<KeyOf>>,
    listener: Option<Arc<Listener>>,
    /// Who hears too, whatever pools it is given: the first who asks.
    observer: OnceLock<Arc<Listener>>,
}

impl Pools {
    /// 50 calls in flight for each region, up to 1000 more in line, each for up to a minute.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Settings {
            limit: MAX_IN_FLIGHT,
            full: Full::default(),
            adaptive: None,
            max_waiting: MAX_WAITING,
            max_wait: MAX_WAIT,
            home: None,
            key: None,
            listener: None,
            observer: OnceLock::new(),
        })
    }

    fn of(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings: Arc::new(settings),
            first: Default::default(),
            others: RwLock::default(),
        }))
    }

    /// At most this many calls of a pool are in flight; 50 by default. With 0, none is let through.
    #[must_use]
    pub fn with_max_in_flight(self, calls: usize) -> Self {
        self.change(|settings| {
            settings.limit = calls;
            settings.adaptive = None;
        })
    }

    /// Finds out how many calls may be in flight, within what `limit` allows.
    #[must_use]
    pub fn with_adaptive_limit(self, limit: AdaptiveLimit) -> Self {
        self.change(|settings| settings.adaptive = Some(limit))
    }

    /// At most this many calls wait in line at a pool; 1000 by default. With 0 none waits: a call
    /// that finds no place free is refused at once.
    #[must_use]
    pub fn with_max_waiting(self, calls: usize) -> Self {
        self.change(|settings| settings.max_waiting = calls)
    }

    /// No call waits longer than this, whatever its deadline; a minute by default.
    #[must_use]
    pub fn with_max_wait(self, longest: Duration) -> Self {
        self.change(|settings| settings.max_wait = longest)
    }

    /// Counts calls whose route names no region as calls to `region`: the one that the innermost
    /// service sends them to.
    #[must_use]
    pub fn with_home_region(self, region: impl Into<Region>) -> Self {
        self.change(|settings| settings.home = Some(region.into()))
    }

    /// Keeps a pool for each key that `key_of` tells, instead of each region. A key that has a model
    /// and no region stands for the home region.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::{PoolKey, Pools};
    ///
    /// // One pool for each model in each region, …
    /// let pools = Pools::new().with_key(|call| PoolKey::route(&call.route));
    /// // … and one for everything.
    /// let pool = Pools::new().with_key(|_| PoolKey::default());
    /// # let _ = (pools, pool);
    /// ```
    #[must_use]
    pub fn with_key<F>(self, key_of: F) -> Self
    where
        F: Fn(&CallContext) -> PoolKey + Send + Sync + 'static,
    {
        self.change(|settings| settings.key = Some(Arc::new(key_of)))
    }

    /// Tells `listener` of what happens in the pools, on the task where it happens. It must not
    /// block; it may look at the pools. Listeners that were added before hear first.
    #[must_use]
    pub fn on_event<F>(self, listener: F) -> Self
    where
        F: Fn(&PoolEvent<'_>) + Send + Sync + 'static,
    {
        self.change(|settings| {
            settings.listener = Some(match settings.listener.take() {
                Some(first) => Arc::new(move |event: &PoolEvent<'_>| {
                    first(event);
                    listener(event);
                }),
                None => Arc::new(listener),
            });
        })
    }

    /// Tells `observer` too, unless somebody observes the pools already. Unlike a listener's, these
    /// stay the pools that they are.
    #[cfg(feature = "metrics")]
    pub(crate) fn observe(&self, observer: impl Fn(&PoolEvent<'_>) + Send + Sync + 'static) {
        self.0.settings.observer.get_or_init(|| Arc::new(observer));
    }

    /// The region that calls without one are counted in.
    #[must_use]
    pub fn home_region(&self) -> Option<&Region> {
        self.0.settings.home.as_ref()
    }

    /// Allows this many calls in flight in one pool from now on, while calls go on: who waits and
    /// fits now goes, and who has a place keeps it. An adaptive limit ends for the pool.
    pub fn set_limit(&self, key: &PoolKey, calls: usize) {
        self.places(key).set_limit(calls);
    }

    /// What is known of one pool now.
    #[must_use]
    pub fn snapshot_of(&self, key: &PoolKey) -> PoolSnapshot {
        match self.known(key) {
            Some(places) => places.snapshot(),
            None => PoolSnapshot {
                key: key.clone(),
                limit: self.0.settings.initial_limit(),
                ..PoolSnapshot::default()
            },
        }
    }

    /// What is known of every pool now, in no order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PoolSnapshot> {
        let others = self.0.others.read();
        let others = others.unwrap_or_else(PoisonError::into_inner);
        let first = self.0.first.iter().filter_map(OnceLock::get);
        let all: Vec<_> = first.chain(others.values()).cloned().collect();
        drop(others);
        all.iter().map(|places| places.snapshot()).collect()
    }

    /// The pool of a call.
    #[inline]
    pub(super) fn of_call(&self, call: &CallContext) -> Arc<Places> {
        let settings = &*self.0.settings;
        if settings.key.is_some() {
            return self.places(&settings.key_of(call, &call.route));
        }
        match self.first_of(settings.region(&call.route)) {
            Some(places) => Arc::clone(places),
            None => self.places(&settings.key_of(call, &call.route)),
        }
    }

    /// The pool of a region, if it is one of the first.
    #[inline]
    fn first_of(&self, region: Option<&Region>) -> Option<&Arc<Places>> {
        let mut first = self.0.first.iter().map_while(OnceLock::get);
        first.find(|places| places.key().is_of(region))
    }

    fn known(&self, key: &PoolKey) -> Option<Arc<Places>> {
        for places in self.0.first.iter().map_while(OnceLock::get) {
            if places.key() == key {
                return Some(Arc::clone(places));
            }
        }
        if !self.0.has_others() {
            return None;
        }
        let others = self.0.others.read();
        let others = others.unwrap_or_else(PoisonError::into_inner);
        others.get(key).cloned()
    }

    fn places(&self, key: &PoolKey) -> Arc<Places> {
        if let Some(known) = self.known(key) {
            return known;
        }
        let others = self.0.others.write();
        let mut others = others.unwrap_or_else(PoisonError::into_inner);
        // Whoever else did not find it either may have been quicker.
        let mut first = self.0.first.iter().filter_map(OnceLock::get);
        if let Some(known) = first.find(|places| places.key() == key) {
            return Arc::clone(known);
        }
        if let Some(known) = others.get(key) {
            return Arc::clone(known);
        }
        let places = Arc::new(Places::new(key.clone(), Arc::clone(&self.0.settings)));
        if let Some(free) = self.0.first.iter().find(|free| free.get().is_none()) {
            return Arc::clone(free.get_or_init(|| places));
        }
        if others.len() >= MAX_OTHERS {
            others.retain(|_, places| Arc::strong_count(places) > 1 || places.is_in_use());
        }
        others.insert(key.clone(), Arc::clone(&places));
        places
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = (*self.0.settings).clone();
        change(&mut settings);
        Self::of(settings)
    }
}

/// Closed where a call would be refused at once. Where it would wait it is open: how long a wait for
/// somebody else's answer takes, nobody knows.
impl RouteGate for Pools {
    fn ask(&self, call: &CallContext, route: &Route, _: Instant) -> Passage {
        let settings = &*self.0.settings;
        let is_full = |places: &Places| places.is_full(settings.max_waiting_of(call));
        let is_full = if settings.key.is_some() {
            let places = self.known(&settings.key_of(call, route));
            places.is_some_and(|places| is_full(&places))
        } else {
            match self.first_of(settings.region(route)) {
                Some(places) => is_full(places),
                None if self.0.has_others() => {
                    let places = self.known(&settings.key_of(call, route));
                    places.is_some_and(|places| is_full(&places))
                }
                None => false,
            }
        };
        if is_full {
            return Passage::Closed {
                cause: Cause::PoolSaturated,
                retry_in: None,
            };
        }
        Passage::Open
    }

    fn is_open_everywhere(&self, _: &CallContext) -> bool {
        self.0.settings.full.is_none()
    }
}

impl Shared {
    /// Whether there may be others than the first: they come into being when those are all taken.
    fn has_others(&self) -> bool {
        self.first[FIRST - 1].get().is_some()
    }
}

impl Settings {
    pub(super) fn initial_limit(&self) -> usize {
        self.adaptive.map_or(self.limit, |limit| limit.initial())
    }

    /// How many may wait as far as `call` is concerned: one that may not wait stands in no line.
    pub(super) fn max_waiting_of(&self, call: &CallContext) -> usize {
        if self.max_wait_of(call).is_zero() {
            0
        } else {
            self.max_waiting
        }
    }

    /// How long `call` may wait.
    pub(super) fn max_wait_of(&self, call: &CallContext) -> Duration {
        call.max_wait.unwrap_or(Duration::MAX).min(self.max_wait)
    }

    fn region<'a>(&'a self, route: &'a Route) -> Option<&'a Region> {
        route.region.as_ref().or(self.home.as_ref())
    }

    /// The key of a call on `route`.
    fn key_of(&self, call: &CallContext, route: &Route) -> PoolKey {
        let Some(key_of) = &self.key else {
            return PoolKey {
                region: self.region(route).cloned(),
                ..PoolKey::default()
            };
        };
        let mut key = if call.route == *route {
            key_of(call)
        } else {
            let mut call = call.clone();
            call.route = route.clone();
            key_of(&call)
        };
        if key.model.is_some() && key.region.is_none() {
            key.region.clone_from(&self.home);
        }
        key
    }

    pub(super) fn tell(&self, event: &PoolEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::pool(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
        if let Some(observer) = self.observer.get() {
            observer(event);
        }
    }
}

impl Default for Pools {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("limit", &self.limit)
            .field("adaptive", &self.adaptive)
            .field("max_waiting", &self.max_waiting)
            .field("max_wait", &self.max_wait)
            .field("home_region", &self.home)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
