//! Tests of the server over real sockets, in real time and without bounds on it.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::yield_now,
};

use crate::{FaultKind, FaultSpec, ModelSpec, Scenario, Server};

const CALM: &str = "calm.model";
const FAULTY: &str = "faulty.model";
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#;

/// A server with a model that takes its time, and one that suffers a fault.
async fn server(calm: ModelSpec, fault: FaultKind) -> Server {
    let scenario = Scenario::builder()
        .model(calm)
        .model(ModelSpec::new(FAULTY).output_tokens(12))
        .fault(FaultSpec::new(fault).model(FAULTY))
        .build()
        .expect("a sound scenario");
    Server::bind("127.0.0.1:0", scenario).await.expect("a port")
}

async fn calm_server() -> Server {
    server(ModelSpec::new(CALM), FaultKind::Reset).await
}

/// Sends a request as text, and reads until the server closes.
async fn exchange(server: &Server, model: &str, action: &str) -> (Vec<u8>, io::Result<()>) {
    let mut stream = open(server, model, action).await;
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).await;
    (answer, end.map(drop))
}

async fn open(server: &Server, model: &str, action: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr())
        .await
        .expect("a connection");
    let request = format!(
        "POST /model/{model}/{action} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    stream
}

async fn http2(server: &Server) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(server.local_addr())
        .await
        .expect("a connection");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    sender
}

fn request(server: &Server, model: &str, action: &str) -> Request<Full<Bytes>> {
    Request::post(format!("{}/model/{model}/{action}", server.url()))
        .header("authorization", "Bearer key")
        .body(Full::from(BODY))
        .expect("a sound request")
}

fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

/// Waits until something has happened, for as long as the test runner has patience.
async fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        yield_now().await;
    }
}

// Both versions of HTTP are answered at the same port.
#[tokio::test]
async fn both_versions_are_answered() {
    let server = calm_server().await;
    let (answer, end) = exchange(&server, CALM, "converse").await;
    assert!(end.is_ok());
    assert!(text(&answer).starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(text(&answer).contains("x-amzn-requestid: "));

    let mut client = http2(&server).await;
    let response = client
        .send_request(request(&server, CALM, "converse"))
        .await;
    let response = response.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(server.service().ledger().totals.completed, 2);
}

// A reset is a TCP reset before any byte of an answer.
#[tokio::test]
async fn reset_is_a_tcp_reset() {
    let server = server(ModelSpec::new(CALM), FaultKind::Reset).await;
    let (answer, end) = exchange(&server, FAULTY, "converse").await;
    assert!(answer.is_empty(), "{}", text(&answer));
    assert_eq!(
        end.expect_err("a reset").kind(),
        io::ErrorKind::ConnectionReset
    );

    let mut client = http2(&server).await;
    let answer = client
        .send_request(request(&server, FAULTY, "converse"))
        .await;
    assert!(answer.is_err());
    until(|| client.is_closed()).await;
}

/// What a stream of chunks holds, and whether it ends as HTTP says.
fn chunks(answer: &[u8]) -> (Vec<u8>, bool) {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let mut rest = &answer[head.expect("a head") + 4..];
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let length = usize::from_str_radix(&text(&rest[..line]), 16).expect("a length");
        let data = &rest[line + 2..];
        if length == 0 {
            return (body, true);
        }
        body.extend_from_slice(&data[..length]);
        rest = &data[length + 2..];
    }
}

fn frames(body: &[u8]) -> usize {
    use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
    let mut body = bytes::BytesMut::from(body);
    let mut decoder = MessageFrameDecoder::new();
    let mut count = 0;
    while let DecodedFrame::Complete(_) = decoder.decode_frame(&mut body).expect("a frame") {
        count += 1;
    }
    count
}

// A cut stream has sent what came before the cut, and then breaks off against the rules of HTTP.
#[tokio::test]
async fn cut_breaks_the_connection() {
    let cut = FaultKind::StreamCut { after_events: 3 };
    let server = server(ModelSpec::new(CALM), cut).await;
    let (answer, _) = exchange(&server, FAULTY, "converse-stream").await;
    let (body, ended) = chunks(&answer);
    assert_eq!(frames(&body), 3);
    assert!(!ended);
}

