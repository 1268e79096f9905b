mod drops;
mod events;
mod recorder;
mod spans;
mod streams;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::sleep;
use tower_service::Service;

use self::recorder::Recorder;
use crate::{
    BedrockRequest, CallContext, Cause, Error, Operation, Request, Response, Route, Served, Usage,
};

const MODEL: &str = "us.amazon.nova-lite-v1:0";
const HOME: &str = "us-east-1";
const SECOND: &str = "us-west-2";

fn request() -> Request<()> {
    let mut call = CallContext::new(Operation::Converse, Route::to(MODEL.parse().unwrap()));
    call.tokens.input = Some(100);
    call.tokens.max_output = Some(500);
    Request::new((), call).with_tenant("acme")
}

/// A service that fails with the causes it is given, in their order, and answers then. It writes an
/// event before and after each of two waits of a second.
#[derive(Clone, Default)]
struct Bedrock(Arc<Mutex<Vec<Cause>>>);

impl Bedrock {
    fn failing(causes: impl IntoIterator<Item = Cause>) -> Self {
        let mut causes: Vec<_> = causes.into_iter().collect();
        causes.reverse();
        Self(Arc::new(Mutex::new(causes)))
    }
}

impl Service<Request<()>> for Bedrock {
    type Response = Response<()>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let cause = self.0.lock().unwrap().pop();
        Box::pin(async move {
            let (_, call) = request.into_parts();
            let tenant = call.tenant.as_deref().unwrap_or_default();
            for _ in 0..2 {
                tracing::trace!(target: "bedrock", tenant);
                sleep(Duration::from_secs(1)).await;
            }
            tracing::trace!(target: "bedrock", tenant);
            match cause {
                Some(cause) => Err(Error::new(cause).with_status(429).with_context(&call)),
                None => {
                    let served = Served {
                        route: call.route,
                        attempts: call.attempt,
                        request_id: Some("request-1".into()),
                        ..Served::default()
                    };
                    Ok(Response::new((), served, Some(USAGE)))
                }
            }
        })
    }
}

const USAGE: Usage = Usage {
    input: 3,
    output: 52,
    cache_read: 100,
    cache_write: 20,
};

/// Written by the service below all layers.
const SERVICE: &str = "TRACE bedrock";

/// The tree without what the service itself writes.
fn tree(recorder: &Recorder, fields: &[&str]) -> Vec<String> {
    let mut tree = recorder.tree(fields);
    tree.retain(|line| !line.contains(SERVICE));
    tree
}
