//! How calls end: at their deadline, for want of readiness, refused by our own layers.

use std::{
    error::Error as _,
    future::{Future, Ready, ready},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};

use tower_service::Service;

use super::{service::recorded, *};
use crate::RetryBudget;

/// No attempt starts after the deadline, even if the task is woken long after it; the retry that was
/// paid for is paid back.
#[tokio::test(start_paused = true)]
async fn a_task_that_is_woken_late_sends_nothing() {
    let budget = RetryBudget::new();
    let (layer, heard) = recorded(seeded().with_budget(budget.clone()));
    let sent = Arc::new(Mutex::new(0));
    let count = Arc::clone(&sent);
    let service = layer.layer(service_fn(move |_: Request<()>| {
        *count.lock().unwrap() += 1;
        ready(internal())
    }));
    let mut call = pin!(service.oneshot(request().with_timeout(secs(2))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    assert_eq!(budget.available(), 486);
    tokio::time::advance(secs(100)).await;
    let Poll::Ready(Err(error)) = call.as_mut().poll(&mut cx) else {
        panic!("the call is over");
    };
    assert_eq!(*sent.lock().unwrap(), 1);
    assert_eq!(error.cause(), Cause::DeadlineExceeded);
    assert_eq!(error_before(&error), Some(Cause::Internal));
    assert_eq!(
        *heard.lock().unwrap(),
        ["1 internal: again", "1 deadline_exceeded: deadline"]
    );
    assert_eq!(budget.available(), 500);
}

/// A retry that waits its turn when the deadline passes is paid back before the caller hears.
#[tokio::test(start_paused = true)]
async fn a_retry_that_never_gets_its_turn_is_paid_back() {
    #[derive(Clone)]
    struct ReadyOnce(Arc<AtomicBool>);
    impl Service<Request<()>> for ReadyOnce {
        type Response = &'static str;
        type Error = Error;
        type Future = Ready<Result<&'static str, Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            if self.0.load(Ordering::Relaxed) {
                Poll::Pending
            } else {
                Poll::Ready(Ok(()))
            }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            self.0.store(true, Ordering::Relaxed);
            ready(internal())
        }
    }
    let budget = RetryBudget::new();
    let (layer, heard) = recorded(seeded().with_budget(budget.clone()));
    let service = layer.layer(ReadyOnce(Arc::default()));
    let mut call = pin!(service.oneshot(request().with_timeout(secs(5))));
    let error = call.as_mut().await.unwrap_err();
    assert_eq!(error_before(&error), Some(Cause::Internal));
    assert_eq!(budget.available(), 500);
    assert_eq!(
        heard.lock().unwrap().last().unwrap(),
        "1 deadline_exceeded: deadline"
    );
}

/// Listeners hear of a call that was never sent, and of an attempt that was cut.
#[tokio::test(start_paused = true)]
async fn listeners_hear_of_deadlines() {
    let (layer, heard) = recorded(seeded());
    let expired = request().with_timeout(Duration::ZERO);
    run(&layer, expired, vec![answered])
        .await
        .result
        .unwrap_err();
    let hangs = service_fn(|_: Request<()>| std::future::pending::<Result<(), Error>>());
    let cut = layer
        .layer(hangs)
        .oneshot(request().with_timeout(secs(1)))
        .await;
    assert_eq!(cut.unwrap_err().attempts(), Some(1));
    assert_eq!(
        *heard.lock().unwrap(),
        [
            "1 deadline_exceeded: deadline",
            "1 deadline_exceeded: deadline"
        ]
    );
}

/// Where the inner service cuts at the deadline itself, the error before is not lost either, and a
/// source that it gave is kept.
#[tokio::test(start_paused = true)]
async fn a_deadline_told_by_the_inner_service_is_one() {
    let (layer, heard) = recorded(seeded());
    let run_of = run(
        &layer,
        request(),
        vec![internal, overloaded, deadline_exceeded],
    )
    .await;
    let error = run_of.result.unwrap_err();
    assert_eq!(error.attempts(), Some(3));
    assert_eq!(error_before(&error), Some(Cause::ModelOverloaded));
    assert_eq!(
        heard.lock().unwrap().last().unwrap(),
        "3 deadline_exceeded: deadline"
    );

    let with_source = || {
        let source = Error::new(Cause::TokenRate);
        Err(Error::new(Cause::DeadlineExceeded).with_source(source))
    };
    let run_of = run(&layer, request(), vec![internal, with_source]).await;
    let error = run_of.result.unwrap_err();
    assert_eq!(error_before(&error), Some(Cause::TokenRate));
}

