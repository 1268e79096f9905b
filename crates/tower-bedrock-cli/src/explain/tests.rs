use std::fs;

use serde::Deserialize;
use serde_json::json;

use super::*;

fn cause(text: &str) -> (&'static str, Basis) {
    let reading = Reading::of(text).expect("an error");
    (reading.error.cause().as_str(), reading.basis)
}

/// The same refusal as the tools of the world print it is one cause, by its code.
#[test]
fn every_dialect_is_read() {
    let dialects = [
        "ThrottlingException: Too many tokens, please wait before trying again.",
        "An error occurred (ThrottlingException) when calling the Converse operation (reached max retries: 4): Too many tokens, please wait before trying again.",
        "botocore.errorfactory.ThrottlingException: An error occurred (ThrottlingException) when calling the InvokeModel operation: Too many tokens, please wait before trying again.",
        "software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException: Too many tokens, please wait before trying again. (Service: BedrockRuntime, Status Code: 429, Request ID: 0b61a5c1-5c17-4c5f-9d2f-0b61a5c15c17) (SDK Attempt Count: 4)",
        "operation error Bedrock Runtime: Converse, exceeded maximum number of attempts, 3, https response error StatusCode: 429, RequestID: 0b61a5c1-5c17-4c5f-9d2f-0b61a5c15c17, ThrottlingException: Too many tokens, please wait before trying again.",
        r#"ServiceError(ServiceError { source: ThrottlingException(ThrottlingException { message: Some("Too many tokens, please wait before trying again."), meta: ErrorMetadata { code: Some("ThrottlingException"), message: Some("Too many tokens, please wait before trying again."), extras: None } }), raw: Response { status: StatusCode(429) } })"#,
        r#"{"__type":"com.amazon.coral.service#ThrottlingException","message":"Too many tokens, please wait before trying again."}"#,
        r#"{"Error":{"Message":"Too many tokens, please wait before trying again.","Code":"ThrottlingException"},"ResponseMetadata":{"RequestId":"0b61a5c1-5c17-4c5f-9d2f-0b61a5c15c17","HTTPStatusCode":429}}"#,
        r#"{"throttlingException":{"message":"Too many tokens, please wait before trying again."}}"#,
        r#"{"eventName":"Converse","errorCode":"ThrottlingException","errorMessage":"Too many tokens, please wait before trying again.","requestID":"x"}"#,
        r#"litellm.RateLimitError: BedrockException - {"__type":"ThrottlingException","message":"Too many tokens, please wait before trying again."}"#,
        "2026-11-20T10:00:00Z WARN Converse to us.amazon.nova-lite-v1:0@us-east-1 failed: token_rate (ThrottlingException, HTTP 429): Too many tokens, please wait before trying again. [request id 0b61a5c1-5c17-4c5f-9d2f-0b61a5c15c17] [attempt 4]",
    ];
    for dialect in dialects {
        assert_eq!(cause(dialect), ("token_rate", Basis::Code), "{dialect}");
        let message = Reading::of(dialect)
            .unwrap()
            .error
            .message()
            .map(str::to_owned);
        assert_eq!(
            message.as_deref(),
            Some("Too many tokens, please wait before trying again."),
            "{dialect}"
        );
    }
}

