//! Without a mouse.

use thirtyfour::prelude::*;

use crate::{page::Page, support::Chat};

const FOCUSED: &str = "return document.activeElement.id || document.activeElement.value ||
                       document.activeElement.className";

/// Everything can be reached and used by keyboard, in the order in which it is read, and what has the
/// focus shows it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn the_page_is_used_by_keyboard_alone() {
    let chat = Chat::start(&[]);
    let page = Page::open(&chat).await;

    page.press(Key::Tab).await;
    assert_eq!(page.ask(FOCUSED).await, "skip");
    let seen = "return document.activeElement.getBoundingClientRect().left >= 0";
    assert_eq!(page.ask(seen).await, true, "the skip link is seen");
    page.press(Key::Enter).await;
    page.wait_for(
        "the link leads to the chat",
        "return document.activeElement.id === 'prompt'",
    )
    .await;

    page.press("What is a quota?").await;
    page.press(Key::Enter).await;
    page.wait_for(
        "a whole answer",
        "return !!document.querySelector('.assistant[data-state=done]')",
    )
    .await;
    assert_eq!(page.ask(FOCUSED).await, "prompt", "one can go on typing");

    let mut reached = Vec::new();
    for _ in 0..6 {
        page.press(Key::Tab).await;
        reached.push(
            page.ask(FOCUSED)
                .await
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
        let outline = "const shown = document.activeElement.matches('.segments input') ?
              document.activeElement.nextElementSibling : document.activeElement;
            return getComputedStyle(shown).outlineStyle";
        assert_eq!(page.ask(outline).await, "solid", "{reached:?}");
        match reached.last().map(String::as_str) {
            Some("storm") => {
                page.press(Key::Space).await;
                let on = "return document.querySelector('#storm').ariaPressed === 'true'";
                page.wait_for("the storm begins", on).await;
                page.press(Key::Space).await;
                let off = "return document.querySelector('#storm').ariaPressed === 'false'";
                page.wait_for("the storm ends", off).await;
            }
            Some("0") => {
                page.press(Key::Right).await;
                assert_eq!(page.ask(FOCUSED).await, "3");
                break;
            }
            _ => {}
        }
    }
    for wanted in ["send", "storm", "outage", "0"] {
        assert!(
            reached.iter().any(|one| one == wanted),
            "{wanted}: {reached:?}"
        );
    }
    assert_eq!(chat.picture().await["demo"]["storm"], false);
    crate::support::eventually("the load is switched", async || {
        chat.picture().await["demo"]["load"] == 3
    })
    .await;
    page.has_no_complaints().await;
}

/// Whatever can be operated has a name, and what changes by itself says how it is to be read out.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: cargo xtask browser"]
async fn everything_has_a_name() {
    let chat = Chat::start(&[]);
    let page = Page::open(&chat).await;
    let nameless = "return [...document.querySelectorAll('button, input, textarea, [role]')]
        .filter(one => !one.labels?.length && !one.ariaLabel && !one.textContent.trim())
        .map(one => one.outerHTML)";
    assert_eq!(page.ask(nameless).await, serde_json::json!([]));
    let log = page.find("#log").await;
    assert_eq!(
        log.attr("aria-live").await.unwrap().as_deref(),
        Some("polite")
    );
    let headline = page.find("#headline").await;
    assert_eq!(
        headline.attr("role").await.unwrap().as_deref(),
        Some("status")
    );
    page.has_no_complaints().await;
}
