use super::*;
use crate::replay::doubles::{events, stream_of};

/// Dropped before it is polled, while it waits, or when its answer is there and not yet taken, a call
/// takes the attempt with it, leaves nothing behind, and the next one is made.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_keeps_nothing() {
    for polls in 0..3 {
        let service = layer().layer(Backend::new());
        let backend = service.get_ref().clone();
        let mut service_of_call = service.clone();
        let mut call = spawn(service_of_call.call(ask("hello")));
        for _ in 0..polls.min(1) {
            assert_pending!(call.poll());
        }
        if polls == 2 {
            backend.answer(0, says("never taken"));
            assert!(call.is_woken());
        } else {
            assert!(!backend.is_dropped(0));
        }
        drop(call);
        if polls < 2 {
            assert!(backend.is_dropped(0));
        }
        assert_eq!(service.store().entries(), 0);
        assert_eq!(answered(&service, ask("hello"), "one").output().text, "one");
        assert_eq!(answered(&service, ask("hello"), "two").output().text, "one");
    }
}

/// A hit that nobody takes costs nothing, and is there for the next call.
#[tokio::test(start_paused = true)]
async fn a_dropped_hit_stays_kept() {
    let service = layer().layer(Backend::new());
    answered(&service, ask("hello"), "one");
    drop(service.clone().call(ask("hello")));
    assert_eq!(answered(&service, ask("hello"), "two").output().text, "one");
}

/// A stream that is dropped wherever it waits is closed, and not kept.
#[tokio::test(start_paused = true)]
async fn a_stream_dropped_while_it_waits_is_not_kept() {
    for came in 1..3 {
        let service = layer().layer(Backend::new());
        let (stream, voice) = stream_of(&events()[..came]);
        let mut stream = made(&service, ask("hello"), Ok(stream)).unwrap();
        for _ in 0..came {
            stream.next().await.unwrap().unwrap();
        }
        let mut next = spawn(stream.next());
        assert_pending!(next.poll());
        drop(next);
        drop(stream);
        assert!(!voice.is_heard());
        assert_eq!(service.store().entries(), 0);
    }
}
