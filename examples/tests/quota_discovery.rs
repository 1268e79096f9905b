//! The example `quota_discovery` as a newcomer runs it: as a program.

use assert_cmd::Command;

/// It reads the account, counts both names of a profile together, and notices the raised quota.
#[test]
fn the_account_is_read_and_read_again() {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/quota_discovery")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it first: cargo build --example quota_discovery --features quota-discovery"
    );
    let run = Command::new(path).assert().success();
    let said = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    for line in [
        "us.amazon.nova-lite-v1:0@us-east-1: 120000 tokens, 2000 requests per minute",
        "us.amazon.nova-lite-v1:0@us-west-2: 120000 tokens, 2000 requests per minute",
        "application-inference-profile/a1b2c3d4e5f6 is us.amazon.nova-lite-v1:0",
        "both names were counted together: 2 requests of 2000",
        "all was read again: 300000 tokens per minute",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}
