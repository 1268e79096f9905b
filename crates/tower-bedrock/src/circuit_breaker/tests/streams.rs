//! Replies that are not whole when they come.

use super::*;
use crate::{BedrockResponse, Finish, Watcher};

/// A stream that goes on until the test ends it.
#[derive(Default)]
struct Stream {
    served: Served,
    watchers: Vec<Told>,
}

/// Somebody who is told how the stream ended.
type Told = Box<dyn FnMut(Finish<'_>) + Send>;

impl BedrockResponse for Stream {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    fn watch(&mut self, mut watcher: impl Watcher) {
        self.watchers
            .push(Box::new(move |finish| watcher.finish(finish)));
    }
}

impl Stream {
    fn end(mut self, finish: Finish<'_>) {
        for watcher in &mut self.watchers {
            watcher(finish);
        }
    }
}

/// A stream that begins after `latency`.
async fn open(breakers: &CircuitBreakers, latency: Duration) -> Result<Stream, Error> {
    let service = service_fn(move |_: Request<()>| async move {
        sleep(latency).await;
        Ok::<_, Error>(Stream::default())
    });
    let layer = CircuitBreakerLayer::new(breakers.clone());
    layer.layer(service).oneshot(request()).await
}

/// Streams that break after their first event are failures: ten of them open the circuit.
#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_a_failure() {
    let breakers = breakers(CircuitPolicy::new());
    for number in 0..10 {
        assert_eq!(breakers.snapshot_of(&route()).failures, number);
        let stream = open(&breakers, millis(100)).await.unwrap();
        assert_eq!(breakers.snapshot_of(&route()).calls, number, "not over yet");
        let cut = Error::new(Cause::StreamTruncated);
        stream.end(Finish::Failed(&cut));
    }
    assert_eq!(breakers.state(&route()), CircuitState::Open);
    assert!(open(&breakers, millis(100)).await.is_err());
}

/// A stream that ends whole is a success, one that is let go is neither: with a word or without.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_let_go_is_neither() {
    let breakers = breakers(CircuitPolicy::new());
    open(&breakers, millis(1))
        .await
        .unwrap()
        .end(Finish::Complete);
    assert_eq!(breakers.snapshot_of(&route()).calls, 1);
    open(&breakers, millis(1))
        .await
        .unwrap()
        .end(Finish::Abandoned);
    drop(open(&breakers, millis(1)).await.unwrap());
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.calls, snapshot.failures), (1, 0));
    assert_eq!(snapshot.abandoned, 2);
}

/// A stream that its deadline cuts got no whole answer in time.
#[tokio::test(start_paused = true)]
async fn a_stream_that_its_deadline_cuts_is_a_failure() {
    let breakers = breakers(CircuitPolicy::new());
    let cut = Error::new(Cause::DeadlineExceeded);
    for latency in [Duration::ZERO, millis(1)] {
        open(&breakers, latency)
            .await
            .unwrap()
            .end(Finish::Failed(&cut));
    }
    assert_eq!(breakers.snapshot_of(&route()).failures, 2);
}

/// A probe that is a stream keeps its place until the stream is over, and decides then.
#[tokio::test(start_paused = true)]
async fn a_probe_rides_its_stream() {
    let broken = Error::new(Cause::StreamFailed);
    for (finish, state) in [
        (Some(Finish::Complete), CircuitState::Closed),
        (Some(Finish::Failed(&broken)), CircuitState::Open),
        (Some(Finish::Abandoned), CircuitState::HalfOpen),
        (None, CircuitState::HalfOpen),
    ] {
        let breakers = breakers(CircuitPolicy::new());
        let model = Model::new(millis(1), || failed(Cause::Internal));
        trip(&breakers, &model).await;
        sleep(secs(5)).await;
        let probe = open(&breakers, millis(1)).await.unwrap();
        sleep(secs(5)).await;
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!(
            (snapshot.state, snapshot.probes),
            (CircuitState::HalfOpen, 1)
        );
        assert!(open(&breakers, millis(1)).await.is_err());
        match finish {
            Some(finish) => probe.end(finish),
            None => drop(probe),
        }
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!((snapshot.state, snapshot.probes), (state, 0));
        let next = open(&breakers, millis(1)).await;
        assert_eq!(next.is_ok(), state != CircuitState::Open);
    }
}

/// A stream is slow if its first event was; how long its reader takes does not matter.
#[tokio::test(start_paused = true)]
async fn a_stream_is_as_slow_as_its_first_event() {
    for (first_event, slow) in [(secs(1), 0), (secs(3), 1)] {
        let breakers = breakers(CircuitPolicy::new().with_slow_calls(secs(2), 1.0));
        let broken = Error::new(Cause::StreamFailed);
        for finish in [Finish::Complete, Finish::Failed(&broken)] {
            let stream = open(&breakers, first_event).await.unwrap();
            sleep(secs(10)).await;
            stream.end(finish);
        }
        // Let go after a while, it says nothing.
        let stream = open(&breakers, first_event).await.unwrap();
        sleep(secs(10)).await;
        stream.end(Finish::Abandoned);
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!((snapshot.calls, snapshot.slow_calls), (2, 2 * slow));
        assert_eq!(snapshot.failures, 1);
    }
}
