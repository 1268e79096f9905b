//! `cargo xtask fuzz`: libFuzzer on what comes from outside.

use std::{fs, process::Command};

use clap::Args;

use crate::run::{Failed, command, output_of_both, root, run, target};

/// The package of the targets, in the root of the workspace.
const PACKAGE: &str = "tests/fuzz/targets";
/// What an input may take: seconds, and MB of memory at once and in all.
const LIMITS: [&str; 3] = ["-timeout=10", "-malloc_limit_mb=256", "-rss_limit_mb=1024"];

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// How many seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// One target, or all of them.
    target: Option<String>,
}

pub(crate) fn fuzz(fuzz: &Fuzz) -> Result<(), Failed> {
    let targets = targets()?;
    let chosen: Vec<_> = match &fuzz.target {
        Some(name) if targets.contains(name) => vec![name.clone()],
        Some(name) => {
            return Err(Failed(format!(
                "there is no target {name}, but {}",
                targets.join(", ")
            )));
        }
        None => targets,
    };
    for (args, what) in [
        (
            &["run", "nightly", "rustc", "--version"][..],
            "rustup toolchain install nightly",
        ),
        (
            &["run", "nightly", "cargo", "fuzz", "--version"],
            "cargo install cargo-fuzz",
        ),
    ] {
        let mut there = command("rustup");
        there.args(args);
        if output_of_both(there).is_err() {
            return Err(Failed(format!("nothing was fuzzed: first run `{what}`")));
        }
    }
    chosen
        .iter()
        .try_for_each(|name| run(fuzzing(name, fuzz.seconds)?))
}

/// The names of the targets.
fn targets() -> Result<Vec<String>, Failed> {
    let folder = root().join(PACKAGE).join("fuzz_targets");
    let files = fs::read_dir(&folder)
        .map_err(|error| Failed(format!("cannot read {}: {error}", folder.display())))?;
    let stem = |path: std::path::PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = files
        .flatten()
        .filter_map(|file| stem(file.path()))
        .collect();
    names.sort();
    Ok(names)
}

/// What is found goes to a folder of its own, beside the committed corpus, which is read only.
fn fuzzing(name: &str, seconds: u64) -> Result<Command, Failed> {
    let found = target().join("fuzz").join(name);
    fs::create_dir_all(&found)
        .map_err(|error| Failed(format!("cannot make {}: {error}", found.display())))?;
    let mut fuzzing = command("rustup");
    // Our code is without `unsafe`, so a sanitizer would find faults of others, at half the speed.
    fuzzing
        .args(["run", "nightly", "cargo", "fuzz", "run", "--sanitizer=none"])
        .arg(format!("--fuzz-dir={PACKAGE}"))
        .arg(name)
        .arg(found)
        .arg(root().join("tests/fuzz/corpus").join(name))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .args(LIMITS)
        .arg("-print_final_stats=1");
    Ok(fuzzing)
}
