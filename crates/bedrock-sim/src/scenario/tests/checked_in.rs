//! The scenarios beside the crate do what their comments say.

use std::{fs, path::Path, time::Duration};

use super::NOVA;
use crate::{Admission, Call, Engine, Exception, Operation, Scenario, StreamFault};

macro_rules! checked_in {
    ($name:literal) => {
        Scenario::from_toml(include_str!(concat!("../../../scenarios/", $name, ".toml"))).unwrap()
    };
}

/// What becomes of calls of an operation, one a second from a time on.
fn play(
    engine: &mut Engine,
    region: &str,
    id: &str,
    operation: Operation,
    from: u64,
    calls: u64,
) -> Vec<Admission> {
    let model = engine.resolve(region, id).unwrap();
    let call = Call::new(model, operation, 10).max_tokens(100);
    (from..from + calls)
        .map(|second| engine.admit(Duration::from_secs(second), &call))
        .collect()
}

fn exception(admission: &Admission) -> Option<Exception> {
    match admission {
        Admission::Refused(refusal) => Some(refusal.exception),
        _ => None,
    }
}

/// Every scenario beside the crate is sound, and none is forgotten by the tests below.
#[test]
fn every_checked_in_scenario_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .inspect(|path| assert!(Scenario::load(path).is_ok(), "{:?}", Scenario::load(path)))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "broken-streams",
            "calm",
            "cold-model",
            "overload",
            "region-down",
            "tight-quota"
        ]
    );
}

/// The calm scenario knows how much its models read and write, and refuses more.
#[test]
fn calm_models_have_their_size() {
    let scenario = checked_in!("calm");
    let ids: Vec<_> = scenario
        .models()
        .iter()
        .map(|spec| spec.id.clone())
        .collect();
    let mut engine = Engine::new(scenario);
    for id in ids {
        let model = engine.resolve("us-east-1", &id).unwrap();
        for call in [
            Call::new(model, Operation::Converse, 10).max_tokens(1_000_000),
            Call::new(model, Operation::Converse, 1_000_000).max_tokens(10),
        ] {
            let answer = engine.admit(Duration::ZERO, &call);
            assert_eq!(exception(&answer), Some(Exception::Validation), "{id}");
        }
    }
}

/// The calm scenario refuses nobody who stays within its quotas.
#[test]
fn calm_is_calm() {
    let scenario = checked_in!("calm");
    assert!(scenario.faults().is_empty());
    let id = scenario.models()[0].id.clone();
    let mut engine = Engine::new(scenario);
    let answers = play(&mut engine, "us-east-1", &id, Operation::Converse, 0, 100);
    assert!(
        answers
            .iter()
            .all(|one| matches!(one, Admission::Admitted(_)))
    );
}

/// The tight quota bears three Claudes without `maxTokens`, as its comment says.
#[test]
fn tight_quota_is_tight() {
    let mut engine = Engine::new(checked_in!("tight-quota"));
    let id = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
    let model = engine.resolve("us-east-1", id).unwrap();
    let call = Call::new(model, Operation::Converse, 500);
    let refused: Vec<_> = (0..4)
        .map(|_| exception(&engine.admit(Duration::ZERO, &call)))
        .collect();
    assert_eq!(refused, [None, None, None, Some(Exception::Throttling)]);
}

/// The overloaded region refuses what is over its slots, in both words.
#[test]
fn overload_has_both_refusals() {
    let mut engine = Engine::new(checked_in!("overload"));
    for (id, slots, expected) in [
        (NOVA, 16, Exception::ServiceUnavailable),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            4,
            Exception::Throttling,
        ),
    ] {
        let answers = play(&mut engine, "us-east-1", id, Operation::Converse, 0, 20);
        let refused: Vec<_> = answers.iter().filter_map(exception).collect();
        assert_eq!(refused, vec![expected; 20 - slots]);
    }
}

/// Of eight streams seven break, each in another way, and again of the next eight.
#[test]
fn streams_break_in_turn() {
    let mut engine = Engine::new(checked_in!("broken-streams"));
    let operation = Operation::ConverseStream;
    let answers = play(&mut engine, "us-east-1", NOVA, operation, 0, 80);
    let faults: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Admission::Admitted(admitted) => admitted.stream_fault,
            other => panic!("{other:?}"),
        })
        .collect();
    for eight in faults.chunks(8) {
        let broken = |fault: &dyn Fn(&StreamFault) -> bool| {
            eight.iter().flatten().filter(|one| fault(one)).count()
        };
        assert_eq!(eight.iter().filter(|one| one.is_none()).count(), 1);
        assert_eq!(
            broken(&|one| matches!(one, StreamFault::ExceptionAfter { .. })),
            2
        );
        assert_eq!(
            broken(&|one| matches!(one, StreamFault::CutAfter { .. })),
            1
        );
        assert_eq!(
            broken(&|one| matches!(one, StreamFault::CloseInsideFrame { .. })),
            1
        );
        assert_eq!(broken(&|one| matches!(one, StreamFault::NoMessageStop)), 1);
        assert_eq!(
            broken(&|one| matches!(one, StreamFault::BadCrcAfter { .. })),
            1
        );
        assert_eq!(
            broken(&|one| matches!(one, StreamFault::StallAfter { .. })),
            1
        );
    }
}

/// The region goes down and comes back while the other one stays.
#[test]
fn a_region_goes_down_and_comes_back() {
    let mut engine = Engine::new(checked_in!("region-down"));
    let id = "us.amazon.nova-lite-v1:0";
    for (from, refused) in [
        (0, [None; 2]),
        (60, [Some(Exception::ServiceUnavailable); 2]),
        (178, [Some(Exception::ServiceUnavailable); 2]),
        (180, [None, Some(Exception::InternalServer)]),
        (200, [None; 2]),
    ] {
        let home = play(&mut engine, "us-east-1", id, Operation::Converse, from, 2);
        assert_eq!(
            home.iter().map(exception).collect::<Vec<_>>(),
            refused,
            "{from}"
        );
        let other = play(&mut engine, "us-west-2", id, Operation::Converse, from, 2);
        assert!(other.iter().all(|one| exception(one).is_none()), "{from}");
    }
}

/// The cold model warms up, and its application profile with it.
#[test]
fn a_cold_model_warms_up() {
    let mut engine = Engine::new(checked_in!("cold-model"));
    let profile =
        "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3d4e5f6";
    for (from, refused) in [
        (44, [Some(Exception::ModelNotReady), None]),
        (119, [None, Some(Exception::Throttling)]),
        (
            121,
            [Some(Exception::Throttling), Some(Exception::Throttling)],
        ),
        (299, [None, Some(Exception::ExpiredToken)]),
    ] {
        let answers = play(
            &mut engine,
            "eu-central-1",
            profile,
            Operation::Converse,
            from,
            2,
        );
        assert_eq!(
            answers.iter().map(exception).collect::<Vec<_>>(),
            refused,
            "{from}"
        );
    }
}
