//! Running other programs.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// `cargo` with `args`, in the root of the workspace.
pub(crate) fn cargo(args: &[&str]) -> Result<(), Failed> {
    run(cargo_command(args))
}

/// The same with variables set in its environment.
pub(crate) fn cargo_with(args: &[&str], variables: &[(&str, &str)]) -> Result<(), Failed> {
    let mut command = cargo_command(args);
    command.envs(variables.iter().copied());
    run(command)
}

pub(crate) fn cargo_command(args: &[&str]) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// `program`, to be run in the root of the workspace.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs `command` and says so.
pub(crate) fn run(mut command: Command) -> Result<(), Failed> {
    eprintln!("+ {}", shown(&command));
    let status = command
        .status()
        .map_err(|error| Failed(format!("`{}` did not start: {error}", shown(&command))))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failed(format!("`{}` ended with {status}", shown(&command))))
    }
}

/// What `command` prints.
pub(crate) fn output(mut command: Command) -> Result<String, Failed> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failed(format!("`{}` did not start: {error}", shown(&command))))?;
    if !output.status.success() {
        let status = output.status;
        return Err(Failed(format!("`{}` ended with {status}", shown(&command))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `program` can be run here.
pub(crate) fn installed(program: &str) -> bool {
    let mut command = command(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}
