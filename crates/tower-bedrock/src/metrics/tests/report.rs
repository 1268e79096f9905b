use tower::{Layer, Service, service_fn};

use super::*;
use crate::{
    CircuitBreakers, PoolKey, PoolLayer, Pools, Quota, Quotas, RetryBudget, TokenBudgetLayer,
};

/// Quotas are reported with what is used, held and left, by the limit in force.
#[tokio::test(start_paused = true)]
async fn quotas_are_reported() {
    let recorded = Recorded::new();
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_requests_per_minute(10)
        .with_tokens_per_minute(1000)
        .with_tokens_per_day(5000);
    quotas.set(&route(), quota).unwrap();
    let reporter = MetricsReporter::new(Metrics::new()).with_quotas(quotas.clone());
    let service = service_fn(|_: Request<()>| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Error>(answer())
    });
    let mut service = TokenBudgetLayer::new(quotas).layer(service);
    let mut request = request(Operation::Converse);
    let context = crate::BedrockRequest::context_mut(&mut request);
    context.tokens.input = Some(50);
    context.tokens.max_output = Some(100);
    let key = format!("key={REGION}/in-region/{MODEL}");

    let mut call = Box::pin(service.call(request.clone()));
    assert!(poll(call.as_mut()).is_pending());
    reporter.report();
    let of = |limit: &str| format!("{{{key},limit={limit}}}");
    assert_eq!(
        recorded.lines(&["quota", "tokens"]),
        [
            format!("quota_held{} 150", of("tokens_per_minute")),
            format!("quota_learned_limit{} 10", of("requests_per_minute")),
            format!("quota_learned_limit{} 1000", of("tokens_per_minute")),
            format!("quota_limit{} 10", of("requests_per_minute")),
            format!("quota_limit{} 5000", of("tokens_per_day")),
            format!("quota_limit{} 1000", of("tokens_per_minute")),
            format!("quota_use_ratio{} 0.1", of("requests_per_minute")),
            format!("quota_use_ratio{} 0.03", of("tokens_per_day")),
            format!("quota_use_ratio{} 0.15", of("tokens_per_minute")),
            format!("quota_used{} 1", of("requests_per_minute")),
            format!("quota_used{} 150", of("tokens_per_day")),
            format!("tokens_held_total{{{key}}} 150"),
        ]
    );
    call.await.unwrap();
    reporter.report();
    let lines = recorded.lines(&["quota_held", "quota_used", "tokens_settled"]);
    assert_eq!(
        lines,
        [
            format!("quota_used{} 1", of("requests_per_minute")),
            format!("quota_used{} 19", of("tokens_per_day")),
            format!("quota_used{} 19", of("tokens_per_minute")),
            format!("tokens_settled_total{{{key}}} 19"),
        ]
    );
}

/// Keys beyond the bound are summed up, and the highest of their ratios counts.
#[tokio::test(start_paused = true)]
async fn keys_beyond_the_bound_are_summed_up() {
    let recorded = Recorded::new();
    let quotas = Quotas::new();
    for number in 0..10_u64 {
        let route = Route::to(format!("vendor.model-{number}").parse().unwrap());
        let quota = Quota::new().with_tokens_per_minute(100 * (number + 1));
        quotas.set(&route, quota).unwrap();
    }
    let metrics = Metrics::new().with_max_keys(1);
    let reporter = MetricsReporter::new(metrics).with_quotas(quotas);
    reporter.report();
    let limits: Vec<_> = recorded
        .take()
        .into_iter()
        .filter(|(series, _)| series.starts_with("quota_limit"))
        .collect();
    assert_eq!(limits.len(), 2, "{limits:?}");
    let sum: f64 = limits.iter().map(|(_, value)| value).sum();
    assert_eq!(sum, 5500.0);
}

/// What is no more is zero with the next report: a limit that was taken back.
#[tokio::test(start_paused = true)]
async fn what_is_gone_is_zero() {
    let recorded = Recorded::new();
    let quotas = Quotas::new();
    let reporter = MetricsReporter::new(Metrics::new()).with_quotas(quotas.clone());
    let both = Quota::new()
        .with_requests_per_minute(10)
        .with_tokens_per_minute(1000);
    quotas.set(&route(), both).unwrap();
    reporter.report();
    let one = Quota::new().with_requests_per_minute(10);
    quotas.set(&route(), one).unwrap();
    reporter.report();
    let labels = format!("key={REGION}/in-region/{MODEL},limit=requests_per_minute");
    assert_eq!(
        recorded.lines(&["quota_limit"]),
        [format!("quota_limit{{{labels}}} 10")]
    );
}

/// Circuits, pools and the retry budget are reported as they are.
#[tokio::test(start_paused = true)]
async fn circuits_pools_and_the_retry_budget_are_reported() {
    let recorded = Recorded::new();
    let breakers = CircuitBreakers::new();
    let pools = Pools::new().with_max_in_flight(4);
    let budget = RetryBudget::with_capacity(70);
    let reporter = MetricsReporter::new(Metrics::new())
        .with_breakers(breakers.clone())
        .with_pools(pools.clone())
        .with_retry_budget(budget);
    breakers.force_open(&route());
    let service = service_fn(|_: Request<()>| pending::<Result<Response<()>, Error>>());
    let mut service = PoolLayer::new(pools.clone()).layer(service);
    let mut call = Box::pin(service.call(request(Operation::Converse)));
    assert!(poll(call.as_mut()).is_pending());

    reporter.report();
    let pool = format!("{{region={REGION}}}");
    assert_eq!(
        recorded.lines(&["circuit", "pool", "retry"]),
        [
            format!("circuit_state{{model={MODEL},region={REGION}}} 2"),
            format!("pool_in_flight{pool} 1"),
            format!("pool_limit{pool} 4"),
            format!("pool_saturation_ratio{pool} 0.25"),
            "retry_budget_available{} 70".to_owned(),
        ]
    );

    drop(call);
    breakers.reset(&route());
    reporter.report();
    assert_eq!(
        recorded.lines(&["circuit", "pool_in", "pool_sat", "retry"]),
        ["retry_budget_available{} 70"]
    );
    assert_eq!(pools.snapshot_of(&PoolKey::region(REGION)).in_flight, 0);
}

/// A future that is spawned reports at once and then every period.
#[tokio::test(start_paused = true)]
async fn reports_come_every_period() {
    let recorded = Recorded::new();
    let reporter =
        MetricsReporter::new(Metrics::new()).with_retry_budget(RetryBudget::with_capacity(7));
    let mut reports = Box::pin(reporter.report_every(Duration::from_secs(5)));
    for _ in 0..3 {
        assert!(poll(reports.as_mut()).is_pending());
        assert_eq!(recorded.lines(&["retry"]), ["retry_budget_available{} 7"]);
        assert!(poll(reports.as_mut()).is_pending());
        assert_eq!(recorded.lines(&["retry"]), [""; 0]);
        tokio::time::advance(Duration::from_secs(5)).await;
    }
}
