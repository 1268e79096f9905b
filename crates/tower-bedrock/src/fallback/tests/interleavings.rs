//! Threads that share a rung, in every order (`cargo xtask loom`).

use super::{cap::Cap, *};
use crate::interleavings::{check, thread};

/// One call a second may move, three want to: one does. One of those that do not was given back, and
/// then another may.
#[test]
fn a_cap_lets_one_go() {
    check(|| {
        let cap = Arc::new(Cap::per_second(1.0).expect("a rate"));
        let now = Instant::now();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let cap = Arc::clone(&cap);
                thread::spawn(move || cap.take(now))
            })
            .collect();
        let own = cap.take(now);
        let gone = threads.into_iter().map(|one| one.join().unwrap());
        let gone = gone.chain([own]).filter(|is_gone| *is_gone).count();
        assert_eq!(gone, 1);
        cap.give_back();
        assert!(cap.take(now) && !cap.take(now));
    });
}
