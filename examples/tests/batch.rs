//! The batch as somebody runs it who breaks it off and comes back: as a program.

use std::{collections::HashSet, fs, path::PathBuf};

use assert_cmd::Command;

/// The example's program: cargo builds it together with this test.
fn batch() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path: PathBuf = path
        .join("examples/batch")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "build it first: cargo build --example batch");
    Command::new(path)
}

/// Every question is answered once, by as many runs as it takes; one whose line was cut off when a
/// run was killed is asked again.
#[test]
fn a_batch_goes_on_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("answers.jsonl");
    let run = |questions: &str| {
        let mut batch = batch();
        batch.args(["--questions", questions, "--out"]).arg(&out);
        let run = batch.assert().success();
        String::from_utf8(run.get_output().stdout.clone()).unwrap()
    };
    assert_eq!(run("30"), "30 answered now, 0 before, 0 left\n");
    let all = fs::read_to_string(&out).unwrap();
    let cut = all.trim_end().rfind('\n').unwrap();
    fs::write(&out, &all[..cut + 10]).unwrap();
    let (before, _) = all.split_at(cut);
    assert_eq!(before.lines().count(), 29);

    assert_eq!(run("50"), "21 answered now, 29 before, 0 left\n");
    let lines = fs::read_to_string(&out).unwrap();
    let numbers: HashSet<u64> = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|line| line["question"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..50).collect());
}
