//! Running other programs.

use std::{
    env,
    ffi::OsStr,
    fmt,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
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

/// A program that serves until it is dropped.
pub(crate) struct Serving {
    child: Child,
    /// Where it says that it listens, if it does.
    pub(crate) url: String,
}

impl Serving {
    /// Starts a program whose first line is `says` and its URL.
    pub(crate) fn start(mut command: Command, says: &str) -> Result<Self, Failed> {
        let mut serving = Self::silent_on(command.stdout(Stdio::piped()))?;
        let mut line = String::new();
        if let Some(stdout) = serving.child.stdout.take() {
            // What cannot be read says nothing.
            let _length = BufReader::new(stdout).read_line(&mut line);
        }
        let url = line.trim().strip_prefix(says);
        let said = || {
            Failed(format!(
                "`{}` did not say where it listens",
                shown(&command)
            ))
        };
        serving.url = url.ok_or_else(said)?.to_owned();
        Ok(serving)
    }

    /// Starts a program that does not say where it listens.
    pub(crate) fn silent(mut command: Command) -> Result<Self, Failed> {
        Self::silent_on(&mut command)
    }

    fn silent_on(command: &mut Command) -> Result<Self, Failed> {
        let child = command.spawn();
        let child = child
            .map_err(|error| Failed(format!("`{}` did not start: {error}", shown(command))))?;
        Ok(Self {
            child,
            url: String::new(),
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// What `command` says, on either of its outputs.
pub(crate) fn output_of_both(mut command: Command) -> Result<String, Failed> {
    let output = command
        .output()
        .map_err(|error| Failed(format!("`{}` did not start: {error}", shown(&command))))?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(said)
    } else {
        let status = output.status;
        Err(Failed(format!(
            "`{}` ended with {status}: {said}",
            shown(&command)
        )))
    }
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
