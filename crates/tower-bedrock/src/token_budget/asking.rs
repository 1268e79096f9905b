//! What comes of a call at first.

use super::{
    estimate::{Estimate, TokenEstimator},
    event::TokenBudgetEvent,
    gate::Gate,
    hold::Hold,
    layer::Config,
    terms::Need,
};
use crate::{
    call::{BedrockRequest, Operation},
    clock,
};

/// What comes of a call at first.
pub(super) enum Asked {
    /// It draws on no quota.
    Passes,
    Admitted(Hold),
    /// It might fit or not.
    Not(Need),
}

impl<E> Config<E> {
    /// Admits a call that fits with room to spare.
    #[inline]
    pub(super) fn ask<R>(&self, request: &mut R) -> Asked
    where
        R: BedrockRequest,
        E: TokenEstimator<R>,
    {
        let call = request.context();
        let has_quota = !matches!(
            call.operation,
            Operation::CountTokens | Operation::ApplyGuardrail
        );
        if call.route.model.is_none() || !has_quota {
            return Asked::Passes;
        }
        let found = self.rules.quotas.find(&call.route);
        let gate = found.gate();
        if call.tokens.max_output.is_none() {
            self.bound_output(gate, request);
        }
        let need = self.need(request, None);
        let call = request.context();
        match gate.admit_with_room(clock::now(), call, need, self.line) {
            Some(key) => Asked::Admitted(Hold::new(&self.rules, found.keep(), key)),
            None => Asked::Not(need),
        }
    }

    /// What a call needs, by its count or else by an estimate.
    pub(super) fn need<R>(&self, request: &R, counted: Option<u64>) -> Need
    where
        R: BedrockRequest,
        E: TokenEstimator<R>,
    {
        let input = match counted {
            Some(tokens) => Estimate::Tokens(tokens),
            None => self.estimator.estimate(request),
        };
        Need {
            input,
            max_output: request.context().tokens.max_output,
        }
    }

    /// Sets the clamp on a call without `maxTokens`, or tells that there is none.
    #[cold]
    fn bound_output<R: BedrockRequest>(&self, gate: &Gate, request: &mut R) {
        let is_clamped = self
            .output_clamp
            .is_some_and(|tokens| request.set_max_output_tokens(tokens.get()));
        if !is_clamped && gate.is_first_unbounded() {
            let call = request.context();
            // Listeners may ask the ledger, so it is not locked while they are told.
            let held = gate.lock().terms.max_output();
            self.rules
                .tell(&TokenBudgetEvent::MaxTokensUnset { call, held });
        }
    }
}
