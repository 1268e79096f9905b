//! The example `circuit_breaker` as a newcomer runs it: as a program.

use assert_cmd::Command;
use bedrock_sim::{ModelSpec, Scenario, Server};

/// The example's program: cargo builds it together with this test.
fn circuit_breaker() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/circuit_breaker")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it first: cargo build --example circuit_breaker"
    );
    Command::new(path)
}

/// The circuit opens when the model is overloaded, refuses calls that the model never sees, and is
/// closed in the end; each of that is shown.
#[test]
fn the_circuit_opens_refuses_and_closes() {
    let run = circuit_breaker().assert().success();
    let shown = String::from_utf8_lossy(&run.get_output().stdout);
    let place = |what: &str| {
        shown
            .find(what)
            .unwrap_or_else(|| panic!("no {what}: {shown}"))
    };
    let circuit = "the circuit of us.amazon.nova-lite-v1:0@us-east-1 is";
    let opened = place(&format!("{circuit} open: "));
    let asked = place(&format!("{circuit} half_open: cooldown_over"));
    let closed = place(&format!("{circuit} closed: probes_succeeded"));
    assert!(opened < asked && asked < closed, "{shown}");
    place("failed: model_overloaded");
    place("none of those that the circuit refused");
}

/// With a model that is well all the time there is nothing to see, which the exit status tells.
#[test]
fn a_model_that_is_well_fails_the_demonstration() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let scenario = Scenario::builder()
        .model(ModelSpec::new("amazon.nova-micro-v1:0").regions(["us-east-1"]))
        .build()
        .unwrap();
    let server = runtime
        .block_on(Server::bind("127.0.0.1:0", scenario))
        .unwrap();
    let run = circuit_breaker()
        .args(["--endpoint", &server.url()])
        .args(["--model", "amazon.nova-micro-v1:0"])
        .assert()
        .code(1);
    let told = String::from_utf8_lossy(&run.get_output().stderr);
    assert!(told.contains("the circuit never opened"), "{told}");
}
