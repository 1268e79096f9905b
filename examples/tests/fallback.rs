//! The example `fallback` as a newcomer runs it: as a program.

use assert_cmd::Command;

/// The example's program: cargo builds it together with this test.
fn fallback() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/fallback")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it first: cargo build --example fallback"
    );
    Command::new(path)
}

/// Every call is answered through the outage and the overload, within Europe, and by its own route
/// in the end: on that hangs the exit status.
#[test]
fn every_call_is_answered_and_the_primary_returns() {
    let run = fallback().arg("--json").assert().success();
    let report: serde_json::Value =
        serde_json::from_slice(&run.get_output().stdout).expect("one JSON object");
    assert_eq!(report["calls"], 200);
    assert_eq!(report["answered"], 200);
    assert_eq!(report["wire_requests_outside"], 0);

    let served = |index: &str, what: &str| report["served"][index][what].clone();
    let sonnet = "eu.anthropic.claude-sonnet-4-6";
    assert_eq!(served("0", "route"), format!("{sonnet}@eu-west-1"));
    assert_eq!(served("1", "route"), format!("{sonnet}@eu-central-1"));
    let by_haiku = served("2", "calls").as_u64().unwrap_or(0);
    for (index, least) in [("0", 60), ("1", 20), ("2", 20)] {
        let calls = served(index, "calls").as_u64().unwrap_or(0);
        assert!(calls >= least, "{index}: {report}");
    }
    assert_eq!(report["degraded"].as_u64(), Some(by_haiku));
    // Circuits keep most calls from what is known to be sick.
    let wire = report["wire_requests"].as_u64().unwrap();
    assert!(wire < 260, "{report}");
    let last = report["seconds"].as_array().unwrap().last().unwrap();
    let served = last["served"].as_object().unwrap();
    assert_eq!(served.keys().collect::<Vec<_>>(), ["0"]);
}

/// Bad flags are refused before anything is started.
#[test]
fn bad_flags_are_refused() {
    let run = fallback().arg("--jsn").assert().code(2);
    let stderr = String::from_utf8_lossy(&run.get_output().stderr);
    assert!(stderr.contains("unexpected argument '--jsn'"), "{stderr}");
}
