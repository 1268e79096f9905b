//! What does a stack inside the SDK cost a call of the fluent client that it has nothing to do for?
//!
//! The same client without and with it, in one run: over a connector that answers at once, which
//! leaves the SDK's own work alone, and over a socket.
//!
//! `-- CLIENT CALLS` makes so many calls with one of the clients, answered at once, and measures
//! nothing: for a profiler that counts instructions, which no other load of the machine disturbs.
//! The difference of two runs with different numbers of calls is what a call costs.

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, HttpClient, Region, RuntimeComponents},
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
use bedrock_sim::{ModelSpec, Scenario, Server};
use tokio::{runtime::Runtime, time::Instant};
use tower::ServiceBuilder;
use tower_bedrock::{
    CircuitBreakerLayer, CircuitBreakers, ClassifyLayer, Quota, Quotas, RetryLayer, Route,
    TokenBudgetLayer, sdk::install::Resilience,
};

const MODEL: &str = "us.amazon.nova-lite-v1:0";
const ANSWER: &str = r#"{"metrics":{"latencyMs":400},"output":{"message":{"content":[{"text":"The Eiffel tower is 330 metres high."}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":9,"outputTokens":12,"totalTokens":21}}"#;

/// Answers at once.
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

fn config() -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
}

/// The same configuration bare, with one layer that does nothing but pass on, and with a whole stack.
fn clients(config: impl Fn() -> Builder) -> [(&'static str, Client); 3] {
    let home = "us-east-1";
    let quotas = Quotas::new().with_home_region(home);
    let route = Route::to(MODEL.parse().expect("a model id"));
    let quota = Quota::new()
        .with_tokens_per_minute(100_000_000_000)
        .with_requests_per_minute(100_000_000);
    quotas.set(&route, quota).expect("a valid quota");
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(CircuitBreakerLayer::new(
            CircuitBreakers::new().with_home_region(home),
        ))
        .layer(TokenBudgetLayer::new(quotas))
        .layer(ClassifyLayer::new());
    let client = |config: Builder| Client::from_conf(config.build());
    [
        ("bare SDK", client(config())),
        (
            "classify inside",
            client(Resilience::new(ClassifyLayer::new()).install(config())),
        ),
        (
            "stack inside",
            client(Resilience::new(stack).install(config())),
        ),
    ]
}

async fn call(client: &Client) {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(
            "How high is the Eiffel tower?".to_owned(),
        ))
        .build()
        .expect("role and content are set");
    let sent = client.converse().model_id(MODEL).messages(message).send();
    let output = sent.await.expect("it is answered");
    assert!(output.usage().is_some());
}

/// The clients take turns, so that whatever else the machine does meets all of them; and for a while
/// each, so that none pays for the caches and predictions of another.
const TURNS: usize = 150;
const CALLS_A_TURN: usize = 40;
/// The first calls of a turn are not measured.
const WARM_UP: usize = 10;

/// The time of a call at the tenth and at the fiftieth percentile.
fn compare(name: &str, clients: &[(&'static str, Client)]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut times = vec![Vec::with_capacity(TURNS * CALLS_A_TURN); clients.len()];
    runtime.block_on(async {
        for _ in 0..TURNS {
            for ((_, client), times) in clients.iter().zip(&mut times) {
                for number in 0..WARM_UP + CALLS_A_TURN {
                    let start = Instant::now();
                    call(client).await;
                    if number >= WARM_UP {
                        times.push(start.elapsed());
                    }
                }
            }
        }
    });
    println!("{name}, {} calls each", TURNS * CALLS_A_TURN);
    let mut bare = None;
    for ((client, _), times) in clients.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
        let (p10, p50) = (at(10), at(50));
        let (bare10, bare50) = *bare.get_or_insert((p10, p50));
        println!(
            "  {client:<16} p10 {p10:7.1} us ({:+5.1} %)   p50 {p50:7.1} us ({:+5.1} %)",
            (p10 / bare10 - 1.0) * 100.0,
            (p50 / bare50 - 1.0) * 100.0,
        );
    }
}

/// Makes calls with one of `clients`, for a profiler.
fn only(name: &str, calls: usize, clients: &[(&'static str, Client)]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (_, client) = clients
        .iter()
        .find(|(client, _)| client.starts_with(name))
        .expect("one of the clients");
    runtime.block_on(async {
        for _ in 0..calls {
            call(client).await;
        }
    });
}

fn main() {
    let at_once = clients(|| config().http_client(AtOnce));
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [name, calls, ..] = &*arguments
        && let Ok(calls) = calls.parse()
    {
        return only(name, calls, &at_once);
    }
    compare("answered at once", &at_once);

    let model = ModelSpec::new(MODEL)
        .regions(["us-east-1"])
        .output_tokens(12);
    let scenario = Scenario::builder().model(model).build();
    let serving = Runtime::new().expect("a runtime");
    let server = serving
        .block_on(Server::bind(
            "127.0.0.1:0",
            scenario.expect("the scenario is sound"),
        ))
        .expect("a port");
    let url = server.url();
    compare("over a socket", &clients(|| config().endpoint_url(&url)));
    serving.block_on(server.shutdown());
}
