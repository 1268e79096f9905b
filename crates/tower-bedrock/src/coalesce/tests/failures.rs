use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;

#[derive(Debug)]
struct Below;

impl std::fmt::Display for Below {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("what lies below")
    }
}

impl std::error::Error for Below {}

/// All who share an attempt that fails get the same error: cause, code, message, place, and what lies
/// under it, by its own type.
#[tokio::test(start_paused = true)]
async fn an_error_is_everybodys() {
    let (layer, service, backend) = service();
    let mut calls = [(); 3].map(|()| waiting(&service, ask("hello")));
    let error = Error::new(Cause::ModelOverloaded)
        .with_code("ThrottlingException")
        .with_message("too much")
        .with_status(429)
        .with_original_status(503)
        .with_request_id("one")
        .with_retry_after(Duration::from_secs(3))
        .with_source(Below)
        .with_context(&backend.call(0));
    let shown = error.to_string();
    backend.answer(0, Err(error));
    for call in &mut calls {
        let error = answer(call).unwrap_err();
        assert_eq!(error.to_string(), shown);
        assert_eq!(error.cause(), Cause::ModelOverloaded);
        assert_eq!(error.code(), Some("ThrottlingException"));
        assert_eq!(error.status(), Some(429));
        assert_eq!(error.original_status(), Some(503));
        assert_eq!(error.request_id(), Some("one"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(error.attempts(), Some(1));
        let below = std::error::Error::source(&error).unwrap();
        assert!(below.is::<Below>(), "{below:?}");
        assert!(format!("{error:?}").contains("what lies below"));
    }
    drop(calls);
    assert_eq!(layer.under_way(), 0);
}

/// After a failure the next call is an attempt of its own.
#[tokio::test(start_paused = true)]
async fn a_failure_is_not_joined() {
    let (_, service, backend) = service();
    let mut first = waiting(&service, ask("hello"));
    let mut second = waiting(&service, ask("hello"));
    backend.answer(0, Err(Error::new(Cause::Internal)));
    answer(&mut first).unwrap_err();
    let _third = waiting(&service, ask("hello"));
    assert_eq!(backend.calls(), 2);
    answer(&mut second).unwrap_err();
}

/// Where the attempt panics for one call, the others are woken and told; the next call is made.
#[tokio::test(start_paused = true)]
async fn a_panic_leaves_nobody_waiting() {
    static POLLS: AtomicUsize = AtomicUsize::new(0);
    let inner = tower::service_fn(|_: Request<Question>| {
        std::future::poll_fn(|_| match POLLS.fetch_add(1, Ordering::SeqCst) {
            2 => panic!("on purpose"),
            3.. => Poll::Ready(says("one")),
            _ => Poll::Pending,
        })
    });
    let layer = CoalesceLayer::new();
    let service = layer.layer(inner);
    let mut calls = [(); 2].map(|()| spawn(service.clone().oneshot(ask("hello"))));
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    let [first, second] = &mut calls;
    catch_unwind(AssertUnwindSafe(|| first.poll())).unwrap_err();
    assert!(second.is_woken());
    let error = assert_ready!(second.poll()).unwrap_err();
    assert_eq!(error.cause(), Cause::Unknown);
    assert_eq!(error.operation(), Some(crate::Operation::Converse));
    let mut next = spawn(service.clone().oneshot(ask("hello")));
    assert_eq!(assert_ready!(next.poll()).unwrap().output().text, "one");
    drop((calls, next));
    assert_eq!(layer.under_way(), 0);
}

/// A service that panics when it is called leaves nobody waiting either.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_call_itself_leaves_nothing() {
    let inner = tower::service_fn(|request: Request<Question>| {
        assert!(request.input().text != "hello", "on purpose");
        async { says("one") }
    });
    let layer = CoalesceLayer::new();
    let mut service = layer.layer(inner);
    catch_unwind(AssertUnwindSafe(|| drop(service.call(ask("hello"))))).unwrap_err();
    assert_eq!(layer.under_way(), 0);
    let mut other = spawn(service.call(ask("hullo")));
    assert_ready!(other.poll()).unwrap();
}
