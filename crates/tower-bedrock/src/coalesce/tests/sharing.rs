use std::sync::{Arc, Mutex};

use super::*;
use crate::call::{Operation, Priority};

/// Fifty calls at once are one attempt: all get its answer, one of them what it used.
#[tokio::test(start_paused = true)]
async fn a_burst_is_one_attempt() {
    let (layer, service, backend) = service();
    let mut calls: Vec<_> = (0..50).map(|_| waiting(&service, ask("hello"))).collect();
    assert_eq!((backend.calls(), layer.under_way()), (1, 1));
    backend.answer(0, says("hello yourself"));
    let mut charged = 0;
    for call in &mut calls {
        let mut response = answer(call).unwrap();
        assert_eq!(response.output().text, "hello yourself");
        assert_eq!(response.served().request_id.as_deref(), Some("first"));
        assert_eq!(response.served().attempts, 2);
        let heard = Heard::of(&mut response).all();
        if response.served().coalesced {
            assert_eq!(response.usage(), Some(&Usage::default()));
            assert_eq!(heard, ["used 0", "complete"]);
        } else {
            assert_eq!(response.usage(), Some(&USAGE));
            assert_eq!(heard, ["used 12", "complete"]);
            charged += 1;
        }
    }
    assert_eq!(charged, 1);
    drop(calls);
    assert_eq!(layer.under_way(), 0);
}

/// What is over is not joined: the next call is an attempt of its own, even while the last one's answer
/// has not been taken by all.
#[tokio::test(start_paused = true)]
async fn what_is_answered_is_not_joined() {
    let (_, service, backend) = service();
    let mut first = waiting(&service, ask("hello"));
    let mut second = waiting(&service, ask("hello"));
    backend.answer(0, says("one"));
    answer(&mut first).unwrap();
    let mut third = waiting(&service, ask("hello"));
    assert_eq!(backend.calls(), 2);
    backend.answer(1, says("two"));
    assert_eq!(answer(&mut second).unwrap().output().text, "one");
    assert_eq!(answer(&mut third).unwrap().output().text, "two");
}

/// The end of an attempt that another has taken the place of does not take that one off the list.
#[tokio::test(start_paused = true)]
async fn the_end_of_one_attempt_leaves_the_next_one_open() {
    let (layer, service, backend) = service();
    let mut first = waiting(&service, ask("hello"));
    let slow = waiting(&service, ask("hello"));
    backend.answer(0, says("one"));
    answer(&mut first).unwrap();
    let _second = waiting(&service, ask("hello"));
    drop((first, slow));
    assert_eq!(layer.under_way(), 1);
    let _joins = waiting(&service, ask("hello"));
    assert_eq!(backend.calls(), 2);
}

/// Calls that differ share nothing, and neither do tenants, unless they are to.
#[tokio::test(start_paused = true)]
async fn calls_that_differ_are_attempts_of_their_own() {
    let (_, service, backend) = service();
    let _calls = [
        waiting(&service, ask("hello")),
        waiting(&service, ask("hullo")),
        waiting(&service, ask("hello").with_tenant("search")),
    ];
    assert_eq!(backend.calls(), 3);

    let backend = Backend::<Response<Answer>>::new();
    let service = CoalesceLayer::new()
        .shared_by_tenants()
        .layer(backend.clone());
    let _calls = [
        waiting(&service, ask("hello")),
        waiting(&service, ask("hello").with_tenant("search")),
    ];
    assert_eq!(backend.calls(), 1);
}

