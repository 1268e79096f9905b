//! The command line, run as a process.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
};

use tempfile::NamedTempFile;

fn bedrock_sim() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bedrock-sim"))
}

fn scenario(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a scenario");
    file
}

/// A `serve` on a free port, killed when the test is over.
struct Serve {
    child: Child,
    /// What it prints first.
    line: String,
}

impl Serve {
    fn start(arguments: &[&str]) -> Self {
        let mut child = bedrock_sim()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        Self { child, line }
    }

    fn address(&self) -> &str {
        let address = self
            .line
            .trim_end()
            .strip_prefix("bedrock-sim listening on http://");
        address.expect("the line that says where it listens")
    }

    fn get(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Sends a signal, and waits for the end.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let kill = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(kill.expect("kill").success());
        let status = self.child.wait().expect("an end");
        let mut errors = String::new();
        let pipe = self.child.stderr.as_mut().expect("a pipe");
        pipe.read_to_string(&mut errors).expect("text");
        (status.code(), errors)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const HEALTH: &str = "GET /_sim/health HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n";

fn converse(model: &str) -> String {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"my secret"}]}]}"#;
    format!(
        "POST /model/{model}/converse HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer secret-key\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

// It says where it listens once it does, answers there without a scenario of one's own, logs nothing
// of what it is asked, and ends well on either signal.
#[cfg(unix)]
#[test]
fn serve_answers_and_ends_well() {
    for signal in ["-TERM", "-INT"] {
        let serve = Serve::start(&[]);
        assert!(!serve.address().ends_with(":0"));
        assert!(serve.get(HEALTH).starts_with("HTTP/1.1 200 OK\r\n"));
        let answer = serve.get(&converse("amazon.nova-lite-v1%3A0"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let (code, errors) = serve.end(signal);
        assert_eq!(code, Some(0));
        assert_eq!(errors, "");
    }
}

fn request_id(answer: &str) -> &str {
    let header = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-amzn-requestid: "));
    header.expect("a request id")
}

// The scenario is the file's, and its seed the command line's.
#[test]
fn seed_is_the_command_lines() {
    let file = scenario("seed = 1\n[[model]]\nid = \"some.model\"\n");
    let path = file.path().to_str().expect("a path");
    let id = |arguments: &[&str]| {
        let serve = Serve::start(&[&["--scenario", path], arguments].concat());
        let answer = serve.get(&converse("some.model"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        request_id(&answer).to_owned()
    };
    assert_eq!(id(&[]), id(&["--seed", "1"]));
    assert_ne!(id(&[]), id(&["--seed", "2"]));
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("a process");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

// A scenario that cannot be used is told with file, line and reason, by both commands.
#[test]
fn bad_scenario_is_told() {
    let file = scenario("seed = 1\n\n[[model]]\nid = \"some.model\"\nrpm = 0\n");
    let path = file.path().to_str().expect("a path");
    for arguments in [vec!["check", path], vec!["serve", "--scenario", path]] {
        let (code, out, errors) = output(bedrock_sim().args(arguments));
        assert_eq!(code, Some(1));
        assert_eq!(out, "");
        assert!(errors.starts_with(&format!("{path}:5:")), "{errors}");
        assert!(errors.contains("rpm"), "{errors}");
    }
}

// Check goes through all files, and fails if one of them does.
#[test]
fn check_goes_through_all() {
    let good = scenario("[[model]]\nid = \"some.model\"\n");
    let bad = scenario("[[model]]\nid = \"some.model\"\nsize = 3\n");
    let (code, out, _) = output(bedrock_sim().arg("check").arg(good.path()));
    assert_eq!(code, Some(0));
    assert!(out.ends_with(": ok\n"));
    let paths = [bad.path(), good.path()];
    let (code, out, errors) = output(bedrock_sim().arg("check").args(paths));
    assert_eq!(code, Some(1));
    assert!(
        out.ends_with(": ok\n") && errors.contains("size"),
        "{out}{errors}"
    );
    let (code, ..) = output(bedrock_sim().args(["check", "no/such/file.toml"]));
    assert_eq!(code, Some(1));
}

// The scenarios that come with the crate are sound.
#[test]
fn own_scenarios_are_sound() {
    let calm = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/calm.toml");
    let (code, _, errors) = output(bedrock_sim().args(["check", calm]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

// An address that cannot be listened at is told.
#[test]
fn taken_address_is_told() {
    let serve = Serve::start(&[]);
    let (code, out, errors) = output(bedrock_sim().args(["serve", "--listen", serve.address()]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains(serve.address()), "{errors}");
}

// Every scenario that the README shows is sound, and the one that shows every key shows it.
#[test]
fn scenarios_of_the_readme_are_sound() {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```toml\n").skip(1);
    let scenarios: Vec<_> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    assert_eq!(scenarios.len(), 4);
    for text in scenarios {
        let file = scenario(text);
        let (code, _, errors) = output(bedrock_sim().arg("check").arg(file.path()));
        assert_eq!((code, errors.as_str()), (Some(0), ""));
    }
}
