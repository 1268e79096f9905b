//! The quotas of all keys, and what is drawn of them.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::{
    adopt::Adopted,
    calibration::Calibration,
    gate::Gate,
    invalid::InvalidQuota,
    ledger_of::ledger_of,
    quota::{DailyReset, Quota},
    room::LeastRoom,
    routes::{Found, Kept, Routes},
    snapshot::QuotaSnapshot,
    state::State,
    terms::Terms,
    window::{DAY, SECOND},
};
use crate::{
    route::{QuotaKey, Region, Route},
    sync::{
        Arc, Map, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        table_of,
    },
};

/// Gates without a quota that are remembered, about 20 KiB each; beyond it, those that can be missed best
/// are forgotten.
const MAX_UNCONFIGURED: usize = table_of(1024);
/// So many gates are looked at to know what all of them have room for.
const FEW_GATES: usize = 64;
/// How long a ledger stays closed when the day's tokens are used up and come back each in their
/// time: an hourly refusal is a cheap way to find out.
const CLOSED_FOR: u64 = 3600 * SECOND;

/// The quotas of an account, by model, path and region: to be set, changed and looked at while calls
/// go on.
///
/// There is one ledger for each [`QuotaKey`]; it comes into being when its quota is set or its first
/// call is made. Without a quota it only learns from refusals.
///
/// # Shared state
///
/// Clones share all quotas and ledgers. Give clones of one `Quotas` to all layers of a process, so
/// that all its calls are counted together. Where clients have different home regions, tell each clone
/// its own: the ledgers stay the same, and calls without a region are counted where they go.
///
/// ```
/// use tower_bedrock::{Quotas, TokenBudgetLayer};
///
/// let quotas = Quotas::new();
/// let in_frankfurt = TokenBudgetLayer::new(quotas.clone().with_home_region("eu-central-1"));
/// let in_virginia = TokenBudgetLayer::new(quotas.clone().with_home_region("us-east-1"));
/// # let _ = (in_frankfurt, in_virginia);
/// ```
///
/// # Example
///
/// ```
/// use tower_bedrock::{Limit, Quota, Quotas, Route, TokenBudgetLayer};
///
/// let quotas = Quotas::new().with_home_region("eu-central-1");
/// let sonnet = Route::to("eu.anthropic.claude-sonnet-4-6".parse()?);
/// quotas.set(&sonnet, Quota::new().with_tokens_per_minute(200_000))?;
/// let layer = TokenBudgetLayer::new(quotas.clone());
///
/// // Later, when the quota was raised:
/// quotas.set(&sonnet, Quota::new().with_tokens_per_minute(1_000_000))?;
/// let snapshot = quotas.snapshot_of(&sonnet);
/// assert_eq!(snapshot.limit(Limit::TokensPerMinute), Some(1_000_000));
/// assert_eq!(snapshot.tokens_used, 0);
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Quotas {
    pub(super) account: Arc<str>,
    home: Option<Region>,
    routes: Arc<Routes>,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    gates: RwLock<Gates>,
    /// What accounts were found to be allowed.
    pub(super) adopted: Adopted,
    /// What all gates have room for.
    pub(super) least: Arc<LeastRoom>,
    /// How many gates were ever made.
    made: AtomicU64,
    /// When time starts in the ledgers, and how long after UTC midnight that was.
    start: Instant,
    time_of_day: Duration,
}

struct Gates {
    by_key: Map<QuotaKey, Arc<Gate>>,
    /// How many there may be before some are forgotten.
    sweep_at: usize,
}

impl Quotas {
    /// No quotas yet, of an account that is called `default`.
    #[must_use]
    pub fn new() -> Self {
        #[allow(clippy::disallowed_methods)]
        let wall = SystemTime::now();
        let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::starting(Instant::now(), since_epoch)
    }

    pub(super) fn starting(start: Instant, since_epoch: Duration) -> Self {
        let time_of_day = since_epoch.as_nanos() % u128::from(DAY);
        Self {
            account: "default".into(),
            home: None,
            routes: Arc::default(),
            shared: Arc::new(Shared {
                gates: RwLock::new(Gates {
                    by_key: Map::default(),
                    sweep_at: MAX_UNCONFIGURED,
                }),
                adopted: Adopted::default(),
                least: Arc::default(),
                made: AtomicU64::new(0),
                start,
                time_of_day: Duration::from_nanos(u64::try_from(time_of_day).unwrap_or(0)),
            }),
        }
    }

