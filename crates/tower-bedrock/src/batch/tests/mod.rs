mod cancel;
mod panics;
mod results;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower::service_fn;
use tower_service::Service;

use super::Batch;
use crate::{CallContext, Cause, Error, Operation, Request, Route};

fn request(number: u64) -> Request<u64> {
    Request::new(
        number,
        CallContext::new(Operation::Converse, Route::default()),
    )
}

/// Requests of the numbers below `count`, each under its number.
fn requests(count: u64) -> impl Iterator<Item = (u64, Request<u64>)> + Clone {
    (0..count).map(|number| (number, request(number)))
}

fn at_a_time(calls: usize) -> NonZeroUsize {
    NonZeroUsize::new(calls).unwrap()
}

/// How many calls are under way, and how many there ever were at a time.
#[derive(Clone, Default)]
struct Load {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Call(Arc<AtomicUsize>);

impl Load {
    fn enter(&self) -> Call {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        Call(Arc::clone(&self.now))
    }

    fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes as long as `takes` says and answers with the number it was asked; every seventh fails.
fn service(
    load: &Load,
    takes: fn(u64) -> Duration,
) -> impl Service<Request<u64>, Response = u64, Error = Error, Future: Send> + Clone + Send {
    let load = load.clone();
    service_fn(move |request: Request<u64>| {
        let call = load.enter();
        let number = *request.input();
        async move {
            let _call = call;
            tokio::time::sleep(takes(number)).await;
            if number % 7 == 6 {
                return Err(Error::new(Cause::ModelOverloaded));
            }
            Ok(number)
        }
    })
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
