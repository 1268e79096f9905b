//! `cargo xtask ops`: dashboard, alerts and alarms against the library's metrics.

mod live;

use std::path::{Path, PathBuf};

use crate::run::{Failed, cargo, command, installed, root, run, target};

const RULES: &str = "ops/prometheus/alerts.yaml";
const RULE_TESTS: &str = "ops/prometheus/alerts.test.yaml";
const TEMPLATE: &str = "ops/cloudwatch/alarms.yaml";

pub(crate) fn all(write: bool, live: bool) -> Result<(), Failed> {
    if write {
        cargo(&["run", "--quiet", "-p", "tower-bedrock-ops", "--", "write"])?;
    }
    cargo(&["run", "--quiet", "-p", "tower-bedrock-ops", "--", "check"])?;
    rules()?;
    template()?;
    if live { live::all() } else { Ok(()) }
}

fn rules() -> Result<(), Failed> {
    let Some(promtool) = of_prometheus("promtool") else {
        eprintln!("skipped: promtool is not installed");
        return Ok(());
    };
    let mut check = command(&promtool);
    check.args(["check", "rules", RULES]);
    run(check)?;
    let mut test = command(&promtool);
    test.args(["test", "rules", RULE_TESTS]);
    run(test)
}

fn template() -> Result<(), Failed> {
    let Some(lint) = cfn_lint() else {
        eprintln!("skipped: cfn-lint is not installed");
        return Ok(());
    };
    let mut lint = command(lint);
    lint.args(["--include-checks", "I", "--", TEMPLATE]);
    run(lint)
}

/// A program of Debian's package `prometheus`: as installed, or unpacked below `target/ops`.
fn of_prometheus(program: &str) -> Option<PathBuf> {
    if installed(program) {
        return Some(program.into());
    }
    let home = target().join("ops/prometheus");
    let unpacked = home.join("usr/bin").join(program);
    if !unpacked.exists() && installed("apt-get") && installed("dpkg") {
        let got = std::fs::create_dir_all(&home).is_ok() && unpack(&home).is_ok();
        if !got {
            eprintln!("the package prometheus could not be had");
        }
    }
    unpacked.exists().then_some(unpacked)
}

fn unpack(home: &Path) -> Result<(), Failed> {
    let mut download = command("apt-get");
    download.args(["download", "prometheus"]).current_dir(home);
    run(download)?;
    let packages = std::fs::read_dir(home).into_iter().flatten().flatten();
    let package = packages
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|it| it == "deb"))
        .ok_or_else(|| Failed("apt-get downloaded no package".into()))?;
    let mut extract = command("dpkg");
    extract.arg("-x").arg(package).arg(home);
    run(extract)
}

/// cfn-lint as installed, or in an environment of its own below `target/ops`.
fn cfn_lint() -> Option<PathBuf> {
    if installed("cfn-lint") {
        return Some("cfn-lint".into());
    }
    let home = target().join("ops/cfn-lint");
    let lint = home.join("bin/cfn-lint");
    if !lint.exists() && installed("python3") {
        let mut venv = command("python3");
        venv.args(["-m", "venv"]).arg(&home);
        let mut pip = command(home.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "cfn-lint"]);
        if let Err(error) = run(venv).and_then(|()| run(pip)) {
            eprintln!("cfn-lint could not be installed: {error}");
        }
    }
    lint.exists().then(|| root().join(lint))
}
