//! How much moves: the cap, the warm share, and where the rest stays.

use super::*;
use crate::Jitter;

/// The flood of an outage: a primary of 80 calls a second is dead, its secondary serves 50 a second
/// and has 40 of its own. Uncapped, both loads are lost together; with a cap of ten, the secondary
/// keeps all of its own, and serves ten of the others.
#[tokio::test(start_paused = true)]
async fn a_cap_keeps_the_secondary_alive() {
    for (cap, own_kept, moved_at_most) in [(Some(10.0), 0.99..=1.0, 601), (None, 0.0..=0.5, 4800)] {
        // The secondary serves 50 calls in any second, in the order in which they come.
        let served = Arc::new(Mutex::new(std::collections::VecDeque::new()));
        let bed = Bed::new({
            let served = Arc::clone(&served);
            move |call| {
                if call.route.region.as_ref().unwrap().as_str() == "us-east-1" {
                    return Err(Error::new(Cause::ServiceUnavailable));
                }
                let now = Instant::now();
                let mut served = served.lock().unwrap();
                while served
                    .front()
                    .is_some_and(|&at| now.duration_since(at) >= secs(1))
                {
                    served.pop_front();
                }
                // An overloaded service wastes its work on what it refuses, too.
                served.push_back(now);
                match served.len() <= 50 {
                    true => Ok(()),
                    false => Err(Error::new(Cause::ModelOverloaded)),
                }
            }
        });
        let mut rung = Rung::in_region("us-west-2");
        if let Some(cap) = cap {
            rung = rung.with_max_per_second(cap);
        }
        let layer = FallbackLayer::new(Ladder::new().then(rung)).unwrap();
        let service = layer.layer(bed.clone());

        let (mut own, mut own_answered) = (0_u32, 0_u32);
        let (mut others, mut others_answered) = (0_u32, 0_u32);
        for tick in 0..60 * 400_u32 {
            if tick % 10 == 0 {
                own += 1;
                let result = bed.clone().oneshot(request("m.x@us-west-2")).await;
                own_answered += u32::from(result.is_ok());
            }
            if tick % 5 == 0 {
                others += 1;
                let result = service.clone().oneshot(request("m.x@us-east-1")).await;
                others_answered += u32::from(result.is_ok());
                if let (Err(error), Some(_)) = (&result, cap) {
                    assert_eq!(error.cause(), Cause::ServiceUnavailable);
                    assert_eq!(skipped(error)[0].1, SkipReason::Capped);
                }
            }
            tokio::time::advance(Duration::from_micros(2500)).await;
        }
        assert_eq!((own, others), (2400, 4800));
        let moved = bed.count("us-west-2") - 2400;
        assert!(moved <= moved_at_most, "{moved} moved");
        let kept = f64::from(own_answered) / f64::from(own);
        assert!(own_kept.contains(&kept), "{kept} of its own with {cap:?}");
        if cap.is_some() {
            assert!(others_answered >= 594, "{others_answered}");
        }
    }
}

/// What comes beyond the cap of one rung takes the next; a place that was not used is given back.
#[tokio::test(start_paused = true)]
async fn beyond_a_cap_the_next_rung_is_taken() {
    let ladder = Ladder::new()
        .then(Rung::in_region("us-west-2").with_max_per_second(1.0))
        .then(Rung::in_region("us-east-2"));
    let layer = FallbackLayer::new(ladder).unwrap();
    let bed = Bed::failing(Cause::ServiceUnavailable, &["us-east-1"]);
    let service = layer.layer(bed.clone());
    let clone = layer.clone().layer(bed.clone());
    for expected in [1, 2, 2] {
        let response = service
            .clone()
            .oneshot(request("m.x@us-east-1"))
            .await
            .unwrap();
        assert_eq!(response.served().route_index, expected);
    }
    // A clone of the layer counts the same.
    let response = clone.oneshot(request("m.x@us-east-1")).await.unwrap();
    assert_eq!(response.served().route_index, 2);

    tokio::time::advance(secs(1)).await;
    let refusing = Bed::new(|call| match call.route.region.as_ref().unwrap().as_str() {
        "us-east-1" => Err(Error::new(Cause::ServiceUnavailable)),
        "us-west-2" => Err(Error::new(Cause::CircuitOpen)),
        _ => Ok(()),
    });
    layer
        .layer(refusing)
        .oneshot(request("m.x@us-east-1"))
        .await
        .unwrap();
    let response = service.oneshot(request("m.x@us-east-1")).await.unwrap();
    assert_eq!(
        response.served().route_index,
        1,
        "nothing had been sent there"
    );
}

