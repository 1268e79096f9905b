use std::fmt;

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
pub struct SdkResponse(Box<Answer>);

/// Boxed: every layer of a stack passes it on.
struct Answer {
    http: HttpResponse,
    served: Served,
    kind: Kind,
}

enum Kind {
    /// Of this operation, and what it used, once a watcher was told: the SDK reads the answer too, and
    /// nobody may need it twice.
    Whole(Operation, Option<Option<Usage>>),
    Stream(Box<Tap>),
}

impl SdkResponse {
    pub(super) fn whole(http: HttpResponse, operation: Operation, served: Served) -> Self {
        Self(Box::new(Answer {
            http,
            served,
            kind: Kind::Whole(operation, None),
        }))
    }

    /// A stream: the head of an answer, and what its body is read through.
    pub(super) fn stream(head: HttpResponse, served: Served, tap: Tap) -> Self {
        Self(Box::new(Answer {
            http: head,
            served,
            kind: Kind::Stream(Box::new(tap)),
        }))
    }

    /// The answer's head, and its body where it is not a stream.
    #[must_use]
    pub fn http(&self) -> &HttpResponse {
        &self.0.http
    }

    /// What a whole answer used; `None` for a stream, and where the service did not say.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        match self.0.kind {
            Kind::Whole(operation, usage) => usage.unwrap_or_else(|| self.0.read_usage(operation)),
            Kind::Stream(_) => None,
        }
    }

    /// By whom and how the call was served, with what the answer itself tells of it.
    pub(super) fn served_as_told(&self) -> Served {
        let mut served = self.0.served.clone();
        if let Kind::Whole(operation, _) = &self.0.kind
            && let Some(tier) = answer::tier(*operation, &self.0.http)
        {
            served.route.tier = tier;
        }
        served
    }

    pub(super) fn into_http(self) -> HttpResponse {
        let Answer { mut http, kind, .. } = *self.0;
        if let Kind::Stream(tap) = kind {
            *http.body_mut() = SdkBody::from_body_1_x(*tap);
        }
        http
    }
}

impl Answer {
    fn read_usage(&self, operation: Operation) -> Option<Usage> {
        let counts = answer::counts(operation, &self.http)?;
        counts.usage(self.served.route.model.as_ref())
    }
}

impl BedrockResponse for SdkResponse {
    fn served(&self) -> &Served {
        &self.0.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.0.served
    }

    fn watch(&mut self, mut watcher: impl Watcher) {
        let usage = self.usage();
        match &mut self.0.kind {
            Kind::Stream(tap) => return tap.watch(watcher),
            Kind::Whole(_, read) => *read = Some(usage),
        }
        if let Some(usage) = usage {
            watcher.usage(&usage);
        }
        watcher.finish(Finish::Complete);
    }

    fn is_whole(&self) -> bool {
        matches!(self.0.kind, Kind::Whole(..))
    }
}

impl fmt::Debug for SdkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkResponse")
            .field("served", &self.0.served)
            .finish_non_exhaustive()
    }
}
