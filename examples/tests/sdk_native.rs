//! The example `sdk_native` as a newcomer runs it: as a program.

use assert_cmd::Command;

/// The example's program: cargo builds it together with this test.
fn sdk_native() -> Command {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/sdk_native")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it first: cargo build --example sdk_native"
    );
    Command::new(path)
}

/// The same program fails some of its calls without the layers, and none with them.
#[test]
fn one_line_more_and_every_call_is_answered() {
    let run = sdk_native().assert().success();
    let told = String::from_utf8_lossy(&run.get_output().stdout);
    let answered = |line: &str| {
        let line = told.lines().find_map(|told| told.strip_prefix(line));
        let count = line.and_then(|line| line.split_whitespace().next());
        count.and_then(|count| count.parse::<u32>().ok()).unwrap()
    };
    assert!(answered("the SDK alone:") < 100, "{told}");
    assert_eq!(answered("with tower-bedrock:"), 100, "{told}");
}
