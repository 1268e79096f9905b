//! `cargo xtask browser`: the page of the chat example in headless Chromium.

use std::{env, path::Path};

use crate::run::{Failed, cargo, command, installed, output, run};

/// What a browser may be called. The driver finds it by itself.
const BROWSERS: &[&str] = &["chromium", "google-chrome", "chromium-browser"];

pub(crate) fn all() -> Result<(), Failed> {
    if !is_there() && is_root_on_debian() {
        install();
    }
    if !is_there() {
        skip(
            "Chromium and chromedriver are not installed (apt-get install chromium chromium-driver)",
        );
        return Ok(());
    }
    cargo(&["build", "-p", "tower-bedrock-examples", "--example", "chat"])?;
    // One browser at a time: each wants a processor for itself.
    cargo(&[
        "test",
        "-p",
        "tower-bedrock-examples",
        "--test",
        "chat_page",
        "--",
        "--ignored",
        "--test-threads=1",
    ])
}

fn is_there() -> bool {
    installed("chromedriver") && BROWSERS.iter().copied().any(installed)
}

fn is_root_on_debian() -> bool {
    let mut id = command("id");
    id.arg("-u");
    Path::new("/etc/debian_version").exists() && output(id).is_ok_and(|user| user.trim() == "0")
}

/// What cannot be had is seen afterwards.
fn install() {
    for args in [
        &["update", "-qq"][..],
        &["install", "-y", "-qq", "chromium", "chromium-driver"],
    ] {
        let mut apt = command("apt-get");
        apt.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        if let Err(error) = run(apt) {
            eprintln!("{error}");
        }
    }
}

/// Where nobody reads along, a line among many would not be seen.
fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    if env::var_os("CI").is_some() {
        let bar = "!".repeat(72);
        eprintln!("{bar}\n!! THE PAGE WAS NOT TESTED: {reason}\n{bar}");
    }
}