/// A call that takes a capped rung although it has to wait there, or may be refused, counts too.
#[tokio::test(start_paused = true)]
async fn a_cap_counts_calls_that_wait() {
    for says in [
        |seconds| Passage::After(secs(seconds)),
        |seconds| closed(Some(secs(seconds))),
    ] {
        let gate = Says::new(move |route| match route.to_string().as_str() {
            "m.x@us-east-1" => says(9),
            _ => says(5),
        });
        let rung = Rung::in_region("us-west-2").with_max_per_second(1.0);
        let layer = FallbackLayer::new(Ladder::new().then(rung)).unwrap();
        let bed = Bed::new(|_| Ok(()));
        let service = layer.with_gate(gate).layer(bed.clone());
        for _ in 0..2 {
            let request = request("m.x@us-east-1");
            service.clone().oneshot(request).await.unwrap();
        }
        assert_eq!(bed.routes(), ["m.x@us-west-2", "m.x@us-east-1"]);
    }
}

/// A warm share of the calls takes the first rung although the primary is well: as many as were
/// asked for, the same ones for the same seed.
#[tokio::test]
async fn a_warm_share_exercises_the_first_rung() {
    for share in [0.01, 0.05] {
        let warm = |seed| {
            let ladder = Ladder::regions(["us-west-2", "us-east-2"]).with_warm_share(share);
            let layer = FallbackLayer::new(ladder)
                .unwrap()
                .with_jitter(Jitter::seeded(seed));
            async move {
                let bed = Bed::new(|_| Ok(()));
                let service = layer.layer(bed.clone());
                let mut warm = Vec::new();
                for number in 0..10_000 {
                    let response = service.clone().oneshot(request("m.x@us-east-1")).await;
                    if response.unwrap().served().route_index == 1 {
                        warm.push(number);
                    }
                }
                assert_eq!(bed.count("us-west-2"), warm.len());
                assert_eq!(bed.count("us-east-2"), 0);
                warm
            }
        };
        let calls = warm(7).await;
        let off = calls.len() as f64 / 10_000.0 - share;
        assert!(off.abs() < 0.005, "{} for {share}", calls.len());
        assert_eq!(calls, warm(7).await);
        assert_ne!(calls, warm(8).await);
    }
}

/// A warm call goes where any call may: not outside of its area, not where it opts out, not where it
/// would wait or be refused; and where it fails, the primary has it.
#[tokio::test]
async fn a_warm_call_is_a_call_like_any_other() {
    let all = |rungs: &[&str]| -> FallbackLayer {
        let ladder: Ladder = rungs.iter().map(|rung| route(rung)).collect();
        FallbackLayer::new(ladder.with_warm_share(1.0)).unwrap()
    };
    async fn index(layer: FallbackLayer, request: Request<()>) -> usize {
        let bed = Bed::failing(Cause::ModelOverloaded, &["sick"]);
        let response = layer.layer(bed).oneshot(request).await.unwrap();
        response.served().route_index
    }
    let primary = || request("m.x@us-east-1");
    let west = "m.x@us-west-2";
    assert_eq!(index(all(&[west]), primary()).await, 1);
    assert_eq!(index(all(&[west]), primary().without_fallback()).await, 0);
    assert_eq!(index(all(&["global.m.x", west]), primary()).await, 2);
    assert_eq!(index(all(&["global.m.x"]), primary()).await, 0);
    assert_eq!(index(all(&["m.sick", west]), primary()).await, 0);
    // A rung that is the primary itself is none.
    assert_eq!(index(all(&["m.x@us-east-1", west]), primary()).await, 2);
    for passage in [closed(None), Passage::After(secs(1))] {
        let gate = Says::new(move |route| match route.to_string().as_str() {
            "m.x@us-west-2" => passage,
            _ => Passage::Open,
        });
        let layer = all(&[west, "m.x@us-east-2"]).with_gate(gate);
        assert_eq!(index(layer, primary()).await, 0);
    }
    // It is told that there is another, and does not wait.
    let bed = Bed::new(|_| Ok(()));
    all(&[west])
        .layer(bed.clone())
        .oneshot(primary())
        .await
        .unwrap();
    let call = &bed.calls()[0];
    assert!(call.has_next_route && call.max_wait == Some(Duration::ZERO));
}

/// While the primary is away all calls keep to the first rung that is well, where their prompt caches
/// are warm; one that fails there moves on alone.
#[tokio::test]
async fn calls_keep_to_the_first_rung_that_is_well() {
    let gate = Says::new(|route| match route.to_string().as_str() {
        "m.x@us-east-1" => closed(Some(secs(5))),
        _ => Passage::Open,
    });
    let layer = layer(&["m.x@us-west-2", "m.x@us-east-2"]).with_gate(gate);
    let came = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let bed = Bed::new(move |call| {
        let number = came.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match number == 50 && call.attempt == 1 {
            true => Err(Error::new(Cause::ModelOverloaded)),
            false => Ok(()),
        }
    });
    let service = layer.layer(bed.clone());
    for _ in 0..100 {
        service
            .clone()
            .oneshot(request("m.x@us-east-1"))
            .await
            .unwrap();
    }
    let counted = ["us-east-1", "us-west-2", "us-east-2"].map(|region| bed.count(region));
    assert_eq!(counted, [0, 100, 1]);
}
