//! The chat example's page in a real browser, headless Chromium: `cargo xtask browser`.

mod keyboard;
mod looks;
mod page;
mod picture;
#[path = "../chat/support.rs"]
#[allow(dead_code)]
mod support;
mod talk;
