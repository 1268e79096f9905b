//! What it is started with.

use assert_cmd::Command;

use crate::support::program;

/// Bad flags are refused with the reason, before anything is started.
#[test]
fn bad_flags_are_refused_with_the_reason() {
    for (args, reason) in [
        (&["--listen", "here"][..], "invalid socket address"),
        (
            &["--endpoint", "localhost:8480"],
            "must start with http:// or https://",
        ),
        (&["--endpoint", "http://[::1"], "it is no URL"),
        (
            &["--endpoint", "http://localhost", "--aws"],
            "cannot be used with",
        ),
        (&["--model", "nova"], "--endpoint <URL>|--aws"),
        (&["--rpm", "3"], "--endpoint <URL>|--aws"),
        (&["--aws", "--tpm", "0"], "0 is not in 1.."),
        (&["--aws", "--model", "nova lite"], "' ' at byte 4"),
        (&["--grace", "long"], "whole seconds"),
        (&["--drain", "3601"], "at most 3600"),
        (&["--aws", "--listne"], "unexpected argument"),
    ] {
        let run = Command::new(program()).args(args).assert().code(2);
        let stderr = String::from_utf8_lossy(&run.get_output().stderr);
        assert!(stderr.contains(reason), "{args:?}: {stderr}");
    }
}

/// An address that somebody else listens at is told, and the program fails.
#[test]
fn an_address_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = Command::new(program())
        .args(["--listen", &address])
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&run.get_output().stderr);
    assert!(
        stderr.contains(&format!("cannot listen at {address}")),
        "{stderr}"
    );
}

/// The real service is called in the configured region; without one it is told what to set.
#[test]
fn a_region_that_is_missing_is_told() {
    let run = Command::new(program())
        .args(["--aws", "--listen", "127.0.0.1:0"])
        .env_remove("AWS_REGION")
        .env_remove("AWS_DEFAULT_REGION")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "no-such-file")
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&run.get_output().stderr);
    assert!(stderr.contains("set AWS_REGION"), "{stderr}");
}
