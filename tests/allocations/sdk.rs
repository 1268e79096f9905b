//! Inside the AWS SDK.

use std::hint::black_box;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{BehaviorVersion, Builder, HttpClient, Region, RuntimeComponents},
    types::{ContentBlock, ConversationRole, Message},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use tower_bedrock::{
    ClassifyLayer, FallbackLayer, Ladder, Quota, Route, StackLayer, sdk::install::Resilience,
};

use crate::measure;

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
        const ANSWER: &str = r#"{"output":{"message":{"content":[{"text":"Hello."}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":9,"outputTokens":12,"totalTokens":21}}"#;
        let status = 200.try_into().unwrap();
        let mut answer = HttpResponse::new(status, SdkBody::from(ANSWER));
        let headers = answer.headers_mut();
        headers.insert("content-type", "application/json");
        headers.insert("x-amzn-requestid", "158a2e26-c851-4440-9f98-e3065df1de46");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// Inside the SDK a call allocates no more than without us, through one layer and through the whole
/// stack: what is laid around it is paid for by what the SDK is spared.
#[test]
fn inside_the_sdk_a_call_allocates_no_more() {
    let _measurement = measure();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = || {
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
            .http_client(AtOnce)
    };
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap());
    let quota = Quota::new().with_tokens_per_minute(1_000_000_000);
    let stack = StackLayer::builder("us-east-1")
        .quota(route, quota)
        .fallback(FallbackLayer::new(Ladder::regions(["us-west-2"])).unwrap())
        .build_layer()
        .unwrap();
    let allocations = |config: Builder| {
        let client = Client::from_conf(config.build());
        let call = || {
            let before = dhat::HeapStats::get().total_blocks;
            let message = Message::builder()
                .role(ConversationRole::User)
                .content(ContentBlock::Text("Hello".to_owned()))
                .build()
                .unwrap();
            let call = client.converse().model_id("us.amazon.nova-lite-v1:0");
            let answer = runtime.block_on(call.messages(message).send()).unwrap();
            drop(black_box(answer));
            dhat::HeapStats::get().total_blocks - before
        };
        (0..100).map(|_| call()).min().unwrap()
    };
    let bare = allocations(config());
    let classified = allocations(Resilience::new(ClassifyLayer::new()).install(config()));
    let stacked = allocations(Resilience::new(stack).install(config()));
    println!("the SDK alone {bare}, with one layer {classified}, with the stack {stacked}");
    assert!(classified <= bare, "{classified} against {bare}");
    assert!(stacked <= bare, "{stacked} against {bare}");
}
