use super::*;

/// Dropped anywhere (before it is polled, while it waits, when the answer is there), whoever it is, a
/// call takes nothing from the others: they are woken and answered.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_takes_nothing_from_the_others() {
    for dropped in 0..3 {
        for polls in 0..3 {
            let (layer, service, backend) = service();
            let mut services = [(); 3].map(|()| service.clone());
            let mut calls: Vec<_> = services
                .iter_mut()
                .map(|service| spawn(service.call(ask("hello"))))
                .collect();
            for (index, call) in calls.iter_mut().enumerate() {
                if index != dropped || polls > 0 {
                    assert_pending!(call.poll());
                }
            }
            if polls == 2 {
                backend.answer(0, says("one"));
                drop(calls.remove(dropped));
            } else {
                drop(calls.remove(dropped));
                backend.answer(0, says("one"));
            }
            let mut charged = 0;
            for call in &mut calls {
                assert!(call.is_woken());
                let response = assert_ready!(call.poll()).unwrap();
                charged += usize::from(!response.served().coalesced);
            }
            assert_eq!(charged, 1, "dropped call {dropped} after {polls} polls");
            drop(calls);
            assert_eq!((backend.calls(), layer.under_way()), (1, 0));
        }
    }
}

/// The last who waits takes the attempt along, and the next call makes a new one.
#[tokio::test(start_paused = true)]
async fn the_last_one_drops_the_attempt() {
    for polls in 0..2 {
        let (layer, service, backend) = service();
        let mut calls: Vec<_> = (0..3)
            .map(|_| spawn(service.clone().call(ask("hello"))))
            .collect();
        for call in calls.iter_mut().take(polls * 3) {
            assert_pending!(call.poll());
        }
        while let Some(call) = calls.pop() {
            assert!(!backend.is_dropped(0));
            drop(call);
        }
        assert!(backend.is_dropped(0));
        assert_eq!(layer.under_way(), 0);
        let mut next = waiting(&service, ask("hello"));
        backend.answer(1, says("one"));
        answer(&mut next).unwrap();
    }
}

/// Who is told of the answer and goes away without taking it does not take what it used along: the
/// next one is charged.
#[tokio::test(start_paused = true)]
async fn what_was_used_is_told_to_whoever_is_left() {
    let (_, service, backend) = service();
    let first = waiting(&service, ask("hello"));
    let mut second = waiting(&service, ask("hello"));
    backend.answer(0, says("one"));
    assert!(second.is_woken());
    drop(first);
    let response = answer(&mut second).unwrap();
    assert_eq!(response.usage(), Some(&USAGE));
}

/// A call that is answered and kept, as `join_all` keeps them, does not keep the attempt.
#[tokio::test(start_paused = true)]
async fn an_answered_call_lets_go_of_the_attempt() {
    let (layer, service, backend) = service();
    let mut call = waiting(&service, ask("hello"));
    backend.answer(0, says("one"));
    answer(&mut call).unwrap();
    assert_eq!(layer.under_way(), 0);
}
