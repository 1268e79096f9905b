//! The frames that recordings are made of.

use bedrock_sim::Recording;

/// The events of ConverseStream.
pub(crate) trait ConverseEvents {
    fn start(self) -> Self;
    fn text(self, text: &str) -> Self;
    fn tool(self, name: &str) -> Self;
    fn tool_input(self, json: &str) -> Self;
    fn block_stop(self) -> Self;
    fn stop(self) -> Self;
    fn usage(self, input: u64, output: u64) -> Self;
    /// The exception as the stream's union spells it, with a text.
    fn refusal(self, exception: &str, text: &str) -> Self;
}

/// The events of Claude's own stream, in chunks of InvokeModelWithResponseStream.
pub(crate) trait ClaudeEvents {
    fn claude_start(self, input: u64) -> Self;
    fn claude_ping(self) -> Self;
    fn claude_text(self, text: &str) -> Self;
    fn claude_tool_input(self, json: &str) -> Self;
    fn claude_stop(self, input: u64, output: u64) -> Self;
    /// An error in Claude's own format.
    fn claude_error(self, code: &str, text: &str) -> Self;
}

/// An answer of two deltas that used 11 tokens in and 7 out.
pub(crate) fn whole() -> Recording {
    begun().block_stop().stop().usage(11, 7)
}

/// The same, up to its second delta.
pub(crate) fn begun() -> Recording {
    Recording::new().start().text("Hel").text("lo")
}

/// The same from Claude, without ConverseStream.
pub(crate) fn claude_whole() -> Recording {
    claude_begun().claude_stop(11, 7)
}

pub(crate) fn claude_begun() -> Recording {
    Recording::new()
        .claude_start(11)
        .claude_text("Hel")
        .claude_text("lo")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl ConverseEvents for Recording {
    fn start(self) -> Self {
        self.event("messageStart", r#"{"role":"assistant"}"#)
    }

    fn text(self, text: &str) -> Self {
        let text = quoted(text);
        self.event(
            "contentBlockDelta",
            format!(r#"{{"contentBlockIndex":0,"delta":{{"text":{text}}}}}"#),
        )
    }

    fn tool(self, name: &str) -> Self {
        self.event(
            "contentBlockStart",
            format!(
                r#"{{"contentBlockIndex":1,"start":{{"toolUse":{{"toolUseId":"t1","name":"{name}"}}}}}}"#
            ),
        )
    }

    fn tool_input(self, json: &str) -> Self {
        let json = quoted(json);
        self.event(
            "contentBlockDelta",
            format!(r#"{{"contentBlockIndex":1,"delta":{{"toolUse":{{"input":{json}}}}}}}"#),
        )
    }

    fn block_stop(self) -> Self {
        self.event("contentBlockStop", r#"{"contentBlockIndex":0}"#)
    }

    fn stop(self) -> Self {
        self.event("messageStop", r#"{"stopReason":"end_turn"}"#)
    }

    fn usage(self, input: u64, output: u64) -> Self {
        let total = input + output;
        self.event(
            "metadata",
            format!(
                r#"{{"usage":{{"inputTokens":{input},"outputTokens":{output},"totalTokens":{total}}},"metrics":{{"latencyMs":5}}}}"#
            ),
        )
    }

    fn refusal(self, exception: &str, text: &str) -> Self {
        let text = quoted(text);
        self.exception(exception, format!(r#"{{"message":{text}}}"#))
    }
}

impl ClaudeEvents for Recording {
    fn claude_start(self, input: u64) -> Self {
        self.chunk(format!(
            r#"{{"type":"message_start","message":{{"id":"msg_1","role":"assistant","content":[],"usage":{{"input_tokens":{input},"output_tokens":1}}}}}}"#
        ))
    }

    fn claude_ping(self) -> Self {
        self.chunk(r#"{"type":"ping"}"#)
    }

    fn claude_text(self, text: &str) -> Self {
        let text = quoted(text);
        self.chunk(format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{text}}}}}"#
        ))
    }

    fn claude_tool_input(self, json: &str) -> Self {
        let json = quoted(json);
        self.chunk(format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":{json}}}}}"#
        ))
    }

    fn claude_stop(self, input: u64, output: u64) -> Self {
        self.chunk(format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{{"output_tokens":{output}}}}}"#
        ))
        .chunk(format!(
            r#"{{"type":"message_stop","amazon-bedrock-invocationMetrics":{{"inputTokenCount":{input},"outputTokenCount":{output},"invocationLatency":5,"firstByteLatency":1}}}}"#
        ))
    }

    fn claude_error(self, code: &str, text: &str) -> Self {
        let text = quoted(text);
        self.chunk(format!(
            r#"{{"type":"error","error":{{"type":"{code}","message":{text}}}}}"#
        ))
    }
}
