//! The example `cache` as a newcomer runs it: as a program.

use assert_cmd::Command;

/// The example's program: cargo builds it together with this test.
fn cache() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/cache")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "build it first: cargo build --example cache");
    Command::new(path)
}

/// Of ten questions one after the other, and of fifty at once, one each goes out and is paid for.
#[test]
fn each_question_goes_out_once() {
    let run = cache().assert().success();
    let told = String::from_utf8_lossy(&run.get_output().stdout);
    let count = |what: &str| told.lines().filter(|line| line.contains(what)).count();
    assert_eq!(count("Miss"), 1, "{told}");
    assert_eq!(count("  0 tokens  Hit { age: "), 9, "{told}");
    assert_eq!(count("kept: 1 answer"), 1, "{told}");
    assert_eq!(count("49 joined the attempt of another"), 1, "{told}");
    assert_eq!(count("on the wire: 2 requests for 60 answers"), 1, "{told}");
}

/// A Bedrock that is not there is told, and fails the program.
#[test]
fn a_bedrock_that_is_not_there_is_told() {
    let run = cache()
        .args(["--endpoint", "http://127.0.0.1:9"])
        .assert()
        .code(1);
    let told = String::from_utf8_lossy(&run.get_output().stderr);
    assert!(told.contains("cache: "), "{told}");
}
