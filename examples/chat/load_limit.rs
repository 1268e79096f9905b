//! Bounds how many chats go on at a time.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;

use crate::refusal::Refusal;

/// Refuses at once what comes above the limit.
///
/// Tower's own limit of concurrency counts until a response begins. An answer that streams goes on
/// for long after that, so here the place rides in the body until it ends or is dropped.
pub(crate) async fn limit(
    State(places): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many chats at a time")
            .with_retry_after(1)
            .into_response();
    };
    let response = next.run(request).await;
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &place;
            frame
        }))
    })
}
