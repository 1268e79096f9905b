use aws_sdk_bedrockruntime::types::{ContentBlock, StopReason};
use aws_smithy_types::Document;
use bedrock_sim::{FaultKind, FaultSpec, Recording, SimService};
use tower_bedrock_tests::{MODEL, converse, converse_stream, faulty, invoke_stream, scenario};

use super::*;

/// Streams of both operations go through the same stack, are whole, and settle by what the service
/// reports; which is what it reports of the same answer when it comes at once.
#[tokio::test(start_paused = true)]
async fn streams_go_through_the_same_stack() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let quotas = quotas();
    let whole = call(bedrock(&sim), &quotas, converse(MODEL)).await?;
    let usage = whole.usage().copied();
    let drawn = quotas.snapshot_of(&route()).tokens_used;

    let mut stream = call(bedrock(&sim), &quotas, converse_stream(MODEL)).await?;
    assert!(quotas.snapshot_of(&route()).tokens_held > 100);
    assert_eq!(drain(&mut stream).await.1.map(|error| error.cause()), None);
    assert!(stream.is_complete());
    assert_eq!(stream.usage().copied(), usage);
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!((snapshot.tokens_held, snapshot.tokens_used), (0, 2 * drawn));

    let mut stream = call(bedrock(&sim), &quotas, invoke_stream()).await?;
    assert_eq!(drain(&mut stream).await.1.map(|error| error.cause()), None);
    assert_eq!(stream.usage().copied(), usage);
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!((snapshot.tokens_held, snapshot.tokens_used), (0, 3 * drawn));
    Ok(())
}

/// A stream tells by whom it was served, as any answer does.
#[tokio::test(start_paused = true)]
async fn a_stream_tells_by_whom_it_was_served() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let stream = call(bedrock(&sim), &quotas(), converse_stream(MODEL)).await?;
    let served = stream.served();
    assert_eq!(served.route, route());
    assert_eq!((served.attempts, served.degraded), (1, false));
    assert!(served.request_id.as_ref().is_some_and(|id| id.len() == 36));
    Ok(())
}

/// A stream put together is what Converse answers: text, stop reason, usage.
#[tokio::test(start_paused = true)]
async fn a_stream_put_together_is_what_converse_answers() -> Result<(), Box<dyn std::error::Error>>
{
    let sim = SimService::new(scenario().build()?);
    let whole = call(bedrock(&sim), &quotas(), converse(MODEL)).await?;
    let stream = call(bedrock(&sim), &quotas(), converse_stream(MODEL)).await?;
    let streamed = stream.into_response().await?;
    assert_eq!(streamed.usage(), whole.usage());
    assert_eq!(streamed.served().route, whole.served().route);
    let (streamed, whole) = (streamed.output(), whole.output());
    assert_eq!(streamed.output(), whole.output());
    assert_eq!(streamed.stop_reason(), whole.stop_reason());
    assert_eq!(streamed.usage(), whole.usage());
    assert!(streamed.metrics().is_some());

    let text = call(bedrock(&sim), &quotas(), converse_stream(MODEL))
        .await?
        .text()
        .await?;
    let message = whole.output().and_then(|output| output.as_message().ok());
    let content = message.and_then(|message| message.content().first());
    assert_eq!(content, Some(&ContentBlock::Text(text.clone())));
    let invoked = call(bedrock(&sim), &quotas(), invoke_stream())
        .await?
        .text()
        .await?;
    assert_eq!(invoked, text);
    Ok(())
}

