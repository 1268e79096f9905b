//! Published figures, from both sides.

use bedrock_sim::Window;
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{BudgetExhausted, Cause, ExhaustedReason, Quota, Quotas, TokenBudgetLayer};
use tower_bedrock_tests::model;

use crate::bedrock::{Bedrock, request, route};

/// 2 M tokens per minute hold 31 calls of 64 000 `maxTokens` at a time, and 1 333 of 1 000, each with
/// 500 tokens of input: client and service agree on who fits.
#[tokio::test(start_paused = true)]
async fn as_many_calls_fit_as_is_published() {
    for (max_tokens, fit) in [(64_000, 31), (1000, 1333)] {
        let spec = model().tpm(2_000_000).max_output(64_000);
        let bedrock = Bedrock::new(
            spec.latency(std::time::Duration::from_secs(30)),
            Window::default(),
        );
        let quotas = Quotas::new();
        let quota = Quota::new().with_tokens_per_minute(2_000_000);
        quotas.set(&route(), quota).unwrap();
        let service = ServiceBuilder::new()
            .layer(TokenBudgetLayer::new(quotas.clone()).with_waiting(false))
            .service(bedrock.clone());
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..fit + 1 {
            calls.spawn(service.clone().oneshot(request(500, max_tokens)));
        }
        let results = calls.join_all().await;
        let refused: Vec<_> = results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .collect();
        assert_eq!(refused.len(), 1, "{max_tokens}");
        assert_eq!(refused[0].cause(), Cause::BudgetExhausted);
        let reason = BudgetExhausted::of(refused[0]).unwrap().reason();
        assert!(matches!(reason, ExhaustedReason::WouldWait), "{reason:?}");
        assert_eq!(bedrock.ledger().totals.admitted, fit);
        assert_eq!(bedrock.ledger().totals.refused.total(), 0);
    }
}
