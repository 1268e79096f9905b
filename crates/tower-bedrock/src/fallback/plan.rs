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
}

/// A rung for these calls, whatever the state of things.
pub(super) struct PlannedRung {
    pub(super) route: Route,
    pub(super) excluded: Option<SkipReason>,
    pub(super) is_repeated: bool,
}

impl Plans {
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

impl Plan {
    fn new(routes: &Routes<'_>) -> Self {
        let call = routes.call();
        let rungs = (1..routes.len()).map(|index| PlannedRung {
            route: routes.route(index),
            excluded: routes.excludes(index),
            is_repeated: routes.is_repeated(index),
        });
        Self {
            own: call.route.clone(),
            operation: call.operation,
            residency: call.fallback.residency,
            rungs: rungs.collect(),
        }
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
