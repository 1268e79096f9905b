//! Peers that vanish: packets are lost, and nobody says so. No FIN, no RST, the socket stays open on
//! both sides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_bedrockruntime::config::{
    Builder,
    endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint},
    timeout::TimeoutConfig,
};
use bedrock_sim::{Scenario, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout},
};
use tower::Layer;
use tower_bedrock::{
    Bedrock, Cause, FallbackEvent, FallbackLayer, Ladder, StackLayer, StreamLimits,
    sdk::install::Resilience,
};
use tower_bedrock_tests::{
    REGION, config,
    face::{Ask, Face, FaceKind},
    gauges::Gauges,
    model,
};

use super::process::Left;

const SECOND: &str = "us-west-2";
/// How long an attempt may take, and a stream be silent.
const LIMIT: Duration = Duration::from_millis(300);
/// How long anything may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// When a peer vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vanishes {
    /// Before it has taken the connection: what asks for one is not answered.
    AtConnect,
    /// When it has the request.
    AfterRequest,
    /// When it has told so many bytes of the answer.
    AmidAnswer(usize),
}

/// A peer on the way to a service. Its sockets stay open until it is dropped.
struct Peer {
    url: String,
    task: Option<JoinHandle<()>>,
    /// What fills the line of connections that nobody takes.
    _line: Vec<TcpStream>,
    sockets: Arc<Mutex<usize>>,
}

impl Vanishes {
    async fn before(self, service: &Server) -> Peer {
        match self {
            Self::AtConnect => Peer::full().await,
            Self::AfterRequest => Peer::listen(service, 0).await,
            Self::AmidAnswer(bytes) => Peer::listen(service, bytes).await,
        }
    }
}

impl Peer {
    /// Nobody takes connections, and the line of those who want one is full: the next is not answered.
    async fn full() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind("127.0.0.1:0".parse().expect("an address"))
            .expect("an address");
        let listener = socket.listen(1).expect("it listens");
        let address = listener.local_addr().expect("it has an address");
        let mut line = Vec::new();
        while let Ok(stream) = timeout(LIMIT, TcpStream::connect(address)).await {
            line.push(stream.expect("a connection"));
            assert!(line.len() < 100, "the line has no end");
        }
        Self {
            url: format!("http://{address}"),
            task: Some(tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(listener);
            })),
            sockets: Arc::new(Mutex::new(line.len() + 1)),
            _line: line,
        }
    }

    /// Hands requests on to `service`, and so many bytes of an answer back; then it reads nothing, and
    /// writes nothing, on either side.
    async fn listen(service: &Server, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("an address");
        let address = listener.local_addr().expect("it has an address");
        let behind = service.local_addr();
        let sockets = Arc::new(Mutex::new(1));
        let counted = Arc::clone(&sockets);
        let task = tokio::spawn(async move {
            // Owns the connections.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                *counted.lock().expect("nobody panics") += 1;
                let counted = Arc::clone(&counted);
                connections.spawn(async move {
                    let service = TcpStream::connect(behind).await;
                    let service = service.expect("the service is there");
                    // The service's own end of it is the service's.
                    *counted.lock().expect("nobody panics") += 2;
                    // Whoever called may be gone already.
                    let _relayed = relay(client, service, bytes).await;
                });
            }
        });
        Self {
            url: format!("http://{address}"),
            task: Some(task),
            _line: Vec::new(),
            sockets,
        }
    }

    /// How many sockets it keeps open.
    fn sockets(&self) -> usize {
        *self.sockets.lock().expect("nobody panics")
    }
}

