//! What threads count without the lock.

use crate::circuit_breaker::lanes::{Answers, LANES, Lanes};

/// Each lane counts what it can hold and says when it is full, so that nothing spills into another count;
/// when it was emptied it counts on.
#[test]
fn a_lane_that_is_full_says_so() {
    let lanes = Lanes::default();
    for lane in 0..LANES {
        for ages in 0..3 {
            lanes.open(7, 9);
            let counted = (0..10_000).take_while(|_| lanes.answer(lane, 7, 9 - ages));
            let counted = counted.count() as u64;
            assert!(counted > 1000 && counted < 10_000, "{counted}");
            let mut expected = Answers::default();
            match ages {
                0 => expected.this_era = counted,
                1 => expected.last_era = counted,
                _ => expected.older = counted,
            }
            assert_eq!(lanes.close(), expected);
        }
    }
}

/// Nothing is counted in lanes that are closed, or open for another generation; what was counted is told
/// once.
#[test]
fn only_what_they_are_open_for_is_counted() {
    let lanes = Lanes::default();
    assert!(!lanes.answer(0, 0, 0), "closed");
    lanes.open(1, 0);
    assert!(lanes.answer(0, 1, 0) && lanes.answer(1, 1, 0));
    assert!(!lanes.answer(0, 0, 0) && !lanes.answer(1, 2, 0));
    assert_eq!(lanes.close().total(), 2);
    assert!(!lanes.answer(0, 1, 0), "closed");
    lanes.open(1, 0);
    assert_eq!(lanes.close(), Answers::default());
}

/// Calls are counted in the era that began before them, and those of an era that ends are told once.
#[test]
fn an_era_takes_its_calls_along() {
    let lanes = Lanes::default();
    assert_eq!((lanes.admit(0), lanes.admit(1), lanes.admit(1)), (0, 0, 0));
    assert_eq!(lanes.admitted(), 3);
    assert_eq!(lanes.begin(u16::MAX), 3);
    assert_eq!((lanes.admitted(), lanes.admit(1)), (0, u16::MAX));
    assert_eq!(lanes.begin(0), 1);
    lanes.open(0, 0);
    assert!(lanes.answer(1, 0, u16::MAX), "the last era");
    assert_eq!(lanes.close().last_era, 1);
}
