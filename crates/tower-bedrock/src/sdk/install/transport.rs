use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime::client::http::body::minimum_throughput::MinimumThroughputDownloadBody;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::HttpConnector,
        orchestrator::{HttpRequest, HttpResponse},
    },
};
use aws_smithy_types::{DateTime, body::SdkBody, date_time::Format};
use aws_types::request_id::RequestId;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service;

use super::{
    address, answer,
    clock::ServiceClock,
    request::{SdkRequest, Wire},
    response::SdkResponse,
    sign::{Scheme, between, scheme, signed_at},
    tap::Tap,
};
use crate::{
    call::{CallContext, Operation},
    cause::Cause,
    error::{Error, ErrorDetails, RawError},
    reply::Served,
    route::Region,
    sdk::{
        error::before_sending, future::ResponseFuture, operation::not_sent, stream::StreamOptions,
    },
};

/// Sends an [`SdkRequest`] over the HTTP client that the SDK would have used: the innermost service
/// of a stack that is installed in the SDK.
///
/// An attempt goes where its [`Route`](crate::Route) says: its model stands in the path, its region
/// is that of the endpoint and of the signature, its tier in the header or in the body. The first
/// attempt of a call is the SDK's own request, unless it goes elsewhere or has waited for more than a
/// minute; every other is signed for itself.
///
/// # Shared state
///
/// Clones share what they know of the service's clock.
///
/// # Readiness
///
/// Always ready. Bound what is in flight with a layer.
///
/// # Cancellation
///
/// Dropping the future drops the request. The service may have done, and billed, the work.
///
/// # Errors
///
/// A [`RawError`], for [`ClassifyLayer`](crate::ClassifyLayer) to find the cause of: an answer that is
/// an error, a connection that failed, [`RawError::Timeout`] when the SDK's attempt timeout passed,
/// [`RawError::Credentials`] and [`RawError::NotSent`] where the request could not be signed or
/// written anew, [`Cause::DeadlineExceeded`] when the call's deadline cuts it.
#[derive(Clone)]
pub struct SdkTransport {
    home: Option<Region>,
    clock: Arc<ServiceClock>,
    streams: StreamOptions,
}

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

impl SdkTransport {
    pub(super) fn new(home: Option<Region>, streams: StreamOptions) -> Self {
        Self {
            home,
            clock: Arc::default(),
            streams,
        }
    }
}

impl Service<SdkRequest> for SdkTransport {
    type Response = SdkResponse;
    type Error = RawError;
    type Future = ResponseFuture<SdkResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SdkRequest) -> Self::Future {
        let (mut call, wire) = request.into_parts();
        if call.route.region.is_none() {
            call.route.region = self.home.clone();
        }
        let attempt = Attempt {
            clock: Arc::clone(&self.clock),
            streams: self.streams,
            time: wire.base.components.time_source().unwrap_or_default(),
            call,
            wire,
        };
        let Some(deadline) = attempt.call.deadline else {
            return ResponseFuture::sent(attempt.run());
        };
        let call = attempt.call.clone();
        let cut = move || {
            let error = Error::new(Cause::DeadlineExceeded)
                .with_message("the call's deadline passed before the service answered");
            error.with_context(&call).into()
        };
        // A timeout polls what it bounds once, whatever the time: that would send.
        if deadline <= Instant::now() {
            return ResponseFuture::failed(cut());
        }
        ResponseFuture::sent(async move {
            let sent = timeout_at(deadline, attempt.run());
            sent.await.unwrap_or_else(|_| Err(cut()))
        })
    }
}

impl fmt::Debug for SdkTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkTransport").finish_non_exhaustive()
    }
}

/// One attempt of a call.
struct Attempt {
    clock: Arc<ServiceClock>,
    streams: StreamOptions,
    time: SharedTimeSource,
    call: CallContext,
    wire: Arc<Wire>,
}

