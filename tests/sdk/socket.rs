use std::time::Duration;

use bedrock_sim::{ErrorText, FaultKind, FaultSpec, Server};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Backoff, Bedrock, Cause, ClassifyLayer, Reaction, Reactions, Request, RetryLayer,
};
use tower_bedrock_tests::{MODEL, config, converse, scenario};

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// The SDK's own HTTP client over a real socket: refused, reset, answered.
#[tokio::test]
async fn trouble_on_a_real_socket_is_waited_out() -> TestResult {
    let scenario = scenario()
        .fault(FaultSpec::error(ErrorText::Overloaded).count(1))
        .fault(FaultSpec::new(FaultKind::Reset).count(1))
        .build()?;
    let server = Server::bind("127.0.0.1:0", scenario).await?;
    // Over a real socket, no time is waited away.
    let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
    let reactions = [Cause::ModelOverloaded, Cause::Connect]
        .into_iter()
        .fold(Reactions::default(), |reactions, cause| {
            reactions.with(cause, Reaction::to(cause).retried(at_once, 3))
        });
    let response = ServiceBuilder::new()
        .layer(RetryLayer::new().with_reactions(reactions))
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(config(server.url())))
        .oneshot(Request::from(converse(MODEL)))
        .await?;
    assert_eq!(response.served().attempts, 3);
    assert_eq!(server.service().ledger().totals.requests, 3);
    server.shutdown().await;
    Ok(())
}

/// A real TCP reset is a connection that broke, and so is a port where nobody listens.
#[tokio::test]
async fn broken_and_refused_connections_are_told() -> TestResult {
    let scenario = scenario().fault(FaultSpec::new(FaultKind::Reset)).build()?;
    let server = Server::bind("127.0.0.1:0", scenario).await?;
    let url = server.url();
    let service = ServiceBuilder::new()
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(config(url)));
    let error = service
        .clone()
        .oneshot(Request::from(converse(MODEL)))
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::Connect, "{error:?}");
    server.shutdown().await;
    let error = service
        .oneshot(Request::from(converse(MODEL)))
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::Connect, "{error:?}");
    Ok(())
}
