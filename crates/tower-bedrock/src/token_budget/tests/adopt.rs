//! Quotas that were read of the account.

use super::*;
use crate::{
    quotas::{AccountQuotas, Listing, ServiceQuota},
    route_gate::{Passage, RouteGate},
};

const GEO: &str = "Cross-region model inference tokens per minute for Amazon Nova Lite";
const DAY: &str =
    "Model invocation max tokens per day for Amazon Nova Lite (doubled for cross-region calls)";
const REGION: &str = "eu-west-1";
const ID: &str = "eu.amazon.nova-lite-v1:0";
const NUMBER: &str = "123456789012";
const PROFILE: &str =
    "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3d4e5f6";

fn to(id: &str) -> Route {
    Route::to(id.parse().unwrap()).in_region(REGION)
}

fn listing(tokens: u64) -> Listing {
    let rows = [ServiceQuota::new("L-1", GEO, tokens as f64)];
    Listing::new()
        .with_region(REGION, AccountQuotas::new(rows))
        .with_account(NUMBER)
        .with_profile(PROFILE.parse().unwrap(), ID.parse().unwrap())
}

fn limit_of(quotas: &Quotas, id: &str) -> Option<u64> {
    quotas.snapshot_of(&to(id)).limit(Limit::TokensPerMinute)
}

/// A call by `id` that may take `input` tokens and generate `max_output`.
fn call_by(id: &str, input: u32, max_output: u32) -> CallContext {
    let mut call = call(input, max_output);
    call.route = to(id);
    call
}

/// Sends a call by `id`, which is answered with what it was allowed.
async fn send(quotas: &Quotas, id: &str, input: u32, output: u32) {
    let layer = TokenBudgetLayer::new(quotas.clone());
    let used = usage(input.into(), output.into());
    let service = service_fn(move |_: Request<()>| async move { Ok::<_, Error>(answer(used)) });
    let request = Request::new((), call_by(id, input, output));
    layer.layer(service).oneshot(request).await.unwrap();
}

fn per_minute(tokens: u64) -> Quota {
    Quota::new().with_tokens_per_minute(tokens)
}

/// A ledger that comes into being after the listing goes by it, and so does one that was there.
#[tokio::test(start_paused = true)]
async fn ledgers_go_by_the_listing_whenever_they_come_into_being() {
    let quotas = Quotas::new();
    assert_eq!(limit_of(&quotas, ID), None);
    let adoption = quotas.adopt(listing(500));
    assert_eq!(adoption.changed, [quotas.key(&to(ID))]);
    assert_eq!(limit_of(&quotas, ID), Some(500));

    let quotas = Quotas::new();
    assert_eq!(quotas.adopt(listing(500)), Adoption::default());
    assert_eq!(limit_of(&quotas, ID), Some(500));
    assert_eq!(
        limit_of(&quotas, "amazon.nova-lite-v1:0"),
        None,
        "another path"
    );
    let elsewhere = to(ID).in_region("eu-central-1");
    assert_eq!(quotas.get(&elsewhere), None, "another region");
    assert_eq!(quotas.snapshot().len(), 2, "none for what nobody calls");
}

/// A raised quota lets those go who wait for it, and what is drawn stays drawn.
#[tokio::test(start_paused = true)]
async fn a_raised_quota_lets_waiters_go() {
    let quotas = Quotas::new();
    quotas.adopt(listing(100));
    let service = Steady::new(Duration::from_secs(5));
    let layer = TokenBudgetLayer::new(quotas.clone());
    let send = || {
        let service = service.clone();
        let service = service_fn(move |request| service.clone().answer(request));
        let request = Request::new((), call_by(ID, 100, 0));
        tokio::spawn(layer.layer(service).oneshot(request))
    };
    let calls = [send(), send()];
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(quotas.snapshot_of(&to(ID)).waiting, 1);
    quotas.adopt(listing(200));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(service.seconds(), [0, 1]);
    assert_eq!(quotas.snapshot_of(&to(ID)).tokens_used, 200);
}

/// The same quota again forgets nothing of what refusals taught.
#[tokio::test(start_paused = true)]
async fn the_same_listing_forgets_nothing() {
    let quotas = Quotas::new();
    quotas.adopt(listing(1_000_000));
    let refusal = |_: Request<()>| async { Err::<Response<()>, _>(Error::new(Cause::TokenRate)) };
    let stack = TokenBudgetLayer::new(quotas.clone()).layer(service_fn(refusal));
    let request = Request::new((), call_by(ID, 1_000, 0));
    stack.oneshot(request).await.unwrap_err();
    let learned = quotas.snapshot_of(&to(ID)).learned_tokens_per_minute;
    assert!(learned.is_some());

    assert_eq!(quotas.adopt(listing(1_000_000)), Adoption::default());
    assert_eq!(
        quotas.snapshot_of(&to(ID)).learned_tokens_per_minute,
        learned
    );
    assert_eq!(quotas.adopt(listing(2_000_000)).changed.len(), 1);
    assert_eq!(quotas.snapshot_of(&to(ID)).learned_tokens_per_minute, None);
}