/// Hands on the request and a part of the answer, and vanishes with both connections open.
async fn relay(
    mut client: TcpStream,
    mut service: TcpStream,
    mut bytes: usize,
) -> std::io::Result<()> {
    let (mut asked, mut answer) = ([0; 4096], [0; 64]);
    while bytes > 0 {
        let most = answer.len().min(bytes);
        tokio::select! {
            read = client.read(&mut asked) => service.write_all(&asked[..read?]).await?,
            read = service.read(&mut answer[..most]) => {
                let read = read?;
                client.write_all(&answer[..read]).await?;
                bytes -= read;
            }
        }
    }
    if client.readable().await.is_ok() {
        std::future::pending::<()>().await;
    }
    drop((client, service));
    Ok(())
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Where each region is.
#[derive(Clone, Debug)]
struct Ports(HashMap<&'static str, String>);

impl ResolveEndpoint for Ports {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let url = params.region().and_then(|region| self.0.get(region));
        EndpointFuture::ready(match url {
            Some(url) => Ok(Endpoint::builder().url(url.clone()).build()),
            None => Err("no such region".into()),
        })
    }
}

async fn service() -> Server {
    let model = model()
        .regions([REGION, SECOND])
        .output_tokens(100)
        .tokens_per_second(2000);
    let scenario = Scenario::builder().seed(7).model(model).build();
    let server = Server::bind("127.0.0.1:0", scenario.expect("a sound scenario")).await;
    server.expect("an address")
}

/// A configuration whose home is behind `peer`, and the other region the service itself.
fn at(peer: &Peer, service: &Server) -> Builder {
    let ports = [(REGION, peer.url.clone()), (SECOND, service.url())];
    config("http://nowhere.invalid").endpoint_resolver(Ports(ports.into()))
}

fn face(kind: FaceKind, layer: &StackLayer, config: Builder) -> Face {
    let limits = StreamLimits::new().with_between_events(LIMIT);
    match kind {
        FaceKind::Tower => {
            let bedrock = Bedrock::from_builder(config).with_stream_limits(limits);
            Face::Tower(Box::new(layer.layer(bedrock)))
        }
        FaceKind::Fluent => {
            let resilience = Resilience::new(layer.clone()).with_stream_limits(limits);
            Face::Fluent(aws_sdk_bedrockruntime::Client::from_conf(
                resilience.install(config).build(),
            ))
        }
    }
}

/// A way to the other region, and for what calls took it.
fn to_second() -> (FallbackLayer, Arc<Mutex<Vec<Option<Cause>>>>) {
    let moves = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&moves);
    let ladder = FallbackLayer::new(Ladder::regions([SECOND])).expect("a ladder");
    let ladder = ladder.on_event(move |event| {
        if let FallbackEvent::Moved { cause, .. } = event {
            told.lock().expect("nobody panics").push(*cause);
        }
    });
    (ladder, moves)
}

/// Makes a call that has to end in time.
async fn call(
    face: &Face,
    ask: &Ask,
    what: &str,
) -> Result<usize, tower_bedrock_tests::face::Failed> {
    let start = Instant::now();
    let ended = timeout(PATIENCE, face.call(ask)).await;
    let ended = ended.unwrap_or_else(|_| panic!("{what}: it hangs"));
    println!(
        "{what}: {:?}, {:?}",
        start.elapsed(),
        ended.as_ref().map_err(|failed| failed.cause)
    );
    ended
}

fn asks() -> [Ask; 2] {
    [false, true].map(|is_stream| Ask {
        is_stream,
        timeout: Some(2 * PATIENCE),
        ..Ask::default()
    })
}

/// A peer that does not take the connection, or takes the request and is gone: the attempt ends by its
/// own limit, long before the call's deadline, and the caller hears that it took too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_a_peer_that_has_vanished_ends() {
    let before = Left::now();
    for vanishes in [Vanishes::AtConnect, Vanishes::AfterRequest] {
        let service = service().await;
        let peer = vanishes.before(&service).await;
        for kind in FaceKind::ALL {
            for ask in asks() {
                let what = format!("{vanishes:?}, {kind:?}, stream: {}", ask.is_stream);
                let layer = StackLayer::builder(REGION).attempt_timeout(LIMIT);
                let layer = layer.build_layer().expect("a sound stack");
                let face = face(kind, &layer, at(&peer, &service));
                let failed = call(&face, &ask, &what).await.expect_err("nobody answers");
                assert_eq!(failed.cause, Some(Cause::Timeout), "{what}: {failed:?}");
                assert!(!failed.had_begun, "{what}");
                Gauges::of_layer(&layer).assert_at_rest(&what);
            }
        }
        // The peer is there still, and has all its sockets; of ours none is left.
        before.comes_back_but(peer.sockets() + 1).await;
        drop(peer);
        service.shutdown().await;
    }
    before.comes_back().await;
}

