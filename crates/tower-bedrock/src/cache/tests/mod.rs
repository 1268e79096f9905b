mod cancel;
mod keeping;
mod rules;
mod store;
mod streams;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_test::{assert_pending, assert_ready, task::spawn};
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::{
    call::{CacheControl, Request},
    cause::Cause,
    error::Error,
    replay::doubles::{Answer, Backend, Heard, Question, USAGE, ask, asking, says},
    reply::{BedrockResponse, CacheStatus, Response, Usage},
};

const TTL: Duration = Duration::from_secs(60);

fn layer() -> CacheLayer {
    CacheLayer::new(1 << 20, TTL).unwrap()
}

/// What comes of a call that is there already, or of one that is answered with `says(text)`.
fn answered(
    service: &Cache<Backend<Response<Answer>>>,
    request: Request<Question>,
    text: &'static str,
) -> Response<Answer> {
    made(service, request, says(text)).unwrap()
}

fn made<T>(
    service: &Cache<Backend<T>>,
    request: Request<Question>,
    answer: Result<T, Error>,
) -> Result<T, Error>
where
    T: crate::ReplayResponse,
{
    let backend = service.get_ref().clone();
    let before = backend.calls();
    let mut call = spawn(service.clone().oneshot(request));
    if let std::task::Poll::Ready(result) = call.poll() {
        assert_eq!(backend.calls(), before, "a call was sent for nothing");
        return result;
    }
    backend.answer(before, answer);
    assert_ready!(call.poll())
}

/// The second of two calls that are the same is answered with what the first was, and nothing is sent for
/// it; it says so, and that it used nothing.
#[tokio::test(start_paused = true)]
async fn the_same_call_is_answered_out_of_the_cache() {
    let service = layer().layer(Backend::new());
    let mut first = answered(&service, ask("hello"), "hello yourself");
    assert_eq!(first.served().cache, CacheStatus::Miss);
    assert_eq!(first.usage(), Some(&USAGE));
    assert_eq!(Heard::of(&mut first).all(), ["used 12", "complete"]);

    tokio::time::advance(Duration::from_secs(7)).await;
    let mut second = answered(&service, ask("hello"), "not asked for");
    assert_eq!(second.output(), first.output());
    let age = Duration::from_secs(7);
    assert_eq!(second.served().cache, CacheStatus::Hit { age });
    assert!(second.served().cache.is_hit());
    assert_eq!(second.served().attempts, 0);
    assert_eq!(second.served().request_id, first.served().request_id);
    assert_eq!(second.usage(), Some(&Usage::default()));
    assert_eq!(Heard::of(&mut second).all(), ["used 0", "complete"]);
    assert_eq!(service.get_ref().calls(), 1);
}

/// Another question, and the same one of another tenant, are asked.
#[tokio::test(start_paused = true)]
async fn other_calls_have_other_answers() {
    let service = layer().layer(Backend::new());
    answered(&service, ask("hello"), "one");
    let other = answered(&service, ask("hullo"), "two");
    assert_eq!(other.output().text, "two");
    let tenant = answered(&service, ask("hello").with_tenant("search"), "three");
    assert_eq!(tenant.output().text, "three");
    let again = answered(&service, ask("hello"), "four");
    assert_eq!(again.output().text, "one");

    let shared = layer().shared_by_tenants().layer(Backend::new());
    answered(&shared, ask("hello"), "one");
    let tenant = answered(&shared, ask("hello").with_tenant("search"), "two");
    assert_eq!(tenant.output().text, "one");
}

/// All services of a layer and of its clones have one store, and each only what it can give: a service
/// with another type of answer to the same calls is asked.
#[tokio::test(start_paused = true)]
async fn services_of_one_layer_share_what_is_kept() {
    let layer = layer();
    let one = layer.layer(Backend::new());
    let other = layer.clone().layer(Backend::new());
    answered(&one, ask("hello"), "one");
    assert_eq!(answered(&other, ask("hello"), "two").output().text, "one");

    #[derive(Clone)]
    struct Number(u32);
    impl crate::AnswerPart for Number {
        fn held_bytes(&self) -> usize {
            0
        }
    }
    let numbers = layer.layer(Backend::new());
    let number = Response::new(Number(7), crate::Served::default(), None);
    let number = made(&numbers, ask("hello"), Ok(number)).unwrap();
    assert_eq!(number.output().0, 7);
}

/// What listeners hear of a call that is asked, kept, and given again.
#[tokio::test(start_paused = true)]
async fn listeners_hear_of_hits_and_misses() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let [one, two] = [1, 2].map(|listener| {
        let heard = Arc::clone(&heard);
        move |event: &CacheEvent<'_>| {
            let what = match event {
                CacheEvent::Hit { age, saved, .. } => {
                    format!("hit after {age:?} saved {}", saved.unwrap().total())
                }
                CacheEvent::Miss { .. } => "miss".to_owned(),
                CacheEvent::Kept { bytes, .. } => {
                    assert!((500..1000).contains(bytes), "{bytes}");
                    "kept".to_owned()
                }
                CacheEvent::NotKept { why, .. } => why.to_string(),
            };
            heard.lock().unwrap().push(format!("{listener} {what}"));
        }
    });
    let service = layer().on_event(one).on_event(two).layer(Backend::new());
    answered(&service, ask("hello"), "hello yourself");
    answered(&service, ask("hello"), "not asked for");
    let heard = heard.lock().unwrap();
    assert_eq!(
        *heard,
        [
            "1 miss",
            "2 miss",
            "1 kept",
            "2 kept",
            "1 hit after 0ns saved 12",
            "2 hit after 0ns saved 12",
        ]
    );
}

/// Nothing that can be printed of a cache shows what is in it.
#[tokio::test(start_paused = true)]
async fn debug_shows_neither_question_nor_answer() {
    let layer = layer();
    let mut service = layer.layer(Backend::new());
    answered(&service, ask("hello"), "goodbye");
    let future = service.call(ask("hello"));
    let missed = service.call(ask("hello again"));
    let config = format!("{:?}", service.store());
    for shown in [
        format!("{layer:?}"),
        format!("{future:?} {missed:?}"),
        config,
    ] {
        assert!(!shown.contains("hello"), "{shown}");
        assert!(!shown.contains("goodbye"), "{shown}");
    }
}