/// Reasoning, text, tools and what no content is in: each block is put together of its own deltas,
/// and arguments that were cut stay text.
#[tokio::test(start_paused = true)]
async fn every_kind_of_block_is_put_together() -> Result<(), Box<dyn std::error::Error>> {
    let delta =
        |index: u32, delta: &str| format!(r#"{{"contentBlockIndex":{index},"delta":{delta}}}"#);
    let mut recording = Recording::new().event("messageStart", r#"{"role":"assistant"}"#);
    for (index, json) in [
        (0, r#"{"reasoningContent":{"text":"Let me "}}"#),
        (0, r#"{"reasoningContent":{"text":"think"}}"#),
        (0, r#"{"reasoningContent":{"signature":"c2ln"}}"#),
        (1, r#"{"reasoningContent":{"redactedContent":"YWI="}}"#),
        (2, r#"{"text":"Hel"}"#),
        (2, r#"{"text":"lo"}"#),
        (3, r#"{"text":""}"#),
    ] {
        recording = recording.event("contentBlockDelta", delta(index, json));
    }
    for (index, inputs) in [
        (
            4,
            &[r#"{\"place\": \"Pa"#, r#"ris\", \"days\": -2}"#] as &[&str],
        ),
        (5, &[r#"{\"place\": \"Lo"#]),
        (6, &[]),
    ] {
        recording = recording.event(
            "contentBlockStart",
            format!(
                r#"{{"contentBlockIndex":{index},"start":{{"toolUse":{{"toolUseId":"t{index}","name":"weather"}}}}}}"#
            ),
        );
        for input in inputs {
            let json = format!(r#"{{"toolUse":{{"input":"{input}"}}}}"#);
            recording = recording.event("contentBlockDelta", delta(index, &json));
        }
        recording = recording.event(
            "contentBlockStop",
            format!(r#"{{"contentBlockIndex":{index}}}"#),
        );
    }
    let recording = recording
        .event("somethingNew", "{}")
        .event("messageStop", r#"{"stopReason":"tool_use"}"#)
        .event(
            "metadata",
            r#"{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7},"metrics":{"latencyMs":9}}"#,
        );
    let sim = faulty(FaultSpec::new(FaultKind::Recording(
        recording.in_chunks_of(5),
    )));
    let stream = call(bedrock(&sim), &quotas(), converse_stream(MODEL)).await?;
    let response = stream.into_response().await?;
    let output = response.output();
    assert_eq!(output.stop_reason(), &StopReason::ToolUse);
    let message = output.output().and_then(|output| output.as_message().ok());
    let [thought, redacted, text, paris, cut, none] = message.ok_or("a message")?.content() else {
        return Err(format!("{message:?}").into());
    };
    let thought = thought.as_reasoning_content().map_err(|_| "reasoning")?;
    let thought = thought.as_reasoning_text().map_err(|_| "text")?;
    assert_eq!(
        (thought.text(), thought.signature()),
        ("Let me think", Some("c2ln"))
    );
    let redacted = redacted.as_reasoning_content().map_err(|_| "reasoning")?;
    let redacted = redacted.as_redacted_content().map_err(|_| "redacted")?;
    assert_eq!(redacted.as_ref(), b"ab");
    assert_eq!(text, &ContentBlock::Text("Hello".to_owned()));
    let paris = paris.as_tool_use().map_err(|_| "a tool")?;
    assert_eq!((paris.tool_use_id(), paris.name()), ("t4", "weather"));
    let arguments = paris.input().as_object().ok_or("an object")?;
    assert_eq!(arguments["place"], Document::String("Paris".to_owned()));
    assert_eq!(arguments["days"], (-2i64).into());
    let cut = cut.as_tool_use().map_err(|_| "a tool")?;
    assert_eq!(
        cut.input(),
        &Document::String(r#"{"place": "Lo"#.to_owned())
    );
    let none = none.as_tool_use().map_err(|_| "a tool")?;
    assert_eq!(none.input(), &Document::Object(Default::default()));
    Ok(())
}

/// Neither a stream nor its error shows what the model said.
#[tokio::test(start_paused = true)]
async fn a_stream_shows_nothing_of_its_content() -> Result<(), Box<dyn std::error::Error>> {
    let sim = faulty(FaultSpec::new(FaultKind::InvalidJson { after_events: 3 }));
    let mut stream = call(bedrock(&sim), &quotas(), converse_stream(MODEL)).await?;
    let shown = format!("{stream:?}");
    let mut said = String::new();
    let error = loop {
        match stream.next().await.ok_or("the stream is broken")? {
            Ok(event) => {
                if let ConverseStreamOutput::ContentBlockDelta(event) = event
                    && let Some(Ok(text)) = event.delta().map(|delta| delta.as_text())
                {
                    said.push_str(text);
                }
            }
            Err(error) => break error,
        }
    };
    let shown = format!("{shown} {stream:?} {error:?} {error}");
    assert!(said.len() > 5);
    for word in said.split_whitespace().filter(|word| word.len() > 4) {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
    Ok(())
}