/// The SDK's own limit for connecting, where it is shorter, tells of a connection that could not be made:
/// for that reason the call goes on elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_not_answered_is_told_as_such() {
    let service = service().await;
    let peer = Vanishes::AtConnect.before(&service).await;
    for kind in FaceKind::ALL {
        let what = format!("{kind:?}");
        let (ladder, moves) = to_second();
        let layer = StackLayer::builder(REGION).fallback(ladder);
        let layer = layer.build_layer().expect("a sound stack");
        let timeouts = TimeoutConfig::builder().connect_timeout(LIMIT / 3).build();
        let config = at(&peer, &service).timeout_config(timeouts);
        let face = face(kind, &layer, config);
        call(&face, &asks()[0], &what)
            .await
            .expect("the other region answers");
        let moves = moves.lock().expect("nobody panics").clone();
        assert_eq!(moves, [Some(Cause::Connect)], "{what}");
    }
    drop(peer);
    service.shutdown().await;
}

/// With another region to go to, the caller is answered there, whole and as a stream, with one request
/// and for the right reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_on_where_somebody_answers() {
    let before = Left::now();
    for vanishes in [Vanishes::AtConnect, Vanishes::AfterRequest] {
        let service = service().await;
        let peer = vanishes.before(&service).await;
        for kind in FaceKind::ALL {
            for ask in asks() {
                let what = format!("{vanishes:?}, {kind:?}, stream: {}", ask.is_stream);
                let (ladder, moves) = to_second();
                let layer = StackLayer::builder(REGION).fallback(ladder);
                let layer = layer.attempt_timeout(LIMIT).build_layer();
                let layer = layer.expect("a sound stack");
                let face = face(kind, &layer, at(&peer, &service));
                let answered = service.service().ledger().totals.requests;
                call(&face, &ask, &what)
                    .await
                    .expect("the other region answers");
                let answered = service.service().ledger().totals.requests - answered;
                assert_eq!(answered, 1, "{what}");
                let moves = moves.lock().expect("nobody panics").clone();
                assert_eq!(moves, [Some(Cause::Timeout)], "{what}");
                Gauges::of_layer(&layer).assert_at_rest(&what);
            }
        }
        before.comes_back_but(peer.sockets() + 1).await;
        drop(peer);
        service.shutdown().await;
    }
    before.comes_back().await;
}

/// A peer that vanishes when it has told a part of a stream: what came is delivered, the stream ends by
/// its limit with its cause, and what it held is given back. Amid a whole answer nothing has come, and the
/// attempt ends by its own limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_without_a_word_ends() {
    let before = Left::now();
    let service = service().await;
    for kind in FaceKind::ALL {
        let [whole, stream] = asks();
        for (ask, bytes) in [(whole, 200), (stream, 2500)] {
            let what = format!("{kind:?}, stream: {}", ask.is_stream);
            let peer = Vanishes::AmidAnswer(bytes).before(&service).await;
            let layer = StackLayer::builder(REGION).attempt_timeout(2 * LIMIT);
            let layer = layer.build_layer().expect("a sound stack");
            let face = face(kind, &layer, at(&peer, &service));
            let failed = call(&face, &ask, &what).await.expect_err("it breaks off");
            assert_eq!(failed.had_begun, ask.is_stream, "{what}: {failed:?}");
            let expected = if ask.is_stream {
                Cause::StreamStalled
            } else {
                Cause::Timeout
            };
            let is_told = match failed.cause {
                Some(cause) => cause == expected,
                // The SDK's own error of a stream has ours in it.
                None => failed.text.contains(&format!("{expected:?}")),
            };
            assert!(is_told, "{what}: {failed:?}");
            Gauges::of_layer(&layer).assert_at_rest(&what);
            drop(face);
            before.comes_back_but(peer.sockets() + 1).await;
        }
    }
    service.shutdown().await;
    before.comes_back().await;
}
