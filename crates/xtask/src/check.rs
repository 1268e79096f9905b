//! `cargo xtask check`.

use crate::run::{Failed, cargo, cargo_command, installed, output, run};

const STRICT: &[&str] = &["--", "-D", "warnings"];

/// The library's features, each of which must build alone.
const LIBRARY_FEATURES: &[&str] = &[
    "aws",
    "default-https-client",
    "metrics",
    "tracing",
    "axum",
    "quota-discovery",
];
const SIMULATOR_FEATURES: &[&str] = &["server", "sdk-client", "cli"];

pub(crate) fn all() -> Result<(), Failed> {
    cargo(&["fmt", "--all", "--check"])?;
    clippy(&["--workspace", "--all-targets", "--all-features"])?;
    features("tower-bedrock", LIBRARY_FEATURES)?;
    features("bedrock-sim", SIMULATOR_FEATURES)?;
    cargo(&["test", "-p", "tower-bedrock", "--no-default-features"])?;
    layers_alone_need_no_sdk()?;
    docs()?;
    deny()
}

fn clippy(args: &[&str]) -> Result<(), Failed> {
    let args: Vec<_> = ["clippy"]
        .iter()
        .chain(args)
        .chain(STRICT)
        .copied()
        .collect();
    cargo(&args)
}

fn features(package: &str, features: &[&str]) -> Result<(), Failed> {
    clippy(&["-p", package, "--no-default-features"])?;
    for feature in features {
        clippy(&[
            "-p",
            package,
            "--no-default-features",
            "--features",
            feature,
        ])?;
    }
    Ok(())
}

/// The layers without the feature `aws` must not bring a crate of the SDK along.
fn layers_alone_need_no_sdk() -> Result<(), Failed> {
    let tree = output(cargo_command(&[
        "tree",
        "--package=tower-bedrock",
        "--no-default-features",
        "--edges=normal",
        "--prefix=none",
    ]))?;
    match tree.lines().find(|line| line.starts_with("aws-")) {
        Some(line) => Err(Failed(format!(
            "tower-bedrock without the feature `aws` depends on {line}"
        ))),
        None => Ok(()),
    }
}

fn docs() -> Result<(), Failed> {
    let mut command = cargo_command(&["doc", "--workspace", "--no-deps", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    run(command)
}

/// Licences, bans and sources. The advisory database is not always within reach, so advisories are
/// shown where they can be had, and gate nothing.
fn deny() -> Result<(), Failed> {
    if !installed("cargo-deny") {
        eprintln!("skipped: cargo-deny is not installed");
        return Ok(());
    }
    cargo(&[
        "deny",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ])
}
