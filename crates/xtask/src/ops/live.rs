//! `cargo xtask ops --live`: a real Prometheus, on the chat example, on a Bedrock where all goes wrong,
//! and on an application that need not send all that it is asked.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use super::{RULES, of_prometheus};
use crate::run::{Failed, Serving, cargo, command, installed, root, run, target};

/// Builds the second application.
const LIVE: [&str; 7] = [
    "build",
    "-p",
    "tower-bedrock-examples",
    "--example",
    "live",
    "--features",
    "quota-discovery",
];
const SCENARIO: &str = "ops/live/scenario.toml";
/// As long as the scenario, and a little: its last fault begins after 33 s.
const LOAD: Duration = Duration::from_secs(42);
/// How long callers wait, in seconds: most until they are answered, one of each kind hardly at all.
/// Each asks again then, four times a second at most.
const PATIENCE: [&str; 4] = ["5", "5", "5", "0.15"];

pub(super) fn all() -> Result<(), Failed> {
    let (Some(prometheus), Some(promtool)) =
        (of_prometheus("prometheus"), of_prometheus("promtool"))
    else {
        eprintln!("skipped: prometheus is not installed");
        return Ok(());
    };
    if !installed("curl") {
        eprintln!("skipped: curl is not installed");
        return Ok(());
    }
    cargo(&["build", "-p", "bedrock-sim"])?;
    cargo(&["build", "-p", "tower-bedrock-examples", "--example", "chat"])?;
    cargo(&LIVE)?;
    cargo(&["build", "-p", "tower-bedrock-ops"])?;

    let bedrock = bedrock()?;
    let chat = chat(&bedrock.url)?;
    // With a cache, shared attempts and discovered quotas, which the other has not. It asks by itself.
    let live = command(target().join("debug/examples/live"));
    let live = Serving::start(live, "live listening on ")?;
    let server = Prometheus::start(&prometheus, [&chat.url, &live.url])?;
    {
        let mut callers = Vec::new();
        for patience in PATIENCE {
            callers.extend([ask(&chat.url, patience)?, listen(&chat.url, patience)?]);
        }
        eprintln!("callers ask for {} s", LOAD.as_secs());
        #[expect(clippy::disallowed_methods, reason = "real programs take real time")]
        std::thread::sleep(LOAD);
    }
    let mut live = command(target().join("debug/tower-bedrock-ops"));
    live.args(["live", &server.url, "--promtool"]).arg(promtool);
    run(live)
}

fn bedrock() -> Result<Serving, Failed> {
    let mut serve = command(target().join("debug/bedrock-sim"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--scenario", SCENARIO]);
    Serving::start(serve, "bedrock-sim listening on ")
}

fn chat(bedrock: &str) -> Result<Serving, Failed> {
    let mut serve = command(target().join("debug/examples/chat"));
    serve.args(["--listen", "127.0.0.1:0", "--endpoint", bedrock]);
    serve.args(["--fallback-region", "us-west-2"]);
    serve.args(["--fallback-model", "us.amazon.nova-micro-v1:0"]);
    serve.args(["--rpm", "600", "--tpm", "120000", "--tpd", "500000"]);
    serve.env("RUST_LOG", "off");
    Serving::start(serve, "chat listening on ")
}

/// A caller of `POST /chat`, until it is dropped.
fn ask(chat: &str, patience: &str) -> Result<Serving, Failed> {
    let args = [
        "--header",
        "content-type: application/json",
        "--data",
        r#"{"prompt": "Say something about quotas.", "timeout_ms": 3000}"#,
        &format!("{chat}/chat?[1-100000]"),
    ];
    caller(patience, &args)
}

/// A reader of `GET /chat/stream`, until it is dropped.
fn listen(chat: &str, patience: &str) -> Result<Serving, Failed> {
    let url = format!("{chat}/chat/stream?prompt=live-[1-100000]&timeout_ms=4000");
    caller(patience, &[&url])
}

fn caller(patience: &str, args: &[&str]) -> Result<Serving, Failed> {
    let mut curl = command("curl");
    curl.args(["--silent", "--output", "/dev/null", "--rate", "4/s"]);
    curl.args(["--max-time", patience]).args(args);
    Serving::silent(curl)
}

struct Prometheus {
    url: String,
    _server: Serving,
}

impl Prometheus {
    /// A fresh one with our rules, that looks at the applications each second.
    fn start(program: &Path, applications: [&str; 2]) -> Result<Self, Failed> {
        let home = target().join("ops/live");
        let (config, data) = (home.join("prometheus.yml"), home.join("data"));
        let address =
            free_address().map_err(|error| Failed(format!("no port is free: {error}")))?;
        let written = fs::create_dir_all(&home)
            .and_then(|()| match fs::remove_dir_all(&data) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
            .and_then(|()| fs::write(&config, settings(applications)));
        written.map_err(|error| Failed(format!("{}: {error}", home.display())))?;
        let mut serve = command(program);
        serve.arg("--config.file").arg(config);
        serve.arg("--storage.tsdb.path").arg(data);
        serve.args(["--log.level=error", "--web.listen-address", &address]);
        let server = Serving::silent(serve)?;
        let url = format!("http://{address}");
        let mut ready = command("curl");
        ready.args(["--silent", "--fail", "--output", "/dev/null"]);
        ready.args(["--retry", "20", "--retry-delay", "1", "--retry-all-errors"]);
        ready.arg(format!("{url}/-/ready"));
        run(ready)?;
        Ok(Self {
            url,
            _server: server,
        })
    }
}

fn settings(applications: [&str; 2]) -> String {
    let rules = root().join(RULES);
    let [chat, live] = applications.map(|url| url.trim_start_matches("http://"));
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
         rule_files: ['{}']\n\
         scrape_configs: [{{job_name: chat, static_configs: [{{targets: ['{chat}', '{live}']}}]}}]\n",
        rules.display()
    )
}

/// Prometheus cannot tell which port it took, so one is looked for that is free now.
fn free_address() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}
