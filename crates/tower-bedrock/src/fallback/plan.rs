//! What holds for every call of one kind, found out once.

use std::fmt;

use super::{error::SkipReason, rules::Routes};
use crate::{
    call::{CallContext, Operation},
    model_id::Residency,
    route::Route,
    sync::OnceLock,
};

/// Kinds of calls that are remembered; others are found out anew each time.
const KINDS: usize = 8;

/// The routes of the calls that are made most, as their ladders have them.
#[derive(Default)]
pub(super) struct Plans([OnceLock<Plan>; KINDS]);

/// The routes of the calls of one operation to one route, within one limit of where data may be.
pub(super) struct Plan {
    own: Route,
    operation: Operation,
    residency: Option<Residency>,
    rungs: Box<[PlannedRung]>,
    /// What a call does while all is well; `None` if that is not the same for all of them.
    quiet: Option<Quiet>,
}

/// A call that goes its own way while all is well: with no chance to be drawn and no cap to be kept.
pub(super) struct Quiet {
    /// The first rung that it may take, in the place of its own route.
    pub(super) next: Option<Route>,
}

/// A rung for these calls, whatever the state of things.
pub(super) struct PlannedRung {
    pub(super) route: Route,
    pub(super) excluded: Option<SkipReason>,
    pub(super) is_repeated: bool,
}

impl Plans {
    /// The plan of calls like `call`, if one was made.
    #[inline]
    pub(super) fn known(&self, call: &CallContext) -> Option<&Plan> {
        let mut known = self.0.iter().map_while(OnceLock::get);
        known.find(|plan| plan.is_of(call))
    }

    /// The plan of a call with these `routes`; `None` if there are too many kinds of calls.
    pub(super) fn of(&self, routes: &Routes<'_>) -> Option<&Plan> {
        for plan in &self.0 {
            let plan = plan.get_or_init(|| Plan::new(routes));
            if plan.is_of(routes.call()) {
                return Some(plan);
            }
        }
        None
    }
}

impl PlannedRung {
    /// Whether the call may take it.
    const fn is_free(&self) -> bool {
        self.excluded.is_none() && !self.is_repeated
    }
}

impl Plan {
    fn new(routes: &Routes<'_>) -> Self {
        let call = routes.call();
        let rungs = (1..routes.len()).map(|index| PlannedRung {
            route: routes.route(index),
            excluded: routes.excludes(index),
            is_repeated: routes.is_repeated(index),
        });
        let rungs: Box<[_]> = rungs.collect();
        let mut free = rungs.iter().filter(|rung| rung.is_free());
        let quiet = routes.may_be_quiet().then(|| Quiet {
            next: free.next().map(|rung| rung.route.clone()),
        });
        Self {
            own: call.route.clone(),
            operation: call.operation,
            residency: call.fallback.residency,
            rungs,
            quiet,
        }
    }

    pub(super) const fn quiet(&self) -> Option<&Quiet> {
        self.quiet.as_ref()
    }

    fn is_of(&self, call: &CallContext) -> bool {
        self.operation == call.operation
            && self.residency == call.fallback.residency
            && self.own == call.route
    }

    /// The rung of a route of the ladder, but for the call's own.
    pub(super) fn rung(&self, index: usize) -> Option<&PlannedRung> {
        self.rungs.get(index.checked_sub(1)?)
    }
}

/// What was found out under other rules does not hold.
impl Clone for Plans {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}
