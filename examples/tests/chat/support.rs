//! The program under test, and what asks it.

use std::{
    future::Future,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bedrock_sim::{ModelSpec, Scenario, ScenarioBuilder, Server};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

pub(crate) const MODEL: &str = "us.amazon.nova-lite-v1:0";

/// Far above what anything here takes: only what never comes is late.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running chat; it ends with the test.
pub(crate) struct Chat {
    child: Child,
    pub(crate) url: String,
    pub(crate) client: Client,
}

/// The program: cargo builds it together with this test.
pub(crate) fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    let path = path
        .join("examples/chat")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "build it first: cargo build --example chat");
    path
}

/// A Bedrock of one model with a quota and a pace of the test's own.
pub(crate) async fn bedrock(
    model: ModelSpec,
    and: impl FnOnce(ScenarioBuilder) -> ScenarioBuilder,
) -> Server {
    let scenario = and(Scenario::builder().model(model)).build().unwrap();
    Server::bind("127.0.0.1:0", scenario).await.unwrap()
}

pub(crate) fn model() -> ModelSpec {
    ModelSpec::new(MODEL)
        .regions(["us-east-1"])
        .output_tokens(20)
}

/// A model that takes minutes for an answer.
pub(crate) fn slow() -> ModelSpec {
    model().tokens_per_second(4).output_tokens(800)
}

impl Chat {
    /// With its own local Bedrock.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::with_log(args, "warn", Stdio::null())
    }

    /// In front of another Bedrock.
    pub(crate) fn before(bedrock: &Server, args: &[&str]) -> Self {
        let url = bedrock.url();
        Self::start(&[&["--endpoint", &url], args].concat())
    }

    pub(crate) fn with_log(args: &[&str], filter: &str, stderr: Stdio) -> Self {
        let mut child = Command::new(program())
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .env("RUST_LOG", filter)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("chat listening on ");
        Self {
            url: url.unwrap_or_else(|| panic!("{line:?}")).to_owned(),
            child,
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).json(body)
    }

    /// Asks, with so many milliseconds of patience.
    pub(crate) async fn ask(&self, prompt: &str, patience_ms: u64) -> Response {
        let asked = self.post("/chat", &json!({ "prompt": prompt }));
        let asked = asked.header("x-timeout-ms", patience_ms).send();
        asked.await.unwrap()
    }

    pub(crate) async fn stream(&self, prompt: &str) -> Events {
        let asked = self.post("/chat/stream", &json!({ "prompt": prompt }));
        Events::of(asked.header("x-timeout-ms", 60_000).send().await.unwrap())
    }

    /// The live picture as it is now.
    pub(crate) async fn picture(&self) -> Value {
        let mut live = Events::of(self.get("/live").send().await.unwrap());
        live.next().await.expect("a picture").1
    }

    pub(crate) async fn switch(&self, what: Value) {
        let put = self.client.put(format!("{}/demo", self.url)).json(&what);
        assert_eq!(put.send().await.unwrap().status(), 200, "{what}");
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args([name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// Whether it ended well, once it has.
    pub(crate) async fn ended(mut self) -> bool {
        eventually("the program ends", async || {
            self.child.try_wait().unwrap().is_some()
        })
        .await;
        self.child.wait().unwrap().success()
    }

    /// What it has logged, once it is killed.
    pub(crate) fn log(mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("stderr is piped");
        stderr.read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Waits until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, wait).await;
}

pub(crate) async fn within<T>(what: &str, happens: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, happens).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("not within a minute: {what}"),
    }
}

/// The body of a refusal, which is of one form whoever refuses.
pub(crate) async fn error(response: Response) -> Value {
    let status = response.status();
    let body: Value = response.json().await.unwrap_or_else(|error| {
        panic!("{status} without JSON: {error}");
    });
    let error = body["error"].clone();
    assert!(error["code"].is_string(), "{status}: {body}");
    assert!(error["message"].is_string(), "{status}: {body}");
    error
}

/// Server-sent events, read as they come.
pub(crate) struct Events {
    response: Response,
    rest: String,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/event-stream");
        Self {
            response,
            rest: String::new(),
        }
    }

    /// The name of the next event and its data; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                let name = field("event: ").unwrap_or("message").to_owned();
                let data = field("data: ").map(str::to_owned);
                self.rest = rest.to_owned();
                // A comment keeps the connection alive.
                let Some(data) = data else { continue };
                return Some((name, serde_json::from_str(&data).unwrap()));
            }
            let chunk = within("the next event", self.response.chunk()).await;
            let chunk = chunk.expect("the stream is not broken off")?;
            self.rest.push_str(str::from_utf8(&chunk).unwrap());
        }
    }

    /// All that comes from here on.
    pub(crate) async fn all(mut self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}
