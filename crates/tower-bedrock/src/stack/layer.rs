use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{
    builder::{DefaultLayers, StackBuilder},
    part::{Handles, handles},
    service::Stack,
};
use crate::route::Region;

/// All layers of a [`Stack`] in one, to be laid around any service.
///
/// # Shared state
///
/// All stacks that the layer and its clones make share quotas, circuits and retry budget.
///
/// # Example
///
/// ```
/// use tower::{Layer, service_fn};
/// use tower_bedrock::{Error, Quota, Request, Response, Route, Served, StackLayer};
///
/// let model = Route::to("us.amazon.nova-lite-v1:0".parse()?);
/// let layer = StackLayer::builder("us-east-1")
///     .quota(model, Quota::new().with_requests_per_minute(1000))
///     .build_layer()?;
///
/// let bedrock = service_fn(|_: Request<String>| async {
///     Ok::<_, Error>(Response::new("hello yourself", Served::default(), None))
/// });
/// let stack = layer.layer(bedrock);
/// # let _ = stack;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StackLayer<L = DefaultLayers> {
    pub(super) layers: L,
    pub(super) shared: Arc<Shared>,
}

/// What all clones of a stack share. Apart from the count of the clones, which [`Stack::send`] writes.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shared {
    pub(super) handles: Handles,
    pub(super) timeout: Option<Duration>,
    pub(super) attempt_timeout: Option<Duration>,
}

impl StackLayer {
    /// The layers of a stack over a service that sends calls without a region to `home_region`.
    pub fn builder(home_region: impl Into<Region>) -> StackBuilder<()> {
        Stack::over((), home_region)
    }
}

impl<L> StackLayer<L> {
    handles!();
}

impl<S, L: Layer<S>> Layer<S> for StackLayer<L> {
    type Service = Stack<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        Stack {
            inner: self.layers.layer(inner),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<L: fmt::Debug> fmt::Debug for StackLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackLayer")
            .field("layers", &self.layers)
            .field("timeout", &self.shared.timeout)
            .finish()
    }
}
