//! One attempt of a call: which request it sends, and what comes of it.

use std::{
    future::Future,
    mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime::client::http::body::minimum_throughput::MinimumThroughputDownloadBody;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::{HttpConnector, HttpConnectorFuture},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
};
use aws_smithy_types::body::SdkBody;
use aws_types::request_id::RequestId;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    address, answer,
    request::Wire,
    response::SdkResponse,
    sign::{between, date_of_signature},
    tap::Tap,
    transport::Shared,
    whole,
};
use crate::{
    call::{CallContext, Operation},
    error::{ErrorDetails, RawError},
    reply::Served,
    route::Region,
    sdk::{error::before_sending, operation::not_sent},
};

/// A signature that is further than this from the service's time is made again.
const MAX_SIGNATURE_AGE: Duration = Duration::from_secs(60);

/// From here on a refused signature may be the clock's fault; the SDK's own threshold (SDK-NOTES,
/// clock skew).
const CLOCK_IS_WRONG: Duration = Duration::from_secs(4 * 60);

/// What AWS says to a request that is dated wrongly.
const CLOCK_CODES: [&str; 5] = [
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "RequestTimeTooSkewed",
    "AccessDeniedException",
];

pub(super) struct Attempt {
    shared: Arc<Shared>,
    time: SharedTimeSource,
    call: CallContext,
    wire: Arc<Wire>,
    /// What the request is dated, unless it is the SDK's own.
    dated: Option<SystemTime>,
}

/// A request that is out.
struct Sent {
    answer: HttpConnectorFuture,
    at: SystemTime,
}

impl Attempt {
    pub(super) fn new(shared: Arc<Shared>, call: CallContext, wire: Arc<Wire>) -> Self {
        Self {
            shared,
            time: wire.base.components.time_source().unwrap_or_default(),
            call,
            wire,
            dated: None,
        }
    }

    pub(super) const fn call(&self) -> &CallContext {
        &self.call
    }

    /// Sends the request and waits for what comes of it. As a rule the request is made already and goes
    /// at once; what is rare is boxed, so that the future stays small.
    pub(super) fn run(mut self) -> impl Future<Output = Result<SdkResponse, RawError>> + Send {
        let mut sent = self.ready_made().map(|request| self.send(request));
        async move {
            let result = match &mut sent {
                Some(sent) if self.is_plain() => self.whole(sent).await,
                Some(sent) => Box::pin(self.bounded(sent)).await,
                None => Box::pin(self.anew()).await,
            };
            if !self.is_clocks_fault(&result) {
                return result.map_err(|error| self.locate(error));
            }
            drop(result);
            let result = Box::pin(self.anew()).await;
            result.map_err(|error| self.locate(error))
        }
    }

    /// The SDK's own request, if it is the first to be sent, and is still right.
    fn ready_made(&self) -> Option<HttpRequest> {
        let original = self.wire.take_original()?;
        let is_right = self.is_as_written() && self.is_fresh();
        is_right.then_some(original)
    }

    fn is_as_written(&self) -> bool {
        let Some(told) = self.wire.told() else {
            return true;
        };
        let (call, written) = (&self.call, &told.context);
        call.route.model == written.route.model
            && call.route.tier == written.route.tier
            && call.tokens.max_output == written.tokens.max_output
            && self.hop().is_none()
    }

    /// The region that this attempt goes to, if that is another than where the SDK meant to.
    fn hop(&self) -> Option<&Region> {
        let meant = self.wire.told().and_then(|told| told.region.as_ref());
        let region = self.call.route.region.as_ref();
        region.filter(|region| meant != Some(region))
    }

    fn is_fresh(&self) -> bool {
        // What the SDK has dated by is looked up only if it may be far from our own clock.
        if self.corrects_clock() && self.shared.clock.is_off_by(MAX_SIGNATURE_AGE / 2) {
            return self
                .signed_at()
                .is_none_or(|signed| between(signed, self.service_time()) <= MAX_SIGNATURE_AGE);
        }
        between(self.wire.signed_at, self.time.now()) <= MAX_SIGNATURE_AGE
    }

    /// What the SDK's own signature is dated; `None` if it made none.
    fn signed_at(&self) -> Option<SystemTime> {
        date_of_signature(self.wire.template.header("x-amz-date")?)
    }

    fn corrects_clock(&self) -> bool {
        self.wire.signing.corrects_clock
    }