impl Attempt {
    async fn run(self) -> Result<SdkResponse, RawError> {
        let request = self
            .prepare()
            .await
            .map_err(|error| before_sending(self.locate(unsendable(error))))?;
        let sent = Instant::now();
        let result = if is_stream(self.call.operation) {
            match self.streams.head(sent, self.send(request)).await {
                Ok(Ok(head)) => self.stream(head, sent).await,
                Ok(Err(error)) => Err(error),
                Err(stalled) => Err(stalled.into()),
            }
        } else {
            self.send(request).await.and_then(|http| self.whole(http))
        };
        result.map_err(|error| self.locate(error))
    }

    /// The request of this attempt: written for its route and signed.
    async fn prepare(&self) -> Result<HttpRequest, BoxError> {
        let is_as_written = self.is_as_written();
        if let Some(original) = self.wire.take_original()
            && is_as_written
            && self.is_fresh(&original)
        {
            return Ok(original);
        }
        self.written_anew().await
    }

    fn is_as_written(&self) -> bool {
        let (call, written) = (&self.call, &self.wire.written_for);
        call.route.model == written.route.model
            && call.route.tier == written.route.tier
            && call.tokens.max_output == written.tokens.max_output
            && self.hop().is_none()
    }

    /// The region that this attempt goes to, if that is another than where the SDK meant to.
    fn hop(&self) -> Option<&Region> {
        let region = self.call.route.region.as_ref();
        region.filter(|region| self.wire.region.as_ref() != Some(region))
    }

    fn is_fresh(&self, request: &HttpRequest) -> bool {
        signed_at(request)
            .is_none_or(|signed| between(signed, self.service_time()) <= MAX_SIGNATURE_AGE)
    }

    /// The time at the service, if the user lets us know better than the clock.
    fn service_time(&self) -> SystemTime {
        if self.wire.signing.corrects_clock {
            self.clock.at(self.time.now())
        } else {
            self.time.now()
        }
    }

    async fn written_anew(&self) -> Result<HttpRequest, BoxError> {
        let wire = &*self.wire;
        let mut request = wire
            .template
            .try_clone()
            .ok_or("the request's body cannot be sent again")?;
        if let Some(connection) = &wire.connection {
            request.add_extension(connection.clone());
        }
        let (call, written) = (&self.call, &wire.written_for);
        let mut endpoint = wire.signing.endpoint.as_ref();
        let resolved;
        if let Some(region) = self.hop() {
            let params = wire.signing.endpoint_params.as_ref();
            resolved = address::endpoint_in(region, params, &wire.base.components).await?;
            address::move_to(&mut request, endpoint, &resolved)?;
            endpoint = Some(&resolved);
        }
        if call.route.model != written.route.model {
            let model = call.route.model.as_ref();
            let model = model.ok_or("the request's route names no model")?;
            address::set_model(&mut request, model)?;
        }
        if call.route.tier != written.route.tier {
            address::set_tier(&mut request, call.operation, call.route.tier)?;
        }
        if let Some(tokens) = call.tokens.max_output
            && call.tokens.max_output != written.tokens.max_output
        {
            address::set_max_tokens(&mut request, tokens)?;
        }
        number(&mut request, call.attempt);
        wire.signing
            .sign(
                &mut request,
                endpoint,
                self.hop(),
                &wire.base.components,
                self.service_time(),
            )
            .await?;
        Ok(request)
    }

