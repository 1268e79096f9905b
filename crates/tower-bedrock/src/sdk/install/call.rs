//! What the interceptor and the HTTP client know of one call in common.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_smithy_types::config_bag::{Storable, StoreReplace};

use super::{options::CallOptions, sign::Signing};
use crate::{call::CallContext, error::Error, reply::Served};

/// One call of the SDK that is ours. Lies in the call's `ConfigBag` from its start, and on its HTTP
/// request when that is sent.
#[derive(Clone, Default)]
pub(super) struct Call(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_wrapped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    context: Option<CallContext>,
    dispatch: Option<Dispatch>,
    timeout: Option<Error>,
    options: Option<CallOptions>,
}

/// What the HTTP client needs of a call to make attempts of its own.
pub(super) struct Dispatch {
    pub(super) context: CallContext,
    pub(super) signing: Signing,
    /// The user's limit for one attempt.
    pub(super) attempt_timeout: Option<Duration>,
}

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

impl Call {
    /// The call goes through our HTTP client.
    pub(super) fn wrap(&self) {
        self.0.is_wrapped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_wrapped(&self) -> bool {
        self.0.is_wrapped.load(Ordering::Relaxed)
    }

    pub(super) fn set_context(&self, context: CallContext, options: Option<CallOptions>) {
        let mut state = self.state();
        state.context = Some(context);
        state.options = options;
    }

    pub(super) fn context(&self) -> Option<CallContext> {
        self.state().context.clone()
    }

    pub(super) fn set_dispatch(&self, dispatch: Dispatch) {
        self.state().dispatch = Some(dispatch);
    }

    /// What the HTTP client needs, once: of two that are laid over each other, the outer makes the
    /// call and the inner passes it on.
    pub(super) fn take_dispatch(&self) -> Option<Dispatch> {
        self.state().dispatch.take()
    }

    /// Leaves an error that the SDK shall call a timeout.
    pub(super) fn set_timeout(&self, error: Error) {
        self.state().timeout = Some(error);
    }

    pub(super) fn take_timeout(&self) -> Option<Error> {
        self.state().timeout.take()
    }

    /// Tells the caller by whom the call was served.
    pub(super) fn served(&self, served: Served) {
        if let Some(options) = &self.state().options {
            options.set_served(served);
        }
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
