//! `cargo xtask mutants`: faults put into the cores one by one, to see whether tests notice.

use clap::Args;

use crate::run::{Failed, cargo_command, output_of_both, run, target};

/// The cores: a name, which is also the module whose tests are run, and its files.
const CORES: [(&str, &[&str]); 9] = [
    ("retry", &["retry/{backoff,budget,jitter,minute,policy}.rs"]),
    (
        "token_budget",
        &[
            "token_budget/{allowance,answer_time,calibration,estimate,gate,learning,ledger,open_calls,queue,quota}.rs",
            "token_budget/window/*.rs",
        ],
    ),
    (
        "circuit_breaker",
        &[
            "circuit_breaker/{breaker,circuit,cooldown,outcome,policy,recent,send_clock,state,window}.rs",
        ],
    ),
    ("pool", &["pool/{adaptive,permits,places,pools}.rs"]),
    (
        "fallback",
        &["fallback/{cap,choice,descent,ladder,plan,rules,rung}.rs"],
    ),
    (
        "classify",
        &["classify/{hint,mod}.rs", "classify/catalogue/*.rs"],
    ),
    ("cause", &["cause/*.rs"]),
    ("model_id", &["model_id/*.rs", "model_id/area/mod.rs"]),
    ("stream", &["stream/{facts,lifecycle,limits}.rs"]),
];

/// Which of them.
#[derive(Args)]
pub(crate) struct Mutants {
    /// One core, or all of them.
    core: Option<String>,
    /// A part of each core's mutants: `0/12` is every twelfth.
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Lists the mutants instead.
    #[arg(long)]
    list: bool,
}

pub(crate) fn mutants(mutants: &Mutants) -> Result<(), Failed> {
    if output_of_both(cargo_command(&["mutants", "--version"])).is_err() {
        return Err(Failed(
            "nothing was tried: first run `cargo install --locked cargo-mutants`".to_owned(),
        ));
    }
    let is_chosen = |name: &str| mutants.core.as_deref().is_none_or(|core| core == name);
    let mut chosen = CORES.iter().filter(|(name, _)| is_chosen(name)).peekable();
    if chosen.peek().is_none() {
        let names = CORES.map(|(name, _)| name).join(", ");
        return Err(Failed(format!("there is no such core, but {names}")));
    }
    // A mutant that survives in one core is no reason not to look at the next.
    let mut first = Ok(());
    for (name, files) in chosen {
        first = first.and(of_core(name, files, mutants));
    }
    first
}

fn of_core(name: &str, files: &[&str], mutants: &Mutants) -> Result<(), Failed> {
    let mut command = cargo_command(&["mutants", "--package=tower-bedrock"]);
    for file in files {
        command.arg(format!("--file=crates/tower-bedrock/src/{file}"));
    }
    if let Some(shard) = &mutants.shard {
        command.arg(format!("--shard={shard}"));
        command.arg("--sharding=round-robin");
    }
    if mutants.list {
        return run({
            command.arg("--list");
            command
        });
    }
    command
        .arg("--output")
        .arg(target().join("mutants").join(name))
        // The cores need no SDK, which takes minutes to build.
        .args(["--no-default-features", "--cargo-arg=--lib", "--"])
        .arg(format!("{name}::"));
    run(command)
}