    /// The time at the service, if the user lets us know better than the clock.
    fn service_time(&self) -> SystemTime {
        if self.corrects_clock() {
            self.shared.clock.at(self.time.now())
        } else {
            self.time.now()
        }
    }

    /// A request of this attempt's own, written for its route and signed, and what it is dated.
    async fn written_anew(&self) -> Result<(HttpRequest, SystemTime), BoxError> {
        let wire = &*self.wire;
        let mut request = wire.template.request()?;
        if let Some(connection) = &wire.connection {
            request.add_extension(connection.clone());
        }
        let mut endpoint = wire.signing.endpoint.as_ref();
        let resolved;
        if let Some(region) = self.hop() {
            let params = wire.signing.endpoint_params.as_ref();
            resolved = address::endpoint_in(region, params, &wire.base.components).await?;
            address::move_to(&mut request, endpoint, &resolved)?;
            endpoint = Some(&resolved);
        }
        if let Some(told) = wire.told() {
            address::rewrite(&mut request, &told.context, &self.call)?;
        }
        number(&mut request, self.call.attempt);
        let now = self.service_time();
        let (hop, components) = (self.hop(), &wire.base.components);
        wire.signing
            .sign(&mut request, endpoint, hop, components, now)
            .await?;
        Ok((request, now))
    }

    fn send(&self, request: HttpRequest) -> Sent {
        #[cfg(feature = "tracing")]
        crate::trace::address::record(&tracing::Span::current(), request.uri());
        Sent {
            at: self.time.now(),
            answer: self.wire.base.connector.call(request),
        }
    }

    /// Sends a request of this attempt's own.
    async fn anew(&mut self) -> Result<SdkResponse, RawError> {
        let written = self.written_anew().await;
        let (request, dated) = written.map_err(|error| before_sending(unsendable(error)))?;
        self.dated = Some(dated);
        let mut sent = self.send(request);
        self.bounded(&mut sent).await
    }

    /// Whether nothing bounds the attempt, and its answer is no stream.
    fn is_plain(&self) -> bool {
        self.limit().is_none() && !is_stream(self.call.operation)
    }

    fn limit(&self) -> Option<Duration> {
        self.wire.told()?.limits.attempt
    }

    /// A whole answer.
    async fn whole(&self, sent: &mut Sent) -> Result<SdkResponse, RawError> {
        let http = self.answered(sent).await?;
        if answer::is_foreign(self.call.operation, &http) {
            return Err(answer::unreadable(http));
        }
        let served = self.served(&http);
        Ok(SdkResponse::whole(http, self.call.operation, served))
    }

    /// An answer of either kind, within what bounds the attempt.
    async fn bounded(&self, sent: &mut Sent) -> Result<SdkResponse, RawError> {
        let at = Instant::now();
        let is_stream = is_stream(self.call.operation);
        if is_stream {
            let head = self.in_time(self.answered(sent));
            let head = self.shared.streams.head(at, head).await??;
            return self.begun(head, at).await;
        }
        self.in_time(self.whole(sent)).await
    }

