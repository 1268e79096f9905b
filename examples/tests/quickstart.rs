//! The quickstart as a newcomer runs it: as a program.

use std::path::PathBuf;

use assert_cmd::Command;
use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, Scenario, Server};

/// The example's program: cargo builds it together with this test.
fn quickstart() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path: PathBuf = path
        .join("examples/quickstart")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it first: cargo build --example quickstart"
    );
    Command::new(path)
}

fn report(stdout: &[u8]) -> serde_json::Value {
    serde_json::from_slice(stdout).expect("one JSON object")
}

/// Against the local Bedrock the layers answer every call, on which the exit status hangs, by the
/// next region and by another model where that has to be; the SDK alone does not.
#[test]
fn the_layers_answer_every_call() {
    let run = quickstart().args(["--json"]).assert().success();
    let report = report(&run.get_output().stdout);
    let (sdk, ours) = (&report["sdk_alone"], &report["tower_bedrock"]);
    assert_eq!(ours["calls"], 240);
    assert_eq!(ours["answered"], 240);
    assert_eq!(ours["failed"], 0);
    assert!(
        sdk["failed"].as_u64() > Some(0),
        "the quota is tight: {sdk}"
    );
    let over_quota = |side: &serde_json::Value| {
        let refusals = |cause| side["refusals"][cause].as_u64().unwrap_or(0);
        refusals("request_rate") + refusals("token_rate")
    };
    assert!(
        over_quota(ours) * 10 < over_quota(sdk),
        "the budget keeps under the quota: {ours}"
    );
    let served_by = |side: &serde_json::Value| -> Vec<u64> {
        serde_json::from_value(side["served_by"].clone()).unwrap()
    };
    assert_eq!(served_by(sdk).len(), 1);
    assert_eq!(served_by(ours).len(), 3, "{ours}");
    assert!(served_by(ours).iter().all(|&calls| calls > 0), "{ours}");
    assert!(ours["circuit_openings"].as_u64() > Some(0), "{ours}");
    for side in [sdk, ours] {
        assert_eq!(
            served_by(side).iter().sum::<u64>(),
            side["answered"].as_u64().unwrap()
        );
        let refused: u64 = side["refusals"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(|n| n.as_u64())
            .sum();
        let answered = side["answered"].as_u64().unwrap();
        assert_eq!(
            side["attempts"].as_u64().unwrap(),
            refused + answered,
            "{side}"
        );
    }
}

/// A running simulator can be used instead; what it counts is what the table shows. A call that is
/// not answered makes the exit status 1.
#[test]
fn a_running_bedrock_can_be_used() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let broken = FaultSpec::error(ErrorText::InputTooLong).skip(20).count(3);
    let scenario = Scenario::builder()
        .model(ModelSpec::new("amazon.nova-micro-v1:0").regions(["us-east-1"]))
        .fault(broken)
        .build()
        .unwrap();
    let server = runtime
        .block_on(Server::bind("127.0.0.1:0", scenario))
        .unwrap();
    let run = quickstart()
        .args([
            "--endpoint",
            &server.url(),
            "--model",
            "amazon.nova-micro-v1:0",
        ])
        .args(["--calls", "20", "--json"])
        .assert()
        .code(1);
    let report = report(&run.get_output().stdout);
    assert_eq!(report["sdk_alone"]["answered"], 20);
    assert_eq!(report["tower_bedrock"]["answered"], 17);
    assert_eq!(report["tower_bedrock"]["refusals"]["context_too_long"], 3);
    assert_eq!(server.service().ledger().totals.requests, 40);
    let error = report["tower_bedrock"]["an_error"].as_str().unwrap();
    assert!(error.contains("Input is too long"), "{error}");
}

/// Bad flags are refused with the reason, before anything is started.
#[test]
fn bad_flags_are_refused_with_the_reason() {
    for (args, reason) in [
        (
            &["--endpoint", "localhost:8480"][..],
            "must start with http:// or https://",
        ),
        (&["--endpoint", "http://"], "it is no URL"),
        (&["--endpoint", "http://[::1"], "it is no URL"),
        (
            &["--endpoint", "http://localhost", "--aws"],
            "cannot be used with",
        ),
        (&["--calls", "0"], "0 is not in 1..=10000"),
        (&["--calls", "many"], "invalid digit"),
        (&["--tpm", "0"], "0 is not in 1.."),
        (&["--model", "nova lite"], "' ' at byte 4"),
        (&["--jsn"], "unexpected argument '--jsn'"),
    ] {
        let run = quickstart().args(args).assert().code(2);
        let stderr = String::from_utf8_lossy(&run.get_output().stderr);
        assert!(stderr.contains(reason), "{args:?}: {stderr}");
    }
}

/// Nobody listens: the calls fail with the reason, and so does the program.
#[test]
fn an_endpoint_that_nobody_serves_is_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let run = quickstart()
        .args(["--endpoint", &format!("http://{free}"), "--calls", "2"])
        .assert()
        .code(1);
    let stdout = String::from_utf8_lossy(&run.get_output().stdout);
    assert!(stdout.contains("refused: connect"), "{stdout}");
    assert!(stdout.contains("Connection refused"), "{stdout}");
}
