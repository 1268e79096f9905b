//! A place that a call has, and one that it waits for.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use super::{adaptive::Sign, places::Places};
use crate::{
    error::Error,
    reply::{Finish, Watcher},
};

/// A call's place among those in flight. Dropping it gives the place back.
pub(super) struct Permit {
    places: Option<Arc<Places>>,
    number: u64,
}

/// A call's place in line. Dropping it frees that, or the place in flight that was granted to it.
pub(super) struct Turn {
    places: Arc<Places>,
    number: u64,
    has_come: bool,
}

impl Permit {
    pub(super) const fn new(places: Arc<Places>, number: u64) -> Self {
        Self {
            places: Some(places),
            number,
        }
    }

    /// The pool that the place is in, until it is given back.
    pub(super) const fn places(&self) -> Option<&Arc<Places>> {
        self.places.as_ref()
    }

    /// The call has failed.
    pub(super) fn failed(mut self, error: &Error) {
        self.give_back_failed(error);
    }

    fn give_back_failed(&mut self, error: &Error) {
        let is_of_one_model = self
            .places
            .as_ref()
            .is_some_and(|places| places.is_of_one_model());
        self.give_back(Sign::of(error.cause(), is_of_one_model));
    }

    #[inline]
    fn give_back(&mut self, sign: Sign) {
        if let Some(places) = self.places.take() {
            places.give_back(self.number, sign);
        }
    }
}

impl Watcher for Permit {
    fn finish(&mut self, finish: Finish<'_>) {
        match finish {
            Finish::Complete => self.give_back(Sign::Answered),
            Finish::Failed(error) => self.give_back_failed(error),
            Finish::Abandoned => self.give_back(Sign::Nothing),
        }
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.give_back(Sign::Nothing);
    }
}

impl Turn {
    pub(super) const fn new(places: Arc<Places>, number: u64) -> Self {
        Self {
            places,
            number,
            has_come: false,
        }
    }

    /// The number that it drew.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Waits for a place.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Permit> {
        if self.has_come {
            return Poll::Pending;
        }
        let polled = self.places.poll(self.number, cx.waker());
        self.has_come = polled.is_ready();
        polled
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.has_come {
            self.places.leave(self.number);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