/// A service that breaks while a retry waits its turn ends the call: listeners hear, the error
/// tells where, the retry is paid back.
#[tokio::test(start_paused = true)]
async fn a_service_that_breaks_between_attempts_is_told() {
    #[derive(Clone)]
    struct BreaksAfterOneCall(Arc<AtomicBool>);
    impl Service<Request<()>> for BreaksAfterOneCall {
        type Response = &'static str;
        type Error = Error;
        type Future = Ready<Result<&'static str, Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(if self.0.load(Ordering::Relaxed) {
                Err(Error::new(Cause::Unknown))
            } else {
                Ok(())
            })
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            self.0.store(true, Ordering::Relaxed);
            ready(internal())
        }
    }
    let budget = RetryBudget::new();
    let (layer, heard) = recorded(seeded().with_budget(budget.clone()));
    let service = layer.layer(BreaksAfterOneCall(Arc::default()));
    let error = service.oneshot(request()).await.unwrap_err();
    assert_eq!(error.route(), Some(&call().route));
    assert_eq!(
        *heard.lock().unwrap(),
        ["1 internal: again", "1 unknown: not_ready"]
    );
    assert_eq!(budget.available(), 500);
}

/// Two listeners both hear everything, in the order in which they were added.
#[tokio::test(start_paused = true)]
async fn every_listener_hears() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = |name: &'static str| {
        let heard = Arc::clone(&heard);
        move |_: &crate::RetryEvent<'_>| heard.lock().unwrap().push(name)
    };
    let layer = seeded()
        .on_event(listener("first"))
        .on_event(listener("second"));
    run(&layer, request(), vec![internal, answered])
        .await
        .result
        .unwrap();
    assert_eq!(
        *heard.lock().unwrap(),
        ["first", "second", "first", "second"]
    );
}

/// A retry that one of our own layers refused was not sent and is not paid for; one that was cut by
/// a deadline may have been.
#[tokio::test(start_paused = true)]
async fn a_retry_refused_before_it_is_sent_costs_nothing() {
    let scripts: [(Answer, u32); 5] = [
        (|| Err(Error::new(Cause::CircuitOpen)), 500),
        (|| Err(Error::new(Cause::BudgetExhausted)), 500),
        (|| Err(Error::new(Cause::PoolSaturated)), 500),
        (|| Err(Error::new(Cause::NoRouteAllowed)), 500),
        (deadline_exceeded, 486),
    ];
    for (refused, left) in scripts {
        let budget = RetryBudget::new();
        let layer = seeded().with_budget(budget.clone());
        let run_of = run(&layer, request(), vec![internal, refused]).await;
        let error = run_of.result.unwrap_err();
        assert_eq!(run_of.sent.len(), 2);
        assert_eq!(budget.available(), left, "{}", error.cause());
    }

    // Only the retry that was refused: those that were sent before it stay paid for, and a first
    // attempt brings nothing.
    let budget = RetryBudget::new();
    let layer = seeded().with_budget(budget.clone());
    let refused = scripts[0].0;
    run(&layer, request(), vec![internal, internal, refused])
        .await
        .result
        .unwrap_err();
    assert_eq!(budget.available(), 486);
    run(&layer, request(), vec![refused])
        .await
        .result
        .unwrap_err();
    assert_eq!(budget.available(), 486);
}

fn deadline_exceeded() -> Result<&'static str, Error> {
    Err(Error::new(Cause::DeadlineExceeded))
}

fn error_before(error: &Error) -> Option<Cause> {
    Some(error.source()?.downcast_ref::<Error>()?.cause())
}
