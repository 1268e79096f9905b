use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use futures_util::stream;

use super::*;
use crate::{
    replay::doubles::{Event, Voice, events, stream_of},
    stream::ResponseStream,
};

type Reply = ResponseStream<Event>;

struct Rig {
    layer: CoalesceLayer,
    service: Coalesce<Backend<Reply>>,
    backend: Backend<Reply>,
}

fn rig() -> Rig {
    let layer = CoalesceLayer::new();
    let backend = Backend::new();
    Rig {
        service: layer.layer(backend.clone()),
        layer,
        backend,
    }
}

impl Rig {
    /// So many calls that share a stream that begins with `first`, what watches it below, and who
    /// speaks.
    async fn shared(&self, calls: usize, first: &[Event]) -> (Vec<Reply>, Heard, Voice) {
        let (stream, voice) = stream_of(first);
        let mut stream = stream.answered().await.ok().unwrap();
        let heard = Heard::of(&mut stream);
        let mut calls: Vec<_> = (0..calls)
            .map(|_| waiting(&self.service, ask("hello")))
            .collect();
        self.backend.answer(self.backend.calls() - 1, Ok(stream));
        let streams = calls.iter_mut().map(|call| answer(call).unwrap()).collect();
        (streams, heard, voice)
    }

    /// A call that joins, though the stream has begun.
    fn late(&self) -> Reply {
        let calls = self.backend.calls();
        let mut call = spawn(self.service.clone().oneshot(ask("hello")));
        let stream = assert_ready!(call.poll()).unwrap();
        assert_eq!(self.backend.calls(), calls);
        stream
    }
}

async fn rest(stream: &mut Reply) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    events
}

/// Each reads the whole stream, at its own pace and however late it joined; one is charged for it, and
/// below it was read once.
#[tokio::test(start_paused = true)]
async fn a_stream_is_read_by_all() {
    let rig = rig();
    let (mut streams, below, voice) = rig.shared(2, &events()[..1]).await;
    let mut heard: Vec<_> = streams.iter_mut().map(Heard::of).collect();
    assert_eq!(streams[0].next().await.unwrap().unwrap(), events()[0]);
    voice.say(events()[1].clone());
    assert_eq!(streams[0].next().await.unwrap().unwrap(), events()[1]);

    let mut late = rig.late();
    heard.push(Heard::of(&mut late));
    for event in &events()[2..] {
        voice.say(event.clone());
    }
    drop(voice);
    assert_eq!(rest(&mut late).await, events());
    assert_eq!(rest(&mut streams[1]).await, events());
    assert_eq!(rest(&mut streams[0]).await, events()[2..]);
    assert_eq!(below.all(), ["content", "used 12", "complete"]);
    assert_eq!(heard[0].all(), ["content", "used 12", "complete"]);
    for copy in &heard[1..] {
        assert_eq!(copy.all(), ["content", "used 0", "complete"]);
    }
    assert!(!streams[0].served().coalesced);
    assert!(streams[1].served().coalesced && late.served().coalesced);
    drop((streams, late));
    assert_eq!(rig.layer.under_way(), 0);
}

/// A stream that is over is not joined, even while somebody still reads it.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_over_is_not_joined() {
    let rig = rig();
    let (mut streams, _, voice) = rig.shared(2, &events()).await;
    drop(voice);
    assert_eq!(rest(&mut streams[0]).await, events());
    let _next = waiting(&rig.service, ask("hello"));
    assert_eq!(rig.backend.calls(), 2);
    assert_eq!(rest(&mut streams[1]).await, events());
}

/// All who wait for an event are woken for it, whoever reads it, and so they are for the end.
#[tokio::test(start_paused = true)]
async fn all_who_wait_are_woken() {
    let rig = rig();
    let (mut streams, _, voice) = rig.shared(2, &events()[..1]).await;
    for stream in &mut streams {
        stream.next().await.unwrap().unwrap();
    }
    let (one, other) = streams.split_at_mut(1);
    let mut one = spawn(one[0].next());
    let mut other = spawn(other[0].next());
    assert_pending!(one.poll());
    assert_pending!(other.poll());
    voice.say(events()[1].clone());
    assert!(one.is_woken() && other.is_woken());
    assert_eq!(assert_ready!(one.poll()).unwrap().unwrap(), events()[1]);
    assert_eq!(assert_ready!(other.poll()).unwrap().unwrap(), events()[1]);
}

/// What one reads, the others that wait for it are woken for, even if nothing else wakes them.
#[tokio::test(start_paused = true)]
async fn a_reader_wakes_those_who_wait_for_what_it_read() {
    let rig = rig();
    let (mut streams, _, voice) = rig.shared(2, &events()[..1]).await;
    for stream in &mut streams {
        stream.next().await.unwrap().unwrap();
    }
    voice.say(events()[1].clone());
    let (one, other) = streams.split_at_mut(1);
    // `other` waits for the third event; `one` reads the second and the third.
    other[0].next().await.unwrap().unwrap();
    let mut waits = spawn(other[0].next());
    assert_pending!(waits.poll());
    one[0].next().await.unwrap().unwrap();
    for event in &events()[2..] {
        voice.say(event.clone());
    }
    let mut reads = spawn(one[0].next());
    drop(reads.poll());
    assert!(waits.is_woken());
    drop((waits, reads));
}

