//! An answer as server-sent events.

use std::convert::Infallible;

use aws_sdk_bedrockruntime::types::{ContentBlockDelta, ConverseStreamOutput};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tower_bedrock::{ErrorResponse, ResponseStream};

use crate::{
    app::App,
    ask::Question,
    shutdown::{Shutdown, Stage},
    wire,
};

/// `GET` or `POST /chat/stream`.
///
/// | event | its data |
/// |---|---|
/// | `start` | who answers: model, region, attempts, degraded |
/// | `delta` | `text`, to be appended |
/// | `done` | who answered, `usage`, `stop_reason` |
/// | `error` | `error`, as in the body of a refusal; nothing comes after it |
///
/// The response begins with the first content of the answer. So what fails before has a status of its
/// own, like any other refusal; what fails later is an event.
///
/// An `EventSource` connects again when a stream ends, with the id of the last event. A question is
/// not asked twice for that: it gets a 204, which tells it to stay away.
pub(crate) async fn stream(
    State(app): State<App>,
    headers: HeaderMap,
    question: Question,
) -> Response {
    if headers.contains_key("last-event-id") {
        return StatusCode::NO_CONTENT.into_response();
    }
    match app.chat.stream(question).await {
        Ok(answer) => {
            let events = Sse::new(events(answer, app.shutdown.clone()));
            // nginx would keep events back to fill its buffers.
            let headers = [("x-accel-buffering", "no")];
            (headers, events.keep_alive(KeepAlive::default())).into_response()
        }
        Err(error) => error.into_response(),
    }
}

type Answer = ResponseStream<ConverseStreamOutput>;

/// Where in an answer it is. The answer is dropped, and with it whatever it holds of quotas and
/// pools, when the client goes.
enum At {
    Start(Answer),
    Middle {
        answer: Answer,
        stop_reason: Option<String>,
    },
    End,
}

fn events(
    answer: Answer,
    shutdown: Shutdown,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold(At::Start(answer), move |at| {
        let cut = shutdown.reached(Stage::Cutting);
        async {
            let (event, at) = match at {
                At::Start(answer) => {
                    let start = event("start", &wire::served(answer.served())).id("1");
                    let stop_reason = None;
                    (
                        start,
                        At::Middle {
                            answer,
                            stop_reason,
                        },
                    )
                }
                At::Middle {
                    answer,
                    stop_reason,
                } => tokio::select! {
                    next = next(answer, stop_reason) => next,
                    () = cut => (event("error", &cut_short()), At::End),
                },
                At::End => return None,
            };
            Some((Ok(event), at))
        }
    })
}

/// Reads on until there is something to show.
async fn next(mut answer: Answer, mut stop_reason: Option<String>) -> (Event, At) {
    loop {
        match answer.next().await {
            Some(Ok(ConverseStreamOutput::ContentBlockDelta(delta))) => {
                if let Some(ContentBlockDelta::Text(text)) = delta.delta() {
                    let delta = event("delta", &json!({ "text": text }));
                    return (
                        delta,
                        At::Middle {
                            answer,
                            stop_reason,
                        },
                    );
                }
            }
            Some(Ok(ConverseStreamOutput::MessageStop(stop))) => {
                stop_reason = Some(stop.stop_reason().as_str().to_owned());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "an answer broke off");
                let error = ErrorResponse::of(&error).to_string();
                return (Event::default().event("error").data(error), At::End);
            }
            None => {
                let done = json!({
                    "served": wire::served(answer.served()),
                    "usage": wire::usage(answer.usage()),
                    "stop_reason": stop_reason,
                });
                return (event("done", &done), At::End);
            }
        }
    }
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

fn cut_short() -> Value {
    json!({
        "error": {
            "code": "shutting_down",
            "message": "The server is shutting down.",
            "retry_after": 1,
        }
    })
}
