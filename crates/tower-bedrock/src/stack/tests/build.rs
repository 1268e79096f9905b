use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    CircuitPolicy, CircuitState, ClassifyLayer, Limit, RawError, Reaction, Reactions,
    TokenBudgetLayer,
    quotas::{AccountQuotas, Listing, ServiceQuota},
};

/// The default stack has a type that can be written down, is shared between threads, and so is its
/// future.
#[test]
fn the_stack_can_be_named_and_shared() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn is_sent<T: Send + 'static>(_: &T) {}

    let stack: DefaultStack<Regions> = Stack::over(Regions::default(), HOME).build().unwrap();
    is_shared(&stack);
    let _time = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = _time.enter();
    is_sent(&stack.send(request()));
    is_shared(&StackLayer::builder(HOME).build_layer().unwrap());
    is_shared(&stack.boxed());
}

/// Each layer can be left out by itself, and all of them together; calls are answered all the same.
#[tokio::test(start_paused = true)]
async fn each_layer_can_be_left_out() {
    let new = || Stack::over(Regions::default(), HOME);
    new()
        .without_fallback()
        .build()
        .unwrap()
        .send(request())
        .await
        .unwrap();
    new()
        .without_retry()
        .build()
        .unwrap()
        .send(request())
        .await
        .unwrap();
    new()
        .without_circuit_breaker()
        .build()
        .unwrap()
        .send(request())
        .await
        .unwrap();
    new()
        .without_token_budget()
        .build()
        .unwrap()
        .send(request())
        .await
        .unwrap();
    new()
        .without_pool()
        .build()
        .unwrap()
        .send(request())
        .await
        .unwrap();
    new()
        .without_classify()
        .build()
        .unwrap()
        .send(request())
        .await
        .unwrap();
    let bare = new()
        .without_fallback()
        .without_retry()
        .without_circuit_breaker()
        .without_token_budget()
        .without_pool()
        .without_classify()
        .without_metrics()
        .without_tracing()
        .without_timeout()
        .build()
        .unwrap();
    bare.send(request()).await.unwrap();
    assert!(bare.quotas().is_none() && bare.breakers().is_none() && bare.retry_budget().is_none());
    assert!(bare.pools().is_none());
    let _service: &Regions = bare.get_ref();
}

/// What is handed out is what the layers use.
#[tokio::test(start_paused = true)]
async fn handles_are_those_of_the_layers() {
    let service = Regions::default();
    let stack = Stack::over(service.clone(), HOME)
        .quota(route(), Quota::new().with_tokens_per_minute(1000))
        .retry(RetryLayer::new().with_jitter(Jitter::seeded(7)))
        .build()
        .unwrap();
    let quotas = stack.quotas().unwrap();
    stack.send(request()).await.unwrap();
    // The quota was set for a route without a region, as the call has none: both are at home.
    assert_eq!(
        quotas.snapshot_of(&route().in_region(HOME)).tokens_used,
        110
    );

    service.fail(None, Some(Cause::Internal));
    stack.send(request()).await.unwrap_err();
    assert_eq!(stack.retry_budget().unwrap().available(), 500 - 2 * 14);
    let circuit = stack
        .breakers()
        .unwrap()
        .snapshot_of(&route().in_region(HOME));
    assert_eq!(circuit.failures, 3);
}

/// Quotas and circuits that are given are used as they are, and must know the home region.
#[test]
fn parts_that_are_given_must_know_the_home_region() {
    let quotas = Quotas::new();
    let error = Stack::over((), HOME)
        .token_budget(TokenBudgetLayer::new(quotas.clone()))
        .build_layer()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the quotas count calls without a region apart from those to us-east-1, where they go: give \
         them with_home_region(\"us-east-1\")"
    );
    let error = Stack::over((), HOME)
        .circuit_breaker(CircuitBreakers::new().with_home_region(SECOND))
        .build_layer()
        .unwrap_err();
    assert!(matches!(
        error,
        InvalidStack::HomeRegion {
            part: "circuit breakers",
            region: Some(_),
            ..
        }
    ));

    let quotas = quotas.with_home_region(HOME);
    let breakers = CircuitBreakers::new().with_home_region(HOME);
    let layer = StackLayer::builder(HOME)
        .token_budget(TokenBudgetLayer::new(quotas.clone()))
        .circuit_breaker(breakers.clone())
        .quota(route(), Quota::new().with_requests_per_minute(7))
        .build_layer()
        .unwrap();
    assert_eq!(
        quotas.get(&route()),
        Some(Quota::new().with_requests_per_minute(7))
    );
    breakers.force_open(&route());
    assert_eq!(
        layer.breakers().unwrap().state(&route()),
        CircuitState::Open
    );
}

