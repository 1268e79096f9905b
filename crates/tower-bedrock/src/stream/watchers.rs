//! Who is told when a stream is over.

use crate::reply::Watcher;

/// The watchers of a stream, in the order in which they came: one allocation each.
#[derive(Default)]
pub(crate) struct Watchers(Option<Box<Node<dyn Watcher>>>);

struct Node<W: ?Sized> {
    next: Watchers,
    watcher: W,
}

impl Watchers {
    pub(crate) fn push(&mut self, watcher: impl Watcher) {
        match &mut self.0 {
            Some(node) => node.next.push(watcher),
            None => {
                self.0 = Some(Box::new(Node {
                    next: Self::default(),
                    watcher,
                }));
            }
        }
    }

    /// Tells each of them, innermost layer first, and keeps it.
    pub(crate) fn each(&mut self, mut say: impl FnMut(&mut dyn Watcher)) {
        let mut next = &mut self.0;
        while let Some(node) = next {
            say(&mut node.watcher);
            next = &mut node.next.0;
        }
    }

    /// Tells each of them, innermost layer first, and lets it go.
    pub(crate) fn tell(&mut self, mut say: impl FnMut(&mut dyn Watcher)) {
        let mut next = self.0.take();
        while let Some(mut node) = next {
            say(&mut node.watcher);
            next = node.next.0.take();
        }
    }
}
