//! The recommended stack inside of the SDK's own client.

use aws_sdk_bedrockruntime::{Client, types::InferenceConfiguration};
use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, Scenario, SimService};
use tower_bedrock::{
    CircuitState, FallbackLayer, Ladder, Quota, Route, StackLayer, sdk::install::Resilience,
};
use tower_bedrock_tests::{MODEL, REGION, in_process, message};

/// A client that knows nothing of layers is served by the second region while the first is down; what
/// the layers know can be read beside it.
#[tokio::test(start_paused = true)]
async fn the_fluent_client_survives_the_outage_of_a_region() {
    let down = FaultSpec::error(ErrorText::TooManyConnections).region(REGION);
    let model = ModelSpec::new(MODEL).regions([REGION, "us-west-2"]);
    let scenario = Scenario::builder().model(model).fault(down).build();
    let sim = SimService::new(scenario.expect("a valid scenario"));

    let route = Route::to(MODEL.parse().unwrap());
    let fallback = FallbackLayer::new(Ladder::regions(["us-west-2"])).unwrap();
    let stack = StackLayer::builder(REGION)
        .quota(route.clone(), Quota::new().with_requests_per_minute(1000))
        .fallback(fallback)
        .build_layer()
        .unwrap();
    let config = Resilience::new(stack.clone()).install(in_process(&sim));
    let client = Client::from_conf(config.build());

    for _ in 0..20 {
        let call = client.converse().model_id(MODEL).messages(message("hello"));
        let short = InferenceConfiguration::builder().max_tokens(100).build();
        call.inference_config(short).send().await.unwrap();
    }
    let breakers = stack.breakers().unwrap();
    assert_eq!(breakers.state(&route), CircuitState::Open);
    assert_eq!(
        breakers
            .snapshot_of(&route.clone().in_region("us-west-2"))
            .calls,
        20
    );
    let sent = sim.ledger().totals;
    assert_eq!(
        (sent.completed, sent.requests),
        (20, 30),
        "ten until the circuit opened"
    );
}
