//! Threads that share a budget, in every order (`cargo xtask loom`).

use crate::{
    Cause, RetryBudget,
    interleavings::{check, thread},
};

/// Retries that are paid for, given up before they are sent, or succeed: no token is lost, none is
/// made, and never are more retries paid for than there are tokens.
#[test]
fn tokens_are_neither_lost_nor_made() {
    check(|| {
        let budget = RetryBudget::with_costs(10, 6, 6);
        let pays = {
            let budget = budget.clone();
            thread::spawn(move || match budget.withdraw(Cause::Internal) {
                Some(withdrawal) => withdrawal.spend(),
                None => 0,
            })
        };
        let gives_up = {
            let budget = budget.clone();
            thread::spawn(move || drop(budget.withdraw(Cause::Internal)))
        };
        let succeeds = budget.withdraw(Cause::Internal);
        assert!(budget.available() <= 4 || succeeds.is_none());
        if let Some(withdrawal) = succeeds {
            let spent = withdrawal.spend();
            budget.reward(Some(spent));
        }
        gives_up.join().unwrap();
        let gone = pays.join().unwrap();
        assert_eq!(budget.available(), 10 - gone);
    });
}

/// A retry is paid for by one thread, and its success is rewarded by another that hears of it: the
/// token is back, though a full budget is not written.
#[test]
fn a_reward_from_another_thread_arrives() {
    check(|| {
        let budget = RetryBudget::with_costs(10, 5, 5);
        let withdrawal = budget.withdraw(Cause::Internal).expect("it is full");
        let rewards = {
            let budget = budget.clone();
            thread::spawn(move || budget.reward(Some(withdrawal.spend())))
        };
        let other = budget.withdraw(Cause::Internal);
        rewards.join().unwrap();
        drop(other);
        assert_eq!(budget.available(), 10);
    });
}

/// First tries that succeed at once refill up to the capacity, and not beyond.
#[test]
fn rewards_stop_at_the_capacity() {
    check(|| {
        let budget = RetryBudget::with_costs(5, 1, 1);
        let spent = budget
            .withdraw(Cause::Internal)
            .expect("it is full")
            .spend();
        assert_eq!(spent, 1);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let budget = budget.clone();
                thread::spawn(move || {
                    budget.reward(None);
                    assert!(budget.available() <= 5);
                })
            })
            .collect();
        threads.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(budget.available(), 5);
    });
}
