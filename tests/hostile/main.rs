//! What a hostile service, a hostile caller and a hostile scenario file can do: the bounds that
//! SECURITY.md names.

use std::{fs, path::Path, time::Duration};

use aws_sdk_bedrockruntime::types::InferenceConfiguration;
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use bedrock_sim::{Scenario, SimHttpClient, SimService};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::sync::Mutex;
use tower::service_fn;
use tower_bedrock::{
    Bedrock, CallContext, Cause, Error, Operation, Quota, Region, Request, Response, Route, Served,
    Stack, StackLayer, Usage,
};
use tower_bedrock_tests::{
    MODEL, REGION, config, converse, converse_stream, in_process, invoke, message, scenario,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// One test at a time: one of them looks at the memory of all.
static ALONE: Mutex<()> = Mutex::const_new(());

fn model() -> Route {
    Route::to(MODEL.parse().expect("a model id"))
}

/// Usage as large as numbers go, in headers and in a body: sums saturate, and the ledger goes on. A
/// number that is none is not taken for one.
#[tokio::test(start_paused = true)]
async fn usage_beyond_all_numbers_breaks_nothing() {
    let _alone = ALONE.lock().await;
    for count in ["18446744073709551615", "2147483647", "-1", "1e9", "many"] {
        let answer = move |request: http::Request<SdkBody>| {
            let body = if request.uri().path().ends_with("converse") {
                format!(
                    r#"{{"output":{{"message":{{"role":"assistant","content":[]}}}},"stopReason":"end_turn","usage":{{"inputTokens":2147483647,"outputTokens":2147483647,"totalTokens":-1}},"metrics":{{"latencyMs":{}}}}}"#,
                    i64::MAX
                )
            } else {
                "{}".to_owned()
            };
            http::Response::builder()
                .header("x-amzn-bedrock-input-token-count", count)
                .header("x-amzn-bedrock-output-token-count", count)
                .header("x-amzn-bedrock-cache-read-input-token-count", count)
                .header("x-amzn-bedrock-cache-write-input-token-count", count)
                .body(SdkBody::from(body))
                .expect("a response")
        };
        let sdk = config("http://service.invalid").http_client(infallible_client_fn(answer));
        let quota = Quota::new()
            .with_tokens_per_minute(1_000_000)
            .with_tokens_per_day(1_000_000_000);
        let stack = Stack::builder(Bedrock::from_builder(sdk))
            .quota(model(), quota)
            .build()
            .expect("a stack that can be meant");
        let ends_soon = Duration::from_secs(30);
        for _ in 0..3 {
            let invoked = Request::from(invoke()).with_timeout(ends_soon);
            let said = Request::from(converse(MODEL)).with_timeout(ends_soon);
            for error in [
                stack.send(invoked).await.err(),
                stack.send(said).await.err(),
            ] {
                // What was reported is owed: later calls wait for it, or are refused.
                let is_owed = |error: &Error| error.cause() == Cause::BudgetExhausted;
                assert!(error.as_ref().is_none_or(is_owed), "{count}: {error:?}");
            }
        }
        let quotas = stack.quotas().expect("a token budget");
        assert_eq!(quotas.snapshot_of(&model()).tokens_held, 0, "{count}");
        stack.report_metrics();
    }
}

/// A prompt that is larger than the whole quota is refused at once, and nothing of it is sent.
#[tokio::test(start_paused = true)]
async fn a_huge_prompt_is_refused_at_once() {
    let _alone = ALONE.lock().await;
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let quota = Quota::new().with_tokens_per_minute(1_000_000);
    let stack = Stack::builder(Bedrock::from_builder(in_process(&sim)))
        .quota(model(), quota)
        .build()
        .expect("a stack that can be meant");
    let text = "word ".repeat(4_000_000);
    let mut whole = converse(MODEL);
    whole.messages = Some(vec![message(&text)]);
    let mut stream = converse_stream(MODEL);
    stream.messages = Some(vec![message(&text)]);

    let start = tokio::time::Instant::now();
    let refused = stack.send(Request::from(whole)).await.expect_err("refused");
    assert_eq!(refused.cause(), Cause::BudgetExhausted);
    assert_eq!(tower_bedrock::ErrorResponse::of(&refused).status(), 413);
    let refused = stack
        .send(Request::from(stream))
        .await
        .expect_err("refused");
    assert_eq!(refused.cause(), Cause::BudgetExhausted);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(sim.ledger().totals.requests, 0);
}

/// Callers that name a tenant, a model and a region of their own with each call, whether the service
/// knows it or not, all at once: the stack keeps as many as it may, and goes on with others in their
/// place. What is in memory after three times as many calls is what it was after the first third.
#[tokio::test(start_paused = true)]
async fn names_do_not_fill_the_memory() {
    let _alone = ALONE.lock().await;
    fill(false).await;
    fill(true).await;
}

/// Makes many calls, each by a name of its own, which are all answered or all refused.
async fn fill(is_known: bool) {
    const CALLS: u64 = 3_000;
    /// What tables may differ by when they are full of others: a quarter of 1024 ledgers is forgotten at
    /// a time, of 20 KiB each.
    const SLACK: u64 = 6 << 20;

    let _profiler = dhat::Profiler::builder().testing().build();
    let service = service_fn(move |_: Request<()>| async move {
        if is_known {
            let usage = Usage {
                input: 100,
                output: 10,
                ..Usage::default()
            };
            Ok(Response::new((), Served::default(), Some(usage)))
        } else {
            Err(Error::new(Cause::NotFound))
        }
    });
    let layer = StackLayer::builder(REGION)
        .quota(model(), Quota::new().with_tokens_per_minute(1_000_000))
        .trace_tenants()
        .build_layer()
        .expect("a stack that can be meant");
    let stack = tower::Layer::layer(&layer, service);
    let mut after = Vec::new();
    for round in 0..3 {
        for number in 0..CALLS {
            let name = round * CALLS + number;
            let id = format!("us.amazon.model-{name}-v1:0");
            let route = Route::to(id.parse().expect("a model id"))
                .in_region(Region::new(format!("us-east-{name}")));
            let call = CallContext::new(Operation::Converse, route);
            let request = Request::new((), call).with_tenant(format!("tenant-{name}"));
            assert_eq!(stack.send(request).await.is_ok(), is_known);
        }
        stack.report_metrics();
        after.push(dhat::HeapStats::get().curr_bytes as u64);
    }
    println!("{after:?} bytes");
    assert!(after[2] < after[0] + SLACK, "{after:?}");
    assert!(after[2] < 64 << 20, "{after:?}");
    let kept = |what: &str, number: usize| assert!(number <= 2100, "{number} {what}");
    kept("quotas", stack.quotas().expect("quotas").snapshot().len());
    kept(
        "circuits",
        stack.breakers().expect("circuits").snapshot().len(),
    );
    kept("pools", stack.pools().expect("pools").snapshot().len());
    let is_kept = stack.quotas().expect("quotas").snapshot_of(&model());
    assert_eq!(
        is_kept.tokens_per_minute,
        Some(1_000_000),
        "what is configured stays"
    );
}

const SCENARIO: &str = r#"
seed = 7
region = "us-east-1"

[[model]]
id = "us.amazon.nova-lite-v1:0"
regions = ["us-east-1"]
tpm = 100000
output_tokens = 20

[[fault]]
what = "ThrottlingException"
count = 1
"#;

/// Whatever a scenario file holds, it is read or refused: brackets without end, bytes out of place,
/// and a good file with pieces of it cut, doubled and exchanged.
#[test]
fn no_scenario_file_breaks_the_simulator() {
    let _alone = ALONE.blocking_lock();
    assert!(
        Scenario::from_toml(SCENARIO).is_ok(),
        "{:?}",
        Scenario::from_toml(SCENARIO)
    );
    for deep in ["[", "{a=", "[[", "a.", "\""] {
        let text = format!("x = {}", deep.repeat(1_000_000));
        assert!(Scenario::from_toml(&text).is_err());
    }
    let mut rng = StdRng::seed_from_u64(7);
    let mut read = 0;
    for _ in 0..20_000 {
        let mut text = SCENARIO.as_bytes().to_vec();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..text.len());
            let end = (at + rng.random_range(0..12)).min(text.len());
            let piece = text[at..end].to_vec();
            match rng.random_range(0..4) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, piece)),
                2 => text[at] = rng.random_range(b' '..=b'~'),
                _ => drop(text.splice(at..end, *b"18446744073709551615")),
            }
        }
        let text = String::from_utf8_lossy(&text);
        if let Ok(scenario) = Scenario::from_toml(&text) {
            drop(SimService::new(scenario));
            read += 1;
        }
    }
    assert!((100..19_900).contains(&read), "{read} of them make sense");
}