    /// Counts calls whose model id names no account as calls of `account`, by its number or by any
    /// name.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<Arc<str>>) -> Self {
        self.account = account.into();
        self.routes = Arc::default();
        self
    }

    /// Counts calls whose route names no region as calls to `region`: the one that the innermost
    /// service sends them to. The other clones keep the home region that they have.
    #[must_use]
    pub fn with_home_region(mut self, region: impl Into<Region>) -> Self {
        self.home = Some(region.into());
        self.routes = Arc::default();
        self
    }

    /// The region that calls without one are counted for, if it is known.
    #[must_use]
    pub const fn home_region(&self) -> Option<&Region> {
        self.home.as_ref()
    }

    /// What calls to `route` are counted by.
    #[must_use]
    pub fn key(&self, route: &Route) -> QuotaKey {
        self.key_of(&self.counted(route))
    }

    fn key_of(&self, route: &Route) -> QuotaKey {
        let mut key = QuotaKey::of(Arc::clone(&self.account), route);
        if key.region.is_none() {
            key.region.clone_from(&self.home);
        }
        key
    }

    /// Sets the quota that calls to `route` draw on, or changes it while calls go on: what is drawn
    /// stays drawn, what was learned is forgotten, a ledger that is closed for the day opens, and
    /// calls that wait go or are refused as the new quota says.
    ///
    /// # Errors
    ///
    /// [`InvalidQuota`] says what cannot be meant; nothing is changed then.
    pub fn set(&self, route: &Route, quota: Quota) -> Result<(), InvalidQuota> {
        quota.check()?;
        let gate = self.gate(route);
        let route = self.counted(route);
        gate.at(Instant::now(), |state| {
            self.shared.go_by(&gate, state, &route, quota);
            state.is_adopted = false;
        });
        Ok(())
    }

    /// The quota that was set for calls to `route`.
    #[must_use]
    pub fn get(&self, route: &Route) -> Option<Quota> {
        let gates = self.shared.gates.read();
        let gates = gates.unwrap_or_else(PoisonError::into_inner);
        gates.by_key.get(&self.key(route))?.lock().quota.clone()
    }

    /// What is drawn of the quota of `route` now.
    #[must_use]
    pub fn snapshot_of(&self, route: &Route) -> QuotaSnapshot {
        snapshot(&self.gate(route))
    }

    /// What is drawn of every quota now, in no order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<QuotaSnapshot> {
        let gates = self.shared.gates.read();
        let gates = gates.unwrap_or_else(PoisonError::into_inner);
        let all: Vec<_> = gates.by_key.values().cloned().collect();
        // A look lets waiters go, and what their wakers do may want the lock.
        drop(gates);
        all.iter().map(|gate| snapshot(gate)).collect()
    }

    /// Until when a ledger closes whose day is used up.
    pub(super) fn closes_until(&self, gate: &Gate, now: Instant) -> u64 {
        let now = gate.time(now);
        let reset = gate.lock().quota.as_ref().map(|quota| quota.daily_reset);
        match reset.unwrap_or_default() {
            DailyReset::Rolling => now.saturating_add(CLOSED_FOR),
            DailyReset::MidnightUtc => {
                let of_day = now.saturating_add(self.shared.day_offset()) % DAY;
                now.saturating_add(DAY - of_day)
            }
        }
    }

    /// The gate that calls to `route` go through.
    pub(super) fn gate(&self, route: &Route) -> Arc<Gate> {
        Arc::clone(self.find(route).gate())
    }

    /// The gate that calls to `route` go through, without counting who has it if it is one of the first.
    #[inline]
    pub(super) fn find(&self, route: &Route) -> Found<&Arc<Gate>> {
        match self.routes.first(route) {
            Some(found) => found,
            None => Found::Other(self.other_gate(route)),
        }
    }

    fn other_gate(&self, route: &Route) -> Arc<Gate> {
        if let Some(gate) = self.routes.other(route) {
            return gate;
        }
        let gate = self.resolve(route);
        self.routes.insert(route, &gate);
        gate
    }

    /// What [`find`](Self::find) has found before.
    #[inline]
    pub(super) fn kept<'a>(&'a self, kept: &'a Kept) -> Option<&'a Arc<Gate>> {
        self.routes.kept(kept)
    }

    /// What `look` sees of the gate that calls to `route` go through, if there is one.
    pub(super) fn at_known_gate<T>(
        &self,
        route: &Route,
        look: impl FnOnce(&Gate) -> T,
    ) -> Option<T> {
        if let Some(found) = self.routes.first(route) {
            return Some(look(found.gate()));
        }
        let made = self.shared.made.load(Ordering::Acquire);
        if self.routes.is_absent(route, made) {
            return None;
        }
        self.other_known_gate(route, made).map(|gate| look(&gate))
    }

    #[cold]
    fn other_known_gate(&self, route: &Route, made: u64) -> Option<Arc<Gate>> {
        if let Some(gate) = self.routes.other(route) {
            return Some(gate);
        }
        let gates = self.shared.gates.read();
        let gates = gates.unwrap_or_else(PoisonError::into_inner);
        let gate = gates.by_key.get(&self.key(route)).cloned();
        drop(gates);
        match &gate {
            Some(gate) => self.routes.insert(route, gate),
            None => self.routes.insert_absent(route, made),
        }
        gate
    }

    fn resolve(&self, route: &Route) -> Arc<Gate> {
        let gates = self.shared.gates.write();
        let mut gates = gates.unwrap_or_else(PoisonError::into_inner);
        if gates.by_key.len() >= gates.sweep_at {
            gates.make_room(Instant::now());
        }
        // With the gates locked: a listing that is adopted meanwhile finds this one among them.
        let route = &*self.counted(route);
        let key = self.key_of(route);
        let make = |key: &QuotaKey| {
            let found = self.found(key, route);
            let is_adopted = found.is_some();
            let quota = found.unwrap_or_default();
            let ledger = ledger_of(&quota, self.shared.day_offset());
            let terms = Terms::new(route, &quota);
            let calibration = Calibration::new(route.model.as_ref());
            let start = self.shared.start;
            let least = &self.shared.least;
            let gate = Gate::new(key.clone(), start, ledger, terms, calibration, least);
            let gate = Arc::new(gate);
            gate.listen();
            if is_adopted {
                let mut state = gate.lock();
                state.quota = Some(quota);
                state.is_adopted = true;
            }
            // With the gates locked: whoever looks at all of them sees this one too, or that it came.
            least.forget();
            self.shared.made.fetch_add(1, Ordering::Release);
            gate
        };
        Arc::clone(
            gates
                .by_key
                .entry(key.clone())
                .or_insert_with(|| make(&key)),
        )
    }
}

