use super::*;
use crate::{
    replay::doubles::{Event, Voice, events, stream_of},
    stream::ResponseStream,
};

type Streams = Cache<Backend<ResponseStream<Event>>>;

fn streams() -> Streams {
    layer().layer(Backend::new())
}

fn miss(service: &Streams, first: &[Event]) -> (ResponseStream<Event>, Voice) {
    let (stream, voice) = stream_of(first);
    let stream = made(service, ask("hello"), Ok(stream)).unwrap();
    assert_eq!(stream.served().cache, CacheStatus::Miss);
    (stream, voice)
}

/// What is kept for the call; `None` if nothing is.
fn hit(service: &Streams) -> Option<ResponseStream<Event>> {
    let mut call = spawn(service.clone().oneshot(ask("hello")));
    match call.poll() {
        std::task::Poll::Ready(stream) => stream.ok(),
        std::task::Poll::Pending => None,
    }
}

async fn rest(stream: &mut ResponseStream<Event>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    events
}

/// A stream that came whole is given again as a stream, event by event, with nothing used; while
/// it comes, nothing is there.
#[tokio::test(start_paused = true)]
async fn a_whole_stream_is_given_again() {
    let service = streams();
    let (mut stream, voice) = miss(&service, &events()[..1]);
    let heard = Heard::of(&mut stream);
    assert!(hit(&service).is_none());
    for event in &events()[1..] {
        voice.say(event.clone());
    }
    drop(voice);
    assert_eq!(rest(&mut stream).await, events());
    assert_eq!(heard.all(), ["content", "used 12", "complete"]);
    assert_eq!(stream.usage(), Some(&USAGE));

    tokio::time::advance(Duration::from_secs(7)).await;
    for _ in 0..2 {
        let mut again = hit(&service).unwrap();
        let age = Duration::from_secs(7);
        assert_eq!(again.served().cache, CacheStatus::Hit { age });
        assert_eq!(again.served().attempts, 0);
        let heard = Heard::of(&mut again);
        assert_eq!(heard.all(), ["content"], "it is there already");
        assert_eq!(rest(&mut again).await, events());
        assert!(again.is_complete());
        assert_eq!(heard.all(), ["content", "used 0", "complete"]);
        assert_eq!(again.usage(), Some(&Usage::default()));
        assert_eq!(again.estimated_usage(), crate::UsageEstimate::default());
    }
}

/// What was received before the call was answered is kept with the rest.
#[tokio::test(start_paused = true)]
async fn what_was_held_back_is_kept() {
    let service = streams();
    let (stream, voice) = stream_of(&events());
    drop(voice);
    let stream = stream.answered().await.ok().unwrap();
    let mut stream = made(&service, ask("hello"), Ok(stream)).unwrap();
    assert_eq!(rest(&mut stream).await, events());
    assert_eq!(rest(&mut hit(&service).unwrap()).await, events());
}

/// A reader who stops at the end of the answer has had all of it: it is kept. One who stops before has
/// not, and nothing is.
#[tokio::test(start_paused = true)]
async fn a_stream_is_kept_once_its_answer_is_whole() {
    for read in 0..=events().len() {
        let service = streams();
        let (mut stream, _voice) = miss(&service, &events());
        for _ in 0..read {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        // With the third event comes what the answer used.
        assert_eq!(hit(&service).is_some(), read >= 3, "after {read} events");
    }
}

/// A stream that breaks off is not kept, and neither is one that ran out of tokens.
#[tokio::test(start_paused = true)]
async fn what_broke_off_or_was_cut_is_not_kept() {
    let service = streams();
    let (mut stream, voice) = miss(&service, &events()[..2]);
    voice.fail(Error::new(Cause::ModelOverloaded));
    while let Some(Ok(_)) = stream.next().await {}
    assert!(hit(&service).is_none());

    // Closed without its end.
    let service = streams();
    let (mut stream, voice) = miss(&service, &events()[..2]);
    drop(voice);
    while let Some(Ok(_)) = stream.next().await {}
    assert!(hit(&service).is_none());

    let service = streams();
    let cut = [
        Event::Text("hel"),
        Event::Stop(false),
        Event::Metadata(USAGE),
    ];
    let (mut stream, voice) = miss(&service, &cut);
    drop(voice);
    assert_eq!(rest(&mut stream).await, cut);
    assert!(stream.is_complete());
    assert!(hit(&service).is_none());
}

/// A stream that grows larger than the cache is read as ever, and not kept.
#[tokio::test(start_paused = true)]
async fn a_stream_larger_than_the_cache_is_not_kept() {
    let service = CacheLayer::new(1024, TTL).unwrap().layer(Backend::new());
    let long = String::leak("x".repeat(2048));
    let much = [Event::Text(long), Event::Stop(true), Event::Metadata(USAGE)];
    let (mut stream, _voice) = miss(&service, &much);
    assert_eq!(rest(&mut stream).await, much);
    assert!(hit(&service).is_none());
    assert_eq!(service.store().evicted(), 0);
}

/// A stream of which something was read below the cache is not kept: its beginning is gone.
#[tokio::test(start_paused = true)]
async fn half_a_stream_is_not_kept() {
    let service = streams();
    let (mut stream, _voice) = stream_of(&events());
    stream.next().await.unwrap().unwrap();
    let mut stream = made(&service, ask("hello"), Ok(stream)).unwrap();
    assert_eq!(rest(&mut stream).await, events()[1..]);
    assert!(hit(&service).is_none());
}

/// What is given again is all there: neither a deadline nor silence ends it. Dropped half way, it has
/// used nothing.
#[tokio::test(start_paused = true)]
async fn what_is_given_again_has_no_deadline_and_no_cost() {
    let service = streams();
    let (mut stream, _voice) = miss(&service, &events());
    rest(&mut stream).await;
    let late = ask("hello").with_timeout(Duration::ZERO);
    let mut again = assert_ready!(spawn(service.clone().oneshot(late)).poll()).unwrap();
    let mut half = hit(&service).unwrap();
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(rest(&mut again).await, events());

    let heard = Heard::of(&mut half);
    half.next().await.unwrap().unwrap();
    drop(half);
    assert_eq!(heard.all(), ["content", "used 0", "abandoned"]);
}
