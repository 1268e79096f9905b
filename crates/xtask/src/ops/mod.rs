//! `cargo xtask ops`: dashboard, alerts and alarms against the library's metrics.

mod live;

use std::path::{Path, PathBuf};

use crate::run::{Failed, cargo, command, installed, root, run, target};

const RULES: &str = "ops/prometheus/alerts.yaml";
const RULE_TESTS: &str = "ops/prometheus/alerts.test.yaml";
const DASHBOARD: &str = "ops/grafana/tower-bedrock.json";
const SCHEMA: &str = "ops/grafana/schema.py";
const TEMPLATE: &str = "ops/cloudwatch/alarms.yaml";

pub(crate) fn all(write: bool, live: bool) -> Result<(), Failed> {
    if write {
        cargo(&["run", "--quiet", "-p", "tower-bedrock-ops", "--", "write"])?;
    }
    cargo(&["run", "--quiet", "-p", "tower-bedrock-ops", "--", "check"])?;
    rules()?;
    template()?;
    schema()?;
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
    let lint = if installed("cfn-lint") {
        Some("cfn-lint".into())
    } else {
        of_python("cfn-lint", "").map(|home| home.join("bin/cfn-lint"))
    };
    let Some(lint) = lint else {
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
    let home = root().join(target()).join("ops/prometheus");
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

/// The types of Grafana 11.0, as its makers publish them.
fn schema() -> Result<(), Failed> {
    let Some(home) = of_python("grafana-foundation-sdk", "==1769699734!11.0.0") else {
        eprintln!("skipped: grafana-foundation-sdk is not installed");
        return Ok(());
    };
    let mut check = command(home.join("bin/python"));
    check.args([SCHEMA, DASHBOARD]);
    run(check)
}

/// An environment below `target/ops` with a package of Python in it.
fn of_python(package: &str, version: &str) -> Option<PathBuf> {
    let home = root().join(target()).join("ops").join(package);
    let complete = home.join("complete");
    if !complete.exists() && installed("python3") {
        let mut venv = command("python3");
        venv.args(["-m", "venv"]).arg(&home);
        let mut pip = command(home.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet"]);
        pip.args([
            "--disable-pip-version-check",
            &format!("{package}{version}"),
        ]);
        let done = run(venv).and_then(|()| run(pip)).and_then(|()| {
            std::fs::write(&complete, version).map_err(|error| Failed(error.to_string()))
        });
        if let Err(error) = done {
            eprintln!("{package} could not be installed: {error}");
        }
    }
    complete.exists().then_some(home)
}
