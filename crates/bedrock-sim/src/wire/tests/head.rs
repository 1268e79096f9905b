//! Request lines and headers, and what error responses look like.

use std::time::Duration;

use http::{HeaderMap, Method, Uri};

use crate::{
    engine::{ErrorText, Exception, Operation, Refusal, RetryAfterHint},
    wire::{
        auth,
        error::WireError,
        uri::{OwnPage, Target},
    },
};

fn post(path: &str) -> Result<Target, WireError> {
    Target::parse(&Method::POST, path)
}

fn model(operation: Operation, id: &str) -> Target {
    Target::Model {
        operation,
        model_id: id.to_owned(),
    }
}

// Every operation is found by its own path.
#[test]
fn operations_have_their_paths() {
    for (action, operation) in [
        ("converse", Operation::Converse),
        ("converse-stream", Operation::ConverseStream),
        ("invoke", Operation::InvokeModel),
        (
            "invoke-with-response-stream",
            Operation::InvokeModelWithResponseStream,
        ),
        ("count-tokens", Operation::CountTokens),
    ] {
        let target = post(&format!("/model/amazon.nova-lite-v1%3A0/{action}"));
        assert_eq!(target, Ok(model(operation, "amazon.nova-lite-v1:0")));
    }
    let guardrail =
        "/guardrail/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aguardrail%2Fabc/version/DRAFT/apply";
    assert_eq!(post(guardrail), Ok(Target::Guardrail));
}

// A label is split off before it is decoded, and decoded once: slashes and colons of an ARN stay in
// it, and what was encoded twice stays encoded once.
#[test]
fn label_is_decoded_once() {
    let arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0";
    let label = arn.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(
        post(&format!("/model/{label}/converse")),
        Ok(model(Operation::Converse, arn))
    );
    assert_eq!(
        post("/model/a%253Ab/converse"),
        Ok(model(Operation::Converse, "a%3Ab"))
    );
    // Some clients leave the colon as it is.
    assert_eq!(
        post("/model/amazon.nova-lite-v1:0/converse"),
        Ok(model(Operation::Converse, "amazon.nova-lite-v1:0"))
    );
}

// What is not an operation is unknown: other paths, other methods, slashes left raw, empty labels.
#[test]
fn everything_else_is_unknown() {
    let paths = [
        "/",
        "/model/x",
        "/model/x/chat",
        "/model//converse",
        "/model/x/converse/",
        "/model/a/b/converse",
        "/model/x/invoke-with-bidirectional-stream",
        "/async-invoke",
        "/guardrail/g/version/1",
        "/_sim",
        "/_sim/ledger",
    ];
    for path in paths {
        let error = post(path).expect_err(path);
        assert_eq!(error.status, 404, "{path}");
        assert_eq!(error.code, "UnknownOperationException");
    }
    assert!(Target::parse(&Method::GET, "/model/x/converse").is_err());
    assert!(Target::parse(&Method::GET, "/_sim/reset").is_err());
    let ledger = Target::parse(&Method::GET, "/_sim/ledger");
    assert_eq!(ledger, Ok(Target::Own(OwnPage::Ledger)));
}

// A label that is not UTF-8 names no model.
#[test]
fn label_is_text() {
    let error = post("/model/%ff/converse").expect_err("not UTF-8");
    assert_eq!(error.code, "ValidationException");
}

fn region(authorization: &str, host: Option<&str>) -> Result<Option<String>, &'static str> {
    let mut headers = HeaderMap::new();
    if !authorization.is_empty() {
        headers.insert("authorization", authorization.parse().expect("a value"));
    }
    if let Some(host) = host {
        headers.insert("host", host.parse().expect("a value"));
    }
    auth::region(&headers, &Uri::from_static("/"), "bedrock")
        .map(|region| region.map(str::to_owned))
        .map_err(|error| error.code)
}

// The credential scope tells the region, in every spacing that SDKs write.
#[test]
fn region_is_in_the_scope() {
    for header in [
        "AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 SignedHeaders=host,Credential=AKID/20261121/eu-west-1/bedrock/aws4_request,Signature=0",
        "AWS4-HMAC-SHA256 Credential=AK/ID/20261121/eu-west-1/bedrock/aws4_request",
    ] {
        let host = Some("bedrock-runtime.us-east-1.amazonaws.com");
        assert_eq!(region(header, host), Ok(Some("eu-west-1".to_owned())));
    }
}

// Behind a bearer key the host may tell the region, in HTTP/1.1 and in HTTP/2; a local host does not.
#[test]
fn region_is_in_the_host() {
    for (host, expected) in [
        (
            "bedrock-runtime.ap-south-1.amazonaws.com",
            Some("ap-south-1"),
        ),
        (
            "bedrock-runtime-fips.us-west-2.amazonaws.com:443",
            Some("us-west-2"),
        ),
        ("bedrock-runtime.eu-west-3.api.aws", Some("eu-west-3")),
        ("localhost:8480", None),
        ("bedrock-runtime.localhost:8480", None),
        ("127.0.0.1:8480", None),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(region("Bearer key", Some(host)), Ok(expected.clone()));
        assert_eq!(region("bearer key", Some(host)), Ok(expected.clone()));

        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer key".parse().expect("a value"));
        let uri: Uri = format!("http://{host}/").parse().expect("a URI");
        let found = auth::region(&headers, &uri, "bedrock").expect("accepted");
        assert_eq!(found.map(str::to_owned), expected);
    }
}

// Without credentials, or with ones that cannot be read, the request is refused as the service does.
#[test]
fn credentials_are_asked_for() {
    for (header, code) in [
        ("", "MissingAuthenticationTokenException"),
        ("Basic dXNlcjpwYXNz", "MissingAuthenticationTokenException"),
        ("Bearer ", "MissingAuthenticationTokenException"),
        ("AWS4-HMAC-SHA256 Signature=0", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=AKID", "IncompleteSignature"),
        (
            "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/s3/aws4_request",
            "InvalidSignatureException",
        ),
    ] {
        assert_eq!(region(header, None), Err(code), "{header}");
    }
}

// An error response has the service's code with its suffix, and its message in JSON.
#[test]
fn error_looks_like_the_services() {
    let refusal = Refusal::known(ErrorText::TokensPerMinute, "", 0);
    let response = WireError::from(refusal).into_response();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        response.headers()["x-amzn-errortype"],
        "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/"
    );
    assert_eq!(
        &response.body()[..],
        br#"{"message":"Too many tokens, please wait before trying again."}"#
    );
    // The length that a captured response has (BEDROCK.md §2.2).
    assert_eq!(response.body().len(), 63);
}

// The hints and the original status of a refusal reach the wire, in the unit of their header.
#[test]
fn error_carries_its_extras() {
    let mut refusal = Refusal::new(Exception::ModelError, "the model crashed");
    refusal.original_status = Some(503);
    refusal.retry_after = Some(RetryAfterHint::AmzMillis(1500));
    let response = WireError::from(refusal.clone()).into_response();
    assert_eq!(response.headers()["x-amz-retry-after"], "1500");
    assert_eq!(
        &response.body()[..],
        br#"{"message":"the model crashed","originalStatusCode":503}"#
    );

    refusal.retry_after = Some(RetryAfterHint::Seconds(2));
    refusal.after = Duration::from_secs(3);
    let error = WireError::from(refusal);
    assert_eq!(error.after, Duration::from_secs(3));
    assert_eq!(error.into_response().headers()["retry-after"], "2");
}
