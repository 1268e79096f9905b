//! One deadline, and the readiness of what is called.

use std::task::Waker;

use tokio::time::{Sleep, sleep_until};

use super::*;

const EAST: &str = "m.x@us-east-1";
const WEST: &str = "m.x@us-west-2";
const OHIO: &str = "m.x@us-east-2";

/// No route is begun after the deadline: the caller gets the error that came last.
#[tokio::test(start_paused = true)]
async fn no_route_is_begun_after_the_deadline() {
    for (deadline, attempts) in [(1, 1), (3, 2), (4, 2), (5, 3)] {
        let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded))).after(secs(2));
        let service = layer(&[WEST, OHIO]).layer(bed.clone());
        let request = request(EAST).with_timeout(secs(deadline));
        let error = service.oneshot(request).await.unwrap_err();
        assert_eq!(error.cause(), Cause::ModelOverloaded);
        assert_eq!(bed.calls().len(), attempts, "{deadline} s");
        assert_eq!(earlier(&error).len(), attempts - 1);
    }
}

/// A deadline that cuts an attempt is not followed by another, and says what went before.
#[tokio::test(start_paused = true)]
async fn a_deadline_follows_the_error_before_it() {
    use std::error::Error as _;
    let bed = Bed::new(|call| match call.attempt {
        1 => Err(Error::new(Cause::ModelOverloaded)),
        _ => Ok(()),
    });
    let service = layer(&[WEST, OHIO]).layer(crate::RetryLayer::new().layer(bed.after(secs(2))));
    let request = request(EAST).with_timeout(secs(3));
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!(error.cause(), Cause::DeadlineExceeded);
    let before = error.source().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(before.cause(), Cause::ModelOverloaded);
    assert_eq!(before.route(), Some(&route(EAST)));
}

/// A service that becomes ready some time after each call by any of its clones, and insists on being
/// ready.
struct Moody {
    bed: Bed,
    rest: Duration,
    rests_until: Arc<Mutex<Instant>>,
    ready: Option<Pin<Box<Sleep>>>,
    is_ready: bool,
    fails: bool,
}

impl Moody {
    fn new(bed: Bed, rest: Duration) -> Self {
        Self {
            bed,
            rest,
            rests_until: Arc::new(Mutex::new(Instant::now())),
            ready: None,
            is_ready: false,
            fails: false,
        }
    }
}

impl Clone for Moody {
    fn clone(&self) -> Self {
        Self {
            fails: self.fails,
            rests_until: Arc::clone(&self.rests_until),
            ..Self::new(self.bed.clone(), self.rest)
        }
    }
}

impl Service<Request<()>> for Moody {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.fails && !self.bed.calls().is_empty() {
            return Poll::Ready(Err(Error::new(Cause::PoolSaturated).into()));
        }
        let until = *self.rests_until.lock().unwrap();
        let ready = self
            .ready
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        std::task::ready!(ready.as_mut().poll(cx));
        self.ready = None;
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.is_ready),
            "called without being ready"
        );
        *self.rests_until.lock().unwrap() = Instant::now() + self.rest;
        let answer = self.bed.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

/// The instance that was made ready is called, and made ready again before another route.
#[tokio::test(start_paused = true)]
async fn what_is_called_was_made_ready() {
    let bed = Bed::failing(Cause::ModelOverloaded, &["us-east-1", "us-west-2"]);
    let mut service = layer(&[WEST, OHIO]).layer(Moody::new(bed.clone(), secs(1)));
    let start = Instant::now();
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(request(EAST)).await;
        assert_eq!(response.unwrap().served().route_index, 2);
    }
    assert_eq!(bed.calls().len(), 9);
    assert_eq!(start.elapsed(), secs(8));
}