/// A call joins only what is as urgent as itself, and made as it wants to be made.
#[tokio::test(start_paused = true)]
async fn a_call_joins_only_what_is_as_good_as_its_own() {
    let joins = |first: Request<Question>, second: Request<Question>| {
        let (_, service, backend) = service();
        let _calls = [waiting(&service, first), waiting(&service, second)];
        backend.calls() == 1
    };
    let with = |priority| ask("hello").with_priority(priority);
    assert!(joins(with(Priority::High), with(Priority::Low)));
    assert!(joins(with(Priority::Low), with(Priority::Low)));
    assert!(!joins(with(Priority::Low), with(Priority::High)));

    let second = Duration::from_secs(1);
    let hasty = || ask("hello").with_attempt_timeout(second);
    assert!(joins(hasty(), hasty()));
    assert!(!joins(hasty(), ask("hello")));
    assert!(!joins(ask("hello"), hasty()));

    let stubborn = || ask("hello").with_retry_timeouts(true);
    assert!(!joins(ask("hello"), stubborn()));
    assert!(joins(stubborn(), stubborn()));

    assert!(!joins(ask("hello"), ask("hello").without_fallback()));
    let mut impatient = ask("hello");
    impatient.context_mut().max_wait = Some(second);
    assert!(!joins(impatient.clone(), ask("hello")));
    impatient.context_mut().max_wait = None;
    impatient.context_mut().has_next_route = true;
    assert!(!joins(impatient, ask("hello")));
}

/// Whether two calls of `request` share is a matter of the call first, and of the rule then.
#[tokio::test(start_paused = true)]
async fn a_call_says_for_itself_whether_it_shares() {
    let attempts = |layer: &CoalesceLayer, request: &Request<Question>| {
        let backend = Backend::<Response<Answer>>::new();
        let service = layer.layer(backend.clone());
        let _calls = [
            waiting(&service, request.clone()),
            waiting(&service, request.clone()),
        ];
        backend.calls()
    };
    let warm = || asking(Question::default());
    let by_default = CoalesceLayer::new();
    assert_eq!(attempts(&by_default, &ask("hello")), 1);
    assert_eq!(attempts(&by_default, &warm()), 2);
    let never = CoalesceLayer::new().without_rule();
    assert_eq!(attempts(&never, &ask("hello")), 2);
    for layer in [by_default, never] {
        let share = warm().with_coalesce(CoalesceControl::Share);
        assert_eq!(attempts(&layer, &share), 1);
        let alone = ask("hello").with_coalesce(CoalesceControl::Alone);
        assert_eq!(attempts(&layer, &alone), 2);
    }
    let counts = CoalesceLayer::new().with_rule(|call, facts| {
        call.operation == Operation::CountTokens && facts.temperature.is_none()
    });
    let mut count = warm();
    count.context_mut().operation = Operation::CountTokens;
    assert_eq!(attempts(&counts, &count), 1);
    assert_eq!(attempts(&counts, &ask("hello")), 2);
}

/// Calls without a region and those that name the home region share.
#[tokio::test(start_paused = true)]
async fn the_home_region_is_no_region() {
    let backend = Backend::<Response<Answer>>::new();
    let layer = CoalesceLayer::new().with_home_region("eu-west-1");
    let service = layer.layer(backend.clone());
    let mut named = ask("hello");
    named.context_mut().route.region = Some("eu-west-1".into());
    let _calls = [waiting(&service, ask("hello")), waiting(&service, named)];
    assert_eq!(backend.calls(), 1);
}

/// Listeners hear who leads and who joins.
#[tokio::test(start_paused = true)]
async fn listeners_hear_who_leads() {
    let heard: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let listener = |led: &'static str, joined: &'static str| {
        let heard = Arc::clone(&heard);
        move |event: &CoalesceEvent<'_>| {
            heard.lock().unwrap().push(match event {
                CoalesceEvent::Led { .. } => led,
                CoalesceEvent::Joined { .. } => joined,
            });
        }
    };
    let layer = CoalesceLayer::new()
        .on_event(listener("1 led", "1 joined"))
        .on_event(listener("2 led", "2 joined"));
    let service = layer.layer(Backend::<Response<Answer>>::new());
    let _calls = [
        waiting(&service, ask("hello")),
        waiting(&service, ask("hello")),
    ];
    let heard = heard.lock().unwrap();
    assert_eq!(*heard, ["1 led", "2 led", "1 joined", "2 joined"]);
}

/// Nothing that can be printed shows what is asked.
#[tokio::test(start_paused = true)]
async fn debug_does_not_show_the_question() {
    let (layer, mut service, _) = service();
    let first = service.call(ask("hello"));
    let second = service.call(ask("hello"));
    let shown = format!("{layer:?} {first:?} {second:?}");
    assert!(!shown.contains("hello"), "{shown}");
}
