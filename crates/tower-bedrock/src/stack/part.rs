//! What a stack knows of its layers.

use super::error::InvalidStack;
use crate::{
    cause::Reactions,
    circuit_breaker::{CircuitBreakerLayer, CircuitBreakers},
    classify::ClassifyLayer,
    fallback::FallbackLayer,
    pool::{PoolLayer, Pools},
    retry::{RetryBudget, RetryLayer},
    route::{Region, Route},
    token_budget::{Quota, Quotas, TokenBudgetLayer},
};

/// A layer at its place in a [`Stack`](super::Stack), or `()` for none.
///
/// Not nameable outside of the crate, so that layers may come to know more of each other.
#[allow(unnameable_types)]
pub trait Part: Sized {
    /// The same layer with another table.
    fn reacting(self, _: &Reactions) -> Self {
        self
    }

    /// Hands out what can be read of the layer and done by hand.
    fn show(&self, _: &mut Handles) {}

    /// The same layer, knowing the others.
    fn wired(self, _: Option<&Region>, _: &Handles) -> Self {
        self
    }
}

/// The layers of a stack, outermost first.
#[allow(unnameable_types)]
pub trait Parts: Sized {
    /// The layers as `plan` says, knowing each other.
    fn wired(self, plan: Plan) -> Result<(Self, Handles), InvalidStack>;
}

/// What a stack is to be like beside its layers.
#[allow(unnameable_types)]
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) home: Option<Region>,
    pub(super) reactions: Option<Reactions>,
    /// Whether the circuits are the builder's own, so that it may change how they are made.
    pub(super) owns_breakers: bool,
    pub(super) quotas: Vec<(Route, Quota)>,
}

/// What can be read of a stack, and done by hand.
#[allow(unnameable_types)]
#[derive(Clone, Debug, Default)]
pub struct Handles {
    pub(super) retry_budget: Option<RetryBudget>,
    pub(super) breakers: Option<CircuitBreakers>,
    pub(super) quotas: Option<Quotas>,
    pub(super) pools: Option<Pools>,
}

/// What a stack and its layer hand out.
macro_rules! handles {
    () => {
        /// The quotas that calls are kept under; `None` without a token budget.
        pub fn quotas(&self) -> Option<&$crate::Quotas> {
            self.shared.handles.quotas.as_ref()
        }

        /// The circuits of the routes; `None` without a circuit breaker.
        pub fn breakers(&self) -> Option<&$crate::CircuitBreakers> {
            self.shared.handles.breakers.as_ref()
        }

        /// The pools of what is in flight; `None` without a pool.
        pub fn pools(&self) -> Option<&$crate::Pools> {
            self.shared.handles.pools.as_ref()
        }

        /// The budget that pays for retries; `None` without retries.
        pub fn retry_budget(&self) -> Option<&$crate::RetryBudget> {
            self.shared.handles.retry_budget.as_ref()
        }
    };
}

pub(super) use handles;

impl Part for () {}

impl Part for FallbackLayer {
    fn reacting(self, reactions: &Reactions) -> Self {
        self.with_reactions(reactions.clone())
    }

    fn wired(mut self, home: Option<&Region>, handles: &Handles) -> Self {
        if let Some(home) = home {
            self = self.with_home_region(home.clone());
        }
        if let Some(breakers) = &handles.breakers {
            self = self.with_gate(breakers.clone());
        }
        if let Some(quotas) = &handles.quotas {
            self = self.with_gate(quotas.clone());
        }
        if let Some(pools) = &handles.pools {
            self = self.with_gate(pools.clone());
        }
        self
    }
}

impl Part for RetryLayer {
    fn reacting(self, reactions: &Reactions) -> Self {
        self.with_reactions(reactions.clone())
    }

    fn show(&self, handles: &mut Handles) {
        handles.retry_budget = Some(self.budget().clone());
    }
}

impl Part for CircuitBreakerLayer {
    fn reacting(self, reactions: &Reactions) -> Self {
        let breakers = self.breakers().clone();
        Self::new(breakers.with_reactions(reactions.clone()))
    }

    fn show(&self, handles: &mut Handles) {
        handles.breakers = Some(self.breakers().clone());
    }
}

impl<E> Part for TokenBudgetLayer<E> {
    fn reacting(self, reactions: &Reactions) -> Self {
        self.with_reactions(reactions.clone())
    }

    fn show(&self, handles: &mut Handles) {
        handles.quotas = Some(self.quotas().clone());
    }
}

impl Part for PoolLayer {
    fn show(&self, handles: &mut Handles) {
        handles.pools = Some(self.pools().clone());
    }
}

impl Part for ClassifyLayer {}

impl<F, R, C, T, P, K> Parts for (F, R, C, T, P, K)
where
    F: Part,
    R: Part,
    C: Part,
    T: Part,
    P: Part,
    K: Part,
{
    fn wired(self, plan: Plan) -> Result<(Self, Handles), InvalidStack> {
        let (mut fallback, mut retry, mut breaker, mut budget, pool, classify) = self;
        if let Some(reactions) = &plan.reactions {
            fallback = fallback.reacting(reactions);
            retry = retry.reacting(reactions);
            budget = budget.reacting(reactions);
            if plan.owns_breakers {
                breaker = breaker.reacting(reactions);
            }
        }
        let mut handles = Handles::default();
        retry.show(&mut handles);
        breaker.show(&mut handles);
        budget.show(&mut handles);
        pool.show(&mut handles);
        if let Some(home) = &plan.home {
            handles.check(home)?;
        }
        handles.set(plan.quotas)?;
        let fallback = fallback.wired(plan.home.as_ref(), &handles);
        let layers = (fallback, retry, breaker, budget, pool, classify);
        Ok((layers, handles))
    }
}

impl Handles {
    /// Whether all count calls without a region as calls to `home`.
    pub(super) fn check(&self, home: &Region) -> Result<(), InvalidStack> {
        let breakers = self.breakers.as_ref().map(CircuitBreakers::home_region);
        let quotas = self.quotas.as_ref().map(Quotas::home_region);
        let pools = self.pools.as_ref().map(Pools::home_region);
        for (part, region) in [
            ("circuit breakers", breakers),
            ("quotas", quotas),
            ("pools", pools),
        ] {
            match region {
                Some(region) if region != Some(home) => {
                    return Err(InvalidStack::HomeRegion {
                        part,
                        region: region.cloned(),
                        home: home.clone(),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn set(&self, quotas: Vec<(Route, Quota)>) -> Result<(), InvalidStack> {
        for (route, quota) in quotas {
            let Some(quotas) = &self.quotas else {
                return Err(InvalidStack::NoTokenBudget { route });
            };
            if let Err(invalid) = quotas.set(&route, quota) {
                return Err(InvalidStack::Quota { route, invalid });
            }
        }
        Ok(())
    }
}
