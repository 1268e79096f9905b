//! How the process ends: first it says so, then it stops accepting, then it cuts what is left.

use std::{future::Future, time::Duration};

use tokio::{sync::watch, time::sleep};

/// What the process is at. Each stage holds in all that come after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    /// Not ready any more, but still accepting: load balancers take a moment to notice.
    Draining,
    /// Nothing new is accepted. Answers go on; what never ends by itself ends now.
    Closing,
    /// Whatever still goes on is told that it is cut.
    Cutting,
    /// Nobody is waited for any more.
    Over,
}

/// How long answers that are cut have to tell their clients.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Sender<Stage>);

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// Ready once the process has come to `stage`.
    pub(crate) fn reached(&self, stage: Stage) -> impl Future<Output = ()> + Send + use<> {
        let mut stages = self.0.subscribe();
        async move {
            // An error would mean that no stage comes any more; `self` keeps the sender.
            drop(stages.wait_for(|now| *now >= stage).await);
        }
    }

    /// Waits for SIGINT or SIGTERM and goes through the stages. A second signal cuts at once.
    pub(crate) async fn run(self, drain: Duration, grace: Duration) {
        signal().await;
        tracing::info!("shutting down; a second signal cuts what is left");
        let politely = async {
            self.0.send_replace(Stage::Draining);
            sleep(drain).await;
            self.0.send_replace(Stage::Closing);
            sleep(grace).await;
        };
        tokio::select! {
            () = politely => {}
            () = signal() => {}
        }
        self.0.send_replace(Stage::Cutting);
        sleep(LAST_WORDS).await;
        self.0.send_replace(Stage::Over);
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return interrupt().await;
    };
    tokio::select! {
        () = interrupt() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    interrupt().await;
}

async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a way to hear of it there is nothing to wait for.
        std::future::pending::<()>().await;
    }
}