/// A scenario of the largest numbers that it may have still answers, and with no more than 25 MB.
#[tokio::test(start_paused = true)]
async fn the_largest_numbers_are_bounded() {
    let _alone = ALONE.lock().await;
    let most = i64::MAX;
    let text = format!(
        "[[model]]\nid = \"{MODEL}\"\nregions = [\"{REGION}\"]\nmax_output = {most}\n\
         context_window = {most}\noutput_tokens = {most}\ntpm = {most}\nrpm = {most}\n\
         tokens_per_second = {most}\n"
    );
    let scenario = match Scenario::from_toml(&text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}"),
    };
    let sim = SimService::new(scenario);
    let sdk = config("http://simulator.invalid").http_client(SimHttpClient::new(sim));
    let client = aws_sdk_bedrockruntime::Client::from_conf(sdk.build());
    let most = InferenceConfiguration::builder().max_tokens(1_000_000_000);
    let call = client.converse().model_id(MODEL).messages(message("Hi"));
    let call = call.inference_config(most.build());
    let answer = call.send().await.expect("an answer");
    let text = format!("{answer:?}");
    println!("{} bytes", text.len());
    assert!((20_000_000..26_000_000).contains(&text.len()));
}

/// The tests that SECURITY.md names are there, by their names.
#[test]
fn the_tests_that_are_named_exist() {
    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                *all += &format!("mod {name};\n{}", fs::read_to_string(&path).expect("text"));
            }
        }
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = fs::read_to_string(root.join("tests/Cargo.toml")).expect("a manifest");
    sources(&root.join("crates"), &mut all);
    sources(&root.join("tests"), &mut all);
    let text = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let named: Vec<_> = rows
        .filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| *name != "bedrock-sim")
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let last = name.rsplit("::").next().unwrap_or_default();
        let is_there = [
            format!("fn {last}()"),
            format!("fn {last}("),
            format!("mod {last};"),
            format!("name = \"{last}\""),
        ];
        assert!(is_there.iter().any(|way| all.contains(way)), "{name}");
    }
}
