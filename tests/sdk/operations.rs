use bedrock_sim::{FaultSpec, ModelSpec, ScenarioError, SimService};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{Bedrock, Cause, ClassifyLayer, Request, RetryLayer, Route};
use tower_bedrock_tests::{
    MODEL, PROMPT, apply_guardrail, converse, count_tokens, in_process, invoke, scenario,
};

/// One stack serves all operations; what they used agrees between body, headers and CountTokens.
#[tokio::test(start_paused = true)]
async fn one_stack_serves_all_operations() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(in_process(&sim)));

    let converse = stack
        .clone()
        .oneshot(Request::from(converse(MODEL)))
        .await?;
    let usage = *converse.usage().ok_or("Converse tells its usage")?;
    assert_eq!(usage.output, 20);
    let total = converse.output().usage().ok_or("usage")?.total_tokens();
    assert_eq!(usage.total(), u64::try_from(total)?);

    let invoke = stack.clone().oneshot(Request::from(invoke())).await?;
    assert_eq!(invoke.usage(), Some(&usage), "told in headers alone");

    let count = stack.clone().oneshot(Request::from(count_tokens())).await?;
    assert_eq!(u64::try_from(count.output().input_tokens())?, usage.input);
    assert_eq!(count.usage(), None);

    let guardrail = stack.oneshot(Request::from(apply_guardrail())).await?;
    assert_eq!(guardrail.served().route.model, None);
    assert_eq!(sim.ledger().totals.requests, 4);
    Ok(())
}

/// `Served` tells model, region, attempts and the service's id of the request.
#[tokio::test(start_paused = true)]
async fn an_answer_tells_by_whom_it_was_served() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let bedrock = Bedrock::from_builder(in_process(&sim));
    let response = bedrock.oneshot(Request::from(converse(MODEL))).await?;
    let served = response.served();
    assert_eq!(
        served.route.to_string(),
        "us.amazon.nova-lite-v1:0@us-east-1"
    );
    assert_eq!(
        (served.attempts, served.route_index, served.degraded),
        (1, 0, false)
    );
    assert!(served.request_id.as_ref().is_some_and(|id| id.len() == 36));
    Ok(())
}

/// A request goes where its route says, signed for that region, whatever its input named.
#[tokio::test(start_paused = true)]
async fn a_request_goes_where_its_route_says() -> Result<(), Box<dyn std::error::Error>> {
    let other = ModelSpec::new("eu.amazon.nova-pro-v1:0").regions(["eu-west-1", "eu-west-3"]);
    let sim = SimService::new(scenario().model(other).build()?);
    let bedrock = Bedrock::from_builder(in_process(&sim));
    for region in ["eu-west-1", "eu-west-3", "eu-west-1"] {
        let route = Route::to("eu.amazon.nova-pro-v1:0".parse()?).in_region(region);
        let request = Request::from(converse(MODEL)).with_route(route.clone());
        let response = bedrock.clone().oneshot(request).await?;
        assert_eq!(response.served().route, route);
    }
    let ledger = sim.ledger();
    let admitted = |region, model| {
        ledger
            .quota(region, "geo", model)
            .map(|quota| quota.counts.admitted)
    };
    assert_eq!(admitted("eu-west-1", "amazon.nova-pro-v1:0"), Some(2));
    assert_eq!(admitted("eu-west-3", "amazon.nova-pro-v1:0"), Some(1));
    assert_eq!(admitted("us-east-1", "amazon.nova-lite-v1:0"), Some(0));
    Ok(())
}

/// Calls that a task makes at once over one client each send their own input.
#[tokio::test(start_paused = true)]
async fn calls_at_once_on_one_task_are_kept_apart() -> Result<(), Box<dyn std::error::Error>> {
    const PRO: &str = "us.amazon.nova-pro-v1:0";
    let pro = ModelSpec::new(PRO).regions(["us-east-1"]);
    let sim = SimService::new(scenario().model(pro).build()?);
    let bedrock = Bedrock::from_builder(in_process(&sim));
    let (lite, pro, again, guarded) = tokio::join!(
        bedrock.clone().oneshot(Request::from(converse(MODEL))),
        bedrock.clone().oneshot(Request::from(converse(PRO))),
        bedrock.clone().oneshot(Request::from(converse(PRO))),
        bedrock.clone().oneshot(Request::from(apply_guardrail())),
    );
    lite?;
    pro?;
    again?;
    guarded?;
    let ledger = sim.ledger();
    let admitted = |model| {
        ledger
            .quota("us-east-1", "geo", model)
            .map(|quota| quota.counts.admitted)
    };
    assert_eq!(admitted("amazon.nova-lite-v1:0"), Some(1));
    assert_eq!(admitted("amazon.nova-pro-v1:0"), Some(2));
    assert_eq!(ledger.totals.requests, 4);
    Ok(())
}

/// ARNs are sent as they are and reach the model they name.
#[tokio::test(start_paused = true)]
async fn arns_reach_their_model() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let bedrock = Bedrock::from_builder(in_process(&sim));
    let arn = format!("arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}");
    bedrock.oneshot(Request::from(converse(&arn))).await?;
    let ledger = sim.ledger();
    let quota = ledger.quota("us-east-1", "geo", "amazon.nova-lite-v1:0");
    assert_eq!(quota.map(|quota| quota.counts.admitted), Some(1));
    Ok(())
}

/// Nothing that a user may print shows the prompt: request, response, error, services.
#[tokio::test(start_paused = true)]
async fn nothing_that_can_be_printed_shows_the_prompt() -> Result<(), ScenarioError> {
    let broken = FaultSpec::error(bedrock_sim::ErrorText::ModelError).skip(1);
    let sim = SimService::new(scenario().fault(broken).build()?);
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(in_process(&sim)));
    let request = Request::from(converse(MODEL));
    let response = stack
        .clone()
        .oneshot(request.clone())
        .await
        .expect("the first is answered");
    let answer = format!("{:?}", response.output().output());
    assert!(
        answer.contains("Text"),
        "the simulator answers in text: {answer}"
    );
    let error = stack.clone().oneshot(request.clone()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::ModelFailed);

    let mut shown = format!("{request:?} {response:?} {error:?} {error} {stack:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        shown += &format!("{error:?} {error}");
        source = error.source();
    }
    assert!(!shown.contains(PROMPT), "{shown}");
    assert!(!shown.contains("Text"), "{shown}");
    Ok(())
}
