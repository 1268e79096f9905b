//! One attempt of a call: which request it sends, and what comes of it.

use std::{
    future::{Future, poll_fn},
    mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_smithy_runtime::client::http::body::minimum_throughput::MinimumThroughputDownloadBody;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::{HttpConnector, HttpConnectorFuture},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
};
use aws_smithy_types::body::{Error as BodyError, SdkBody};
use aws_types::request_id::RequestId;
use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    address, answer,
    plain::Plain,
    request::Wire,
    response::SdkResponse,
    sign::{between, date_of_signature},
    tap::Tap,
    transport::Shared,
    whole::Reader,
};
use crate::{
    call::{CallContext, Operation},
    cause::Cause,
    error::{Error, RawError},
    reply::Served,
    route::{Region, Route},
    sdk::{
        error::{before_sending, timed_out},
        future::ResponseFuture,
        operation::not_sent,
    },
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

#[derive(Clone)]
pub(super) struct Attempt {
    shared: Arc<Shared>,
    call: Arc<CallContext>,
    wire: Arc<Wire>,
    /// What the request is dated, unless it is the SDK's own.
    dated: Option<SystemTime>,
}

/// A request that is out.
pub(super) struct Sent {
    pub(super) answer: HttpConnectorFuture,
    pub(super) at: SystemTime,
}

impl Attempt {
    pub(super) const fn new(shared: Arc<Shared>, call: Arc<CallContext>, wire: Arc<Wire>) -> Self {
        Self {
            shared,
            call,
            wire,
            dated: None,
        }
    }

    /// Sends the request and waits for what comes of it until the call's deadline. As a rule the
    /// request is made already and goes at once.
    pub(super) fn run(self) -> ResponseFuture<SdkResponse> {
        let deadline = self.call.deadline;
        // A timeout polls what it bounds once, whatever the time: that would send.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return ResponseFuture::failed(self.too_late().unsent().into());
        }
        let now = self.now();
        let ready_made = self.ready_made(now);
        let sent = ready_made.map(|request| self.send(request, now));
        match (sent, deadline) {
            (Some(sent), _) if self.is_plain() => ResponseFuture::sent(Plain::new(self, sent)),
            (sent, None) => ResponseFuture::sent(self.rarely(sent)),
            (sent, Some(deadline)) => ResponseFuture::sent(async move {
                let attempt = self.clone();
                let cut = timeout_at(deadline, self.rarely(sent)).await;
                cut.unwrap_or_else(|_| Err(attempt.too_late().into()))
            }),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.call.deadline
    }

    pub(super) fn too_late(&self) -> Error {
        Error::new(Cause::DeadlineExceeded)
            .with_message("the call's deadline passed before the service answered")
            .with_context(&self.shared.located(&self.call))
    }

    /// The same for what is bounded, a stream, or has to be written anew.
    async fn rarely(mut self, sent: Option<Sent>) -> Result<SdkResponse, RawError> {
        let result = match sent {
            Some(sent) => self.bounded(sent).await,
            None => self.anew().await,
        };
        if self.is_clocks_fault(&result) {
            drop(result);
            return self.once_more().await;
        }
        result.map_err(|error| self.locate(error))
    }

    /// After a request that was dated by a wrong clock, which by now is known.
    pub(super) async fn once_more(mut self) -> Result<SdkResponse, RawError> {
        let result = self.anew().await;
        result.map_err(|error| self.locate(error))
    }

    /// The SDK's own request, if it is the first to be sent, and is still right.
    fn ready_made(&self, now: SystemTime) -> Option<HttpRequest> {
        let original = self.wire.take_original()?;
        let is_right = self.is_as_written() && self.is_fresh(now);
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
        self.region().filter(|region| meant != Some(region))
    }

    fn region(&self) -> Option<&Region> {
        self.shared.region(&self.call)
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        // What the SDK has dated by is looked up only if it may be far from our own clock.
        if self.corrects_clock() && self.shared.clock.is_off_by(MAX_SIGNATURE_AGE / 2) {
            return self
                .signed_at()
                .is_none_or(|signed| between(signed, self.service_time(now)) <= MAX_SIGNATURE_AGE);
        }
        between(self.wire.signed_at, now) <= MAX_SIGNATURE_AGE
    }

    /// What the SDK's own signature is dated; `None` if it made none.
    fn signed_at(&self) -> Option<SystemTime> {
        date_of_signature(self.wire.template.header("x-amz-date")?)
    }

    fn corrects_clock(&self) -> bool {
        self.wire.signing.corrects_clock
    }

    /// The clock that the SDK goes by.
    fn now(&self) -> SystemTime {
        self.wire.parts.time.now()
    }

    /// The time at the service, if the user lets us know better than the clock.
    fn service_time(&self, now: SystemTime) -> SystemTime {
        if self.corrects_clock() {
            self.shared.clock.at(now)
        } else {
            now
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
            resolved = address::endpoint_in(region, params, &wire.parts.endpoints).await?;
            address::move_to(&mut request, endpoint, &resolved)?;
            endpoint = Some(&resolved);
        }
        if let Some(told) = wire.told() {
            address::rewrite(&mut request, &told.context, &self.call)?;
        }
        number(&mut request, self.call.attempt);
        let dated = self.service_time(self.now());
        wire.signing
            .sign(&mut request, endpoint, self.hop(), &wire.parts, dated)
            .await?;
        Ok((request, dated))
    }

    fn send(&self, request: HttpRequest, at: SystemTime) -> Sent {
        #[cfg(feature = "tracing")]
        crate::trace::address::record(&tracing::Span::current(), request.uri());
        Sent {
            at,
            answer: self.wire.connector.call(request),
        }
    }

    /// Sends a request of this attempt's own.
    async fn anew(&mut self) -> Result<SdkResponse, RawError> {
        let written = self.written_anew().await;
        let (request, dated) = written.map_err(|error| before_sending(unsendable(error)))?;
        self.dated = Some(dated);
        self.bounded(self.send(request, self.now())).await
    }

    /// Whether nothing but its deadline bounds the attempt, and its answer is no stream.
    fn is_plain(&self) -> bool {
        let is_bounded = self.limit().is_some() || self.call.attempt_timeout.is_some();
        !is_bounded && !is_stream(self.call.operation)
    }

    fn limit(&self) -> Option<Duration> {
        self.wire.told()?.limits.attempt
    }

    /// What a whole answer to it is.
    pub(super) fn outcome(&self, http: HttpResponse) -> Result<SdkResponse, RawError> {
        if !http.status().is_success() {
            return Err(answer::refusal(http, self.now()));
        }
        if answer::is_foreign(self.call.operation, &http) {
            return Err(answer::unreadable(http));
        }
        let served = self.served(&http);
        Ok(SdkResponse::whole(http, self.call.operation, served))
    }

    /// An answer of either kind, within what bounds the attempt.
    async fn bounded(&self, sent: Sent) -> Result<SdkResponse, RawError> {
        let Some(limit) = self.call.attempt_timeout else {
            return self.bounded_by_the_sdk(sent).await;
        };
        let answer = timeout(limit, self.bounded_by_the_sdk(sent)).await;
        answer.unwrap_or_else(|_| Err(self.took_too_long(limit)))
    }

    /// The same, but for what the SDK knows nothing of.
    async fn bounded_by_the_sdk(&self, sent: Sent) -> Result<SdkResponse, RawError> {
        let at = Instant::now();
        if !is_stream(self.call.operation) {
            return self.in_time(self.whole(sent)).await;
        }
        let head = self.in_time(self.answered(sent));
        let head = self.shared.streams.head(at, head).await??;
        if head.status().is_success() {
            self.begun(head, at).await
        } else {
            self.outcome(head)
        }
    }

    /// A whole answer.
    async fn whole(&self, sent: Sent) -> Result<SdkResponse, RawError> {
        let http = self.answered(sent).await?;
        self.outcome(http)
    }

    /// Cuts what takes longer than the user lets an attempt take.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, RawError>>,
    ) -> Result<T, RawError> {
        let Some(limit) = self.limit() else {
            return answer.await;
        };
        let answer = timeout(limit, answer).await;
        answer.unwrap_or_else(|_| Err(self.took_too_long(limit)))
    }

    fn took_too_long(&self, limit: Duration) -> RawError {
        self.give_up_connection();
        timed_out(limit)
    }

    /// An answer: all of it, or the head of a stream.
    async fn answered(&self, sent: Sent) -> Result<HttpResponse, RawError> {
        let mut http = self.head(sent.answer.await, sent.at)?;
        let is_stream = is_stream(self.call.operation) && http.status().is_success();
        if is_stream || http.body().bytes().is_some() {
            return Ok(http);
        }
        let body = mem::replace(http.body_mut(), SdkBody::taken());
        let mut reader = Reader::new(body);
        let read = poll_fn(|cx| reader.poll(cx, |body| self.guarded(body))).await;
        self.read(http, read)
    }

    /// The head of what came of a request that was sent at `at`.
    pub(super) fn head(
        &self,
        answer: Result<HttpResponse, ConnectorError>,
        at: SystemTime,
    ) -> Result<HttpResponse, RawError> {
        let http = answer.map_err(|error| {
            if error.is_io() || error.is_timeout() || error.as_other().is_some() {
                self.give_up_connection();
            }
            answer::no_answer(error)
        })?;
        self.learn_clock(&http, at);
        if matches!(http.status().as_u16(), 500 | 502 | 503 | 504) {
            self.give_up_connection();
        }
        Ok(http)
    }

    /// An answer with its body, as far as that came.
    pub(super) fn read(
        &self,
        mut http: HttpResponse,
        body: Result<Bytes, BodyError>,
    ) -> Result<HttpResponse, RawError> {
        match body {
            Ok(body) => {
                *http.body_mut() = SdkBody::from(body);
                Ok(http)
            }
            Err(error) => {
                self.give_up_connection();
                Err(answer::half_an_answer(error, http))
            }
        }
    }

    /// Whether the request was refused since it was dated by a wrong clock, which by now is known.
    pub(super) fn is_clocks_fault(&self, result: &Result<SdkResponse, RawError>) -> bool {
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
        between(dated, self.service_time(self.now())) > CLOCK_IS_WRONG
    }

    /// The SDK's own protection against answers that stall, which would come too late to be of use.
    pub(super) fn guarded(&self, body: SdkBody) -> SdkBody {
        let stalls = self.wire.told().and_then(|told| told.limits.stalls.clone());
        let sleep = self.wire.parts.sleep.clone();
        let (Some(stalls), Some(sleep)) = (stalls, sleep) else {
            return body;
        };
        let time = self.wire.parts.time.clone();
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
        let call = self.shared.located(&self.call);
        let mut tap = Tap::new(body, call, sent, deadline, self.shared.streams);
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
            self.shared.clock.learn(date, sent, self.now());
        }
    }

    fn served(&self, http: &HttpResponse) -> Served {
        Served {
            route: self.route(),
            attempts: self.call.attempt,
            request_id: http.request_id().map(str::to_owned),
            ..Served::default()
        }
    }

    pub(super) fn locate(&self, mut error: RawError) -> RawError {
        if let Some(details) = error.details_mut() {
            details.route = Some(self.route());
        }
        error
    }

    /// Where the attempt goes, with the home region in the place of none.
    fn route(&self) -> Route {
        let mut route = self.call.route.clone();
        route.region = self.region().cloned();
        route
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
