//! The Bedrock of one run, and the way to it that all policies share.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Builder, Region, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use bedrock_sim::{SimHttpClient, SimService};
use tokio::time::{Instant, sleep_until, timeout};

use crate::setup::{HOME, Line, Setup};

/// When virtual time begins.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// A Bedrock, as fresh as the scenario has it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) bedrock: SimService,
    pub(crate) wire: Wire,
    attempt_timeout: Option<Duration>,
}

impl World {
    pub(crate) fn new(setup: &Setup) -> Self {
        let bedrock = SimService::new(setup.bedrock.clone());
        let wire = Wire {
            inner: SimHttpClient::new(bedrock.clone()),
            start: Instant::now(),
            line: setup.line.clone().map(Arc::new),
            state: Arc::default(),
        };
        Self {
            bedrock,
            wire,
            attempt_timeout: setup.attempt_timeout,
        }
    }

    /// A configuration of the SDK that reaches it, with the SDK's own retries off.
    pub(crate) fn config(&self) -> Builder {
        let mut timeouts = TimeoutConfig::builder();
        timeouts.set_read_timeout(self.attempt_timeout);
        Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(HOME))
            .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .time_source(VirtualTime(Instant::now()))
            .http_client(self.wire.clone())
    }
}

/// The time of day by tokio's clock, for those who ask for it: signatures, and the SDK's adaptive
/// mode.
#[derive(Clone, Copy, Debug)]
struct VirtualTime(Instant);

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.0.elapsed()
    }
}

/// The HTTP client at the bottom of every policy. It counts what is really sent.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    inner: SimHttpClient,
    start: Instant,
    line: Option<Arc<Line>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Attempts by second.
    attempts: Vec<u32>,
    /// When the line is worked off.
    free_at: Duration,
}

impl Wire {
    /// Attempts by second.
    pub(crate) fn attempts(&self) -> Vec<u32> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.attempts.clone()
    }

    /// Counts an attempt that comes in, and returns when it has been worked on.
    fn arrive(&self) -> Option<Instant> {
        let now = self.start.elapsed();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let second = now.as_secs() as usize;
        if state.attempts.len() <= second {
            state.attempts.resize(second + 1, 0);
        }
        state.attempts[second] += 1;
        let line = self.line.as_ref()?;
        state.free_at = line.leaves(state.free_at.max(now));
        Some(self.start + state.free_at)
    }
}

impl Line {
    /// When a call is done that is begun at `begins`.
    pub(crate) fn leaves(&self, begins: Duration) -> Duration {
        let (dip, left) = &self.dip;
        let factor = if dip.contains(&begins) { *left } else { 1.0 };
        begins + Duration::from_secs_f64(1.0 / (self.capacity * factor))
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            wire: self.clone(),
            // The time in the line counts, so the limit is kept here.
            inner: self
                .inner
                .http_connector(&HttpConnectorSettings::default(), components),
            read_timeout: settings.read_timeout(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    wire: Wire,
    inner: SharedHttpConnector,
    read_timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let done = self.wire.arrive();
        let inner = self.inner.clone();
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let exchange = async {
                if let Some(done) = done {
                    sleep_until(done).await;
                }
                inner.call(request).await
            };
            match read_timeout {
                None => exchange.await,
                Some(limit) => timeout(limit, exchange)
                    .await
                    .unwrap_or_else(|elapsed| Err(ConnectorError::timeout(elapsed.into()))),
            }
        })
    }
}
