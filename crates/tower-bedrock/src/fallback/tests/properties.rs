//! What holds for every ladder, whatever becomes of the call.

use proptest::prelude::*;

use super::*;
use crate::{
    Residency, RetryLayer,
    model_id::area::{Area, Place},
};

const MODELS: &[&str] = &[
    "m.x",
    "us.m.x",
    "eu.m.x",
    "jp.m.x",
    "apac.m.x",
    "global.m.x",
    "n.y",
];
const REGIONS: &[&str] = &[
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "ap-northeast-1",
    "ap-southeast-2",
    "us-gov-west-1",
    "eu-south-9",
];
const CAUSES: &[Option<Cause>] = &[
    None,
    Some(Cause::ModelOverloaded),
    Some(Cause::Internal),
    Some(Cause::BudgetExhausted),
    Some(Cause::CircuitOpen),
    Some(Cause::ContextTooLong),
    Some(Cause::InvalidRequest),
    Some(Cause::Timeout),
];

fn rungs() -> impl Strategy<Value = Vec<Rung>> {
    let model = prop::option::of(prop::sample::select(MODELS));
    let region = prop::option::of(prop::sample::select(REGIONS));
    let flex = any::<bool>();
    let rung = (model, region, flex).prop_map(|(id, region, is_flex)| {
        let mut rung = Rung::default();
        if let Some(id) = id {
            rung = Rung::model(model_of(id));
        }
        if let Some(region) = region {
            rung = rung.at(region);
        }
        match is_flex {
            true => rung.on_tier(ServiceTier::Flex),
            false => rung,
        }
    });
    prop::collection::vec(rung, 0..6)
}

fn model_of(id: &str) -> ModelId {
    id.parse().unwrap()
}

fn passage() -> impl Strategy<Value = Passage> {
    prop_oneof![
        3 => Just(Passage::Open),
        1 => (0..100_u64).prop_map(|seconds| Passage::After(secs(seconds))),
        1 => prop::option::of((0..100_u64).prop_map(secs)).prop_map(closed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every call ends. No route is sent to twice, none outside of the primary's area; attempts are
    /// numbered as they were sent, and no more than were allowed; no error is lost.
    #[test]
    fn every_call_ends_within_its_bounds(
        rungs in rungs(),
        (id, region) in (prop::sample::select(MODELS), prop::sample::select(REGIONS)),
        causes in prop::collection::vec(prop::sample::select(CAUSES), 8),
        passages in prop::collection::vec(passage(), 8),
        patience in 0..50_u64,
        most in prop::option::of(1..6_u32),
        (timeout, warm) in (prop::option::of(1..60_u64), any::<bool>()),
    ) {
        let ladder: Ladder = rungs.into_iter().collect();
        let share = if warm { 1.0 } else { 0.0 };
        let Ok(layer) = FallbackLayer::new(ladder.with_warm_share(share)) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async move {
            let told = Arc::new(passages);
            let gate = Says::new(move |route| told[route.to_string().len() % told.len()]);
            let layer = layer.with_gate(gate).with_patience(secs(patience));
            let sent = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&sent);
            // Refusals of our own layers stand in for those layers: nothing is sent.
            let bed = Bed::new(move |call| {
                let mut sent = seen.lock().unwrap();
                let cause = causes[sent.len() % causes.len()];
                if !cause.is_some_and(Cause::is_own_refusal) {
                    sent.push(call.clone());
                }
                match cause {
                    Some(cause) => Err(Error::new(cause)),
                    None => Ok(()),
                }
            });
            let primary = route(&format!("{id}@{region}"));
            let mut request = Request::new((), CallContext::new(Operation::Converse, primary.clone()));
            request.context_mut().deadline = timeout.map(|timeout| Instant::now() + secs(timeout));
            if let Some(most) = most {
                request = request.with_max_attempts(most.try_into().unwrap());
            }
            let result = layer.layer(bed.clone()).oneshot(request).await;

            let sent = sent.lock().unwrap();
            for (number, call) in sent.iter().enumerate() {
                prop_assert_eq!(call.attempt as usize, number + 1);
                prop_assert!(sent[..number].iter().all(|before| before.route != call.route));

                let home = Place::of(primary.region.as_ref());
                let own = Area::of(primary.model.as_ref(), home).unwrap();
                let allowed = Area::around(home, home.narrowest_width()).and(own);
                let called = call.route.region.as_ref();
                let area = Area::of(call.route.model.as_ref(), Place::of(called)).unwrap();
                prop_assert!(allowed.contains(area), "{} -> {}", primary, call.route);
            }
            if let Some(most) = most {
                prop_assert!(sent.len() <= most as usize);
            }
            // A route that would not be waited at is come back to, once.
            prop_assert!(bed.calls().len() <= 14);
            match result {
                Ok(response) => {
                    prop_assert_eq!(&response.served().route, &sent.last().unwrap().route);
                }
                Err(error) => {
                    prop_assert_eq!(earlier(&error).len() + 1, bed.calls().len());
                }
            }
            Ok(())
        })?;
    }
}

proptest! {
    /// A call goes where the one before it went that was the same: what is found out once for all of
    /// them, and how they begin while all is well, changes nothing.
    #[test]
    fn the_same_call_goes_the_same_way(
        rungs in rungs(),
        (id, region) in (prop::sample::select(MODELS), prop::sample::select(REGIONS)),
        passages in prop::collection::vec(passage(), 8),
        patience in 0..50_u64,
        is_disabled in any::<bool>(),
        residency in prop::option::of(prop::sample::select(&[Residency::InRegion, Residency::Geo])),
    ) {
        let Ok(layer) = FallbackLayer::new(rungs.into_iter().collect()) else {
            return Ok(());
        };
        let gate = Says::new(move |route| passages[route.to_string().len() % passages.len()]);
        let layer = layer.with_gate(gate).with_patience(secs(patience));
        let mut call = CallContext::new(Operation::Converse, route(&format!("{id}@{region}")));
        call.fallback.is_disabled = is_disabled;
        call.fallback.residency = residency;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let [first, second] = [(); 2].map(|()| {
            let bed = Bed::new(|_| Ok(()));
            let request = Request::new((), call.clone());
            let result = runtime.block_on(layer.clone().layer(bed.clone()).oneshot(request));
            let came = bed.calls().into_iter().map(|call| (call.route, call.has_next_route, call.max_wait));
            (result.map_err(|error| error.cause()).is_ok(), came.collect::<Vec<_>>())
        });
        prop_assert_eq!(first, second);
    }
}

/// With retries below and everything failing for ever, every call of every cause ends.
#[tokio::test(start_paused = true)]
async fn calls_end_under_persistent_failure() {
    for &cause in Cause::ALL {
        let bed = Bed::new(move |_| Err(Error::new(cause)));
        let service =
            layer(&["us.m.x", "m.x@us-west-2", "n.y"]).layer(RetryLayer::new().layer(bed.clone()));
        let error = service.oneshot(request("m.x@us-east-1")).await.unwrap_err();
        assert_eq!(error.cause(), cause);
        assert!(
            bed.calls().len() <= 4 * 12,
            "{cause}: {}",
            bed.calls().len()
        );
    }
}
