//! Where data may be processed holds in an outage too.

use std::collections::BTreeSet;

use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, Scenario, SimService};
use tower_bedrock::{
    Bedrock, Cause, DefaultStack, FallbackLayer, Ladder, ModelId, Request, Residency, Stack,
};
use tower_bedrock_tests::{converse, in_process};

use crate::wire::{Log, Wire};

const BASE: &str = "anthropic.claude-sonnet-4-6";

/// A world with the model in-region, by every geographic profile and globally, in which all of
/// `down` answers 503.
fn world(down: &[(&str, &str)]) -> SimService {
    let id = |prefix: &str| format!("{prefix}{BASE}");
    let everywhere = [
        "eu-west-1",
        "eu-central-1",
        "ap-northeast-1",
        "ap-northeast-3",
        "us-east-1",
    ];
    let profile = |prefix: &str, regions: &[&str]| {
        ModelSpec::new(id(prefix)).regions(regions.iter().copied())
    };
    let scenario = Scenario::builder()
        .model(profile("", &everywhere))
        .model(profile("eu.", &everywhere[..2]))
        .model(profile("jp.", &everywhere[2..4]))
        .model(profile("us.", &everywhere[4..]))
        .model(profile("global.", &everywhere));
    let scenario = down.iter().fold(scenario, |scenario, (prefix, region)| {
        let fault = FaultSpec::error(ErrorText::TooManyConnections);
        scenario.fault(fault.model(id(prefix)).region(*region))
    });
    SimService::new(scenario.build().expect("a valid scenario"))
}

fn stack(
    sim: &SimService,
    home: &'static str,
    fallback: FallbackLayer,
) -> (DefaultStack<Wire<Bedrock>>, Log) {
    let config = in_process(sim).region(aws_sdk_bedrockruntime::config::Region::new(home));
    let (wire, log) = Wire::new(Bedrock::from_builder(config));
    let stack = Stack::over(wire, home).fallback(fallback).build();
    (stack.expect("a stack that can be meant"), log)
}

/// A ladder that leads out of every area, were it allowed: wider profiles at home, the same profile
/// in the neighbour region, the world.
fn ladder(profile: &str, home: &str, neighbour: &str) -> Ladder {
    let model: ModelId = format!("{profile}.{BASE}").parse().expect("a model id");
    Ladder::profiles(&model, [home], Residency::Global)
        .expect("a model with profiles")
        .then(tower_bedrock::Rung::model(model).at(neighbour))
        .and(Ladder::regions(["us-east-1"]))
}

/// Makes `calls` calls, one after the other, and tells where their attempts went.
async fn attempts(
    stack: &DefaultStack<Wire<Bedrock>>,
    log: &Log,
    profile: &str,
    calls: usize,
) -> (Vec<Result<String, Cause>>, BTreeSet<String>) {
    let mut results = Vec::new();
    for _ in 0..calls {
        let input = converse(&format!("{profile}.{BASE}"));
        let result = stack.send(Request::from(input)).await;
        results.push(match result {
            Ok(response) => Ok(response.served().route.to_string()),
            Err(error) => Err(error.cause()),
        });
    }
    let attempts = log.attempts().into_iter();
    let went = attempts.map(|attempt| attempt.route.to_string()).collect();
    (results, went)
}

/// Europe's traffic stays in Europe and Japan's in Japan when their region fails: the neighbour serves
/// it. When all of the area fails, so do the calls, and still nothing goes to a wider profile.
#[tokio::test(start_paused = true)]
async fn an_outage_takes_no_data_out_of_its_area() {
    for (profile, home, neighbour) in [
        ("eu", "eu-west-1", "eu-central-1"),
        ("jp", "ap-northeast-1", "ap-northeast-3"),
    ] {
        let prefix = format!("{profile}.");
        let home_is_down = [("", home), (&prefix, home)];
        let all_is_down = [("", home), (&prefix, home), (&prefix, neighbour)];
        let stays_inside =
            |route: &String| route.starts_with(&prefix) || *route == format!("{BASE}@{home}");

        let fallback = || FallbackLayer::new(ladder(profile, home, neighbour)).unwrap();
        let (stack, log) = stack(&world(&home_is_down), home, fallback());
        let (results, went) = attempts(&stack, &log, profile, 30).await;
        let expected = format!("{prefix}{BASE}@{neighbour}");
        assert!(
            results.iter().all(|result| *result == Ok(expected.clone())),
            "{results:?}"
        );
        assert!(went.iter().all(stays_inside), "{went:?}");

        let (stack, log) = self::stack(&world(&all_is_down), home, fallback());
        let (results, went) = attempts(&stack, &log, profile, 30).await;
        assert!(results.iter().all(Result::is_err), "{results:?}");
        assert_eq!(results[0], Err(Cause::CapacityExceeded));
        assert!(went.iter().all(stays_inside), "{went:?}");
        assert!(went.len() > 2, "what is inside was tried: {went:?}");

        // The ladder does lead out: where the world is allowed, it is taken.
        let widest = fallback().with_residency(Residency::Global);
        let (stack, log) = self::stack(&world(&all_is_down), home, widest);
        let (results, _) = attempts(&stack, &log, profile, 1).await;
        assert!(results[0].is_ok(), "{results:?}");
    }
}
