use super::*;
use crate::reply::BedrockResponse;

/// Dropped after any number of events, a stream is abandoned unless its answer was whole, and every
/// watcher hears once what came of it until then: the innermost layer's first.
#[tokio::test(start_paused = true)]
async fn a_stream_dropped_at_any_event_tells_what_came_of_it() {
    for (taken, heard) in [
        (0, ["about ?+0", "abandoned"]),
        (1, ["about ?+0", "abandoned"]),
        (2, ["about ?+2", "abandoned"]),
        (3, ["about ?+4", "abandoned"]),
        (4, ["used 7+5", "complete"]),
        (5, ["used 7+5", "complete"]),
    ] {
        let recorder = Recorder::default();
        let connection = Connection::default();
        let mut stream = ResponseStream::new(script(answer(), &connection), call());
        stream.watch(recorder.named("pool "));
        stream.watch(recorder.named("budget "));
        for _ in 0..taken {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        assert!(!connection.is_open());
        let expected: Vec<_> = ["pool ", "budget "]
            .into_iter()
            .flat_map(|name| heard.map(|heard| format!("{name}{heard}")))
            .collect();
        assert_eq!(recorder.heard(), expected, "after {taken} events");
    }
}

/// Dropped while it waits, at any time, a stream tells once.
#[tokio::test(start_paused = true)]
async fn a_stream_dropped_while_it_waits_tells_once() {
    for millis in (0..6_000).step_by(250) {
        let recorder = Recorder::default();
        let connection = Connection::default();
        let mut stream = ResponseStream::new(script(answer(), &connection), call());
        stream.watch(recorder.clone());
        let wait = Duration::from_millis(millis);
        let finished = tokio::time::timeout(wait, drain(&mut stream)).await.is_ok();
        drop(stream);
        assert!(!connection.is_open());
        let heard = recorder.heard();
        assert_eq!(heard.len(), 2, "{heard:?}");
        // The answer is whole after four seconds, its usage known after five.
        let expected = match millis {
            0..4_000 => "abandoned",
            _ => "complete",
        };
        assert_eq!(heard[1], expected, "after {millis} ms: {heard:?}");
        assert_eq!(heard[0] == "used 7+5", millis >= 5_000, "after {millis} ms");
        assert_eq!(finished, millis >= 5_000);
    }
}

/// Who comes to watch after the end hears of it at once.
#[tokio::test(start_paused = true)]
async fn a_late_watcher_hears_at_once() {
    let mut stream = stream_of(answer());
    drain(&mut stream).await;
    let recorder = Recorder::default();
    stream.watch(recorder.clone());
    assert_eq!(recorder.heard(), ["used 7+5", "complete"]);

    let mut stream = stream_of(answer()[..2].to_vec());
    drain(&mut stream).await;
    let recorder = Recorder::default();
    stream.watch(recorder.clone());
    assert_eq!(recorder.heard(), ["about ?+2", "abandoned"]);
}

/// The connection is closed before a watcher hears of a failure: who gets its permit finds it free.
#[tokio::test(start_paused = true)]
async fn the_connection_is_closed_before_permits_return() {
    struct Permit(Connection, Recorder);
    impl Watcher for Permit {
        fn finish(&mut self, _: Finish<'_>) {
            let is_open = self.0.is_open();
            self.1.note(&format!("open: {is_open}"));
        }
    }

    for steps in [vec![Refuses(1, "internalServerException")], vec![Hangs]] {
        for is_dropped in [false, true] {
            let connection = Connection::default();
            let recorder = Recorder::default();
            let mut stream = ResponseStream::new(script(steps.clone(), &connection), call());
            stream.watch(Permit(connection.clone(), recorder.clone()));
            if !is_dropped {
                drain(&mut stream).await;
            }
            drop(stream);
            assert_eq!(recorder.heard(), ["open: false"]);
        }
    }
}
