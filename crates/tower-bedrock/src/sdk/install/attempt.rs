//! One attempt of a call: which request it sends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::{HttpConnector, HttpConnectorFuture},
        orchestrator::HttpRequest,
        result::ConnectorError,
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    address, answer,
    plain::Plain,
    request::Wire,
    response::SdkResponse,
    sign::{between, date_of_signature},
    transport::Shared,
};
use crate::{
    call::CallContext,
    cause::Cause,
    error::{Error, RawError},
    route::Region,
    sdk::{error::before_sending, future::ResponseFuture, operation::not_sent},
};

/// A signature that is further than this from the service's time is made again.
const MAX_SIGNATURE_AGE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) shared: Arc<Shared>,
    pub(super) call: Arc<CallContext>,
    pub(super) wire: Arc<Wire>,
    /// What the request is dated, unless it is the SDK's own.
    pub(super) dated: Option<SystemTime>,
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
        let Some(request) = self.ready_made(now) else {
            return self.within(deadline, None);
        };
        let sent = self.send(*request, now);
        if self.is_plain() {
            return ResponseFuture::sent(Plain::new(self, sent));
        }
        self.within(deadline, Some(sent))
    }

    fn within(self, deadline: Option<Instant>, sent: Option<Sent>) -> ResponseFuture<SdkResponse> {
        let Some(deadline) = deadline else {
            return ResponseFuture::sent(self.rarely(sent));
        };
        ResponseFuture::sent(async move {
            let attempt = self.clone();
            let cut = timeout_at(deadline, self.rarely(sent)).await;
            cut.unwrap_or_else(|_| Err(attempt.too_late().into()))
        })
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
    fn ready_made(&self, now: SystemTime) -> Option<Box<HttpRequest>> {
        let is_right = || self.is_as_written() && self.is_fresh(now);
        self.wire.take_original(is_right)
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

    pub(super) fn region(&self) -> Option<&Region> {
        self.shared.region(&self.call)
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        // What the SDK has dated by is looked up only if it may be far from our own clock.
        if self.corrects_clock() && self.shared.clock.is_off_by(MAX_SIGNATURE_AGE / 2) {
            return self
                .signed_at()
                .is_none_or(|signed| between(signed, self.service_time(now)) <= MAX_SIGNATURE_AGE);
        }
        between(self.wire.dispatch.signed_at, now) <= MAX_SIGNATURE_AGE
    }

    /// What the SDK's own signature is dated; `None` if it made none.
    pub(super) fn signed_at(&self) -> Option<SystemTime> {
        date_of_signature(self.wire.template.header("x-amz-date")?)
    }

    pub(super) fn corrects_clock(&self) -> bool {
        self.wire.dispatch.signing.corrects_clock
    }

    /// The clock that the SDK goes by.
    pub(super) fn now(&self) -> SystemTime {
        self.wire.dispatch.parts.time.now()
    }

    /// The time at the service, if the user lets us know better than the clock.
    pub(super) fn service_time(&self, now: SystemTime) -> SystemTime {
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
        let mut endpoint = wire.dispatch.signing.endpoint.as_ref();
        let resolved;
        if let Some(region) = self.hop() {
            let params = wire.dispatch.signing.endpoint_params.as_ref();
            resolved = address::endpoint_in(region, params, &wire.dispatch.parts.endpoints).await?;
            address::move_to(&mut request, endpoint, &resolved)?;
            endpoint = Some(&resolved);
        }
        if let Some(told) = wire.told() {
            address::rewrite(&mut request, &told.context, &self.call)?;
        }
        number(&mut request, self.call.attempt);
        let dated = self.service_time(self.now());
        wire.dispatch
            .signing
            .sign(
                &mut request,
                endpoint,
                self.hop(),
                &wire.dispatch.parts,
                dated,
            )
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
        !is_bounded && !self.call.operation.is_stream()
    }

    pub(super) fn limit(&self) -> Option<Duration> {
        self.wire.told()?.limits.attempt
    }
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
