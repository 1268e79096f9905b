//! What quotas tell whoever picks routes.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    estimate::Estimate, gate::Gate, layer::MAX_WAIT, quotas::Quotas, state::State, terms::Need,
};
use crate::{
    call::{CallContext, Operation},
    cause::Cause,
    clock,
    route::Route,
    route_gate::{Passage, RouteGate},
};

/// A place in line is a wait, however short: what timers can tell apart.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Tells whether a call would fit the quota of a route: by [`Tokens::input`](crate::Tokens) or else
/// by what the ledger has learned of sizes, and by its `maxTokens`. An estimator of a layer's own is
/// not asked.
///
/// A wait is as exact as that of a refusal ([`BudgetExhausted::wait`](crate::BudgetExhausted::wait)).
/// Closed are routes whose quota the call exceeds as a whole, that have no room before its deadline,
/// or none within five minutes, which is as long as a layer lets a call wait by default. A route that
/// was never called has no ledger, and gets none from being asked.
impl RouteGate for Quotas {
    fn ask(&self, call: &CallContext, route: &Route, now: Instant) -> Passage {
        let has_quota = !matches!(
            call.operation,
            Operation::CountTokens | Operation::ApplyGuardrail
        );
        if route.model.is_none() || !has_quota {
            return Passage::Open;
        }
        self.at_known_gate(route, |gate| passage(gate, call, now))
            .unwrap_or(Passage::Open)
    }

    /// By the ledger that has the least room of all.
    #[inline]
    fn is_open_everywhere(&self, call: &CallContext) -> bool {
        let least = &self.shared.least;
        if least.has(&call.tokens) {
            return true;
        }
        least.is_to_be_looked_for()
            && self.shared.look_for_least(clock::now())
            && least.has(&call.tokens)
    }
}

fn passage(gate: &Gate, call: &CallContext, now: Instant) -> Passage {
    if gate.room.has(&call.tokens) {
        return Passage::Open;
    }
    let need = Need {
        input: Estimate::of(&call.tokens),
        max_output: call.tokens.max_output,
    };
    let deadline = call.deadline.map(|deadline| gate.time(deadline));
    gate.look(now, |state: &mut State| {
        let tokens = state.draw(need).tokens;
        if state.has_room(tokens) {
            return Passage::Open;
        }
        let closed = |retry_in| Passage::Closed {
            cause: Cause::BudgetExhausted,
            retry_in,
        };
        if state.ledger.exceeds(tokens).is_some() {
            return closed(None);
        }
        let tenant = call.tenant.as_ref();
        let ahead = state.queue.ahead(call.priority, tenant, tokens);
        let (then, _) = state.ledger.expected(ahead, tokens);
        let wait = Duration::from_nanos(then.saturating_sub(state.ledger.now()));
        let in_time = deadline.map(|deadline| state.latest_start(deadline));
        if in_time.is_some_and(|latest| then > latest) || wait > MAX_WAIT {
            return closed(Some(wait));
        }
        Passage::After(wait.max(SHORTEST_WAIT))
    })
}
