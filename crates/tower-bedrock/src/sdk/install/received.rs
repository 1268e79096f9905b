//! What comes of an attempt.

use std::{
    future::{Future, poll_fn},
    mem,
    time::{Duration, SystemTime},
};

use aws_smithy_runtime::client::http::body::minimum_throughput::MinimumThroughputDownloadBody;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::ConnectorError};
use aws_smithy_types::body::{Error as BodyError, SdkBody};
use aws_types::request_id::RequestId;
use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    answer,
    attempt::{Attempt, Sent},
    response::SdkResponse,
    sign::between,
    tap::Tap,
    whole::Reader,
};
use crate::{error::RawError, reply::Served, route::Route, sdk::error::timed_out};

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

impl Attempt {
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
    pub(super) async fn bounded(&self, sent: Sent) -> Result<SdkResponse, RawError> {
        let Some(limit) = self.call.attempt_timeout else {
            return self.bounded_by_the_sdk(sent).await;
        };
        let answer = timeout(limit, self.bounded_by_the_sdk(sent)).await;
        answer.unwrap_or_else(|_| Err(self.took_too_long(limit)))
    }

    /// The same, but for what the SDK knows nothing of.
    async fn bounded_by_the_sdk(&self, sent: Sent) -> Result<SdkResponse, RawError> {
        let at = Instant::now();
        if !self.call.operation.is_stream() {
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
        let is_stream = self.call.operation.is_stream() && http.status().is_success();
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
        let sleep = self.wire.dispatch.parts.sleep.clone();
        let (Some(stalls), Some(sleep)) = (stalls, sleep) else {
            return body;
        };
        let time = self.wire.dispatch.parts.time.clone();
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
        let date = answer::header(headers, "date").filter(|_| self.corrects_clock());
        // An answer out of a cache was not dated now.
        let Some(date) = date.filter(|_| answer::header(headers, "age").is_none()) else {
            return;
        };
        if let Ok(date) = httpdate::parse_http_date(date) {
            self.shared.clock.learn(date, sent, self.now());
        }
    }

    fn served(&self, http: &HttpResponse) -> Served {
        let request_id = answer::header(http.headers(), "x-amzn-requestid");
        Served {
            route: self.route(),
            attempts: self.call.attempt,
            request_id: request_id.or_else(|| http.request_id()).map(Into::into),
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
