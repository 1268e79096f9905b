//! Stream failures that other projects had reported to them, each played through the whole stack.
//!
//! They were found in the issues of those projects. What a row says was wanted is what the reporter
//! asked for, or what the fix made of it. Where we do otherwise, the row says so.

mod after_content;
mod before_content;
mod ends;
mod framing;
mod readers;
mod waits;

use std::collections::BTreeSet;

use crate::row::{Charge, Row};

/// The events of [`whole`](crate::recordings::whole).
const WHOLE: &[&str] = &[
    "start",
    "text:Hel",
    "text:lo",
    "block-stop",
    "stop",
    "metadata",
];
/// The events of [`begun`].
const BEGUN: &[&str] = &["start", "text:Hel", "text:lo"];
/// The same from Claude.
const CLAUDE_WHOLE: &[&str] = &[
    "message_start",
    "content_block_delta:Hel",
    "content_block_delta:lo",
    "message_delta",
    "message_stop",
];
const CLAUDE_BEGUN: &[&str] = &[
    "message_start",
    "content_block_delta:Hel",
    "content_block_delta:lo",
];

/// What [`whole`] used.
const USED: Charge = Charge::Used {
    input: 11,
    output: 7,
};
/// What [`begun`] comes to, at three bytes to a token.
const HELLO: Charge = Charge::Estimated { output: 2 };
/// What the same comes to from Claude, who tells the input at once, at four bytes to a token.
const CLAUDE_HELLO: Charge = Charge::Used {
    input: 11,
    output: 2,
};

fn rows() -> Vec<Row> {
    [
        before_content::rows(),
        after_content::rows(),
        ends::rows(),
        framing::rows(),
        readers::rows(),
        waits::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Panics if rows are not as they should be, and names them.
fn judge(flawed: &[(&Row, Vec<String>)]) {
    let report: Vec<_> = flawed
        .iter()
        .filter(|(_, flaws)| !flaws.is_empty())
        .map(|(row, flaws)| {
            let (name, reported, wanted) = (row.name, row.reported, row.wanted);
            format!(
                "{name} ({reported}; wanted: {wanted})\n    {}",
                flaws.join("\n    ")
            )
        })
        .collect();
    assert!(report.is_empty(), "\n{}", report.join("\n"));
}

/// Over a real socket, every reported failure comes to the outcome that its reporter wanted: the
/// cause, the requests on the wire, each event once, and everything given back.
#[tokio::test]
async fn reported_failures_over_a_socket() {
    let rows = rows();
    let mut flawed = Vec::new();
    for row in rows.iter().filter(|row| row.is_real()) {
        flawed.push((row, row.play_over_a_socket().await));
    }
    judge(&flawed);
}

/// In process and in virtual time it is the same, and so is what would take minutes.
#[tokio::test(start_paused = true)]
async fn reported_failures_in_virtual_time() {
    let rows = rows();
    let mut flawed = Vec::new();
    for row in &rows {
        flawed.push((row, row.play_in_process().await));
    }
    judge(&flawed);
}

/// The table is what it says: many different reports, each with the place where it can be read.
#[test]
fn every_failure_has_its_report() {
    let rows = rows();
    let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "a name is used twice");
    let reports: BTreeSet<_> = rows.iter().map(|row| row.reported).collect();
    assert!(reports.len() >= 19, "{} reports", reports.len());
    assert!(rows.iter().filter(|row| row.is_real()).count() >= 19);
    for row in &rows {
        let (repository, number) = row.reported.split_once('#').expect(row.reported);
        let repository = repository.strip_suffix(" PR").unwrap_or(repository);
        assert_eq!(repository.matches('/').count(), 1, "{}", row.reported);
        assert!(number.parse::<u32>().is_ok(), "{}", row.reported);
    }
}
