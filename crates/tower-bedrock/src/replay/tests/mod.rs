use std::{
    sync::Arc,
    task::{Wake, Waker},
};

use super::*;

struct Silent;

impl Wake for Silent {
    fn wake(self: Arc<Self>) {}
}

/// Whoever waits no more, and whoever was woken, is forgotten: nothing of its task is kept.
#[test]
fn who_is_gone_is_forgotten() {
    let task = Arc::new(Silent);
    let waker = Waker::from(Arc::clone(&task));
    let wakers = Arc::<Wakers>::default();
    let [leaves, dropped, woken] = [(); 3].map(|()| wakers.turn_out());
    for turnout in [&leaves, &dropped, &woken] {
        turnout.wait(&waker);
        // Twice is once.
        turnout.wait(&waker);
    }
    assert_eq!(Arc::strong_count(&task), 2 + 3);
    leaves.leave();
    assert_eq!(Arc::strong_count(&task), 2 + 2);
    drop(dropped);
    assert_eq!(Arc::strong_count(&task), 2 + 1);
    wakers.all().wake_by_ref();
    assert_eq!(Arc::strong_count(&task), 2);
    drop((leaves, woken));
}