/// A status tells less than a code, and words alone less than that; each is said.
#[test]
fn what_told_the_cause_is_said() {
    let rows = [
        (
            "API Error (429 Too many tokens, please wait before trying again.)",
            "token_rate",
            Basis::Status,
        ),
        (
            r#"Error code: 503 - {'message': 'Too many connections, please wait before trying again.'}"#,
            "capacity_exceeded",
            Basis::Status,
        ),
        (
            "Too many tokens per day, please wait before trying again.",
            "tokens_per_day",
            Basis::Words,
        ),
        (
            "Input is too long for requested model.",
            "context_too_long",
            Basis::Words,
        ),
        (
            "NoCredentialsError: Unable to locate credentials",
            "credentials",
            Basis::Words,
        ),
        (
            "Could not connect to the endpoint URL: \"https://bedrock-runtime.us-east-1.amazonaws.com/\"",
            "connect",
            Basis::Words,
        ),
        ("Read timeout on endpoint URL", "timeout", Basis::Words),
        ("circuit_open", "circuit_open", Basis::Cause),
        (
            "Converse to m failed: budget_exhausted: would have to wait 40s",
            "budget_exhausted",
            Basis::Cause,
        ),
        ("the dog ate it", "unknown", Basis::Nothing),
        (r#"{"unrelated": true}"#, "unknown", Basis::Nothing),
        (
            "SomethingNobodyKnowsException: hm",
            "unknown",
            Basis::Nothing,
        ),
    ];
    for (text, name, basis) in rows {
        assert_eq!(cause(text), (name, basis), "{text}");
    }
}

#[derive(Deserialize)]
struct Corpus {
    group: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    code: Option<String>,
    status: Option<u16>,
    cause: String,
    errors: Vec<Seen>,
}

#[derive(Deserialize)]
struct Seen {
    message: Option<String>,
    original: Option<u16>,
}

/// Every error of the library's corpus has its cause when it is read out of the service's JSON, and
/// what the AWS command line prints is read as the JSON that tells as much.
#[test]
fn the_corpus_is_read_as_the_library_reads_it() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tower-bedrock/src/classify/corpus.toml"
    );
    let corpus: Corpus = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut rows = 0;
    for group in &corpus.group {
        for seen in &group.errors {
            let mut object = serde_json::Map::new();
            if let Some(code) = &group.code {
                object.insert("__type".into(), json!(code));
            }
            if let Some(status) = group.status {
                object.insert("status".into(), json!(status));
            }
            if let Some(status) = seen.original {
                object.insert("originalStatusCode".into(), json!(status));
            }
            if let Some(message) = &seen.message {
                object.insert("message".into(), json!(message));
            }
            if group.code.is_none() && group.status.is_none() {
                continue;
            }
            let text = serde_json::Value::Object(object).to_string();
            assert_eq!(cause(&text).0, group.cause, "{text}");
            rows += 1;
            if let (Some(code), Some(message), None) = (&group.code, &seen.message, seen.original) {
                let body = json!({"__type": code, "message": message}).to_string();
                let printed = format!(
                    "An error occurred ({code}) when calling the Converse operation: {message}"
                );
                assert_eq!(cause(&printed), cause(&body), "{printed}");
            }
        }
    }
    assert!(rows > 200, "{rows} rows");
}

/// Nothing is nobody's error.
#[test]
fn nothing_is_not_explained() {
    assert!(Reading::of(" \n").is_none());
}

/// No cause is left without words, and none has those of the unknown.
#[test]
fn every_cause_has_its_advice() {
    let unknown = Advice::on(Cause::Unknown).meaning;
    for &cause in Cause::ALL {
        let advice = Advice::on(cause);
        assert!(!advice.you.is_empty(), "{cause}");
        assert_eq!(
            advice.meaning == unknown,
            cause == Cause::Unknown,
            "{cause}"
        );
    }
}

/// What the stack does is read from the table of reactions, not written beside it.
#[test]
fn the_stack_does_what_its_table_says() {
    let does = |cause: Cause| reactions::to(cause, cause.reaction()).join(" ");
    assert!(
        does(Cause::TokenRate).contains("up to 8 times"),
        "{}",
        does(Cause::TokenRate)
    );
    assert!(does(Cause::TokenRate).contains("2s"));
    assert!(does(Cause::TokensPerDay).starts_with("Does not retry."));
    assert!(does(Cause::Timeout).contains("billed twice"));
    assert!(does(Cause::ModelOverloaded).contains("opens its circuit"));
    assert!(does(Cause::InvalidRequest).contains("no other route"));
}
