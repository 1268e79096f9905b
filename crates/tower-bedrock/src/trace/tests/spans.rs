use std::future::ready;

use tower::service_fn;

use super::recorder::Recorder;
use crate::{CallContext, Error, Operation, Request, Response, Route, Served, Stack, Usage};

const MODEL: &str = "us.amazon.nova-lite-v1:0";

fn request() -> Request<()> {
    let mut call = CallContext::new(Operation::Converse, Route::to(MODEL.parse().unwrap()));
    call.tokens.max_output = Some(500);
    Request::new((), call).with_tenant("acme")
}

fn answer(request: &Request<()>) -> Response<()> {
    use crate::BedrockRequest;

    let mut served = Served::default();
    served.route.clone_from(&request.context().route);
    served.request_id = Some("request-1".to_owned());
    let usage = Usage {
        input: 3,
        output: 52,
        cache_read: 100,
        cache_write: 20,
    };
    Response::new((), served, Some(usage))
}

/// An answered call leaves one span with one attempt in it, closed, with what was asked for, who
/// answered and what it used; input tokens with the cached ones.
#[tokio::test(start_paused = true)]
async fn an_answered_call_leaves_a_span_and_an_attempt() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = service_fn(|request: Request<()>| ready(Ok::<_, Error>(answer(&request))));
    let stack = Stack::over(service, "us-east-1").build().unwrap();
    stack.send(request()).await.unwrap();

    let tree = recorder.tree(&["tower_bedrock.end"]);
    assert_eq!(
        tree,
        [
            "bedrock.call tower_bedrock.end=complete",
            "  bedrock.attempt tower_bedrock.end=complete"
        ]
    );
    let [call, attempt] = recorder.entries().try_into().unwrap();
    assert!(!call.is_open && !attempt.is_open);
    let mut fields = call.fields.clone();
    fields.sort();
    let expected = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "aws.bedrock"),
        ("gen_ai.request.max_tokens", "500"),
        ("gen_ai.request.model", MODEL),
        ("gen_ai.request.stream", "false"),
        ("gen_ai.response.model", MODEL),
        ("gen_ai.usage.cache_creation.input_tokens", "20"),
        ("gen_ai.usage.cache_read.input_tokens", "100"),
        ("gen_ai.usage.input_tokens", "123"),
        ("gen_ai.usage.output_tokens", "52"),
        ("otel.kind", "client"),
        ("otel.name", "chat us.amazon.nova-lite-v1:0"),
        ("tower_bedrock.attempts", "1"),
        ("tower_bedrock.degraded", "false"),
        ("tower_bedrock.end", "complete"),
        ("tower_bedrock.priority", "normal"),
        ("tower_bedrock.route.index", "0"),
    ];
    assert_eq!(
        fields,
        expected.map(|(name, value)| (name, value.to_owned()))
    );
    assert_eq!(attempt.get("tower_bedrock.attempt"), Some("1"));
    assert_eq!(attempt.get("aws.request_id"), Some("request-1"));
    assert_eq!(attempt.get("gen_ai.usage.input_tokens"), None);
}