/// The wait for readiness ends at the deadline; a service that fails to become ready ends the call.
/// Either way the error before is kept.
#[tokio::test(start_paused = true)]
async fn readiness_is_not_waited_for_past_the_deadline() {
    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
    let service = layer(&[WEST]).layer(Moody::new(bed.clone(), secs(10)));
    let start = Instant::now();
    let request_in_time = request(EAST).with_timeout(secs(3));
    let error = service.oneshot(request_in_time).await.unwrap_err();
    assert_eq!(start.elapsed(), secs(3));
    assert_eq!(error.cause(), Cause::DeadlineExceeded);
    assert_eq!(earlier(&error), [Cause::ModelOverloaded]);
    assert_eq!(bed.calls().len(), 1);

    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
    let mut moody = Moody::new(bed.clone(), secs(0));
    moody.fails = true;
    let error = layer(&[WEST])
        .layer(moody)
        .oneshot(request(EAST))
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::PoolSaturated);
    assert_eq!(earlier(&error), [Cause::ModelOverloaded]);
    assert_eq!(bed.calls().len(), 1);
}

/// The last deadlines that there are can be waited for: a service that never becomes ready for another
/// route is waited for as long, and nothing panics.
#[tokio::test(start_paused = true)]
async fn any_deadline_can_be_waited_for() {
    // The end of the clock, to the nanosecond.
    let mut last = Instant::now();
    let seconds = (0..64).rev().map(|power| secs(1 << power));
    let nanos = (0..30).rev().map(|power| Duration::from_nanos(1 << power));
    for step in seconds.chain(nanos) {
        last = last.checked_add(step).unwrap_or(last);
    }
    let before = |nanos| last.checked_sub(Duration::from_nanos(nanos)).unwrap();
    let deadlines = [0, 1, 999_999, 1_000_000, 1_000_000_000].map(before);
    for deadline in deadlines {
        let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
        let service = layer(&[WEST]).layer(Moody::new(bed.clone(), secs(86_400)));
        let mut request = request(EAST);
        request.context_mut().deadline = Some(deadline);
        let mut call = Box::pin(service.oneshot(request));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending(), "{deadline:?}");
        tokio::time::advance(secs(3600)).await;
        assert!(call.as_mut().poll(&mut cx).is_pending(), "{deadline:?}");
        assert_eq!(bed.calls().len(), 1);
    }
}

/// An error that comes after the deadline is the caller's at once: nothing is waited for any more.
#[tokio::test(start_paused = true)]
async fn an_error_after_the_deadline_is_given_at_once() {
    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded))).after(secs(2));
    let service = layer(&[WEST]).layer(Moody::new(bed.clone(), secs(10)));
    let start = Instant::now();
    let request = request(EAST).with_timeout(secs(1));
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!(error.cause(), Cause::ModelOverloaded);
    assert_eq!(start.elapsed(), secs(2));
}

/// While the service is not ready for another route, that route may close: it is asked again.
#[tokio::test(start_paused = true)]
async fn a_route_that_closes_meanwhile_is_not_taken() {
    let start = Instant::now();
    let gate = Says::new(move |route| match route.to_string().as_str() {
        WEST if start.elapsed() >= secs(1) => closed(None),
        _ => Passage::Open,
    });
    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
    let service = layer(&[WEST])
        .with_gate(gate)
        .layer(Moody::new(bed.clone(), secs(1)));
    let error = service.oneshot(request(EAST)).await.unwrap_err();
    assert_eq!(bed.routes(), [EAST]);
    assert_eq!(skipped(&error).len(), 1);
    assert!(earlier(&error).is_empty());
}

/// The layer works with tower's own: cloned, boxed, buffered, and moved to other threads.
#[tokio::test]
async fn it_works_with_towers_own_middleware() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let bed = Bed::failing(Cause::ModelOverloaded, &["us-east-1"]);
    let buffered = tower::ServiceBuilder::new()
        .layer(layer(&[WEST]))
        .buffer::<Request<()>>(4)
        .service(bed);
    let boxed = tower::util::BoxCloneSyncService::new(buffered);
    let response = assert_send(boxed.clone().oneshot(request(EAST)))
        .await
        .unwrap();
    assert_eq!(response.served().route_index, 1);
    let mut service = boxed;
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
}