/// Whoever drops the stream, and wherever it is, the others read it to its end; below it is dropped
/// with the last of them.
#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_takes_nothing_along() {
    for leaves in 0..2 {
        for read in 0..4 {
            let rig = rig();
            let (mut streams, below, voice) = rig.shared(2, &events()[..2]).await;
            let mut leaver = streams.remove(leaves);
            for _ in 0..read.min(2) {
                leaver.next().await.unwrap().unwrap();
            }
            if read == 3 {
                let mut next = spawn(leaver.next());
                assert_pending!(next.poll());
            }
            drop(leaver);
            assert!(voice.is_heard());
            for event in &events()[2..] {
                voice.say(event.clone());
            }
            assert_eq!(rest(&mut streams[0]).await, events());
            assert_eq!(below.all(), ["content", "used 12", "complete"]);
        }
    }
    let rig = rig();
    let (mut streams, below, voice) = rig.shared(2, &events()[..2]).await;
    drop(streams.pop());
    assert!(voice.is_heard());
    assert_eq!(rig.layer.under_way(), 1);
    drop(streams.pop());
    assert!(!voice.is_heard());
    assert_eq!(below.all(), ["content", "about 2", "abandoned"]);
    assert_eq!(rig.layer.under_way(), 0);
}

/// An error in the stream is everybody's, after all that came before it, and once for each.
#[tokio::test(start_paused = true)]
async fn an_error_in_the_stream_is_everybodys() {
    let rig = rig();
    let (mut streams, below, voice) = rig.shared(2, &events()[..2]).await;
    voice.fail(Error::new(Cause::ModelOverloaded).with_code("modelStreamErrorException"));
    for stream in &mut streams {
        for event in &events()[..2] {
            assert_eq!(stream.next().await.unwrap().unwrap(), *event);
        }
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.cause(), Cause::ModelOverloaded);
        assert_eq!(error.code(), Some("modelStreamErrorException"));
        assert!(stream.next().await.is_none());
    }
    assert_eq!(below.all(), ["content", "about 5", "model_overloaded"]);
    let _next = waiting(&rig.service, ask("hello"));
    assert_eq!(rig.backend.calls(), 2);
}

/// Each reader has a deadline of its own, and no silence ends a stream but that of the service.
#[tokio::test(start_paused = true)]
async fn readers_have_their_own_deadlines() {
    let rig = rig();
    let (stream, voice) = stream_of(&events()[..1]);
    let stream = stream.with_limits(crate::StreamLimits::none());
    let stream = stream.answered().await.ok().unwrap();
    let mut patient = waiting(&rig.service, ask("hello"));
    let hasty = ask("hello").with_timeout(Duration::from_secs(30));
    let mut hasty = waiting(&rig.service, hasty);
    rig.backend.answer(0, Ok(stream));
    let [mut patient, mut hasty] = [answer(&mut patient), answer(&mut hasty)].map(Result::unwrap);
    hasty.next().await.unwrap().unwrap();
    let error = hasty.next().await.unwrap().unwrap_err();
    assert_eq!(error.cause(), Cause::DeadlineExceeded);
    drop(hasty);
    tokio::time::advance(Duration::from_secs(7200)).await;
    for event in &events()[1..] {
        voice.say(event.clone());
    }
    assert_eq!(rest(&mut patient).await, events());
}

/// Where reading panics for one, the others are woken and told.
#[tokio::test(start_paused = true)]
async fn a_panic_leaves_no_reader_waiting() {
    let rig = rig();
    let panics = Arc::new(Mutex::new(false));
    let will_panic = Arc::clone(&panics);
    let mut first = Some(events()[0].clone());
    let source = stream::poll_fn(move |_| match first.take() {
        Some(event) => Poll::Ready(Some(Ok(event))),
        None if *will_panic.lock().unwrap() => panic!("on purpose"),
        None => Poll::Pending,
    });
    let stream = Reply::new(source, ask("hello").context().clone());
    let mut calls = [(); 2].map(|()| waiting(&rig.service, ask("hello")));
    rig.backend.answer(0, Ok(stream));
    let [mut one, mut other] = calls.each_mut().map(|call| answer(call).unwrap());
    for stream in [&mut one, &mut other] {
        stream.next().await.unwrap().unwrap();
    }
    let mut waits = spawn(other.next());
    assert_pending!(waits.poll());
    let mut reads = spawn(one.next());
    assert_pending!(reads.poll());
    *panics.lock().unwrap() = true;
    catch_unwind(AssertUnwindSafe(|| drop(reads.poll()))).unwrap_err();
    *panics
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = false;
    assert!(waits.is_woken());
    let error = assert_ready!(waits.poll()).unwrap().unwrap_err();
    assert_eq!(error.cause(), Cause::Unknown);
    let _next = waiting(&rig.service, ask("hello"));
    assert_eq!(rig.backend.calls(), 2);
}
