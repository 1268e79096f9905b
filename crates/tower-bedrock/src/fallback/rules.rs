//! Which routes a call may take at all: no clock, no gate.

use std::sync::Arc;

use super::{
    config::Built,
    error::SkipReason,
    plan::{Plan, Plans},
    rung::{Rung, Step},
};
use crate::{
    call::{CallContext, Operation},
    model_id::{
        ModelId, Residency,
        area::{Area, Place},
    },
    route::{Region, Route, ServiceTier},
};

/// What is set once for all calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) home: Option<Region>,
    pub(super) residency: Option<Residency>,
    pub(super) allows_unknown_areas: bool,
    /// Context windows in tokens, by base model or by whole id.
    pub(super) windows: Vec<(Arc<str>, u32)>,
}

/// The routes of a call: its own, and those of its ladder as they are for this call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routes<'a> {
    rules: &'a Rules,
    ladder: &'a Built,
    steps: &'a [Step],
    call: &'a CallContext,
    /// Where the call is made by itself.
    home: Place<'a>,
    /// What is known of the routes of all such calls.
    plan: Option<&'a Plan>,
}

impl Rules {
    /// How widely a call's data may be processed, where that is said.
    fn limit(&self, call: &CallContext) -> Option<Residency> {
        match (self.residency, call.fallback.residency) {
            (Some(layer), Some(call)) => Some(layer.min(call)),
            (layer, call) => layer.or(call),
        }
    }

    /// The limit that the call's own route breaks.
    pub(super) fn broken_limit(&self, call: &CallContext) -> Option<Residency> {
        let limit = self.limit(call)?;
        let Some(model) = &call.route.model else {
            return None;
        };
        let keeps = match model.residency() {
            Some(width) => width <= limit,
            None => limit == Residency::Global || self.allows_unknown_areas,
        };
        (!keeps).then_some(limit)
    }

    /// The context window of a model, if it is known.
    pub(super) fn window(&self, model: Option<&ModelId>) -> Option<u32> {
        let model = model?;
        let name = model.base_model().unwrap_or(model.as_str());
        let known = self.windows.iter().find(|(known, _)| **known == *name);
        known.map(|&(_, window)| window)
    }
}

impl<'a> Routes<'a> {
    pub(super) fn of(rules: &'a Rules, ladder: &'a Built, call: &'a CallContext) -> Self {
        let region = call.route.region.as_ref().or(rules.home.as_ref());
        Self {
            rules,
            ladder,
            steps: &ladder.steps,
            call,
            home: Place::of(region),
            plan: None,
        }
    }

    /// The same, with what `plans` know of such calls.
    pub(super) fn planned(mut self, plans: &'a Plans) -> Self {
        self.plan = plans.of(&self);
        self
    }

