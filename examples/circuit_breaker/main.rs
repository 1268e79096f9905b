//! Calls a model that is overloaded for a while, through a circuit breaker.
//!
//! ```text
//! cargo run --example circuit_breaker
//! cargo run --example circuit_breaker -- --help
//! ```

mod tally;

use std::{process::ExitCode, sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    config::{BehaviorVersion, Builder, Region},
    operation::converse::ConverseInput,
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use bedrock_sim::{Scenario, Server};
use clap::Parser;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, CircuitBreakerLayer, CircuitBreakers, CircuitEvent, CircuitPolicy, CircuitState,
    ClassifyLayer, Error, Request, Route,
};

use crate::tally::Tally;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Calls come this far apart, whatever comes of them.
const SPACING: Duration = Duration::from_millis(25);
/// The load goes on for so long after the circuit has closed again.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// And ends after so long in any case.
const LONGEST: Duration = Duration::from_secs(9);

/// Calls a model that is overloaded for a while, and shows what the circuit breaker makes of it.
///
/// Without options it starts a local Bedrock whose model is overloaded for two seconds; no AWS
/// account is needed and nothing leaves the machine. Exit status 0 if the circuit opened, refused
/// calls without sending them, and closed again.
#[derive(Debug, Parser)]
#[command(name = "circuit_breaker")]
struct Cli {
    /// Calls a Bedrock that is running already: a simulator, a proxy
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// The model to call, by any id that Bedrock accepts
    #[arg(long, value_name = "ID", default_value = "us.amazon.nova-lite-v1:0")]
    model: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("circuit_breaker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<()> {
    // The local Bedrock lives as long as its server.
    let server = match &cli.endpoint {
        Some(_) => None,
        None => {
            let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
            Some(Server::bind("127.0.0.1:0", scenario).await?)
        }
    };
    let endpoint = server.as_ref().map(Server::url).or(cli.endpoint.clone());

    let start = Instant::now();
    let route = Route::to(cli.model.parse()?);
    let breakers = circuits(start)?;
    let mut transitions = breakers.subscribe();
    // One attempt for each call, so that nothing but the circuit decides what is sent.
    let bedrock = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(config(endpoint)));

    let tally = Arc::new(Tally::default());
    let mut calls = JoinSet::new();
    let mut ticks = interval(SPACING);
    let mut closed_again = None;
    while start.elapsed() < LONGEST
        && closed_again.is_none_or(|closed: Instant| closed.elapsed() < AFTERWARDS)
    {
        ticks.tick().await;
        let call = bedrock.clone().oneshot(Request::from(question(cli)?));
        let counted = Arc::clone(&tally);
        calls.spawn(async move {
            let asked = Instant::now();
            let outcome = call.await.map(drop);
            counted.count(&outcome, asked.elapsed());
        });
        while calls.try_join_next().is_some() {}
        while let Ok(transition) = transitions.try_recv() {
            closed_again = (transition.to == CircuitState::Closed).then(Instant::now);
        }
        if tally.is_due(start.elapsed()) {
            println!("{:>5.1} s  {tally}", start.elapsed().as_secs_f64());
        }
    }
    timeout(LONGEST, async {
        while calls.join_next().await.is_some() {}
    })
    .await?;

    println!("\n{}", tally.summary());
    let snapshot = breakers.snapshot_of(&route);
    if snapshot.generation == 0 {
        return Err("the circuit never opened: the model was well all the time".into());
    }
    if snapshot.state != CircuitState::Closed {
        return Err(format!("the circuit is {} in the end", snapshot.state).into());
    }
    if tally.refused() == 0 {
        return Err("no call was refused by the circuit".into());
    }
    if let Some(server) = &server {
        let sent = server.service().ledger().totals.requests;
        if sent != tally.sent() {
            let expected = tally.sent();
            return Err(format!("{sent} calls were sent, and {expected} came back").into());
        }
        println!("The model saw {sent} calls: none of those that the circuit refused.");
    }
    Ok(())
}

/// Circuits for a demonstration: nobody wants to watch a cooldown of the default length.
fn circuits(start: Instant) -> Result<CircuitBreakers> {
    let policy = CircuitPolicy::new()
        .with_window(Duration::from_secs(10))
        .with_cooldown(Duration::from_millis(400), Duration::from_millis(800));
    let breakers = CircuitBreakers::new()
        .with_policy(policy)?
        .with_home_region("us-east-1")
        .on_event(move |event| {
            let CircuitEvent::Changed { transition, .. } = event else {
                return;
            };
            let at = start.elapsed().as_secs_f64();
            let (route, to, reason) = (&transition.route, transition.to, transition.reason);
            print!("{at:>5.1} s  the circuit of {route} is {to}: {reason}");
            if transition.calls > 0 {
                print!(", {} of {} calls", transition.failures, transition.calls);
            }
            match transition.cooldown {
                Some(cooldown) => println!("; for {} ms", cooldown.as_millis()),
                None => println!(),
            }
        });
    Ok(breakers)
}

fn question(cli: &Cli) -> Result<ConverseInput> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text("Are you well?".to_owned()))
        .build()?;
    Ok(ConverseInput::builder()
        .model_id(&cli.model)
        .messages(message)
        .inference_config(InferenceConfiguration::builder().max_tokens(50).build())
        .build()?)
}

fn config(endpoint: Option<String>) -> Builder {
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None));
    config.set_endpoint_url(endpoint);
    config
}

/// What became of one call.
type Outcome = std::result::Result<(), Error>;
