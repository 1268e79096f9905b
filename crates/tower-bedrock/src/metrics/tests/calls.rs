use std::future::ready;

use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::ServiceTier;

fn calls<S>(service: S) -> CallMetrics<S> {
    CallMetricsLayer::new(Metrics::new()).layer(service)
}

/// A call counts once, by its outcome, and takes until it is over.
#[tokio::test(start_paused = true)]
async fn calls_count_by_outcome() {
    let recorded = Recorded::new();
    let labels = format!("model={MODEL},operation=Converse");
    let gen_ai = format!(
        "gen_ai.operation.name=chat,gen_ai.provider.name=aws.bedrock,gen_ai.request.model={MODEL}"
    );
    let names = ["calls", "gen_ai.client.operation", "degraded"];

    let service = calls(service_fn(|_: Request<()>| ready(Ok::<_, Error>(answer()))));
    service.oneshot(request(Operation::Converse)).await.unwrap();
    assert_eq!(
        recorded.lines(&names),
        [
            format!("calls_total{{{labels},outcome=answered}} 1"),
            format!("gen_ai.client.operation.duration{{{gen_ai}}} 1"),
        ]
    );

    let service = calls(service_fn(|_: Request<()>| {
        ready(Err::<Response<()>, _>(Error::new(Cause::BudgetExhausted)))
    }));
    let error = service.oneshot(request(Operation::Converse)).await;
    error.unwrap_err();
    assert_eq!(
        recorded.lines(&names),
        [
            format!("calls_total{{{labels},outcome=budget_exhausted}} 1"),
            format!("gen_ai.client.operation.duration{{{gen_ai},error.type=budget_exhausted}} 1"),
        ]
    );

    let mut never = calls(service_fn(|_: Request<()>| async {
        sleep(Duration::from_secs(9)).await;
        Ok::<_, Error>(answer())
    }));
    drop(never.call(request(Operation::Converse)));
    assert_eq!(recorded.lines(&names), [""; 0]);
    assert!(poll(never.call(request(Operation::Converse))).is_pending());
    assert_eq!(
        recorded.lines(&names),
        [
            format!("calls_total{{{labels},outcome=dropped}} 1"),
            format!("gen_ai.client.operation.duration{{{gen_ai},error.type=dropped}} 1"),
        ]
    );
}

/// An answer of another model, or of a lower tier, counts as degraded by what answered.
#[tokio::test]
async fn degraded_answers_are_told() {
    let recorded = Recorded::new();
    for (other, to) in [
        (
            Route::to("amazon.nova-micro-v1:0".parse().unwrap()),
            "amazon.nova-micro-v1:0",
        ),
        (
            route().on_tier(ServiceTier::Flex),
            "amazon.nova-lite-v1:0/flex",
        ),
    ] {
        let service = calls(service_fn(move |_: Request<()>| {
            let served = Served {
                route: other.clone(),
                degraded: true,
                ..Served::default()
            };
            ready(Ok::<_, Error>(Response::new((), served, None)))
        }));
        service.oneshot(request(Operation::Converse)).await.unwrap();
        let expected = format!("degraded_calls_total{{model={MODEL},to={to}}} 1");
        assert_eq!(recorded.lines(&["degraded"]), [expected]);
    }
}
