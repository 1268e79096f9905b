//! What all calls together may retry.

use std::fmt;

use crate::{
    cause::Cause,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// The AWS SDKs' quota (RELIABILITY.md §2.1, Retry 2.1), per process.
const CAPACITY: u32 = 500;
const COST: u32 = 14;
/// A 429 is a cheap refusal for the service, so its retry may be cheap too.
const THROTTLE_COST: u32 = 5;
const FIRST_TRY_REWARD: u32 = 1;

/// A quota of retries, funded by successes.
///
/// Starts full, at 500 tokens by default. A retry takes 14, or 5 where the service refused with a
/// 429: a throttle ([`Cause::is_throttle`]) or a model that is not loaded yet
/// ([`Cause::ModelNotReady`]). A success after a retry gives back what its last retry took, and a
/// success at the first try gives 1. A retry that one of our own layers refused, so that nothing was
/// sent, takes nothing.
///
/// So in a total outage a process makes at most 35 retries (100 after a 429) and then passes errors
/// on at once, and in the long run at most one success in 14 (one in 5) is matched by a retry. There
/// is no rate that refills it by time: with such a floor, a fleet of retriers can keep an overload
/// alive for ever.
///
/// A model that loads for minutes needs many retries for each call: 500 tokens are 50 cold calls
/// with two retries each, or 10 with all of their ten. Give a process that sends more at once to a
/// cold model 50 tokens for each of them.
///
/// The figures are those of the AWS SDKs' standard mode (Retry 2.1). Size the capacity to what a
/// process may do at its worst: a hundred processes together retry a hundred times as much.
///
/// # Shared state
///
/// Clones share the tokens. Give clones of one budget to several [`RetryLayer`](crate::RetryLayer)s
/// to bound them together.
///
/// # Example
///
/// ```
/// use tower_bedrock::{RetryBudget, RetryLayer};
///
/// // A batch job that starts 2 000 calls at once against a small quota.
/// let budget = RetryBudget::with_capacity(20_000);
/// let layer = RetryLayer::new().with_budget(budget.clone());
/// assert_eq!(budget.available(), 20_000);
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct RetryBudget(Arc<Shared>);

struct Shared {
    available: AtomicU32,
    capacity: u32,
    cost: u32,
    throttle_cost: u32,
}

/// Tokens taken for one retry: given back when dropped before the retry was sent.
#[derive(Debug)]
pub(super) struct Withdrawal {
    budget: RetryBudget,
    cost: u32,
}

impl RetryBudget {
    /// A full budget of 500 tokens.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// A full budget of `capacity` tokens; with 0, nothing is ever retried.
    #[must_use]
    pub fn with_capacity(capacity: u32) -> Self {
        Self::with_costs(capacity, COST, THROTTLE_COST)
    }

    /// A full budget of `capacity` tokens, of which a retry takes `cost`, or `throttle_cost` where
    /// the service refused with a 429. With a cost of 0, those retries are bounded by attempts and
    /// deadline alone.
    #[must_use]
    pub fn with_costs(capacity: u32, cost: u32, throttle_cost: u32) -> Self {
        Self(Arc::new(Shared {
            available: AtomicU32::new(capacity),
            capacity,
            cost,
            throttle_cost,
        }))
    }

    /// The tokens that are left.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.0.available.load(Ordering::Relaxed)
    }

    /// The tokens of a full budget.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.0.capacity
    }

    /// Takes the tokens for a retry after `cause`; `None` if they are not there.
    pub(super) fn withdraw(&self, cause: Cause) -> Option<Withdrawal> {
        let cost = if cause.is_throttle() || cause == Cause::ModelNotReady {
            self.0.throttle_cost
        } else {
            self.0.cost
        };
        self.0
            .available
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |available| {
                available.checked_sub(cost)
            })
            .ok()?;
        Some(Withdrawal {
            budget: self.clone(),
            cost,
        })
    }

    /// Rewards a success: `spent` is what the call's last retry took, `None` for a first try.
    pub(super) fn reward(&self, spent: Option<u32>) {
        self.deposit(spent.unwrap_or(FIRST_TRY_REWARD));
    }

    /// Gives back what a retry took that was refused before it was sent.
    pub(super) fn refund(&self, spent: Option<u32>) {
        self.deposit(spent.unwrap_or(0));
    }

    fn deposit(&self, tokens: u32) {
        // The quiet path: a full budget is read, not written.
        if self.available() == self.0.capacity {
            return;
        }
        let _previous =
            self.0
                .available
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |available| {
                    Some(available.saturating_add(tokens).min(self.0.capacity))
                });
    }
}

