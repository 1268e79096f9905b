//! Asking and being answered.

use thirtyfour::prelude::*;

use crate::{
    page::Page,
    support::{Chat, bedrock, eventually, model, slow},
};

/// A question is sent with Enter, and its answer grows until it is whole; then it tells who gave it,
/// and assistive technology may read it out. The next one knows of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn an_answer_is_streamed_to_the_page() {
    let chat = Chat::start(&[]);
    let page = Page::open(&chat).await;
    page.find("#prompt")
        .await
        .send_keys("What is a quota?" + Key::Enter)
        .await
        .unwrap();
    page.wait_for(
        "a whole answer",
        "return !!document.querySelector('.assistant[data-state=done]')",
    )
    .await;
    let told = page.find(".assistant").await.text().await.unwrap();
    assert!(told.contains("simulated answer"), "{told}");
    assert!(told.contains("nova-lite-v1:0 · us-east-1"), "{told}");
    assert_eq!(
        page.find(".user").await.text().await.unwrap(),
        "What is a quota?"
    );
    page.wait_for(
        "it may be read out",
        "return document.querySelector('#log').getAttribute('aria-busy') === 'false'",
    )
    .await;

    page.find("#prompt")
        .await
        .send_keys("And another?" + Key::Enter)
        .await
        .unwrap();
    page.wait_for(
        "another answer",
        "return document.querySelectorAll('.assistant[data-state=done]').length === 2",
    )
    .await;
    page.wait_for(
        "both stand in the picture",
        "return +document.querySelector('.strip.answered [data-part=now]')?.dataset.value >= 0 &&
         [...document.querySelectorAll('#quotas p')].some(one => one.textContent.startsWith('requests: 2 of'))",
    )
    .await;
    page.has_no_complaints().await;
}

/// Stop ends an answer in the middle: what came of it stays, and the service does no more for it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn stop_stops() {
    let bedrock = bedrock(slow(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &[]);
    let page = Page::open(&chat).await;
    page.find("#prompt")
        .await
        .send_keys("A long story" + Key::Enter)
        .await
        .unwrap();
    page.wait_for(
        "it begins",
        "return document.querySelector('.assistant .text')?.textContent.length > 0",
    )
    .await;
    assert_eq!(bedrock.service().ledger().totals.in_flight, 1);
    page.click("#stop").await;
    page.wait_for(
        "it says so",
        "return document.querySelector('.assistant .about').textContent === 'stopped'",
    )
    .await;
    eventually("the service hears of it", async || {
        bedrock.service().ledger().totals.in_flight == 0
    })
    .await;
    assert!(page.find("#send").await.is_enabled().await.unwrap());
    page.has_no_complaints().await;
}

/// A refusal is told in words, with the time at which it is worth trying again, and the question is
/// still there to be sent again. Where nothing can be switched, no switch is shown.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn a_refusal_is_told() {
    let bedrock = bedrock(model().rpm(1), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--rpm", "1"]);
    let page = Page::open(&chat).await;
    page.click("summary").await;
    let patience = page.find("#timeout").await;
    patience.clear().await.unwrap();
    patience.send_keys("1").await.unwrap();
    for (question, state) in [("First", "done"), ("Second", "failed")] {
        page.find("#prompt")
            .await
            .send_keys(question + Key::Enter)
            .await
            .unwrap();
        let over = format!(
            "return document.querySelector('.assistant:last-child')?.dataset.state === '{state}'"
        );
        page.wait_for(state, &over).await;
    }
    let told = page
        .find(".assistant:last-child .about")
        .await
        .text()
        .await
        .unwrap();
    assert!(
        told.starts_with("budget_exhausted: The quota is used up"),
        "{told}"
    );
    assert!(told.contains("Try again in "), "{told}");
    let kept = page
        .ask("return document.querySelector('#prompt').value")
        .await;
    assert_eq!(kept, "Second");
    assert!(!page.find("#switches").await.is_displayed().await.unwrap());
    // The browser itself reports every status above 399.
    let log = page.browser.get_log("browser").await.unwrap();
    assert_eq!(log.len(), 1, "{log:?}");
}