// A body that ends inside a frame ends well for HTTP.
#[tokio::test]
async fn body_ends_inside_a_frame() {
    let close = FaultKind::CloseInsideFrame { after_events: 3 };
    let server = server(ModelSpec::new(CALM), close).await;
    let (answer, end) = exchange(&server, FAULTY, "converse-stream").await;
    let (body, ended) = chunks(&answer);
    assert_eq!(frames(&body), 3);
    assert!(ended && end.is_ok());
}

// Over HTTP/2 a cut resets its own stream, after what came before it; the others go on.
#[tokio::test]
async fn cut_resets_its_stream_alone() {
    let cut = FaultKind::StreamCut { after_events: 3 };
    let server = server(ModelSpec::new(CALM), cut).await;
    let mut client = http2(&server).await;
    let cut = client
        .send_request(request(&server, FAULTY, "converse-stream"))
        .await;
    let mut cut = cut.expect("an answer").into_body();
    let mut body = Vec::new();
    let end = loop {
        match cut.frame().await {
            Some(Ok(frame)) => body.extend_from_slice(&frame.into_data().expect("data")),
            end => break end,
        }
    };
    assert_eq!(frames(&body), 3);
    assert!(matches!(end, Some(Err(_))));
    let other = client
        .send_request(request(&server, CALM, "converse-stream"))
        .await;
    let other = other.expect("an answer").into_body().collect().await;
    assert_eq!(frames(&other.expect("a whole body").to_bytes()), 20);
}

// A client that closes its connection in the middle of a call gives its slot back.
#[tokio::test]
async fn client_that_leaves_is_noticed() {
    let hour = ModelSpec::new(CALM).latency(Duration::from_secs(3600));
    let server = server(hour, FaultKind::NoAnswer).await;
    let in_flight = || server.service().ledger().totals.in_flight;
    for action in ["converse", "converse-stream"] {
        let stream = open(&server, CALM, action).await;
        until(|| in_flight() == 1).await;
        drop(stream);
        until(|| in_flight() == 0).await;

        let mut client = http2(&server).await;
        let answer = client.send_request(request(&server, CALM, action));
        let answer = tokio::spawn(answer);
        until(|| in_flight() == 1).await;
        answer.abort();
        drop(client);
        until(|| in_flight() == 0).await;
    }
    assert_eq!(server.service().ledger().totals.failed, 4);
}

// A shutdown refuses new connections, and lets an answer under way come to its end.
#[tokio::test]
async fn shutdown_is_graceful() {
    let model = ModelSpec::new(CALM).latency(Duration::from_millis(200));
    let server = server(model, FaultKind::Reset).await;
    let address = server.local_addr();
    let service = server.service().clone();
    let mut stream = open(&server, CALM, "converse").await;
    until(|| service.ledger().totals.in_flight == 1).await;
    server.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
}

// Dropping a server breaks off what is under way, and gives its port back.
#[tokio::test]
async fn drop_breaks_off() {
    // Shorter than the grace of a shutdown: a server that was kind would answer.
    let model = ModelSpec::new(CALM).latency(Duration::from_secs(1));
    let server = server(model, FaultKind::Reset).await;
    let address = server.local_addr();
    let service = server.service().clone();
    let mut stream = open(&server, CALM, "converse").await;
    until(|| service.ledger().totals.in_flight == 1).await;
    drop(server);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(answer.is_empty());
    until(|| service.ledger().totals.in_flight == 0).await;
    while TcpStream::connect(address).await.is_ok() {
        yield_now().await;
    }
}

// An address that is taken is an error.
#[tokio::test]
async fn taken_address_is_an_error() {
    let server = calm_server().await;
    let again = Server::bind_service(server.local_addr(), server.service().clone()).await;
    assert_eq!(again.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
}

// A model id with a colon and a slash reaches the service through hyper as one label.
#[tokio::test]
async fn label_survives_the_way() {
    let server = calm_server().await;
    let arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fno.such-model";
    let (answer, _) = exchange(&server, arn, "converse").await;
    assert!(text(&answer).contains("The provided model identifier is invalid."));
}