    /// Where the call's data may be processed.
    fn allowed(&self) -> Area<'a> {
        let narrowest = self.home.narrowest_width();
        let width = match (self.rules.residency, self.call.fallback.residency) {
            (Some(layer), None) => layer,
            (Some(layer), Some(call)) => layer.min(call),
            (None, None) => narrowest,
            (None, Some(call)) => narrowest.min(call),
        };
        let around = Area::around(self.home, width);
        // Where the call goes by itself, its data may be; a limit that it breaks was told before.
        match Area::of(self.model(0), self.home) {
            Some(own) => around.and(own),
            None => around,
        }
    }

    /// Whether such calls may begin without a look at anything but the gates.
    pub(super) fn may_be_quiet(&self) -> bool {
        let is_plain = self.ladder.warm_share <= 0.0 && !self.ladder.has_caps;
        is_plain && self.rules.broken_limit(self.call).is_none()
    }

    /// How many there are, with the call's own.
    pub(super) const fn len(&self) -> usize {
        self.steps.len() + 1
    }

    pub(super) const fn call(&self) -> &'a CallContext {
        self.call
    }

    pub(super) fn step(&self, index: usize) -> Option<&'a Step> {
        self.steps.get(index.checked_sub(1)?)
    }

    fn rung(&self, index: usize) -> Option<&'a Rung> {
        self.step(index).map(|step| &step.rung)
    }

    /// The model of a route, in the form that the call or the rung names it in.
    pub(super) fn model(&self, index: usize) -> Option<&'a ModelId> {
        let rung = self.rung(index).and_then(|rung| rung.model.as_ref());
        rung.or(self.call.route.model.as_ref())
    }

    /// The context window of a route's model, if it is known.
    pub(super) fn window(&self, index: usize) -> Option<u32> {
        self.rules.window(self.model(index))
    }

    fn place(&self, index: usize) -> Place<'a> {
        let region = self.rung(index).and_then(|rung| rung.region.as_ref());
        region.map_or(self.home, |region| Place::of(Some(region)))
    }

    fn tier(&self, index: usize) -> ServiceTier {
        let rung = self.rung(index).and_then(|rung| rung.tier);
        rung.unwrap_or(self.call.route.tier)
    }

    /// The route as a call can be sent there.
    pub(super) fn route(&self, index: usize) -> Route {
        if let Some(known) = self.known_route(index) {
            return known.clone();
        }
        let own = &self.call.route;
        let Some(rung) = self.rung(index) else {
            return own.clone();
        };
        let mut route = Route {
            model: self.model(index).cloned(),
            region: rung.region.as_ref().or(own.region.as_ref()).cloned(),
            tier: self.tier(index),
        };
        // An ARN holds in its own region only; elsewhere the id in it does.
        if let Some(model) = &route.model
            && !self.holds_in(model, index)
        {
            route.model = model.with_prefix(model.prefix()).or(route.model);
        }
        route
    }

    /// The same, where it need not be put together.
    pub(super) fn known_route(&self, index: usize) -> Option<&'a Route> {
        match (index, self.plan) {
            (0, _) => Some(&self.call.route),
            (_, Some(plan)) => plan.rung(index).map(|rung| &rung.route),
            (_, None) => None,
        }
    }

    /// Whether a route is the same as one before it.
    pub(super) fn is_repeated(&self, index: usize) -> bool {
        if let Some(rung) = self.plan.and_then(|plan| plan.rung(index)) {
            return rung.is_repeated;
        }
        (0..index).any(|first| self.are_same(first, index))
    }

    fn are_same(&self, one: usize, other: usize) -> bool {
        self.tier(one) == self.tier(other)
            && self.place(one) == self.place(other)
            && is_same_model(self.model(one), self.model(other))
    }

    /// Why the call may not take a route, whatever the state of things; its own it always may.
    pub(super) fn excludes(&self, index: usize) -> Option<SkipReason> {
        if let Some(rung) = self.plan.and_then(|plan| plan.rung(index)) {
            return rung.excluded;
        }
        if index == 0 {
            None
        } else if !self.is_allowed(index) {
            Some(SkipReason::Residency)
        } else if !self.is_portable(index) {
            Some(SkipReason::NotPortable)
        } else {
            None
        }
    }

    fn is_allowed(&self, index: usize) -> bool {
        let (place, model) = (self.place(index), self.model(index));
        let allowed = self.allowed();
        let area = Area::of(model, place);
        match area {
            Some(area) if allowed.contains(area) => return true,
            // The same thing on another tier is processed where it would be anyway.
            None if place == self.home && is_same_model(model, self.model(0)) => return true,
            _ if !self.rules.allows_unknown_areas => return false,
            _ => {}
        }
        // What is known of it must be inside all the same.
        let known = area.unwrap_or(Area::region(place)).known();
        allowed.contains(known) && self.home.may_share_a_world(place)
    }

    /// Whether the call as it is can be made on a route.
    fn is_portable(&self, index: usize) -> bool {
        // What has no model names something else, a guardrail, that belongs to its region.
        let (Some(own), Some(model)) = (self.model(0), self.model(index)) else {
            return false;
        };
        if !self.holds_in(model, index) && model.base_model().is_none() {
            return false;
        }
        let (Some(own), Some(base)) = (own.base_model(), model.base_model()) else {
            return true;
        };
        match self.call.operation {
            // The body is in the form of the model's family.
            Operation::InvokeModel | Operation::InvokeModelWithResponseStream => {
                family(own) == family(base)
            }
            // Each model counts its own way.
            Operation::CountTokens => own == base,
            _ => true,
        }
    }

    /// Whether an id can be called in a route's region: ARNs belong to one.
    fn holds_in(&self, model: &ModelId, index: usize) -> bool {
        let Some(named) = model.region() else {
            return true;
        };
        let called = self.place(index).name();
        called.is_none_or(|called| called == named)
    }
}

/// Whether two ids name the same thing, one of them maybe by its ARN.
fn is_same_model(one: Option<&ModelId>, other: Option<&ModelId>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one == other
                || (one.base_model().is_some()
                    && one.base_model() == other.base_model()
                    && one.prefix() == other.prefix())
        }
        (None, None) => true,
        _ => false,
    }
}

/// The vendor and the name of a base model, without version: `anthropic.claude`, `amazon.nova`.
fn family(base: &str) -> &str {
    let vendor = base.find('.').map_or(0, |dot| dot + 1);
    let name = base[vendor..].find(|c: char| !c.is_ascii_alphabetic());
    name.map_or(base, |end| &base[..vendor + end])
}

/// Whether an answer is another than the one asked for: of another model, or of a lower tier.
pub(super) fn is_degraded(asked: &Route, served: &Route) -> bool {
    let is_same_base = match (&asked.model, &served.model) {
        (Some(asked), Some(served)) => {
            asked == served
                || (asked.base_model().is_some() && asked.base_model() == served.base_model())
        }
        (None, _) => true,
        (Some(_), None) => false,
    };
    !is_same_base || rank(served.tier) < rank(asked.tier)
}

/// Tiers from worst to best under load (BEDROCK.md §3.5).
const fn rank(tier: ServiceTier) -> u8 {
    match tier {
        ServiceTier::Flex => 0,
        ServiceTier::Default => 1,
        ServiceTier::Priority => 2,
        ServiceTier::Reserved => 3,
    }
}
