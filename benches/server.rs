//! How many calls a second does `bedrock-sim` answer, when the model takes no time?
//!
//! The client is in the same process and on the same cores, so the numbers are a floor.

use std::{sync::Arc, time::Duration};

use bedrock_sim::{ModelSpec, Scenario, Server, SimService};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{runtime::Runtime, task::JoinSet, time::Instant};
use tower::ServiceExt;

const MODEL: &str = "amazon.nova-lite-v1:0";
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"How high is the Eiffel tower?"}]}],"inferenceConfig":{"maxTokens":100}}"#;

/// Calls in flight at a time.
const CLIENTS: u64 = 32;

type HttpClient = Client<HttpConnector, Full<Bytes>>;

fn scenario() -> Scenario {
    Scenario::builder()
        .model(ModelSpec::new(MODEL))
        .build()
        .expect("the scenario is sound")
}

fn request(url: &str, action: &str) -> Request<Full<Bytes>> {
    Request::post(format!("{url}/model/amazon.nova-lite-v1%3A0/{action}"))
        .header("authorization", "Bearer bench")
        .header("content-type", "application/json")
        .body(Full::from(BODY))
        .expect("the request is sound")
}

async fn call(client: &HttpClient, url: &str, action: &str) {
    let response = client
        .request(request(url, action))
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.expect("a whole body");
    assert!(!body.to_bytes().is_empty());
}

/// The time of that many calls, spread over the clients.
async fn calls(client: HttpClient, url: Arc<str>, action: &'static str, calls: u64) -> Duration {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let share = calls / CLIENTS + u64::from(number < calls % CLIENTS);
        let (client, url) = (client.clone(), Arc::clone(&url));
        clients.spawn(async move {
            for _ in 0..share {
                call(&client, &url, action).await;
            }
        });
    }
    clients.join_all().await;
    start.elapsed()
}

fn over_tcp(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime
        .block_on(Server::bind("127.0.0.1:0", scenario()))
        .expect("a port");
    let url: Arc<str> = server.url().into();
    let mut group = criterion.benchmark_group("over tcp");
    group.throughput(Throughput::Elements(1));
    for (version, http2) in [("HTTP/1.1", false), ("HTTP/2", true)] {
        let mut connector = HttpConnector::new();
        // As SDKs do; otherwise HTTP/2 waits for delayed acknowledgements.
        connector.set_nodelay(true);
        let client: HttpClient = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build(connector);
        for action in ["converse", "converse-stream"] {
            group.bench_function(BenchmarkId::new(action, version), |bencher| {
                bencher
                    .to_async(&runtime)
                    .iter_custom(|count| calls(client.clone(), Arc::clone(&url), action, count));
            });
        }
    }
    group.finish();
    runtime.block_on(server.shutdown());
}

fn in_process(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let service = SimService::new(scenario());
    let mut group = criterion.benchmark_group("in process");
    group.throughput(Throughput::Elements(1));
    for action in ["converse", "converse-stream"] {
        group.bench_function(action, |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let answer = service.clone().oneshot(request("", action)).await;
                let body = answer.expect("an answer").into_body();
                body.collect().await.expect("a whole body")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, over_tcp, in_process);
criterion_main!(benches);
