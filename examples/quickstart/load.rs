//! The load: half of the calls at once and the others over a while, each timed from the outside.

use std::{future::Future, io::IsTerminal, time::Duration};

use aws_sdk_bedrockruntime::{
    operation::converse::ConverseInput,
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{Result, tally::Tally};

/// Far above what any call of this example takes.
const LONGEST: Duration = Duration::from_secs(600);

/// What became of a load.
pub(crate) struct Outcome {
    pub(crate) calls: u32,
    pub(crate) answered: u32,
    /// How many of them by which route: the one asked for, then those that it may fall back to.
    pub(crate) served_by: Vec<u32>,
    /// How long the answered calls took, in microseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) took: Duration,
    pub(crate) tally: Tally,
    /// How often a circuit opened; `None` where there is none.
    pub(crate) circuit_openings: Option<usize>,
    /// One of the errors, so that nobody has to guess.
    pub(crate) an_error: Option<String>,
}

/// One call of many; their lengths differ.
pub(crate) fn input(model: &str, number: u32) -> Result<ConverseInput> {
    let topic = "a quota that is used well ".repeat(1 + number as usize % 5);
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(format!(
            "Say something short about {topic}."
        )))
        .build()?;
    Ok(ConverseInput::builder()
        .model_id(model)
        .messages(message)
        .inference_config(InferenceConfiguration::builder().max_tokens(200).build())
        .build()?)
}

/// Makes half of the calls at once and the others evenly over `spread`, and waits for the last. Each
/// tells which route has answered.
pub(crate) async fn run<F, E>(
    name: &'static str,
    calls: u32,
    spread: Duration,
    tally: Tally,
    mut call: impl FnMut(u32) -> Result<F>,
) -> Result<Outcome>
where
    F: Future<Output = std::result::Result<usize, E>> + Send + 'static,
    E: std::error::Error + Send + 'static,
{
    let progress = progress_bar(name, calls)?;
    let mut latency = Histogram::new_with_max(u64::try_from(LONGEST.as_micros())?, 3)?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..calls {
        let call = call(number)?;
        let late = number.saturating_sub(calls / 2);
        let comes = start + spread * late / calls.div_ceil(2);
        tasks.spawn(async move {
            sleep_until(comes).await;
            let start = Instant::now();
            (call.await, start.elapsed())
        });
    }

    let (mut answered, mut an_error) = (0, None);
    let mut served_by = vec![0];
    while let Some(task) = tasks.join_next().await {
        let (result, took) = task?;
        match result {
            Ok(route) => {
                answered += 1;
                if served_by.len() <= route {
                    served_by.resize(route + 1, 0);
                }
                served_by[route] += 1;
                latency.saturating_record(u64::try_from(took.as_micros())?);
            }
            Err(error) => an_error = Some(explain(&error)),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(Outcome {
        calls,
        answered,
        served_by,
        latency,
        took: start.elapsed(),
        tally,
        circuit_openings: None,
        an_error,
    })
}

fn progress_bar(name: &'static str, calls: u32) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = "{prefix:>14} {wide_bar} {pos}/{len} calls, {elapsed}";
    Ok(ProgressBar::new(calls.into())
        .with_prefix(name)
        .with_style(ProgressStyle::with_template(style)?))
}

/// The error and what lies under it, in one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        source = error.source();
    }
    texts.join(": ")
}
