//! Asks a thousand questions of a Bedrock that serves sixty a second, with a progress bar.
//!
//! ```text
//! cargo run --release --example batch
//! cargo run --release --example batch -- --out answers.jsonl
//! ```
//!
//! Ctrl-C lets what is under way finish. With `--out`, a second run goes on where the first was
//! stopped.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, IsTerminal, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    config::{BehaviorVersion, Builder, Region},
    operation::converse::{ConverseInput, ConverseOutput},
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use bedrock_sim::{ModelSpec, QuotaOptions, Scenario, Server, Window};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tower_bedrock::{Batch, BatchProgress, Bedrock, Quota, QuotaWindow, Request, Route, Stack};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const MODEL: &str = "us.amazon.nova-micro-v1:0";
const REQUESTS_PER_MINUTE: u64 = 3600;
const BURST_SECONDS: u64 = 1;

/// Asks many questions of a local Bedrock, so many at a time, and shows how far it has come.
#[derive(Debug, Parser)]
#[command(name = "batch")]
struct Cli {
    /// How many questions to ask
    #[arg(long, value_name = "N", default_value_t = 1000)]
    questions: u64,

    /// How many to ask at a time
    #[arg(long, value_name = "N", default_value = "64")]
    at_a_time: NonZeroUsize,

    /// Writes the answers to this file, one JSON object a line; questions that have an answer in it
    /// are not asked again
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match ask_all(&Cli::parse()).await {
        Ok(left) => ExitCode::from(u8::from(left > 0)),
        Err(error) => {
            eprintln!("batch: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Asks all questions that have no answer yet; returns how many are left.
async fn ask_all(cli: &Cli) -> Result<u64> {
    let server = Server::bind("127.0.0.1:0", account()?).await?;
    let burst = Duration::from_secs(BURST_SECONDS);
    let quota = Quota::new()
        .with_requests_per_minute(REQUESTS_PER_MINUTE)
        .with_window(QuotaWindow::TokenBucket { burst });
    let bedrock = Stack::builder(Bedrock::from_builder(config(server.url())))
        .quota(Route::to(MODEL.parse()?), quota)
        .build()?;

    let answered = answered(cli.out.as_deref())?;
    let mut out = cli.out.as_deref().map(append_to).transpose()?;
    let questions = (0..cli.questions)
        .filter(|number| !answered.contains(number))
        .map(|number| (number, question(number)));
    let bar = progress_bar(cli.questions - answered.len() as u64)?;
    let shown = bar.clone();
    let mut batch = Batch::new(bedrock)
        .with_concurrency(cli.at_a_time)
        .on_progress(move |progress| show(&shown, progress))
        .run(questions);

    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut is_stopped = false;
    loop {
        let item = tokio::select! {
            item = batch.next() => item,
            _ = &mut interrupted, if !is_stopped => {
                is_stopped = true;
                batch.stop();
                continue;
            }
        };
        let Some(item) = item else { break };
        match (item.result, &mut out) {
            (Ok(answer), Some(out)) => {
                let line = json!({ "question": item.key, "answer": text(answer.output()) });
                writeln!(out, "{line}")?;
            }
            (Ok(_), None) => {}
            (Err(error), _) => bar.println(format!("question {}: {error}", item.key)),
        }
    }
    bar.finish_and_clear();

    let progress = batch.progress();
    let left = batch.into_remains().input.count() as u64 + progress.failed;
    println!(
        "{} answered now, {} before, {left} left",
        progress.succeeded,
        answered.len()
    );
    Ok(left)
}

/// A local Bedrock that serves sixty requests a second.
fn account() -> Result<Scenario> {
    let model = ModelSpec::new(MODEL)
        .rpm(REQUESTS_PER_MINUTE)
        .latency(Duration::from_millis(200));
    let window = Window::TokenBucket {
        burst_seconds: BURST_SECONDS,
    };
    let scenario = Scenario::builder().model(model);
    Ok(scenario.quota(QuotaOptions::new().window(window)).build()?)
}

fn question(number: u64) -> Request<ConverseInput> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(format!("What is {number} in words?")))
        .build()
        .expect("role and content are set");
    let input = ConverseInput::builder()
        .model_id(MODEL)
        .messages(message)
        .inference_config(InferenceConfiguration::builder().max_tokens(50).build())
        .build()
        .expect("no field is required");
    Request::from(input)
}

fn text(answer: &ConverseOutput) -> Option<&String> {
    let message = answer.output()?.as_message().ok()?;
    message.content().first()?.as_text().ok()
}

fn config(url: String) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
}

/// The questions that have an answer in `file`. A last line that was cut off has none.
fn answered(file: Option<&Path>) -> Result<HashSet<u64>> {
    let Some(file) = file.filter(|file| file.exists()) else {
        return Ok(HashSet::new());
    };
    let lines = BufReader::new(File::open(file)?).lines();
    let question = |line: std::io::Result<String>| {
        let line = line.map(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
        line.map(|line| line?["question"].as_u64()).transpose()
    };
    Ok(lines.filter_map(question).collect::<std::io::Result<_>>()?)
}

/// The file, to be written on after its last whole line.
fn append_to(path: &Path) -> std::io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let is_cut = std::fs::read(path)?
        .last()
        .is_some_and(|&last| last != b'\n');
    if is_cut {
        writeln!(file)?;
    }
    Ok(file)
}

fn progress_bar(questions: u64) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = "{wide_bar} {pos}/{len} questions, {msg}, {eta} to go";
    Ok(ProgressBar::new(questions).with_style(ProgressStyle::with_template(style)?))
}

fn show(bar: &ProgressBar, progress: BatchProgress) {
    bar.set_position(progress.finished());
    bar.set_message(format!(
        "{} under way, {} failed",
        progress.in_flight, progress.failed
    ));
}
