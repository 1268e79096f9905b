//! Threads that ask for handles and labels, in every order (`cargo xtask loom`).

use std::sync::Arc;

use super::{cache::Cache, labels::Bounded};
use crate::interleavings::{check, thread};

/// Two threads ask for the same and for something else, more than there are first places: whoever asks
/// for a key, and whenever, has the same value.
#[test]
fn one_handle_a_key() {
    check(|| {
        let cache = Arc::new(Cache::<u32, u32>::default());
        let threads: Vec<_> = [1, 2]
            .into_iter()
            .map(|own| {
                let cache = Arc::clone(&cache);
                thread::spawn(move || {
                    let get = |key| cache.get(|known| *known == key, || key, || key);
                    let first = get(7);
                    assert_eq!((*first, *get(own)), (7, own));
                    (first, get(7))
                })
            })
            .collect();
        let values = threads.into_iter().map(|one| one.join().unwrap());
        let values: Vec<_> = values.flat_map(|(first, again)| [first, again]).collect();
        let is_one = values.iter().all(|value| Arc::ptr_eq(value, &values[0]));
        assert!(is_one, "two values of one key");
    });
}

/// There is room for one value of a label, and two come at once: one is itself, the other `other`, and
/// so it stays.
#[test]
fn a_label_has_no_more_values_than_it_may() {
    check(|| {
        let bounded = Arc::new(Bounded::to(1));
        let threads: Vec<_> = ["this", "that"]
            .into_iter()
            .map(|value| {
                let bounded = Arc::clone(&bounded);
                thread::spawn(move || (value, bounded.value(value).to_string()))
            })
            .collect();
        let told: Vec<_> = threads.into_iter().map(|one| one.join().unwrap()).collect();
        let own = told.iter().filter(|(value, label)| value == label).count();
        let other = told.iter().filter(|(_, label)| label == "other").count();
        assert_eq!((own, other), (1, 1), "{told:?}");
        for (value, label) in told {
            assert_eq!(bounded.value(value).to_string(), label);
        }
    });
}
