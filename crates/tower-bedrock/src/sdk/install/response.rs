use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use super::tap::Tap;
use crate::reply::{BedrockResponse, Finish, Served, Usage, Watcher};

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
    Whole(Option<Usage>),
    Stream(Box<Tap>),
}

impl SdkResponse {
    pub(super) const fn whole(http: HttpResponse, served: Served, usage: Option<Usage>) -> Self {
        Self {
            http,
            served,
            kind: Kind::Whole(usage),
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
    pub const fn usage(&self) -> Option<&Usage> {
        match &self.kind {
            Kind::Whole(usage) => usage.as_ref(),
            Kind::Stream(_) => None,
        }
    }

    pub(super) fn into_parts(self) -> (HttpResponse, Served) {
        let mut http = self.http;
        if let Kind::Stream(tap) = self.kind {
            *http.body_mut() = SdkBody::from_body_1_x(*tap);
        }
        (http, self.served)
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
        match &mut self.kind {
            Kind::Whole(usage) => {
                if let Some(usage) = usage {
                    watcher.usage(usage);
                }
                watcher.finish(Finish::Complete);
            }
            Kind::Stream(tap) => tap.watch(watcher),
        }
    }
}

impl fmt::Debug for SdkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkResponse")
            .field("served", &self.served)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}
