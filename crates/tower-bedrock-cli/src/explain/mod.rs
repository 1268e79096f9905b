//! `tower-bedrock explain`.

mod advice;
mod reactions;
mod reading;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Read};

use clap::Args;
use serde::Serialize;
use tower_bedrock::{Cause, Reactions};

use self::{
    advice::Advice,
    reading::{Basis, Reading},
};
use crate::output::{self, Failure};

/// The most of an error that is read, in bytes: all that matters stands at its beginning.
const INPUT_LIMIT: u64 = 1 << 20;

#[derive(Args)]
pub(crate) struct Explain {
    /// The error: JSON as the service or a log has it, or the text of any SDK, of the AWS command line
    /// or of this library. Without it, or with `-`, it is read from standard input.
    #[arg(value_name = "ERROR")]
    error: Vec<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is known of an error.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    cause: &'static str,
    /// What of the error told the cause.
    read_from: Basis,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// What it means.
    meaning: &'static str,
    /// What the recommended stack does about it, layer by layer.
    the_stack: Vec<String>,
    /// What a person should do about it.
    you: &'static [&'static str],
}

impl Explain {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let text = self.text()?;
        let explanation = Explanation::of_text(&text).ok_or_else(|| {
            Failure::Asked(
                "there is no error to explain: give its text or JSON, as in\n  \
                 tower-bedrock explain 'ThrottlingException: Too many tokens, please wait before trying again.'"
                    .to_owned(),
            )
        })?;
        output::print(&explanation, self.json, Explanation::text)
    }

    fn text(&self) -> Result<String, Failure> {
        if !self.error.is_empty() && self.error != ["-"] {
            return Ok(self.error.join(" "));
        }
        let stdin = io::stdin();
        if self.error.is_empty() && stdin.is_terminal() {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        stdin
            .lock()
            .take(INPUT_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(Failure::Input)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Explanation {
    /// Of the error in `text`; `None` if there is nothing in it.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        Reading::of(text).map(Self::of)
    }

    fn of(reading: Reading) -> Self {
        let error = reading.error;
        let Advice { meaning, you } = Advice::on(error.cause());
        Self {
            cause: error.cause().as_str(),
            read_from: reading.basis,
            code: error.code().map(str::to_owned),
            status: error.status(),
            message: error.message().map(str::to_owned),
            request_id: error.request_id().map(str::to_owned),
            meaning,
            the_stack: reactions::to(error.cause(), Reactions::default().of(&error)),
            you,
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut table = output::table();
        let cause = match self.read_from {
            Basis::Code | Basis::Status | Basis::Cause => self.cause.to_owned(),
            Basis::Words => format!(
                "{} (by its words alone: the error has neither code nor status)",
                self.cause
            ),
            Basis::Nothing => format!("{} (nothing in the error is known)", self.cause),
        };
        table.add_row(["cause", &cause]);
        let mut read = Vec::new();
        read.extend(self.code.clone());
        read.extend(self.status.map(|status| format!("HTTP {status}")));
        read.extend(self.message.clone());
        read.extend(
            self.request_id
                .as_ref()
                .map(|id| format!("request id {id}")),
        );
        table.add_row(["read", &read.join(", ")]);
        table.add_row(["meaning", self.meaning]);
        table.add_row(["the stack", &self.the_stack.join("\n")]);
        table.add_row(["you", &self.you.join("\n")]);
        output::lines(&table)
    }
}

/// The cause whose name is `name`.
fn cause_named(name: &str) -> Option<Cause> {
    Cause::ALL
        .iter()
        .copied()
        .find(|cause| cause.as_str() == name)
}