/// A stack goes by the account's quotas from its first call on, and what was set by hand counts for more.
#[tokio::test(start_paused = true)]
async fn a_stack_goes_by_the_accounts_quotas() {
    let row = |name: &str, value| ServiceQuota::new("L-1", name, value);
    let rows = [
        row(
            "Cross-region model inference tokens per minute for Amazon Nova Lite",
            500.0,
        ),
        row(
            "On-demand model inference tokens per minute for Amazon Nova Lite",
            500.0,
        ),
    ];
    let [geo, in_region] = ["us.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"]
        .map(|id| Route::to(id.parse().unwrap()));
    let stack = Stack::over((), HOME)
        .listing(Listing::new().with_region(HOME, AccountQuotas::new(rows)))
        .quota(geo.clone(), Quota::new().with_tokens_per_minute(7))
        .build()
        .unwrap();
    let limit = |route| {
        let snapshot = stack.quotas().unwrap().snapshot_of(route);
        snapshot.limit(Limit::TokensPerMinute)
    };
    assert_eq!((limit(&geo), limit(&in_region)), (Some(7), Some(500)));
}

/// Quotas that cannot be meant, or that nobody would keep, are refused.
#[test]
fn quotas_that_cannot_be_kept_are_refused() {
    let zero = Quota::new().with_tokens_per_minute(0);
    let error = Stack::over((), HOME)
        .quota(route(), zero)
        .build_layer()
        .unwrap_err();
    assert!(matches!(error, InvalidStack::Quota { .. }));
    assert!(std::error::Error::source(&error).is_some());
    let error = Stack::over((), HOME)
        .quota(route(), Quota::new())
        .without_token_budget()
        .build_layer()
        .unwrap_err();
    assert!(matches!(error, InvalidStack::NoTokenBudget { .. }));
    let error = Stack::over((), HOME)
        .listing(Listing::new())
        .without_token_budget()
        .build_layer()
        .unwrap_err();
    assert_eq!(error, InvalidStack::NoTokenBudgetForListing);
}

/// One table goes to all layers, whatever the order in which the builder hears of it; only circuits
/// that were given keep their own.
#[tokio::test(start_paused = true)]
async fn one_table_goes_to_all_layers() {
    let reactions = Reactions::default().with(Cause::Internal, Reaction::GIVE_UP);
    for is_given in [false, true] {
        let service = Regions::default();
        service.fail(None, Some(Cause::Internal));
        let builder = Stack::over(service.clone(), HOME)
            .fallback(to_second())
            .reactions(reactions.clone())
            .retry(RetryLayer::new());
        let builder = if is_given {
            builder.circuit_breaker(CircuitBreakers::new().with_home_region(HOME))
        } else {
            builder
        };
        let stack = builder.build().unwrap();
        stack.send(request()).await.unwrap_err();
        assert_eq!(service.sent_to(), ["-"], "neither retried nor moved");
        let circuit = stack.breakers().unwrap().snapshot_of(&route());
        assert_eq!(circuit.failures, u32::from(is_given));
    }
}

/// All stacks of a layer share what they count by.
#[tokio::test(start_paused = true)]
async fn stacks_of_one_layer_share_their_state() {
    let layer = StackLayer::builder(HOME)
        .quota(route(), Quota::new().with_tokens_per_minute(1000))
        .build_layer()
        .unwrap();
    for used in [110, 220] {
        let stack = layer.layer(Regions::default());
        stack.send(request()).await.unwrap();
        assert_eq!(
            layer.quotas().unwrap().snapshot_of(&route()).tokens_used,
            used
        );
    }
}

/// A service with errors of its own is classified, by rules of one's own too; circuits of one's own
/// policy are obeyed.
#[tokio::test(start_paused = true)]
async fn errors_are_classified_below_all_layers() {
    let broken = service_fn(|_: Request<()>| async {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        Err::<Response<()>, BoxError>(refused.into())
    });
    let policy = CircuitPolicy::new()
        .with_consecutive_failures(2)
        .with_max_waiting(0);
    let breakers = CircuitBreakers::new().with_home_region(HOME);
    let rule =
        |raw: &RawError| matches!(raw, RawError::Connect(_)).then_some(Cause::ServiceUnavailable);
    let stack = Stack::over(broken, HOME)
        .classify(ClassifyLayer::new().with_rule(rule))
        .circuit_breaker(breakers.with_policy(policy).unwrap())
        .build()
        .unwrap();
    let error = stack.send(request()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::CircuitOpen, "its third attempt");
    assert_eq!(error.attempts(), Some(3));
}

/// A stack goes where any service of tower's goes: into a box, behind a buffer, among other layers.
#[tokio::test(start_paused = true)]
async fn a_stack_goes_wherever_services_go() {
    let layer = StackLayer::builder(HOME).build_layer().unwrap();
    let service = ServiceBuilder::new()
        .buffer(10)
        .layer(layer)
        .concurrency_limit(5)
        .service(Regions::default());
    let stack = Stack::over(service, HOME).without_retry().build().unwrap();
    let boxed = stack.boxed();
    let calls = (0..20).map(|_| boxed.clone().oneshot(request()));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
}
