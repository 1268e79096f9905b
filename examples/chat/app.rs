//! The routes, and the layers around them.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{
        self, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, COOKIE},
    },
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_bedrock::Error;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    csrf::CsrfLayer,
    limit::RequestBodyLimitLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tracing::{Span, info_span};

use crate::{
    answer::answer,
    ask::{MAX_BODY_BYTES, MAX_TIMEOUT},
    bedrock::Chat,
    demo::{self, Demo},
    live::{Pictures, live},
    load_limit::limit,
    page,
    refusal::in_json,
    shutdown::{Shutdown, Stage},
    stream::stream,
};

/// Who may look at the live picture at a time.
pub(crate) const SEATS: usize = 64;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) chat: Chat,
    pub(crate) demo: Demo,
    pub(crate) pictures: Pictures,
    pub(crate) seats: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
    pub(crate) metrics: PrometheusHandle,
}

impl App {
    /// The application.
    ///
    /// The layers, outermost first, and why each is where it is:
    ///
    /// 1. **Request id**: before everything that might tell of the request.
    /// 2. **Sensitive headers**: before everything that might print one.
    /// 3. **Trace**: outside of all that answers, so that what a layer refuses is logged too. It
    ///    names the path alone, since a query may hold a prompt.
    /// 4. **Propagate the id**: inside of the trace's span, outside of whatever answers.
    /// 5. **Compression**: outside of all that makes bodies. It leaves server-sent events alone: a
    ///    compressor would hold events back until it has enough of them.
    /// 6. **Headers for browsers** and **errors as JSON**: outside of the layers whose refusals they
    ///    dress.
    /// 7. **Catch panic**: inside of the above, so that a panic is a logged 500 with an id.
    /// 8. **CSRF**: before a body is read. Another site's page may neither chat nor switch.
    /// 9. **Body limit**: before a handler reads. 64 KiB.
    ///
    /// And around the chat alone, so that health and metrics answer whatever else goes on:
    ///
    /// 10. **Load limit**: the stack bounds what goes to the service, this bounds what waits here.
    /// 11. **Timeout**, for whole answers alone: the stack keeps each call's own deadline, which is
    ///     shorter. This is for what is not the stack, such as a body that never comes. It would not
    ///     cut a stream either, since it ends when the response begins, and must not look as if it did.
    pub(crate) fn router(self, max_chats: u16) -> Router {
        let timeout = TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            MAX_TIMEOUT + Duration::from_secs(5),
        );
        let chats = Arc::new(Semaphore::new(max_chats.into()));
        let chat = Router::new()
            .route("/chat", post(answer).layer(timeout))
            .route("/chat/stream", get(stream).post(stream))
            .route_layer(middleware::from_fn_with_state(chats, limit));
        let layers = ServiceBuilder::new()
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            .layer(SetSensitiveRequestHeadersLayer::new([
                AUTHORIZATION,
                COOKIE,
            ]))
            .layer(
                TraceLayer::new_for_http()
                    .make_span_with(span)
                    .on_response(log)
                    // A 503 is an answer here, and `log` has told of it.
                    .on_failure(()),
            )
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(CompressionLayer::new())
            .layer(middleware::map_response(page::guard))
            .layer(middleware::map_response(in_json))
            .layer(CatchPanicLayer::new())
            .layer(CsrfLayer::new())
            .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES));
        page::routes()
            .merge(chat)
            .route("/live", get(live))
            .route("/demo", put(demo::switch))
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(ready))
            .layer(layers)
            .with_state(self)
    }
}

fn span<B>(request: &http::Request<B>) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok());
    info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        id = id.unwrap_or_default(),
    )
}

/// What the caller is not told stands in the log: the error goes along with its response.
fn log<B>(response: &http::Response<B>, latency: Duration, _: &Span) {
    let status = response.status().as_u16();
    let latency = latency.as_millis();
    match response.extensions().get::<Arc<Error>>() {
        Some(error) => tracing::warn!(status, latency_ms = %latency, %error, "refused"),
        None if status >= 500 => tracing::warn!(status, latency_ms = %latency, "refused"),
        None => tracing::debug!(status, latency_ms = %latency, "answered"),
    }
}

/// `GET /metrics`, in the text format of Prometheus.
async fn metrics(State(app): State<App>) -> Response {
    app.chat.stack.report_metrics();
    app.metrics.run_upkeep();
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.metrics.render()).into_response()
}

/// `GET /readyz`: whether to send more.
async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.shutdown.stage() {
        Stage::Serving => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "shutting down"),
    }
}
