//! A chat over HTTP, with axum: answers and streams through the stack, and a page that shows how it
//! keeps up.
//!
//! ```text
//! cargo run --release --example chat
//! cargo run --release --example chat -- --help
//! ```
//!
//! What to read: `app.rs` for the routes and layers, `bedrock.rs` for the stack, `ask.rs` for what a
//! caller may say, `stream.rs` for server-sent events. `live.rs`, `tally.rs` and `demo.rs` are for
//! the page.

mod answer;
mod app;
mod ask;
mod bedrock;
mod cli;
mod demo;
mod live;
mod load_limit;
mod page;
mod refusal;
mod shutdown;
mod stream;
mod tally;
mod target;
mod wire;

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, sync::Semaphore};
use tower_bedrock::metrics::{buckets, describe};
use tracing_subscriber::EnvFilter;

use crate::{
    app::{App, SEATS},
    bedrock::Chat,
    cli::Cli,
    demo::Demo,
    shutdown::{Shutdown, Stage},
    target::Target,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match serve(&cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(cli: &Cli) -> Result<()> {
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new("info"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let metrics = recorder()?;

    let mut target = Target::of(cli).await?;
    let (name, server) = (target.name, target.server.take());
    let chat = Chat::new(target, cli.model.clone())?;
    let demo = Demo::new(server.as_ref(), chat.route());
    let shutdown = Shutdown::new();
    let app = App {
        pictures: live::pictures(chat.clone(), demo.clone(), name),
        seats: Arc::new(Semaphore::new(SEATS)),
        shutdown: shutdown.clone(),
        chat: chat.clone(),
        demo: demo.clone(),
        metrics,
    };

    let listener = TcpListener::bind(cli.listen)
        .await
        .map_err(|error| format!("cannot listen at {}: {error}", cli.listen))?;
    println!("chat listening on http://{}", listener.local_addr()?);
    let load = tokio::spawn(demo.load(chat));
    tokio::spawn(shutdown.clone().run(cli.drain, cli.grace));
    let closing = shutdown.reached(Stage::Closing);
    let serving = axum::serve(listener, app.router(cli.max_chats)).with_graceful_shutdown(closing);
    tokio::select! {
        served = serving => served?,
        () = shutdown.reached(Stage::Over) => tracing::warn!("some answers did not end in time"),
    }
    load.abort();
    if let Some(server) = server {
        server.shutdown().await;
    }
    Ok(())
}

/// Where metrics go, with buckets that fit what is measured.
fn recorder() -> Result<PrometheusHandle> {
    let tokens = Matcher::Full("gen_ai_client_token_usage".to_owned());
    let handle = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&buckets::SECONDS)?
        .set_buckets_for_metric(tokens, &buckets::TOKENS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}
