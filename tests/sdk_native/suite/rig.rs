//! The layers of a row, the same for both faces.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

use tower::{Layer, Service, util::BoxCloneSyncService};
use tower_bedrock::{
    BedrockRequest, BedrockResponse, ClassifyLayer, Error, Jitter, Quota, Quotas, RawError,
    RetryEvent, RetryLayer, Route, TokenBudgetLayer,
    sdk::install::{SdkRequest, SdkResponse, SdkTransport},
};

/// Layers in their recommended order, some of which are left out. Clones share the layers' state.
#[derive(Clone)]
pub(crate) struct Rig {
    retry: Option<RetryLayer>,
    budget: Option<TokenBudgetLayer>,
    quotas: Quotas,
    decisions: Arc<Mutex<String>>,
}

impl Rig {
    /// Classify alone: one attempt for each call.
    pub(crate) fn bare() -> Self {
        Self {
            retry: None,
            budget: None,
            quotas: Quotas::new().with_home_region(tower_bedrock_tests::REGION),
            decisions: Arc::default(),
        }
    }

    /// Retry and classify.
    pub(crate) fn retrying(layer: RetryLayer) -> Self {
        let mut rig = Self::bare();
        let decisions = Arc::clone(&rig.decisions);
        let layer = layer
            .with_jitter(Jitter::seeded(3))
            .on_event(move |event| note(&decisions, *event));
        rig.retry = Some(layer);
        rig
    }

    /// A token budget as well, with `quota` for `route`.
    pub(crate) fn budgeted(
        mut self,
        route: &Route,
        quota: Quota,
        layer: impl FnOnce(TokenBudgetLayer) -> TokenBudgetLayer,
    ) -> Self {
        self.quotas.set(route, quota).expect("a valid quota");
        self.budget = Some(layer(TokenBudgetLayer::new(self.quotas.clone())));
        self
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// What the retry layer has decided.
    pub(crate) fn decisions(&self) -> String {
        let decisions = self.decisions.lock();
        decisions.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The layers around `service`.
    pub(crate) fn around<R, S>(&self, service: S) -> BoxCloneSyncService<R, S::Response, Error>
    where
        R: BedrockRequest + Send + Sync + 'static,
        S: Service<R> + Clone + Send + Sync + 'static,
        S::Response: BedrockResponse + Send + 'static,
        S::Error: Into<RawError>,
        S::Future: Send + 'static,
    {
        let service = BoxCloneSyncService::new(ClassifyLayer::new().layer(service));
        let service = match &self.budget {
            Some(layer) => BoxCloneSyncService::new(layer.layer(service)),
            None => service,
        };
        match &self.retry {
            Some(layer) => BoxCloneSyncService::new(layer.layer(service)),
            None => service,
        }
    }
}

impl Layer<SdkTransport> for Rig {
    type Service = BoxCloneSyncService<SdkRequest, SdkResponse, Error>;

    fn layer(&self, transport: SdkTransport) -> Self::Service {
        self.around(transport)
    }
}

fn note(decisions: &Mutex<String>, event: RetryEvent<'_>) {
    let line = match event {
        RetryEvent::Retrying {
            call, error, after, ..
        } => format!("{} {:?}: again in {after:?}", call.attempt, error.cause()),
        RetryEvent::GaveUp {
            call,
            error,
            reason,
            ..
        } => format!("{} {:?}: {reason}", call.attempt, error.cause()),
        RetryEvent::Recovered { call, .. } => format!("{} recovered", call.attempt),
        other => format!("{other:?}"),
    };
    let mut decisions = decisions.lock().unwrap_or_else(PoisonError::into_inner);
    let _infallible = writeln!(decisions, "{line}");
}