    /// Cuts what takes longer than the user lets an attempt take.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, RawError>>,
    ) -> Result<T, RawError> {
        let Some(limit) = self.limit() else {
            return answer.await;
        };
        timeout(limit, answer).await.unwrap_or_else(|_| {
            self.give_up_connection();
            Err(timed_out(limit))
        })
    }

    /// An answer: all of it, or the head of a stream.
    async fn answered(&self, sent: &mut Sent) -> Result<HttpResponse, RawError> {
        let mut http = (&mut sent.answer).await.map_err(|error| {
            if error.is_io() || error.is_timeout() || error.as_other().is_some() {
                self.give_up_connection();
            }
            answer::no_answer(error)
        })?;
        self.learn_clock(&http, sent.at);

        let status = http.status();
        if status.is_success() && is_stream(self.call.operation) {
            return Ok(http);
        }
        if matches!(status.as_u16(), 500 | 502 | 503 | 504) {
            self.give_up_connection();
        }
        if http.body().bytes().is_none() {
            let body = mem::replace(http.body_mut(), SdkBody::taken());
            match whole::read(body, |body| self.guarded(body)).await {
                Ok(body) => *http.body_mut() = SdkBody::from(body),
                Err(error) => {
                    self.give_up_connection();
                    return Err(answer::half_an_answer(error, http));
                }
            }
        }
        if status.is_success() {
            Ok(http)
        } else {
            Err(answer::refusal(http, self.time.now()))
        }
    }

    /// Whether the request was refused since it was dated by a wrong clock, which by now is known.
    fn is_clocks_fault(&self, result: &Result<SdkResponse, RawError>) -> bool {
        let Err(RawError::Answered(details)) = result else {
            return false;
        };
        let code = details.code.as_deref().unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        if !CLOCK_CODES.contains(&code) || !self.corrects_clock() {
            return false;
        }
        let Some(signed_at) = self.signed_at() else {
            return false;
        };
        let dated = self.dated.unwrap_or(signed_at);
        between(dated, self.service_time()) > CLOCK_IS_WRONG
    }

    /// The SDK's own protection against answers that stall, which would come too late to be of use.
    fn guarded(&self, body: SdkBody) -> SdkBody {
        let stalls = self.wire.told().and_then(|told| told.limits.stalls.clone());
        let sleep = self.wire.base.components.sleep_impl();
        let (Some(stalls), Some(sleep)) = (stalls, sleep) else {
            return body;
        };
        let time = self.time.clone();
        let guarded = MinimumThroughputDownloadBody::new(time, sleep, body, stalls.into());
        SdkBody::from_body_1_x(guarded)
    }

    async fn begun(&self, mut head: HttpResponse, sent: Instant) -> Result<SdkResponse, RawError> {
        let body = mem::replace(head.body_mut(), SdkBody::taken());
        let mut served = self.served(&head);
        served.route.tier = answer::tier_in_headers(&head).unwrap_or(served.route.tier);
        // The SDK's operation timeout is over with the head; a deadline of a layer's is not.
        let told = self.wire.told();
        let deadline = match told {
            Some(told) if told.context.deadline == self.call.deadline => {
                told.limits.stream_deadline
            }
            _ => self.call.deadline,
        };
        let mut tap = Tap::new(body, self.call.clone(), sent, deadline, self.shared.streams);
        let answered = match told.and_then(|told| told.limits.hold_until) {
            Some(until) => timeout_at(until, tap.answered()).await.unwrap_or(Ok(())),
            None => tap.answered().await,
        };
        if let Err(mut error) = answered {
            if let (RawError::Answered(details) | RawError::Garbled(details), true) =
                (&mut error, tap.can_be_read())
            {
                tap.let_go().await;
                *head.body_mut() = SdkBody::from_body_1_x(tap);
                details.request_id = head.request_id().map(str::to_owned);
                details.answer = Some(Box::new(head));
            }
            return Err(error);
        }
        tap.release();
        Ok(SdkResponse::stream(head, served, tap))
    }

    /// As the SDK does it after a transient error: nothing else goes over this connection.
    fn give_up_connection(&self) {
        let connection = self.wire.connection.as_ref();
        if let Some(connection) = connection.and_then(|captured| captured.get()) {
            connection.poison();
        }
    }

    fn learn_clock(&self, http: &HttpResponse, sent: SystemTime) {
        let headers = http.headers();
        // An answer out of a cache was not dated now.
        if headers.contains_key("age") || !self.corrects_clock() {
            return;
        }
        let date = headers.get("date").map(httpdate::parse_http_date);
        if let Some(Ok(date)) = date {
            self.shared.clock.learn(date, sent, self.time.now());
        }
    }

    fn served(&self, http: &HttpResponse) -> Served {
        Served {
            route: self.call.route.clone(),
            attempts: self.call.attempt,
            request_id: http.request_id().map(str::to_owned),
            ..Served::default()
        }
    }

    fn locate(&self, mut error: RawError) -> RawError {
        if let Some(details) = error.details_mut() {
            details.route = Some(self.call.route.clone());
        }
        error
    }
}

const fn is_stream(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::ConverseStream | Operation::InvokeModelWithResponseStream
    )
}

/// The SDK tells the service which attempt a request is; it counts one.
fn number(request: &mut HttpRequest, attempt: u32) {
    const HEADER: &str = "amz-sdk-request";
    if attempt > 1 && request.headers().contains_key(HEADER) {
        request
            .headers_mut()
            .insert(HEADER, format!("attempt={attempt}; max={attempt}"));
    }
}

/// Why a request could not be written or signed.
fn unsendable(error: BoxError) -> RawError {
    let error = ConnectorError::other(error, None);
    match answer::no_answer(error) {
        RawError::Other(error) => not_sent(error.to_string()),
        error => error,
    }
}

fn timed_out(limit: Duration) -> RawError {
    RawError::Timeout(Box::new(ErrorDetails {
        message: Some(format!("no answer within the attempt timeout of {limit:?}")),
        ..ErrorDetails::default()
    }))
}
