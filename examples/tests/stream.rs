//! The example `stream` as a newcomer runs it: as a program.

use assert_cmd::Command;
use bedrock_sim::{FaultKind, FaultSpec, ModelSpec, Scenario, Server};

/// The example's program: cargo builds it together with this test.
fn stream() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/stream")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it first: cargo build --example stream"
    );
    Command::new(path)
}

/// The local Bedrock throttles the first call in its first frame; the answer comes all the same,
/// once and whole.
#[test]
fn a_throttle_in_the_first_frame_is_survived() {
    let run = stream().arg("Hello").assert().success();
    let output = run.get_output();
    let (answer, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(answer.split_whitespace().count() > 50, "{answer}");
    assert!(told.contains("request_rate"), "{told}");
    assert!(told.contains("; again in "), "{told}");
    assert!(told.contains("1 content block(s)"), "{told}");
    assert!(told.contains("in 2 attempts"), "{told}");
    assert!(told.contains("output: 120"), "{told}");
}

/// A stream that breaks half way shows what came, tells how it broke, and fails the program.
#[test]
fn a_stream_that_breaks_is_told() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let cut = FaultSpec::new(FaultKind::StreamCut { after_events: 6 });
    let scenario = Scenario::builder()
        .model(ModelSpec::new("amazon.nova-micro-v1:0").regions(["us-east-1"]))
        .fault(cut)
        .build()
        .unwrap();
    let server = runtime
        .block_on(Server::bind("127.0.0.1:0", scenario))
        .unwrap();
    let run = stream()
        .args(["--endpoint", &server.url()])
        .args(["--model", "amazon.nova-micro-v1:0"])
        .assert()
        .code(1);
    let output = run.get_output();
    assert!(!output.stdout.is_empty());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("stream_truncated"), "{told}");
    assert_eq!(server.service().ledger().totals.requests, 1, "no retry");
}