impl Gates {
    /// Forgets those that can be missed best, if there are too many of them. Whoever has a place or a
    /// turn at a gate holds it, so it is none of those.
    fn make_room(&mut self, now: Instant) {
        let mut candidates: Vec<_> = self
            .by_key
            .values()
            .filter(|gate| Arc::strong_count(gate) == 1)
            .filter_map(|gate| Some((gate.how_missed(now)?, gate.key().clone())))
            .collect();
        // Room for many at once, so that the search is not made for each of them.
        let kept = MAX_UNCONFIGURED / 4 * 3;
        if let Some(excess) = candidates.len().checked_sub(kept) {
            candidates.sort_by_key(|(missed, _)| *missed);
            for (_, key) in candidates.drain(..excess) {
                self.by_key.remove(&key);
            }
        }
        self.sweep_at = MAX_UNCONFIGURED.max(self.by_key.len() + MAX_UNCONFIGURED / 4);
    }
}

impl Shared {
    /// All gates; those that come later have seen what was adopted before.
    pub(super) fn all_gates(&self) -> Vec<Arc<Gate>> {
        let gates = self.gates.write().unwrap_or_else(PoisonError::into_inner);
        // Routes that were found to have no gate may have one by another key now.
        self.made.fetch_add(1, Ordering::Release);
        gates.by_key.values().cloned().collect()
    }

    /// Has the ledger of `gate`, whose `state` it is, keep `quota` from now on.
    pub(super) fn go_by(&self, gate: &Gate, state: &mut State, route: &Route, quota: Quota) {
        // What was told of its room was counted as calls were counted before.
        gate.room.forget();
        state.terms = Terms::new(route, &quota);
        state
            .ledger
            .become_like(ledger_of(&quota, self.day_offset()));
        state.quota = Some(quota);
    }

    /// Looks for what all gates have room for, if they are few. Returns whether there is more than was known.
    #[cold]
    pub(super) fn look_for_least(&self, now: Instant) -> bool {
        self.least.raise(|least| {
            let gates = self.gates.read().unwrap_or_else(PoisonError::into_inner);
            if gates.by_key.len() > FEW_GATES {
                return least.add_unknown();
            }
            for gate in gates.by_key.values() {
                if !gate.room.is_known() {
                    gate.look(now, |_| ());
                }
                least.add(&gate.room);
                if !least.is_any() {
                    break;
                }
            }
        })
    }

    /// How far into the UTC day the ledgers' time starts.
    fn day_offset(&self) -> u64 {
        u64::try_from(self.time_of_day.as_nanos()).unwrap_or(0)
    }
}

fn snapshot(gate: &Gate) -> QuotaSnapshot {
    gate.at(Instant::now(), |state: &mut State| {
        QuotaSnapshot::of(gate, state)
    })
}

impl Default for Quotas {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas")
            .field("account", &self.account)
            .field("home_region", &self.home)
            .finish_non_exhaustive()
    }
}