/// What was set by hand stays, before and after; a ledger that the listing does not know any more
/// keeps what it has.
#[tokio::test(start_paused = true)]
async fn what_was_set_by_hand_stays() {
    let quotas = Quotas::new();
    quotas.set(&to(ID), per_minute(7)).unwrap();
    assert_eq!(quotas.adopt(listing(500)).kept, [quotas.key(&to(ID))]);
    assert_eq!(limit_of(&quotas, ID), Some(7));

    let quotas = Quotas::new();
    quotas.adopt(listing(500));
    assert_eq!(limit_of(&quotas, ID), Some(500));
    quotas.adopt(Listing::new());
    assert_eq!(limit_of(&quotas, ID), Some(500));
    quotas.set(&to(ID), per_minute(7)).unwrap();
    quotas.adopt(listing(500));
    assert_eq!(limit_of(&quotas, ID), Some(7));
}

/// Calls by an application profile, by the ARN of a system-defined profile and by plain id count
/// together, whichever came first and whatever the account is called.
#[tokio::test(start_paused = true)]
async fn all_names_of_a_profile_count_at_one_ledger() {
    let arn = format!("arn:aws:bedrock:{REGION}:{NUMBER}:inference-profile/{ID}");
    for account in [None, Some(NUMBER)] {
        for is_known_before in [false, true] {
            let mut quotas = Quotas::new();
            if let Some(account) = account {
                quotas = quotas.with_account(account);
            }
            let names = [ID, PROFILE, &arn];
            if is_known_before {
                for name in names {
                    assert_eq!(limit_of(&quotas, name), None);
                }
            }
            quotas.adopt(listing(500));
            for name in names {
                send(&quotas, name, 100, 0).await;
            }
            for name in names {
                let snapshot = quotas.snapshot_of(&to(name));
                assert_eq!(
                    snapshot.tokens_used, 300,
                    "{account:?} {is_known_before} {name}"
                );
                assert_eq!(snapshot.tokens_per_minute, Some(500));
            }
        }
    }
}

/// Who asks whether a route is open is told of the ledger that its calls are counted at.
#[tokio::test(start_paused = true)]
async fn a_gate_tells_of_the_ledger_that_counts() {
    let quotas = Quotas::new();
    let profile = call_by(PROFILE, 501, 0);
    let ask = |quotas: &Quotas| quotas.ask(&profile, &to(PROFILE), Instant::now());
    assert_eq!(ask(&quotas), Passage::Open);
    quotas.adopt(listing(500));
    assert_eq!(limit_of(&quotas, ID), Some(500));
    assert!(matches!(ask(&quotas), Passage::Closed { .. }));
}

/// A quota that was set for a profile's own ledger holds for the one that takes its place.
#[tokio::test(start_paused = true)]
async fn a_quota_set_for_a_profile_moves_with_its_calls() {
    let quotas = Quotas::new();
    quotas.set(&to(PROFILE), per_minute(7)).unwrap();
    quotas.adopt(listing(500));
    assert_eq!(limit_of(&quotas, ID), Some(7));
    assert_eq!(quotas.get(&to(PROFILE)), Some(per_minute(7)));
}

/// A profile's calls cost what those of its model cost.
#[tokio::test(start_paused = true)]
async fn a_profile_burns_down_like_its_model() {
    let sonnet = "eu.anthropic.claude-sonnet-4-6";
    let listing = Listing::new().with_profile(PROFILE.parse().unwrap(), sonnet.parse().unwrap());
    let quotas = Quotas::new();
    quotas.adopt(listing);
    quotas.set(&to(PROFILE), per_minute(1_000_000)).unwrap();
    send(&quotas, PROFILE, 100, 10).await;
    assert_eq!(quotas.snapshot_of(&to(sonnet)).tokens_used, 100 + 5 * 10);
}

/// Each account has a listing of its own, and another account's ARN is counted by itself.
#[tokio::test(start_paused = true)]
async fn accounts_are_kept_apart() {
    let quotas = Quotas::new();
    let other = quotas.clone().with_account("other");
    quotas.adopt(listing(500));
    assert_eq!(limit_of(&other, ID), None);
    other.adopt(listing(9));
    assert_eq!(limit_of(&other, ID), Some(9));
    assert_eq!(limit_of(&quotas, ID), Some(500));
    let foreign = format!("arn:aws:bedrock:{REGION}:999999999999:inference-profile/{ID}");
    assert_eq!(limit_of(&quotas, &foreign), None);
}

/// A template adds share and pace, and limits where the account lists none; a day that is shorter
/// than a minute's quota holds for the minute.
#[tokio::test(start_paused = true)]
async fn a_template_says_the_rest() {
    let rows = [
        ServiceQuota::new("L-1", GEO, 1_000.0),
        ServiceQuota::new("L-2", DAY, 300.0),
    ];
    let template = Quota::new()
        .with_requests_per_minute(5)
        .with_share(QuotaShare::Fraction(0.5));
    let listing = Listing::new()
        .with_region(REGION, AccountQuotas::new(rows))
        .with_template(template.clone());
    let quotas = Quotas::new();
    quotas.adopt(listing.clone());
    let expected = template
        .with_tokens_per_day(600)
        .with_tokens_per_minute(600);
    assert_eq!(limit_of(&quotas, ID), Some(300));
    assert_eq!(quotas.get(&to(ID)), Some(expected));

    let senseless = Quota::new().with_share(QuotaShare::Fraction(2.0));
    let adoption = quotas.adopt(listing.with_template(senseless));
    assert_eq!(adoption.refused.len(), 1);
    assert_eq!(quotas.snapshot_of(&to(ID)).tokens_per_minute, Some(300));
}
