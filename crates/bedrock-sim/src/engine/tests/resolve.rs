//! Which ids share a quota.

use super::support::*;
use crate::{Call, Engine, Exception, ModelSpec, Operation, Scenario};

const NOVA: &str = "amazon.nova-lite-v1:0";

fn engine(models: impl IntoIterator<Item = ModelSpec>) -> Engine {
    let scenario = models
        .into_iter()
        .fold(Scenario::builder(), |all, model| all.model(model));
    Engine::new(scenario.build().unwrap())
}

/// Geographic prefixes share one quota; the global profile and the region itself have their own;
/// an ARN means what its id means.
#[test]
fn ids_of_one_path_share_a_quota() {
    let engine = engine([
        ModelSpec::new(NOVA),
        ModelSpec::new(format!("us.{NOVA}")),
        ModelSpec::new(format!("global.{NOVA}")),
    ]);
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/";
    let at = |id: &str| engine.resolve(REGION, id).unwrap();
    let (in_region, geo, global) = (
        at(NOVA),
        at(&format!("us.{NOVA}")),
        at(&format!("global.{NOVA}")),
    );
    assert!(in_region != geo && geo != global && global != in_region);
    assert_eq!(at(&format!("apac.{NOVA}")), geo);
    assert_eq!(at(&format!("{arn}eu.{NOVA}")), geo);
    assert_eq!(at(&format!("{arn}global.{NOVA}")), global);
    assert_eq!(
        at(&format!(
            "arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"
        )),
        in_region
    );
}

/// What the scenario does not know is refused as the service refuses it.
#[test]
fn unknown_ids_are_refused_in_the_words_of_the_service() {
    let engine = engine([ModelSpec::new(format!("us.{NOVA}")).regions(["us-east-1"])]);
    for (region, id) in [
        (REGION, "amazon.nova-pro-v1:0"),
        (REGION, "not an id"),
        (REGION, ""),
        ("eu-west-1", "us.amazon.nova-lite-v1:0"),
        (REGION, "global.amazon.nova-lite-v1:0"),
        (
            REGION,
            "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
        ),
    ] {
        let refusal = engine.resolve(region, id).unwrap_err();
        assert_eq!(refusal.exception, Exception::Validation, "{id}");
        assert_eq!(refusal.message, "The provided model identifier is invalid.");
    }
    let refusal = engine.resolve(REGION, NOVA).unwrap_err();
    assert_eq!(
        refusal.message,
        "Invocation of model ID amazon.nova-lite-v1:0 with on-demand throughput isn\u{2019}t \
         supported. Retry your request with the ID or ARN of an inference profile that contains \
         this model."
    );
}

/// Application profiles and provisioned throughput are found by the aliases of a model and draw on
/// its quota.
#[test]
fn aliases_draw_on_their_model() {
    let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
    let engine = engine([ModelSpec::new(format!("us.{NOVA}")).alias(profile)]);
    let by_alias = engine.resolve(REGION, profile).unwrap();
    assert_eq!(
        by_alias,
        engine.resolve(REGION, "us.amazon.nova-lite-v1:0").unwrap()
    );
    assert!(engine.resolve(REGION, &format!("{profile}d")).is_err());
}

/// Every source region has quotas of its own.
#[test]
fn regions_do_not_share_quotas() {
    let mut engine = engine([ModelSpec::new(NOVA)
        .rpm(1)
        .regions(["us-east-1", "us-west-2"])]);
    for region in ["us-east-1", "us-west-2"] {
        let model = engine.resolve(region, NOVA).unwrap();
        let call = Call::new(model, Operation::Converse, 1);
        assert!(matches!(
            engine.admit(ms(0), &call),
            crate::Admission::Admitted(_)
        ));
        assert!(matches!(
            engine.admit(ms(0), &call),
            crate::Admission::Refused(_)
        ));
    }
    let ledger = engine.ledger(ms(5));
    let quota = ledger.quota("us-west-2", "in-region", NOVA).unwrap();
    assert_eq!((quota.counts.requests, quota.counts.admitted), (2, 1));
    assert_eq!((ledger.totals.requests, ledger.totals.admitted), (4, 2));
}

/// What the wire refuses by itself stands in the ledger all the same.
#[test]
fn invalid_requests_are_counted() {
    let mut engine = engine([ModelSpec::new(NOVA)]);
    let model = engine.resolve(REGION, NOVA).unwrap();
    engine.refuse_invalid(Some(model));
    engine.refuse_invalid(None);
    let ledger = engine.ledger(ms(0));
    assert_eq!(ledger.quotas[0].counts.refused.validation, 1);
    assert_eq!(ledger.totals.refused.validation, 2);
    assert_eq!(ledger.totals.requests, 2);
}

/// After a reset everything is as at the start, and a ticket from before changes nothing.
#[test]
fn a_reset_forgets_what_is_in_flight() {
    let mut sim = Sim::new(plain().rpm(1).concurrency(1));
    let call = sim.call(1);
    let old = sim.admit(5_000, &call).unwrap();
    sim.engine.reset();
    assert_eq!(sim.counts().requests, 0);
    let new = sim.admit(0, &call).unwrap();
    sim.complete(0, old);
    assert_eq!(sim.counts().in_flight, 1);
    sim.complete(0, new);
    assert_eq!(sim.counts().in_flight, 0);
}

/// A handle of another engine is refused, not mistaken.
#[test]
fn a_foreign_handle_is_refused() {
    let other = engine([ModelSpec::new(NOVA).regions(["us-east-1", "us-west-2"])]);
    let foreign = other.resolve("us-west-2", NOVA).unwrap();
    let mut sim = Sim::new(plain());
    assert!(sim.engine.spec(foreign).is_none());
    let call = Call::new(foreign, Operation::Converse, 1);
    let refusal = sim.admit(0, &call).unwrap_err();
    assert_eq!(refusal.exception, Exception::Validation);
}

/// The ledger is what `bedrock-sim` shows as JSON: its names are an interface.
#[test]
fn the_ledger_has_a_stable_shape() {
    let mut sim = Sim::new(plain().rpm(1).tpm(100));
    let call = sim.call(40);
    let _open = sim.admit(0, &call).unwrap();
    assert!(sim.admit(0, &call).is_err());
    let json = serde_json::to_value(sim.engine.ledger(ms(1_500))).unwrap();
    let counts = serde_json::json!({
        "requests": 2, "admitted": 1, "completed": 0, "failed": 0, "in_flight": 1,
        "tokens_held": 40, "tokens_settled": 0,
        "refused": {
            "requests_per_minute": 1, "tokens_per_minute": 0, "tokens_per_day": 0,
            "capacity": 0, "fault": 0, "validation": 0,
        },
    });
    let mut quota = serde_json::json!({
        "account": "123456789012", "region": "us-east-1", "path": "in-region",
        "model": NOVA, "rpm": 1, "tpm": 100, "tpd": null,
    });
    quota
        .as_object_mut()
        .unwrap()
        .extend(counts.as_object().unwrap().clone());
    assert_eq!(
        json,
        serde_json::json!({
            "elapsed_ms": 1_500, "quotas": [quota], "totals": counts, "faults": {},
        })
    );
}
