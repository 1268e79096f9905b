//! The simulator behind a TCP port: HTTP/1.1 and HTTP/2 without TLS.

mod connection;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use self::connection::Connection;
use crate::{Scenario, SimService};

/// How long a shutdown waits for answers under way. A stream may stall for ever.
const GRACE: Duration = Duration::from_secs(5);

/// How long accepting pauses when the process has run out of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A simulated Bedrock that listens.
///
/// It runs in tasks of the runtime it is bound in, until it is [shut down](Self::shutdown) or
/// dropped. Dropping it breaks off what is under way.
///
/// ```
/// use bedrock_sim::{ModelSpec, Scenario, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scenario = Scenario::builder()
///     .model(ModelSpec::new("amazon.nova-lite-v1:0"))
///     .build()?;
/// let server = Server::bind("127.0.0.1:0", scenario).await?;
/// // Point any SDK here: AWS_ENDPOINT_URL_BEDROCK_RUNTIME.
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// # Connections
///
/// A connection speaks HTTP/1.1, or HTTP/2 with prior knowledge. Where a scenario resets a
/// connection, the client sees a TCP reset, and over HTTP/2 so do all its other streams. A stream
/// that is cut ends its connection over HTTP/1.1; over HTTP/2 the stream alone is reset.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    service: SimService,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened at.
    pub async fn bind(address: impl ToSocketAddrs, scenario: Scenario) -> io::Result<Self> {
        Self::bind_service(address, SimService::new(scenario)).await
    }

    /// Puts a service behind an address, which others may call in process at the same time.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened at.
    pub async fn bind_service(
        address: impl ToSocketAddrs,
        service: SimService,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let local_addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, service.clone(), stopped));
        Ok(Self {
            local_addr,
            service,
            stop,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The URL to give to an SDK.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// The service behind it, with the ledger.
    #[must_use]
    pub fn service(&self) -> &SimService {
        &self.service
    }

    /// Stops accepting, lets answers under way come to their end for up to five seconds, and breaks
    /// off the rest.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // An error is a panic of the task, which is over then as well.
        drop((&mut self.task).await);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, service: SimService, mut stopped: watch::Receiver<bool>) {
    let http = auto::Builder::new(TokioExecutor::new());
    let graceful = GracefulShutdown::new();
    // Owns the connections: if this task is aborted, so are they.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = Connection::new(stream);
                    let abort = connection.abort_handle();
                    let answering = connection::answering(service.clone(), abort.clone());
                    let serving = http
                        .serve_connection(TokioIo::new(connection), answering)
                        .into_owned();
                    connections.spawn(abort.unless_aborted(graceful.watch(serving)));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    // What is left after the grace ends with the set.
    drop(timeout(GRACE, graceful.shutdown()).await);
}