impl Withdrawal {
    /// The retry is sent: its tokens are gone, unless it succeeds.
    pub(super) fn spend(mut self) -> u32 {
        std::mem::take(&mut self.cost)
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.budget.deposit(self.cost);
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("available", &self.available())
            .field("capacity", &self.capacity())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(budget: &RetryBudget, cause: Cause) -> Option<u32> {
        budget.withdraw(cause).map(Withdrawal::spend)
    }

    /// The published vector: 500, two transient failures, success on the third attempt.
    #[test]
    fn a_retry_takes_fourteen_and_a_success_gives_the_last_back() {
        let budget = RetryBudget::new();
        retry(&budget, Cause::Internal).unwrap();
        assert_eq!(budget.available(), 486);
        let spent = retry(&budget, Cause::Internal);
        assert_eq!(budget.available(), 472);
        budget.reward(spent);
        assert_eq!(budget.available(), 486);
    }

    /// A budget knows how much it holds when it is full, whatever has been taken.
    #[test]
    fn the_capacity_is_what_it_was_made_with() {
        assert_eq!(RetryBudget::new().capacity(), 500);
        let budget = RetryBudget::with_capacity(30);
        retry(&budget, Cause::Internal).unwrap();
        assert_eq!((budget.capacity(), budget.available()), (30, 16));
    }

    /// The published vector: a throttle takes five.
    #[test]
    fn a_throttle_takes_five() {
        let budget = RetryBudget::new();
        let spent = retry(&budget, Cause::RequestRate);
        assert_eq!(budget.available(), 495);
        budget.reward(spent);
        assert_eq!(budget.available(), 500);
    }

    /// The published vectors of small budgets: 14 allows one retry, 20 one with 6 left, 30 two with
    /// 2 left, and a success brings the second back.
    #[test]
    fn a_retry_that_cannot_be_paid_does_not_happen() {
        let budget = RetryBudget::with_capacity(14);
        assert!(retry(&budget, Cause::Internal).is_some());
        assert!(retry(&budget, Cause::Internal).is_none());
        assert_eq!(budget.available(), 0);

        let budget = RetryBudget::with_capacity(20);
        assert!(retry(&budget, Cause::Internal).is_some());
        assert!(retry(&budget, Cause::Internal).is_none());
        assert_eq!(budget.available(), 6);

        let budget = RetryBudget::with_capacity(30);
        assert!(retry(&budget, Cause::Internal).is_some());
        assert_eq!(budget.available(), 16);
        let spent = retry(&budget, Cause::Internal);
        assert_eq!(budget.available(), 2);
        budget.reward(spent);
        assert_eq!(budget.available(), 16);
        assert!(retry(&budget, Cause::Internal).is_some());
        assert_eq!(budget.available(), 2);
    }

    /// In a total outage a process makes 35 retries, or 100 after throttles, and no more.
    #[test]
    fn an_outage_is_answered_by_a_bounded_number_of_retries() {
        let count = |cause| {
            let budget = RetryBudget::new();
            (0..1000)
                .filter(|_| retry(&budget, cause).is_some())
                .count()
        };
        assert_eq!(count(Cause::ServiceUnavailable), 35);
        assert_eq!(count(Cause::TokenRate), 100);
        // A refusal as cheap as a throttle: fifty calls to a cold model, each asked twice again.
        assert_eq!(count(Cause::ModelNotReady), 100);
    }

    /// A budget never holds more than its capacity, and a first try that succeeds gives one.
    #[test]
    fn successes_refill_up_to_the_capacity() {
        let budget = RetryBudget::new();
        retry(&budget, Cause::Internal).unwrap();
        for _ in 0..13 {
            budget.reward(None);
        }
        assert_eq!(budget.available(), 499);
        budget.reward(None);
        budget.reward(None);
        assert_eq!(budget.available(), 500);
    }

    /// A retry that is given up before it is sent costs nothing.
    #[test]
    fn a_withdrawal_that_is_not_spent_comes_back() {
        let budget = RetryBudget::new();
        let withdrawal = budget.withdraw(Cause::Internal);
        assert_eq!(budget.available(), 486);
        drop(withdrawal);
        assert_eq!(budget.available(), 500);
    }
}
