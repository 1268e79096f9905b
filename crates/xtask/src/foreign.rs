//! `cargo xtask foreign`: other languages' AWS SDKs against the simulator.

use crate::run::{Failed, Serving, cargo, command, installed, root, run, target};

pub(crate) fn all() -> Result<(), Failed> {
    cargo(&["build", "-p", "bedrock-sim"])?;
    with_simulator(python)?;
    with_simulator(javascript)
}

fn python(endpoint: &str) -> Result<(), Failed> {
    if !installed("python3") {
        eprintln!("skipped: python3 is not installed");
        return Ok(());
    }
    let home = target().join("foreign/python");
    let python = home.join("bin/python");
    if !python.exists() {
        let mut venv = command("python3");
        venv.args(["-m", "venv"]).arg(&home);
        run(venv)?;
    }
    let mut pip = command(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "boto3",
    ]);
    if let Err(error) = run(pip) {
        eprintln!("skipped: boto3 could not be installed: {error}");
        return Ok(());
    }
    let mut check = command(&python);
    check.args(["tests/foreign/python/check.py", endpoint]);
    run(check)
}

fn javascript(endpoint: &str) -> Result<(), Failed> {
    if !installed("npm") {
        eprintln!("skipped: npm is not installed");
        return Ok(());
    }
    let home = target().join("foreign/javascript");
    let source = root().join("tests/foreign/javascript/check.mjs");
    let script = home.join("check.mjs");
    // Node looks for packages beside the script.
    std::fs::create_dir_all(&home)
        .and_then(|()| std::fs::copy(&source, &script))
        .map_err(|error| Failed(format!("{} could not be copied: {error}", source.display())))?;
    let mut npm = command("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(&home)
        .arg("@aws-sdk/client-bedrock-runtime");
    if let Err(error) = run(npm) {
        eprintln!("skipped: the JavaScript SDK could not be installed: {error}");
        return Ok(());
    }
    let mut check = command("node");
    check.arg(&script).arg(endpoint);
    run(check)
}

/// A fresh simulator for `check`, which gets its URL.
fn with_simulator(check: fn(&str) -> Result<(), Failed>) -> Result<(), Failed> {
    let mut serve = command(target().join("debug/bedrock-sim"));
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--scenario"])
        .arg("tests/foreign/scenario.toml");
    let simulator = Serving::start(serve, "bedrock-sim listening on ")?;
    check(&simulator.url)
}
