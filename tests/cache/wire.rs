//! Through the real SDK: how many requests go out.

use std::{num::NonZeroU32, time::Duration};

use aws_sdk_bedrockruntime::types::{ConverseStreamOutput, ResponseStream as InvokeModelEvent};
use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, Scenario, SimService};
use futures_util::future::join_all;
use tower_bedrock::{
    Bedrock, CacheControl, CacheLayer, CacheStatus, Cause, CoalesceControl, CoalesceLayer, Error,
    FallbackLayer, Ladder, Quota, Request, ResponseStream, RetryLayer, Route, Rung, Stack,
    StreamEvent, Usage,
};
use tower_bedrock_tests::{
    MODEL, REGION, apply_guardrail, converse, converse_stream, count_tokens, in_process, invoke,
    invoke_stream, model, scenario,
};

const MINUTE: Duration = Duration::from_secs(60);

fn cache() -> CacheLayer {
    CacheLayer::new(1 << 20, MINUTE).unwrap()
}

fn keep<Op>(request: Request<Op>) -> Request<Op> {
    request.with_cache(CacheControl::Use)
}

fn share<Op>(request: Request<Op>) -> Request<Op> {
    request.with_coalesce(CoalesceControl::Share)
}

fn requests(sim: &SimService) -> u64 {
    sim.ledger().totals.requests
}

macro_rules! stack {
    ($sim:expr) => {
        Stack::builder(Bedrock::from_builder(in_process($sim)))
    };
}

/// The same question ten times is one request on the wire; the account is charged once.
#[tokio::test(start_paused = true)]
async fn ten_questions_are_one_request() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let route = Route::to(MODEL.parse()?).in_region(REGION);
    let stack = stack!(&sim)
        .quota(route.clone(), Quota::new().with_requests_per_minute(100))
        .cache(cache())
        .coalesce(CoalesceLayer::new())
        .build()?;
    let first = stack.send(keep(Request::from(converse(MODEL)))).await?;
    assert_eq!(first.served().cache, CacheStatus::Miss);
    let used = stack.quotas().unwrap().snapshot_of(&route);
    for _ in 0..9 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let hit = stack.send(keep(Request::from(converse(MODEL)))).await?;
        assert!(hit.served().cache.is_hit());
        assert_eq!(hit.usage(), Some(&Usage::default()));
        assert_eq!(hit.output(), first.output());
        assert_eq!(hit.served().request_id, first.served().request_id);
    }
    assert_eq!(requests(&sim), 1);
    let after = stack.quotas().unwrap().snapshot_of(&route);
    assert_eq!(after.requests_used, used.requests_used);
    assert_eq!(after.tokens_settled(), used.tokens_settled());
    assert_eq!(stack.cache().unwrap().entries(), 1);
    Ok(())
}

/// A home region that is named and one that is not are the same to a stack's cache.
#[tokio::test(start_paused = true)]
async fn a_stack_tells_its_cache_where_it_is() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let stack = stack!(&sim).cache(cache()).build()?;
    stack.send(keep(Request::from(converse(MODEL)))).await?;
    let route = Route::to(MODEL.parse()?).in_region(REGION);
    let named = Request::from(converse(MODEL)).with_route(route);
    assert!(stack.send(keep(named)).await?.served().cache.is_hit());
    Ok(())
}

/// Fifty questions at once are one request; one call is charged.
#[tokio::test(start_paused = true)]
async fn a_burst_is_one_request() -> Result<(), Box<dyn std::error::Error>> {
    let slow = model().latency(Duration::from_secs(2));
    let sim = SimService::new(Scenario::builder().seed(7).model(slow).build()?);
    let stack = stack!(&sim)
        .cache(cache())
        .coalesce(CoalesceLayer::new())
        .build()?;
    let calls = (0..50).map(|_| {
        let request = Request::from(converse(MODEL)).with_timeout(MINUTE);
        stack.send(share(keep(request)))
    });
    let answers: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    assert_eq!(requests(&sim), 1);
    let charged = answers
        .iter()
        .filter(|answer| answer.usage() != Some(&Usage::default()));
    assert_eq!(charged.count(), 1);
    let leaders = answers.iter().filter(|answer| !answer.served().coalesced);
    assert_eq!(leaders.count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.output() == answers[0].output())
    );
    let hit = stack.send(keep(Request::from(converse(MODEL)))).await?;
    assert!(hit.served().cache.is_hit());
    assert_eq!(requests(&sim), 1);
    Ok(())
}

async fn all<E: StreamEvent>(mut stream: ResponseStream<E>) -> Result<Vec<E>, Error> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    assert!(stream.is_complete());
    Ok(events)
}

/// A stream is given again as it came, event by event.
#[tokio::test(start_paused = true)]
async fn streams_are_given_again_as_streams() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let stack = stack!(&sim)
        .cache(cache())
        .coalesce(CoalesceLayer::new())
        .build()?;
    let ask = || share(keep(Request::from(converse_stream(MODEL))));
    let first = stack.send(ask()).await?;
    let first: Vec<ConverseStreamOutput> = all(first).await?;
    let again = stack.send(ask()).await?;
    assert!(again.served().cache.is_hit());
    assert_eq!(all(again).await?, first);
    assert!(first.len() > 5);

    let ask = || keep(Request::from(invoke_stream()));
    let first: Vec<InvokeModelEvent> = all(stack.send(ask()).await?).await?;
    let again = stack.send(ask()).await?;
    assert!(again.served().cache.is_hit());
    assert_eq!(all(again).await?, first);
    assert_eq!(requests(&sim), 2);

    // Put together, it is the same answer as it was.
    let response = stack
        .send(share(keep(Request::from(converse_stream(MODEL)))))
        .await?;
    let output = response.into_response().await?;
    assert!(
        output.output().usage().is_some(),
        "told in the stream itself"
    );
    assert_eq!(output.usage(), Some(&Usage::default()), "charged to nobody");
    Ok(())
}

