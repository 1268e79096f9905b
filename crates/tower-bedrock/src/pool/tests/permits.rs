use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use proptest::{collection::vec, prelude::*};

use crate::pool::permits::Permits;

#[derive(Clone, Debug)]
enum Step {
    Arrive,
    /// Somebody who has a place gives it back.
    Finish,
    /// Somebody in line, or who was granted a place and has not come for it, goes away.
    GiveUp(usize),
    /// Somebody who was granted a place comes for it.
    Come(usize),
    /// Somebody who came for a place gives it back for now, and stands where he stood.
    GiveWay(usize),
    Limit(usize),
}

/// A step from two numbers: drawn like that, a case costs a tenth of what strategies for each kind of
/// step cost.
fn step((kind, which): (u8, u16)) -> Step {
    let which = usize::from(which);
    match kind % 13 {
        0..4 => Step::Arrive,
        4..7 => Step::Finish,
        7 => Step::GiveUp(which),
        8..11 => Step::Come(which),
        11 => Step::GiveWay(which),
        _ => Step::Limit(which % 6),
    }
}

/// The same told by a list of those who wait and a list of those who may go.
#[derive(Default)]
struct Reference {
    limit: usize,
    in_flight: usize,
    line: VecDeque<u64>,
    granted: Vec<u64>,
    /// Those in flight who had to wait.
    came: Vec<u64>,
}

impl Reference {
    fn grant(&mut self) {
        while self.in_flight + self.granted.len() < self.limit {
            let Some(number) = self.line.pop_front() else {
                return;
            };
            self.granted.push(number);
        }
    }
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whoever comes, goes, gives up and steps back, and however the limit changes: places are granted
    /// in the order of arrival, never more than the limit, none is lost, and who gets one is woken.
    #[test]
    fn permits_go_in_order_and_none_is_lost(limit in 0..5_usize, steps in vec(any::<(u8, u16)>(), 0..80)) {
        let mut permits = Permits::new(limit);
        let mut reference = Reference { limit, ..Reference::default() };
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        for step in steps.into_iter().map(step) {
            let granted_before = reference.granted.len();
            let mut woken = Vec::new();
            match step {
                Step::Arrive => {
                    let is_free = reference.line.is_empty()
                        && reference.in_flight + reference.granted.len() < reference.limit;
                    prop_assert_eq!(permits.take(), is_free);
                    if is_free {
                        reference.in_flight += 1;
                    } else {
                        let number = permits.join();
                        prop_assert!(!permits.poll(number, &waker).0);
                        reference.line.push_back(number);
                    }
                }
                Step::Finish if reference.in_flight > 0 => {
                    permits.give_back();
                    reference.in_flight -= 1;
                    if reference.came.len() > reference.in_flight {
                        reference.came.pop();
                    }
                }
                Step::GiveUp(who) => {
                    let all: Vec<_> =
                        reference.line.iter().chain(&reference.granted).copied().collect();
                    if !all.is_empty() {
                        let number = all[who % all.len()];
                        permits.leave(number);
                        reference.line.retain(|&waits| waits != number);
                        reference.granted.retain(|&may_go| may_go != number);
                    }
                }
                Step::Come(who) if !reference.granted.is_empty() => {
                    let number = reference.granted.remove(who % reference.granted.len());
                    prop_assert!(permits.poll(number, &waker).0);
                    reference.in_flight += 1;
                    reference.came.push(number);
                }
                Step::GiveWay(who) if !reference.came.is_empty() => {
                    let number = reference.came.remove(who % reference.came.len());
                    permits.give_back();
                    permits.rejoin(number);
                    prop_assert!(!permits.poll(number, &waker).0);
                    reference.in_flight -= 1;
                    let place = reference.line.partition_point(|&waits| waits < number);
                    reference.line.insert(place, number);
                }
                Step::Limit(limit) => {
                    permits.set_limit(limit);
                    reference.limit = limit;
                }
                Step::Finish | Step::Come(_) | Step::GiveWay(_) => {}
            }
            permits.grant(&mut woken);
            let left = reference.granted.len().min(granted_before);
            reference.grant();
            prop_assert_eq!(woken.len(), reference.granted.len() - left);
            prop_assert_eq!(permits.taken(), reference.in_flight + reference.granted.len());
            prop_assert_eq!(permits.waiting(), reference.line.len());
            for number in reference.line.clone() {
                prop_assert!(!permits.poll(number, &waker).0, "{number} has jumped the line");
            }
        }
    }
}
