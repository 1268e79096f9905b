//! The command `tower-bedrock`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tower_bedrock_cli::run()
}
