//! Small windows and colours.

use serde_json::json;

use crate::{page::Page, support::Chat};

/// The texts whose contrast with what is behind them is below what WCAG asks for (1.4.3, level AA).
const FAINT: &str = include_str!("contrast.js");

/// Trouble and load, so that everything that can be drawn is.
async fn troubled(chat: &Chat, page: &Page) {
    chat.switch(json!({"load": 10, "outage": true})).await;
    page.find("#prompt")
        .await
        .send_keys("What is a quota?")
        .await
        .unwrap();
    page.click("#send").await;
    page.wait_for(
        "an answer and an open circuit",
        "return !!document.querySelector('.assistant[data-state=done]') &&
           !!document.querySelector('.circuit.open')",
    )
    .await;
}

/// On a phone nothing has to be moved sideways, and what is pressed is large enough for a finger.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn it_fits_on_a_phone() {
    let chat = Chat::start(&[]);
    let page = Page::sized(&chat, 360, 740, "light").await;
    troubled(&chat, &page).await;
    let width = page
        .ask("return document.documentElement.scrollWidth")
        .await;
    assert_eq!(width, 360);
    let outside = "return [...document.querySelectorAll('main *')]
        .filter(one => one.getBoundingClientRect().right > 361)
        .map(one => one.outerHTML.slice(0, 120))";
    assert_eq!(page.ask(outside).await, json!([]));
    let small = "return [...document.querySelectorAll('button, textarea, .segments label')]
        .filter(one => one.offsetParent && one.getBoundingClientRect().height < 24)
        .map(one => one.outerHTML)";
    assert_eq!(page.ask(small).await, json!([]));
    page.has_no_complaints().await;
}

/// Light for those who prefer light and dark for those who prefer dark, each readable; the button
/// changes it, and it stays changed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn both_themes_can_be_read() {
    let chat = Chat::start(&[]);
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let page = Page::sized(&chat, 1280, 900, scheme).await;
        troubled(&chat, &page).await;
        let ground = "return getComputedStyle(document.body).backgroundColor";
        let before = page.ask(ground).await;
        assert_eq!(page.ask(FAINT).await, json!([]), "{scheme}");
        page.click("#theme").await;
        assert_ne!(page.ask(ground).await, before);
        assert_eq!(page.ask(FAINT).await, json!([]), "other than {scheme}");
        page.browser.refresh().await.unwrap();
        assert_ne!(page.ask(ground).await, before, "it stays");
        grounds.push(before);
        page.has_no_complaints().await;
    }
    assert_ne!(grounds[0], grounds[1]);
}
