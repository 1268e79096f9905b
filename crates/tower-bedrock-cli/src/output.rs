//! How answers are shown: for people, or as JSON.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked makes no sense.
    #[error("{0}")]
    Asked(String),
    #[error("cannot read the error from standard input: {0}")]
    Input(#[source] io::Error),
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
    #[error("cannot write the answer as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Prints `answer`: as one JSON object if asked, else as `text` makes it.
pub(crate) fn print<T: Serialize>(
    answer: &T,
    json: bool,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let mut shown = shown(answer, json, text)?;
    shown.push('\n');
    match io::stdout().lock().write_all(shown.as_bytes()) {
        // `| head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::Output),
    }
}

/// `answer` as it is printed.
pub(crate) fn shown<T: Serialize>(
    answer: &T,
    json: bool,
    text: impl FnOnce(&T) -> String,
) -> Result<String, serde_json::Error> {
    if json {
        serde_json::to_string_pretty(answer)
    } else {
        Ok(text(answer))
    }
}

/// A table without lines, as wide as the terminal where there is one.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(100);
    }
    table
}

/// The lines of `table`, without the blanks that fill its last column.
pub(crate) fn lines(table: &Table) -> String {
    table.trim_fmt()
}
