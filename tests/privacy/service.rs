//! What answers: well, badly, and with words that it should not repeat.

use aws_sdk_bedrockruntime::config::{HttpClient, SharedHttpClient};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use bedrock_sim::{
    FaultKind, FaultSpec, Operation, Recording, RecordingEnd, SimHttpClient, SimService,
};
use http::Response;
use tower_bedrock_tests::scenario;

use crate::canaries::{ANSWER, ANSWERED_TOOL, ECHO, SECRET_KEY, SESSION};

/// How whole answers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    Well,
    /// What should have been an answer is none.
    Unreadable,
    /// With what the gateway in front of the service has to say.
    Page,
    /// With an exception that repeats what was asked.
    Exception(u16, &'static str),
    /// With what should have been signed, as the service explains it.
    WrongSignature,
}

impl Whole {
    pub(crate) const ALL: [Self; 10] = [
        Self::Well,
        Self::Unreadable,
        Self::Page,
        Self::WrongSignature,
        Self::Exception(400, "ValidationException"),
        Self::Exception(403, "AccessDeniedException"),
        Self::Exception(404, "ResourceNotFoundException"),
        Self::Exception(424, "ModelErrorException"),
        Self::Exception(429, "ThrottlingException"),
        Self::Exception(503, "ServiceUnavailableException"),
    ];

    pub(crate) fn client(self) -> SharedHttpClient {
        let answer = move |request: http::Request<SdkBody>| self.answer(request.uri().path());
        SharedHttpClient::new(infallible_client_fn(answer))
    }

    fn answer(self, path: &str) -> Response<SdkBody> {
        let (status, code, body) = match self {
            Self::Well => (200, "", well(path)),
            Self::Unreadable => (200, "", format!(r#"{{"output":{{"message":"{ANSWER}","#)),
            Self::Page => (502, "", format!("<html>{ANSWER}</html>")),
            Self::Exception(status, code) => (status, code, message(ECHO)),
            Self::WrongSignature => {
                let said = format!(
                    "The request signature we calculated does not match the signature you \
                     provided. The Canonical String for this request should have been \
                     'POST x-amz-security-token:{SESSION} {SECRET_KEY}'"
                );
                (403, "InvalidSignatureException", message(&said))
            }
        };
        let mut response = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("x-amzn-requestid", "11111111-2222-3333-4444-555555555555");
        if !code.is_empty() {
            response = response.header("x-amzn-errortype", code);
        }
        response.body(SdkBody::from(body)).expect("a response")
    }
}

fn message(text: &str) -> String {
    format!(r#"{{"message":"{text}"}}"#)
}

fn well(path: &str) -> String {
    match path.rsplit('/').next().unwrap_or_default() {
        "converse" => format!(
            r#"{{"output":{{"message":{{"role":"assistant","content":[{{"text":"{ANSWER}"}},{{"toolUse":{{"toolUseId":"t2","name":"look","input":{{"word":"{ANSWERED_TOOL}"}}}}}}]}}}},"stopReason":"end_turn","usage":{{"inputTokens":7,"outputTokens":5,"totalTokens":12}},"metrics":{{"latencyMs":1}}}}"#
        ),
        "count-tokens" => r#"{"inputTokens":7}"#.to_owned(),
        "apply" => format!(
            r#"{{"action":"NONE","outputs":[{{"text":"{ANSWER}"}}],"assessments":[],"usage":{{"topicPolicyUnits":0,"contentPolicyUnits":0,"wordPolicyUnits":0,"sensitiveInformationPolicyUnits":0,"sensitiveInformationPolicyFreeUnits":0,"contextualGroundingPolicyUnits":0}}}}"#
        ),
        _ => format!(r#"{{"answer":"{ANSWER}"}}"#),
    }
}

/// How streams go: well, cut, stalled, broken off by an exception, and unreadable.
pub(crate) fn streams() -> Vec<Recording> {
    let said = |recording: Recording| {
        let text = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{ANSWER}"}}}}"#);
        let tool = format!(
            r#"{{"contentBlockIndex":1,"delta":{{"toolUse":{{"input":"{ANSWERED_TOOL}"}}}}}}"#
        );
        recording
            .event("messageStart", r#"{"role":"assistant"}"#)
            .event("contentBlockDelta", text)
            .event("contentBlockDelta", tool)
    };
    let well = said(Recording::new())
        .event("messageStop", r#"{"stopReason":"end_turn"}"#)
        .event(
            "metadata",
            r#"{"usage":{"inputTokens":7,"outputTokens":5,"totalTokens":12},"metrics":{"latencyMs":1}}"#,
        );
    let no_event = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{ANSWER}"#);
    let mut streams = vec![
        well,
        said(Recording::new()).end(RecordingEnd::Cut),
        said(Recording::new()).end(RecordingEnd::Stall),
        said(Recording::new()),
        said(Recording::new()).event("contentBlockDelta", no_event.clone()),
        Recording::new().event("contentBlockDelta", no_event),
        said(Recording::new()).bytes(ANSWER),
        Recording::new().bytes(ANSWER),
        said(Recording::new()).error("SomeError", ECHO),
    ];
    for name in ["validationException", "throttlingException"] {
        streams.push(said(Recording::new()).exception(name, message(ECHO)));
        streams.push(Recording::new().exception(name, message(ECHO)));
    }
    streams
}

/// A service whose streams go like this, whichever operation they are of.
pub(crate) fn streaming(recording: &Recording) -> impl HttpClient + 'static {
    let chunk = format!(r#"{{"type":"content_block_delta","delta":{{"text":"{ANSWER}"}}}}"#);
    let fault = |recording: Recording| FaultSpec::new(FaultKind::Recording(recording));
    let chunks = Recording::new()
        .chunk(chunk)
        .exception("validationException", message(ECHO));
    let sim = scenario()
        .fault(fault(recording.clone()).operation(Operation::ConverseStream))
        .fault(fault(chunks).operation(Operation::InvokeModelWithResponseStream))
        .build();
    SimHttpClient::new(SimService::new(sim.expect("a valid scenario")))
}
