//! The AWS SDK by itself, with a stack inside, and below a stack.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, HttpClient, Region, RuntimeComponents},
    operation::converse::ConverseInput,
    types::{ContentBlock, ConversationRole, Message},
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt};
use tower_bedrock::{
    Bedrock, FallbackLayer, Ladder, Request, Stack,
    sdk::install::Resilience,
    stack::{StackBuilder, StackLayer},
};

use super::ours::{quota, route};
use crate::row::{Caller, Callers, Group, Row};

const HOME: &str = "us-east-1";
const MODEL: &str = "us.amazon.nova-lite-v1:0";
const ANSWER: &str = r#"{"metrics":{"latencyMs":400},"output":{"message":{"content":[{"text":"The Eiffel tower is 330 metres high."}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":9,"outputTokens":12,"totalTokens":21}}"#;

/// Answers at once, without a socket: what is left is the SDK's own work, and ours.
#[derive(Clone, Debug)]
struct AtOnce;

impl HttpClient for AtOnce {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Self)
    }
}

impl HttpConnector for AtOnce {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = StatusCode::try_from(200).expect("a status");
        let mut answer = HttpResponse::new(status, SdkBody::from(ANSWER));
        let headers = answer.headers_mut();
        headers.insert("content-type", "application/json");
        headers.insert("x-amzn-requestid", "158a2e26-c851-4440-9f98-e3065df1de46");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// Where calls go.
#[derive(Clone, Copy)]
enum Wire {
    AtOnce,
    Loopback,
}

/// The same configuration in all rows: the SDK's defaults.
fn config(wire: Wire) -> Builder {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(HOME))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None));
    match wire {
        Wire::AtOnce => config.http_client(AtOnce),
        Wire::Loopback => config.endpoint_url(serve()),
    }
}

/// The recommended stack, as in the other rows.
macro_rules! stack {
    ($builder:expr) => {
        $builder
            .quota(route(), quota())
            .fallback(FallbackLayer::new(Ladder::regions(["us-west-2"])).expect("a ladder"))
    };
}

/// The rows: all three ways, answered at once and over a socket.
#[must_use]
pub fn rows() -> Vec<Row> {
    let row = |name, make: fn() -> Box<dyn Caller>| {
        Row::new(name, Group::TowerBedrock, move || Callers {
            one: make(),
            two: None,
        })
    };
    vec![
        row("SDK alone", || bare(Wire::AtOnce)),
        row("SDK, stack inside", || inside(Wire::AtOnce)),
        row("SDK, below a stack", || below(Wire::AtOnce)),
        row("SDK alone, loopback", || bare(Wire::Loopback)),
        row("SDK, stack inside, loopback", || inside(Wire::Loopback)),
        row("SDK, below a stack, loopback", || below(Wire::Loopback)),
    ]
}

fn bare(wire: Wire) -> Box<dyn Caller> {
    fluent(config(wire))
}

fn inside(wire: Wire) -> Box<dyn Caller> {
    let layers: StackBuilder<()> = StackLayer::builder(HOME);
    let layers = stack!(layers)
        .build_layer()
        .expect("layers that can be meant");
    fluent(Resilience::new(layers).install(config(wire)))
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

fn message() -> Message {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(
            "How high is the Eiffel tower?".to_owned(),
        ));
    message.build().expect("role and content are set")
}

/// Calls by `call`, each made on the runtime of the caller.
struct Calling<F> {
    runtime: Arc<Runtime>,
    call: F,
}

impl<F: FnMut(&Runtime) + Send> Caller for Calling<F> {
    fn run(&mut self, calls: u64) {
        for _ in 0..calls {
            (self.call)(&self.runtime);
        }
    }
}

/// A program that calls the SDK's fluent client.
fn fluent(config: Builder) -> Box<dyn Caller> {
    let client = Client::from_conf(config.build());
    let call = move |runtime: &Runtime| {
        let sent = client.converse().model_id(MODEL).messages(message()).send();
        let output = runtime.block_on(sent).expect("it is answered");
        assert!(output.usage().is_some());
    };
    Box::new(Calling {
        runtime: Arc::new(runtime()),
        call,
    })
}

/// A program that calls a service.
fn below(wire: Wire) -> Box<dyn Caller> {
    let stack = stack!(Stack::builder(Bedrock::from_builder(config(wire))));
    let mut stack = stack.build().expect("a stack that can be meant");
    let call = move |runtime: &Runtime| {
        let input = ConverseInput::builder().model_id(MODEL).messages(message());
        let request: Request<ConverseInput> = input.build().expect("an input").into();
        let answer = runtime.block_on(async {
            ServiceExt::<Request<ConverseInput>>::ready(&mut stack)
                .await?
                .call(request)
                .await
        });
        assert!(answer.expect("it is answered").usage().is_some());
    };
    Box::new(Calling {
        runtime: Arc::new(runtime()),
        call,
    })
}

/// Serves HTTP/1.1 on a port of its own: answers every request at once, for as long as it is called.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || answer_all(&connection));
        }
    });
    format!("http://{address}")
}

fn answer_all(connection: &TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-amzn-requestid: \
         158a2e26-c851-4440-9f98-e3065df1de46\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    let mut reader = BufReader::new(connection);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 2 {
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        if line.is_empty() {
            return None;
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        let mut writer = connection;
        writer.write_all(answer.as_bytes()).ok()?;
    }
}
