//! The door in front of a simulator behind a port.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use bedrock_sim::SimService;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower::{BoxError, ServiceExt};

use super::{Arrival, door::Door, known_key};
use crate::sigv4::SignedRequest;

/// A simulator behind a port that lets in only what is signed for one region, as it stands on the
/// wire.
#[derive(Debug)]
pub struct VerifyingServer {
    address: SocketAddr,
    door: Arc<Door>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl VerifyingServer {
    /// Listens on a free port for requests to `sim` that [`ACCESS_KEY`](super::ACCESS_KEY) has signed
    /// for `region`.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn bind(sim: &SimService, region: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let clock = SharedTimeSource::new(SystemTimeSource::new());
        let for_ever = clock.now() + Duration::from_secs(1 << 30);
        let door = Door::new(vec![(known_key(), for_ever)], clock).in_region(region);
        let door = Arc::new(door);
        let connections = Arc::<AtomicUsize>::default();
        let accepting = accept(
            listener,
            sim.clone(),
            Arc::clone(&door),
            Arc::clone(&connections),
        );
        let task = tokio::spawn(accepting);
        Ok(Self {
            address,
            door,
            connections,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What came so far, all of which must have been let in.
    ///
    /// # Panics
    ///
    /// If the door had anything against a request.
    #[must_use]
    pub fn admitted(&self) -> Vec<Arrival> {
        self.door.admitted()
    }
}

impl Drop for VerifyingServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    sim: SimService,
    door: Arc<Door>,
    connections: Arc<AtomicUsize>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(stream, sim.clone(), Arc::clone(&door)));
    }
}

async fn serve(stream: TcpStream, sim: SimService, door: Arc<Door>) {
    let answering = service_fn(|request| answer(request, sim.clone(), Arc::clone(&door)));
    // A connection that breaks is the client's to notice.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answering)
            .await,
    );
}

async fn answer(
    request: Request<Incoming>,
    sim: SimService,
    door: Arc<Door>,
) -> Result<Response<Either<bedrock_sim::SimBody, Full<Bytes>>>, BoxError> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    let headers: Vec<(String, String)> = headers.collect();
    let host = head
        .headers
        .get("host")
        .map_or(Ok(""), |host| host.to_str())?;
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let signed = SignedRequest {
        method: head.method.as_str(),
        target,
        headers: &headers,
        body: &body,
    };
    if let Some(refusal) = door.receive(host, &signed) {
        return Ok(refusal.map(|body| Either::Right(Full::new(Bytes::from(body)))));
    }
    let answer = sim
        .oneshot(Request::from_parts(head, Full::new(body)))
        .await?;
    Ok(answer.map(Either::Left))
}
