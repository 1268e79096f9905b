//! The example `sdk_interceptor` as a newcomer runs it: as a program.

use assert_cmd::Command;

/// The example's program: cargo builds it together with this test.
fn sdk_interceptor() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/sdk_interceptor")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it first: cargo build --example sdk_interceptor"
    );
    Command::new(path)
}

/// The cause of a failure is known, an open circuit keeps calls off the wire, and a closed one lets
/// them through.
#[test]
fn causes_are_told_and_an_open_circuit_is_quiet() {
    let run = sdk_interceptor().assert().success();
    let told = String::from_utf8_lossy(&run.get_output().stdout);
    assert!(
        told.contains("the caller hears: model_overloaded"),
        "{told}"
    );
    assert!(
        told.contains("the caller hears: circuit_open\n  0 requests"),
        "{told}"
    );
    assert!(told.contains("the listener hears: Converse to"), "{told}");
    assert!(told.trim_end().ends_with("answered"), "{told}");
}
