//! Discoveries that are dropped.

use super::*;
use tower_bedrock::Quota;
use tower_bedrock_tests::pending::{Cut, cut_at};

/// Dropped wherever it waits, a refresh leaves the ledgers as they were or as a whole reading made them,
/// and another one finds everything.
#[tokio::test(start_paused = true)]
async fn a_refresh_can_be_dropped_anywhere() {
    let plane = || account().throttle_first(1).page_size(60);
    let period = std::time::Duration::from_secs(60);
    let pauses = {
        let service = in_process(plane());
        let discover = discovery(&over_memory(&service));
        cut_at(discover.discover(), Cut::Never).await.pauses
    };
    assert!(pauses > 3, "{pauses}");
    for cut in Cut::everywhere(pauses + 2) {
        let service = in_process(plane());
        let discovery = discovery(&over_memory(&service));
        let quotas = Quotas::new();
        let by_hand = Quota::new().with_tokens_per_minute(5);
        quotas.set(&to(MICRO), by_hand.clone()).unwrap();
        cut_at(discovery.clone().refresh_every(period, quotas.clone()), cut).await;
        let known = tokens_of(&quotas, NOVA);
        match quotas.listing() {
            None => assert_eq!(known, None, "{cut:?}"),
            Some(_) => assert_eq!(known, Some(1_000), "{cut:?}"),
        }
        let found = discovery.discover().await;
        assert!(found.is_complete(), "{cut:?}: {found}");
        found.apply(&quotas);
        assert_eq!(tokens_of(&quotas, NOVA), Some(1_000), "{cut:?}");
        assert_eq!(quotas.get(&to(MICRO)), Some(by_hand), "{cut:?}");
    }
}

/// Its futures can be spawned, and shared with whoever ends them.
#[tokio::test(start_paused = true)]
async fn futures_can_be_spawned() {
    fn is_sent<T: Send>(value: T) -> T {
        value
    }
    let service = in_process(account());
    let discovery = discovery(&over_memory(&service));
    drop(is_sent(discovery.discover()));
    drop(is_sent(tower_bedrock::quotas::discover(
        &over_memory(&service),
        [REGION],
    )));
    let refresh = discovery.refresh_every(std::time::Duration::from_secs(1), Quotas::new());
    drop(is_sent(refresh));
}
