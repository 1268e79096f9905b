use std::{fmt, sync::OnceLock};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use super::{answer, tap::Tap};
use crate::{
    call::Operation,
    reply::{BedrockResponse, Finish, Served, Usage, Watcher},
};

/// An answer on its way to the SDK: what the layers see inside of it.
///
/// A whole answer is in memory and tells its usage at once. A stream is not read ahead but for its
/// first event; watchers ride in its body and hear when that ends, fails or is dropped.
///
/// `Debug` shows by whom the call was served, never the answer.
pub struct SdkResponse {
    http: HttpResponse,
    served: Served,
    kind: Kind,
}

enum Kind {
    /// Of this operation, and what it used, once somebody has asked: the SDK reads the answer too, and
    /// nobody may need it twice.
    Whole(Operation, OnceLock<Option<Usage>>),
    Stream(Box<Tap>),
}

impl SdkResponse {
    pub(super) const fn whole(http: HttpResponse, operation: Operation, served: Served) -> Self {
        Self {
            http,
            served,
            kind: Kind::Whole(operation, OnceLock::new()),
        }
    }

    /// A stream: the head of an answer, and what its body is read through.
    pub(super) fn stream(head: HttpResponse, served: Served, tap: Tap) -> Self {
        Self {
            http: head,
            served,
            kind: Kind::Stream(Box::new(tap)),
        }
    }

    /// The answer's head, and its body where it is not a stream.
    #[must_use]
    pub const fn http(&self) -> &HttpResponse {
        &self.http
    }

    /// What a whole answer used; `None` for a stream, and where the service did not say.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let Kind::Whole(operation, usage) = &self.kind else {
            return None;
        };
        *usage.get_or_init(|| {
            let counts = answer::counts(*operation, &self.http)?;
            counts.usage(self.served.route.model.as_ref())
        })
    }

    /// By whom and how the call was served, with what the answer itself tells of it.
    pub(super) fn served_as_told(&self) -> Served {
        let mut served = self.served.clone();
        if let Kind::Whole(operation, _) = &self.kind
            && let Some(tier) = answer::tier(*operation, &self.http)
        {
            served.route.tier = tier;
        }
        served
    }

    pub(super) fn into_http(self) -> HttpResponse {
        let mut http = self.http;
        if let Kind::Stream(tap) = self.kind {
            *http.body_mut() = SdkBody::from_body_1_x(*tap);
        }
        http
    }
}

impl BedrockResponse for SdkResponse {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    fn watch(&mut self, mut watcher: impl Watcher) {
        if let Kind::Stream(tap) = &mut self.kind {
            return tap.watch(watcher);
        }
        if let Some(usage) = self.usage() {
            watcher.usage(&usage);
        }
        watcher.finish(Finish::Complete);
    }
}

impl fmt::Debug for SdkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkResponse")
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}
