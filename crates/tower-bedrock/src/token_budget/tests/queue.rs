use super::super::{
    ledger::Ahead,
    queue::{Place, WaitQueue, Waiter},
};
use super::*;

fn waiter(tokens: u64) -> Waiter {
    Waiter {
        tokens,
        deadline: u64::MAX,
        waker: None,
    }
}

fn join(queue: &mut WaitQueue, tenant: &str, tokens: u64) -> Place {
    let tenant = Some(Arc::from(tenant));
    queue.join(Priority::Normal, tenant.as_ref(), waiter(tokens))
}

fn drain(queue: &mut WaitQueue) -> Vec<u64> {
    std::iter::from_fn(|| queue.take_next().map(|(_, waiter)| waiter.tokens)).collect()
}

/// Asking who is next changes nothing.
#[test]
fn next_is_the_same_until_something_changes() {
    let mut queue = WaitQueue::default();
    for tokens in [5, 7, 900, 3] {
        join(&mut queue, "a", tokens);
        join(&mut queue, "b", tokens * 10);
    }
    let first = queue.next();
    for _ in 0..100 {
        assert_eq!(queue.next(), first);
    }
}

/// Tenants take turns by tokens: whenever two have waiters, neither is ahead by more than two of the
/// largest calls.
#[test]
fn turns_are_fair_at_every_moment() {
    let mut queue = WaitQueue::default();
    let sizes = [("a", 1000), ("b", 10), ("c", 333)];
    for (tenant, tokens) in sizes {
        for _ in 0..(300_000 / tokens) {
            join(&mut queue, tenant, tokens);
        }
    }
    let mut served = [0u64; 3];
    while let Some((_, waiter)) = queue.take_next() {
        let tenant = sizes
            .iter()
            .position(|(_, tokens)| *tokens == waiter.tokens);
        served[tenant.unwrap()] += waiter.tokens;
        let waits = served.iter().all(|&tokens| tokens < 299_000);
        let (least, most) = (served.iter().min(), served.iter().max());
        assert!(
            !waits || most.unwrap() - least.unwrap() <= 2000,
            "{served:?}"
        );
    }
    assert_eq!(served, [300_000, 300_000, 299_700]);
}

/// Whoever leaves, at the head, in the middle or as a tenant's last, leaves the others in order.
#[test]
fn leaving_keeps_the_order() {
    for left_out in 0..6 {
        let mut queue = WaitQueue::default();
        let places: Vec<_> = [("a", 1), ("a", 2), ("b", 3), ("c", 4), ("c", 5), ("a", 6)]
            .map(|(tenant, tokens)| join(&mut queue, tenant, tokens))
            .into();
        queue.next();
        let left = queue.leave(places[left_out]).unwrap();
        assert_eq!(left.tokens, left_out as u64 + 1);
        assert!(queue.leave(places[left_out]).is_none());
        assert_eq!(queue.len(), 5);
        let mut order = drain(&mut queue);
        let in_order = |tokens: [u64; 3], order: &[u64]| {
            let own: Vec<_> = order.iter().filter(|size| tokens.contains(size)).collect();
            own.is_sorted()
        };
        assert!(in_order([1, 2, 6], &order) && in_order([4, 5, 5], &order));
        order.sort_unstable();
        assert_eq!(
            order,
            (1..=6)
                .filter(|&n| n != left_out as u64 + 1)
                .collect::<Vec<_>>()
        );
        assert!(queue.is_empty());
        assert_eq!(queue.waiting(), Ahead::default());
    }
}

/// Whoever comes back into its place is ahead of those who joined after it.
#[test]
fn a_place_can_be_taken_again() {
    let mut queue = WaitQueue::default();
    let tenant: Option<Arc<str>> = Some("a".into());
    join(&mut queue, "a", 1);
    join(&mut queue, "a", 2);
    let (place, first) = queue.take_next().unwrap();
    join(&mut queue, "a", 3);
    queue.rejoin(place, tenant.as_ref(), first);
    assert_eq!(drain(&mut queue), [1, 2, 3]);
}

/// What is ahead of a call: higher priorities, its tenant's own calls, and of other tenants what
/// their turns come to.
#[test]
fn what_is_ahead_follows_the_turns() {
    let mut queue = WaitQueue::default();
    for _ in 0..100 {
        join(&mut queue, "greedy", 10);
    }
    let modest: Option<Arc<str>> = Some("modest".into());
    let greedy: Option<Arc<str>> = Some("greedy".into());
    let ahead = |queue: &WaitQueue, tenant| queue.ahead(Priority::Normal, tenant, 10);
    assert_eq!(ahead(&queue, greedy.as_ref()).tokens, 1000);
    assert_eq!(ahead(&queue, modest.as_ref()).tokens, 10);
    queue.join(Priority::High, None, waiter(500));
    assert_eq!(ahead(&queue, modest.as_ref()).tokens, 510);
    assert_eq!(queue.ahead(Priority::High, None, 10).tokens, 500);
}

/// 100 000 waiters of 1000 tenants join, half of them leave, and the rest go: each step at most
/// logarithmic, so that it takes no time to speak of.
#[test]
fn a_hundred_thousand_can_wait() {
    let mut queue = WaitQueue::default();
    let mut places = Vec::new();
    for number in 0..100_000u64 {
        let tenant = format!("tenant {}", number % 1000);
        let deadline = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let waiter = Waiter {
            deadline,
            ..waiter(1 + number % 500)
        };
        places.push(queue.join(Priority::Normal, Some(&tenant.into()), waiter));
    }
    assert_eq!(queue.len(), 100_000);
    for place in places.iter().step_by(2) {
        queue.leave(*place).unwrap();
    }
    let mut last = 0;
    for _ in 0..1000 {
        let (deadline, place) = queue.first_deadline().unwrap();
        assert!(deadline >= last);
        last = deadline;
        queue.leave(place).unwrap();
    }
    assert_eq!(drain(&mut queue).len(), 49_000);
}
