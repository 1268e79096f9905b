//! What `tower-bedrock explain` reads.

use tower_bedrock::Cause;

/// Any text that is not blank is explained, with a cause that exists, as a table and as JSON.
pub fn explanations(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let explain = |json| tower_bedrock_cli::explain(&text, json).expect("it can be written");
    let (Some(table), Some(json)) = (explain(false), explain(true)) else {
        assert!(text.trim().is_empty(), "nothing to say");
        return;
    };
    assert!(!table.is_empty());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let cause = json["cause"].as_str().expect("a cause");
    assert!(
        Cause::ALL.iter().any(|known| known.as_str() == cause),
        "{cause}"
    );
}