    /// Sends the request, and once more if it was refused for its date.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, RawError> {
        let signed_at = match scheme(&request) {
            Scheme::SigV4 { .. } => signed_at(&request),
            _ => None,
        };
        match self.exchange(request).await {
            Err(error) if self.is_clocks_fault(signed_at, &error) => {
                let again = self.written_anew().await;
                let again = again.map_err(|error| before_sending(unsendable(error)))?;
                self.exchange(again).await
            }
            sent => sent,
        }
    }

    /// Whether the request was refused since it was dated by a wrong clock, which by now is known.
    fn is_clocks_fault(&self, signed_at: Option<SystemTime>, error: &RawError) -> bool {
        let Some(signed_at) = signed_at.filter(|_| self.wire.signing.corrects_clock) else {
            return false;
        };
        let RawError::Answered(details) = error else {
            return false;
        };
        let code = details.code.as_deref().unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        CLOCK_CODES.contains(&code) && between(signed_at, self.service_time()) > CLOCK_IS_WRONG
    }

    /// One request and its answer: all of it, or the head of a stream.
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, RawError> {
        let Some(limit) = self.wire.limits.attempt else {
            return self.exchange_in_time(request).await;
        };
        let answered = timeout(limit, self.exchange_in_time(request)).await;
        answered.unwrap_or_else(|_| {
            self.give_up_connection();
            Err(timed_out(limit))
        })
    }

    async fn exchange_in_time(&self, request: HttpRequest) -> Result<HttpResponse, RawError> {
        let sent = self.time.now();
        let answered = self.wire.base.connector.call(request).await;
        let mut http = answered.map_err(|error| {
            if error.is_io() || error.is_timeout() || error.as_other().is_some() {
                self.give_up_connection();
            }
            answer::no_answer(error)
        })?;
        self.learn_clock(&http, sent);

        let status = http.status();
        if status.is_success() && is_stream(self.call.operation) {
            return Ok(http);
        }
        if matches!(status.as_u16(), 500 | 502 | 503 | 504) {
            self.give_up_connection();
        }
        let body = std::mem::replace(http.body_mut(), SdkBody::taken());
        match self.guarded(body).collect().await {
            Ok(body) => *http.body_mut() = SdkBody::from(body.to_bytes()),
            Err(error) => {
                self.give_up_connection();
                return Err(answer::half_an_answer(error, http));
            }
        }
        if status.is_success() {
            Ok(http)
        } else {
            Err(answer::refusal(http, self.time.now()))
        }
    }

    /// The SDK's own protection against answers that stall, which would come too late to be of use.
    fn guarded(&self, body: SdkBody) -> SdkBody {
        let components = &self.wire.base.components;
        let Some(stalls) = &self.wire.limits.stalls else {
            return body;
        };
        let Some(sleep) = components.sleep_impl() else {
            return body;
        };
        let (time, stalls) = (self.time.clone(), stalls.clone());
        body.map_preserve_contents(move |body| {
            let options = stalls.clone().into();
            SdkBody::from_body_1_x(MinimumThroughputDownloadBody::new(
                time.clone(),
                sleep.clone(),
                body,
                options,
            ))
        })
    }

    fn whole(&self, http: HttpResponse) -> Result<SdkResponse, RawError> {
        let Ok(told) = answer::read(self.call.operation, &http) else {
            return Err(answer::unreadable(http));
        };
        let mut served = self.served(&http);
        served.route.tier = told.tier.unwrap_or(served.route.tier);
        let model = served.route.model.as_ref();
        let usage = told.counts.and_then(|counts| counts.usage(model));
        Ok(SdkResponse::whole(http, served, usage))
    }

    /// A stream that has begun.
    async fn stream(&self, mut head: HttpResponse, sent: Instant) -> Result<SdkResponse, RawError> {
        let body = std::mem::replace(head.body_mut(), SdkBody::taken());
        let mut served = self.served(&head);
        served.route.tier = answer::tier_in_headers(&head).unwrap_or(served.route.tier);
        let limits = &self.wire.limits;
        // The SDK's operation timeout is over with the head; a deadline of a layer's is not.
        let deadline = if self.call.deadline == self.wire.written_for.deadline {
            limits.stream_deadline
        } else {
            self.call.deadline
        };
        let mut tap = Tap::new(body, self.call.clone(), sent, deadline, self.streams);
        let answered = match limits.hold_until {
            Some(until) => timeout_at(until, tap.answered()).await.unwrap_or(Ok(())),
            None => tap.answered().await,
        };
        if let Err(mut error) = answered {
            if let (RawError::Answered(details) | RawError::Garbled(details), true) =
                (&mut error, tap.can_be_read())
            {
                tap.let_go();
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
        if headers.contains_key("age") || !self.wire.signing.corrects_clock {
            return;
        }
        let date = headers
            .get("date")
            .and_then(|date| DateTime::from_str(date, Format::HttpDate).ok())
            .and_then(|date| SystemTime::try_from(date).ok());
        if let Some(date) = date {
            self.clock.learn(date, sent, self.time.now());
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

pub(super) const fn is_stream(operation: Operation) -> bool {
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
    let error = aws_smithy_runtime_api::client::result::ConnectorError::other(error, None);
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
