//! A whole answer.

use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use axum::{Json, extract::State};
use serde_json::{Value, json};
use tower_bedrock::{Error, Priority};

use crate::{app::App, ask::Question, wire};

/// `POST /chat`.
///
/// What goes wrong answers for itself: [`Error`] is a response.
pub(crate) async fn answer(
    State(app): State<App>,
    question: Question,
) -> Result<Json<Value>, Error> {
    let answer = app.chat.answer(question, Priority::High).await?;
    Ok(Json(json!({
        "answer": text(answer.output()),
        "served": wire::served(answer.served()),
        "usage": wire::usage(answer.usage()),
        "stop_reason": answer.output().stop_reason().as_str(),
    })))
}

fn text(output: &ConverseOutput) -> String {
    let message = output.output().and_then(|output| output.as_message().ok());
    let blocks = message.map_or(&[][..], |message| message.content());
    let texts = blocks.iter().filter_map(|block| block.as_text().ok());
    texts.map(String::as_str).collect()
}