/// Streams that are under way are read by all who ask for them, however late.
#[tokio::test(start_paused = true)]
async fn a_burst_of_streams_is_one_request() -> Result<(), Box<dyn std::error::Error>> {
    let slow = model()
        .latency(Duration::from_secs(2))
        .tokens_per_second(10);
    let sim = SimService::new(Scenario::builder().seed(7).model(slow).build()?);
    let stack = stack!(&sim).coalesce(CoalesceLayer::new()).build()?;
    let calls = (0..50_u64).map(|call| {
        let stack = stack.clone();
        async move {
            // The answer begins after two seconds, and takes two more.
            tokio::time::sleep(Duration::from_millis(60 * call)).await;
            all(stack
                .send(share(Request::from(converse_stream(MODEL))))
                .await?)
            .await
        }
    });
    let answers: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(requests(&sim), 1);
    Ok(())
}

/// The other operations are kept, too, for those who ask.
#[tokio::test(start_paused = true)]
async fn all_operations_are_kept() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let stack = stack!(&sim).cache(cache()).build()?;
    for round in 0..2 {
        let is_hit = round == 1;
        let reply = stack.send(keep(Request::from(invoke()))).await?;
        assert_eq!(reply.served().cache.is_hit(), is_hit);
        let reply = stack.send(keep(Request::from(count_tokens()))).await?;
        assert_eq!(reply.served().cache.is_hit(), is_hit);
        let reply = stack.send(keep(Request::from(apply_guardrail()))).await?;
        assert_eq!(reply.served().cache.is_hit(), is_hit);
    }
    assert_eq!(requests(&sim), 3);
    Ok(())
}

/// What ran out of tokens is asked for again, whole or as a stream.
#[tokio::test(start_paused = true)]
async fn what_ran_out_of_tokens_is_not_kept() -> Result<(), Box<dyn std::error::Error>> {
    // More than the hundred that the calls allow.
    let wordy = model().output_tokens(500);
    let sim = SimService::new(Scenario::builder().seed(7).model(wordy).build()?);
    let stack = stack!(&sim).cache(cache()).build()?;
    for _ in 0..2 {
        let reply = stack.send(keep(Request::from(converse(MODEL)))).await?;
        assert_eq!(reply.output().stop_reason().as_str(), "max_tokens");
        let reply = stack
            .send(keep(Request::from(converse_stream(MODEL))))
            .await?;
        all(reply).await?;
        stack.send(keep(Request::from(invoke()))).await?;
        all(stack.send(keep(Request::from(invoke_stream()))).await?).await?;
    }
    assert_eq!(requests(&sim), 8);
    assert_eq!(stack.cache().unwrap().entries(), 0);
    Ok(())
}

/// What another model answered is not kept under the name of the one that was asked.
#[tokio::test(start_paused = true)]
async fn what_a_fallback_answered_is_not_kept() -> Result<(), Box<dyn std::error::Error>> {
    const OTHER: &str = "us.amazon.nova-micro-v1:0";
    let down = FaultSpec::error(ErrorText::ServiceUnavailable).model(MODEL);
    let other = ModelSpec::new(OTHER).regions([REGION]).output_tokens(20);
    let sim = SimService::new(scenario().model(other).fault(down).build()?);
    let ladder = Ladder::new().then(Rung::model(OTHER.parse()?));
    let stack = stack!(&sim)
        .retry(RetryLayer::new().with_max_attempts(NonZeroU32::MIN))
        .fallback(FallbackLayer::new(ladder)?)
        .cache(cache())
        .build()?;
    for _ in 0..2 {
        let reply = stack.send(keep(Request::from(converse(MODEL)))).await?;
        assert!(reply.served().degraded);
        assert_eq!(reply.served().cache, CacheStatus::Miss);
    }
    assert_eq!(stack.cache().unwrap().entries(), 0);
    Ok(())
}

/// What fails, fails for all who share it, after the retries of one call, with the cause that it has.
#[tokio::test(start_paused = true)]
async fn a_burst_that_fails_is_retried_for_one() -> Result<(), Box<dyn std::error::Error>> {
    let down = FaultSpec::error(ErrorText::ServiceUnavailable);
    let sim = SimService::new(scenario().fault(down).build()?);
    let attempts = NonZeroU32::new(3).unwrap();
    let stack = stack!(&sim)
        .retry(RetryLayer::new().with_max_attempts(attempts))
        .coalesce(CoalesceLayer::new())
        .build()?;
    let calls = (0..10).map(|_| stack.send(share(Request::from(converse(MODEL)))));
    let errors: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(|result| result.map(drop).unwrap_err())
        .collect();
    assert_eq!(requests(&sim), 3);
    for error in &errors {
        assert_eq!(error.cause(), Cause::ServiceUnavailable);
        assert_eq!(error.attempts(), Some(3));
        assert_eq!(error.request_id(), errors[0].request_id());
        assert_eq!(error.to_string(), errors[0].to_string());
    }
    Ok(())
}
