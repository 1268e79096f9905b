//! The way down a ladder, against one that is written as plainly as it can be.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{NextRoute, Reaction};

const MODELS: [&str; 6] = ["a.m0", "a.m1", "a.m2", "a.m3", "a.m4", "a.m5"];

/// What the gates say of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Free(u64),
    Closed(Option<u64>),
}

/// What a route does with a call that comes for the first time, and for the second.
type Does = [Option<Cause>; 2];

const DOES: [Option<Cause>; 10] = [
    None,
    None,
    Some(Cause::Internal),
    Some(Cause::ModelOverloaded),
    Some(Cause::BudgetExhausted),
    Some(Cause::PoolSaturated),
    Some(Cause::CircuitOpen),
    Some(Cause::NotFound),
    Some(Cause::InvalidRequest),
    Some(Cause::ContextTooLong),
];

/// A call that goes down a ladder of equal routes, as a list of what it has done.
struct Way<'a> {
    gates: &'a [Gate],
    patience: u64,
    /// Routes that are done with.
    tried: Vec<usize>,
    /// Routes where it would not wait.
    hurried: Vec<usize>,
    /// No window is known, so that once it was too long it is too long everywhere.
    is_too_long: bool,
}

impl Way<'_> {
    fn free(&self) -> Vec<(u64, usize)> {
        let left = (0..self.gates.len()).filter(|route| !self.tried.contains(route));
        left.filter_map(|route| match self.gates[route] {
            Gate::Free(wait) if !self.is_too_long => Some((wait, route)),
            _ => None,
        })
        .collect()
    }

    /// Where it goes next, and whether it hurries there.
    fn next(&self) -> Option<(usize, bool)> {
        let free = self.free();
        let at_once = free
            .iter()
            .find(|(wait, route)| *wait <= self.patience && !self.hurried.contains(route));
        if let Some((_, route)) = at_once {
            return Some((*route, free.len() > 1));
        }
        if let Some((_, route)) = free.iter().min() {
            return Some((*route, false));
        }
        if !self.tried.is_empty() || !self.hurried.is_empty() {
            return None;
        }
        let opens = (0..self.gates.len()).filter_map(|route| match self.gates[route] {
            Gate::Closed(Some(retry_in)) => Some((retry_in, route)),
            _ => None,
        });
        Some((opens.min().map_or(0, |(_, route)| route), false))
    }

    /// The routes that it comes to, in their order, and how it ends.
    fn walk(mut self, does: &[Does]) -> (Vec<usize>, Result<usize, Cause>) {
        let mut came = Vec::new();
        let mut last = None;
        while let Some((route, hurries)) = self.next() {
            let times = came.iter().filter(|before| **before == route).count();
            came.push(route);
            let Some(cause) = does[route][times.min(1)] else {
                return (came, Ok(route));
            };
            let would_wait = matches!(cause, Cause::BudgetExhausted | Cause::PoolSaturated);
            if hurries && would_wait {
                self.hurried.push(route);
            } else {
                self.tried.push(route);
            }
            self.is_too_long |= cause == Cause::ContextTooLong;
            let ends = Reaction::to(cause).next_route == NextRoute::Never;
            if ends && (route == 0 || cause != Cause::NotFound) {
                return (came, Err(cause));
            }
            last = Some(cause);
        }
        (came, Err(last.expect("it came somewhere")))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever the gates say and the routes do, a call comes to the same routes in the same order as
    /// the plain one, is told of the next one where there is one, and ends the same way.
    #[test]
    fn a_call_takes_the_same_way_as_a_plain_one(
        numbers in vec(any::<(u8, u8, u8)>(), 1..=6),
        patience in 0..4_u64,
    ) {
        let gates: Vec<_> = numbers
            .iter()
            .map(|(gate, ..)| match gate % 8 {
                0..4 => Gate::Free(0),
                4 | 5 => Gate::Free(u64::from(gate / 8 % 6)),
                6 => Gate::Closed(Some(u64::from(gate / 8 % 6))),
                _ => Gate::Closed(None),
            })
            .collect();
        let does: Vec<Does> = numbers
            .iter()
            .map(|(_, first, second)| {
                [first, second].map(|does| DOES[usize::from(*does) % DOES.len()])
            })
            .collect();
        let way = Way {
            gates: &gates,
            patience,
            tried: Vec::new(),
            hurried: Vec::new(),
            is_too_long: false,
        };
        let (came, ended) = way.walk(&does);

        let rungs: Vec<_> = MODELS[1..gates.len()]
            .iter()
            .map(|model| format!("{model}@us-east-1"))
            .collect();
        let rungs: Vec<_> = rungs.iter().map(String::as_str).collect();
        let index = |route: &Route| {
            let model = route.model.as_ref().map(ModelId::as_str);
            MODELS.iter().position(|known| Some(*known) == model).unwrap()
        };
        let says = gates.clone();
        let gate = Says::new(move |route| match says[index(route)] {
            Gate::Free(0) => Passage::Open,
            Gate::Free(wait) => Passage::After(secs(wait)),
            Gate::Closed(retry_in) => closed(retry_in.map(secs)),
        });
        let visits = Mutex::new(Vec::new());
        let bed = Bed::new(move |call| {
            let route = index(&call.route);
            let mut visits = visits.lock().unwrap();
            let times = visits.iter().filter(|before| **before == route).count();
            visits.push(route);
            does[route][times.min(1)].map_or(Ok(()), |cause| Err(Error::new(cause)))
        });
        let service = layer(&rungs)
            .with_gate(gate)
            .with_patience(secs(patience))
            .layer(bed.clone());
        let call = service.oneshot(request("a.m0@us-east-1"));
        let result = futures_util::FutureExt::now_or_never(call).expect("nothing takes time");

        let calls = bed.calls();
        let routes: Vec<_> = calls.iter().map(|call| index(&call.route)).collect();
        prop_assert_eq!(&routes, &came);
        match (result, ended) {
            (Ok(response), Ok(route)) => prop_assert_eq!(response.served().route_index, route),
            (Err(error), Err(cause)) => prop_assert_eq!(error.cause(), cause),
            (result, ended) => prop_assert!(false, "{result:?} is not {ended:?}"),
        }
    }
}
