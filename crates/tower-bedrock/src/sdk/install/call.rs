//! What the interceptor and the HTTP client know of one call in common.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_bedrockruntime::config::{ConfigBag, StalledStreamProtectionConfig};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::{Storable, StoreReplace},
};
use tokio::time::Instant;

use super::{options::CallOptions, parts::Parts, sign::Signing};
use crate::{call::CallContext, error::Error, route::Region};

/// One call of the SDK that is ours. Lies in the call's `ConfigBag` from its start, and on its HTTP
/// request when that is sent.
#[derive(Clone, Default)]
pub(super) struct Call(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_wrapped: AtomicBool,
    told: OnceLock<Told>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    body: Option<SdkBody>,
    /// Boxed, since it is handed on.
    dispatch: Option<Box<Dispatch>>,
    timeout: Option<Error>,
}

/// What the call's input and its configuration tell.
pub(super) struct Told {
    pub(super) context: Arc<CallContext>,
    /// Where the SDK sends it.
    pub(super) region: Option<Region>,
    pub(super) limits: Limits,
    pub(super) options: Option<CallOptions>,
}

/// What the SDK would have applied to an attempt of its own.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// The longest for one attempt: to the end of a whole answer, to the head of a stream.
    pub(super) attempt: Option<Duration>,
    /// When the SDK gives up waiting for the head of an answer, and a little before, so that waiting
    /// for more than the head does not make it give up.
    pub(super) hold_until: Option<Instant>,
    /// When the caller gives up a stream, whatever the SDK thinks.
    pub(super) stream_deadline: Option<Instant>,
    /// Whether answers that stall are cut, and when.
    pub(super) stalls: Option<StalledStreamProtectionConfig>,
}

/// What the HTTP client needs of a call to make attempts of its own.
pub(super) struct Dispatch {
    pub(super) signing: Arc<Signing>,
    pub(super) parts: Parts,
    /// When the SDK signed its request, by our clock.
    pub(super) signed_at: SystemTime,
    /// The body as it was signed, without what the SDK counts its bytes by.
    pub(super) body: Option<SdkBody>,
}

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

/// What the SDK, or an interceptor, has stored in `cfg` for this one call. The client's settings lie
/// below; to look for something there takes several times as long.
pub(super) fn on_top<T>(cfg: &mut ConfigBag) -> Option<&T>
where
    T: Storable<Storer = StoreReplace<T>>,
{
    cfg.get_mut_from_interceptor_state().map(|stored| &*stored)
}

impl Call {
    /// The call of `cfg`, if it is ours.
    pub(super) fn of(cfg: &mut ConfigBag) -> Option<&Self> {
        on_top(cfg)
    }

    /// The call goes through our HTTP client.
    pub(super) fn wrap(&self) {
        self.0.is_wrapped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_wrapped(&self) -> bool {
        self.0.is_wrapped.load(Ordering::Relaxed)
    }

    /// Takes down what is told of the call. Who comes first is believed.
    pub(super) fn tell(&self, told: Told) {
        let _already_told = self.0.told.set(told);
    }

    pub(super) fn told(&self) -> Option<&Told> {
        self.0.told.get()
    }

    /// Keeps the body that is about to be signed.
    pub(super) fn set_body(&self, body: Option<SdkBody>) {
        self.state().body = body;
    }

    pub(super) fn set_dispatch(&self, signing: Arc<Signing>, parts: Parts, signed_at: SystemTime) {
        let mut state = self.state();
        let body = state.body.take();
        state.dispatch = Some(Box::new(Dispatch {
            signing,
            parts,
            signed_at,
            body,
        }));
    }

    /// What the HTTP client needs, once: of two that are laid over each other, the outer makes the
    /// call and the inner passes it on.
    pub(super) fn take_dispatch(&self) -> Option<Box<Dispatch>> {
        self.state().dispatch.take()
    }

    /// Leaves an error that the SDK shall call a timeout.
    pub(super) fn set_timeout(&self, error: Error) {
        self.state().timeout = Some(error);
    }

    pub(super) fn take_timeout(&self) -> Option<Error> {
        self.state().timeout.take()
    }

    /// Whom to tell by whom the call was served.
    pub(super) fn options(&self) -> Option<&CallOptions> {
        self.told()?.options.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("is_wrapped", &self.is_wrapped())
            .finish_non_exhaustive()
    }
}
