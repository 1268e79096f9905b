mod build;
mod calls;
mod cancel;
#[cfg(shuttle_cores)]
mod interleavings;

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower_service::Service;

use super::{DefaultStack, InvalidStack, Stack, StackLayer};
use crate::{
    BedrockRequest, CallContext, Cause, CircuitBreakers, Error, FallbackLayer, Jitter, Ladder,
    Operation, Quota, Quotas, Region, Request, Response, RetryLayer, Route, Served, Usage,
};

const HOME: &str = "us-east-1";
const SECOND: &str = "us-west-2";

/// A service that fails in the regions that it is told to, and writes down what it is sent.
#[derive(Clone, Default)]
struct Regions(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    fails: HashMap<Option<Region>, Cause>,
    sent: Vec<CallContext>,
    takes: Duration,
    alive: usize,
}

struct Alive(Regions);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().alive -= 1;
    }
}

impl Regions {
    fn fail(&self, region: Option<&str>, cause: Option<Cause>) {
        let fails = &mut self.0.lock().unwrap().fails;
        match cause {
            Some(cause) => fails.insert(region.map(Region::from), cause),
            None => fails.remove(&region.map(Region::from)),
        };
    }

    fn take(&self, time: Duration) {
        self.0.lock().unwrap().takes = time;
    }

    fn alive(&self) -> usize {
        self.0.lock().unwrap().alive
    }

    /// The regions that calls were sent to since this was asked last, `-` for none.
    fn sent_to(&self) -> Vec<String> {
        let sent = std::mem::take(&mut self.0.lock().unwrap().sent);
        let region = |call: &CallContext| call.route.region.as_ref().map(ToString::to_string);
        sent.iter()
            .map(|call| region(call).unwrap_or_else(|| "-".to_owned()))
            .collect()
    }
}

impl Service<Request<()>> for Regions {
    type Response = Response<()>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let mut state = self.0.lock().unwrap();
        state.sent.push(request.context().clone());
        state.alive += 1;
        let cause = state.fails.get(&request.context().route.region).copied();
        let takes = state.takes;
        let alive = Alive(self.clone());
        Box::pin(async move {
            let _alive = alive;
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            match cause {
                Some(cause) => Err(Error::new(cause)),
                None => {
                    let usage = Usage {
                        input: 100,
                        output: 10,
                        ..Usage::default()
                    };
                    Ok(Response::new((), Served::default(), Some(usage)))
                }
            }
        })
    }
}

/// The model of all calls, in whatever region they are sent to.
fn route() -> Route {
    Route::to("amazon.nova-lite-v1:0".parse().unwrap())
}

fn request() -> Request<()> {
    let mut call = CallContext::new(Operation::Converse, route());
    call.tokens.input = Some(100);
    call.tokens.max_output = Some(100);
    Request::new((), call)
}

fn to_second() -> FallbackLayer {
    FallbackLayer::new(Ladder::regions([SECOND])).unwrap()
}
