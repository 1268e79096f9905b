//! Trouble, as it is drawn.

use crate::{page::Page, support::Chat};

const LEARNED: &str = "[...document.querySelectorAll('.bar b')].some(mark => !mark.hidden)";

/// A value that is drawn as a strip.
fn strip(name: &str) -> String {
    format!("+document.querySelector('.strip.{name} [data-part=now]')?.dataset.value")
}

/// A throttle storm begins: throttles rise, apart from what is unavailable, limits are learned and the
/// quota's bar grows; the other model answers. It ends: throttles fall to nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn a_storm_is_seen_to_begin_and_to_end() {
    let chat = Chat::start(&[]);
    let page = Page::open(&chat).await;
    page.click("#load label:has(input[value='10'])").await;
    page.wait_for(
        "answers are drawn",
        &format!("return {} > 2", strip("answered")),
    )
    .await;
    page.wait_for(
        "the bar of the quota grows",
        "return parseFloat(document.querySelector('#quotas .settled').style.width) > 1",
    )
    .await;
    assert_eq!(page.ask(&format!("return {LEARNED}")).await, false);

    page.click("#storm").await;
    let throttles = strip("throttled");
    page.wait_for("throttles are drawn", &format!("return {throttles} > 1"))
        .await;
    page.wait_for(
        "the stack says what it does",
        "return document.querySelector('#headline').dataset.mood === 'throttled'",
    )
    .await;
    page.wait_for("a lower limit is marked", &format!("return {LEARNED}"))
        .await;
    page.wait_for(
        "the other model answers",
        "return [...document.querySelectorAll('#routes .share')]
           .some(one => one.textContent.includes('nova-micro'))",
    )
    .await;
    assert_eq!(
        page.ask(&format!("return {}", strip("unavailable"))).await,
        0
    );
    let pressed = page
        .find("#storm")
        .await
        .attr("aria-pressed")
        .await
        .unwrap();
    assert_eq!(pressed.as_deref(), Some("true"));

    page.click("#storm").await;
    page.wait_for("throttles end", &format!("return {throttles} === 0"))
        .await;
    page.wait_for(
        "it says so",
        "return document.querySelector('#headline').dataset.mood !== 'throttled'",
    )
    .await;
    page.wait_for(
        "answers go on",
        &format!("return {} > 2", strip("answered")),
    )
    .await;
    page.has_no_complaints().await;
}

/// The outage of a region is drawn as 503, not as throttles; its circuit opens, with the time until it
/// is asked again, and closes when it is over.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn an_outage_is_seen_to_begin_and_to_end() {
    let chat = Chat::start(&[]);
    let page = Page::open(&chat).await;
    page.click("#load label:has(input[value='10'])").await;
    page.click("#outage").await;
    page.wait_for(
        "a circuit is open, with a countdown",
        "return [...document.querySelectorAll('.circuit.open .muted')]
           .some(one => /^asked again in [0-9.]+ m?s$/.test(one.textContent))",
    )
    .await;
    let drawn = "document.querySelector('.strip.unavailable path')?.getAttribute('d').length > 0";
    page.wait_for("it is drawn", &format!("return {drawn}"))
        .await;
    assert_eq!(page.ask(&format!("return {}", strip("throttled"))).await, 0);
    page.wait_for(
        "the other region answers",
        "return [...document.querySelectorAll('#routes .share')]
           .some(one => one.textContent.includes('us-west-2'))",
    )
    .await;

    page.click("#outage").await;
    page.wait_for(
        "all circuits close",
        "return !!document.querySelector('.circuit') &&
           !document.querySelector('.circuit.open, .circuit.half_open')",
    )
    .await;
    page.has_no_complaints().await;
}

/// Whoever looks away and back again is shown the same, and a server that is gone is told.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn a_server_that_is_gone_is_told() {
    let chat = Chat::start(&[]);
    let page = Page::open(&chat).await;
    page.click("#load label:has(input[value='3'])").await;
    page.wait_for(
        "answers are drawn",
        &format!("return {} > 1", strip("answered")),
    )
    .await;
    page.browser.refresh().await.unwrap();
    page.wait_for(
        "the load is still switched on",
        "return document.querySelector('#load input[value=\"3\"]').checked",
    )
    .await;
    let drawn = "document.querySelector('.strip.answered path')?.getAttribute('d').length > 0";
    page.wait_for("the past is still drawn", &format!("return {drawn}"))
        .await;

    drop(chat);
    page.wait_for(
        "it says so",
        "return document.querySelector('#headline').dataset.mood === 'lost'",
    )
    .await;
}
