//! The budget against one that is a number.

use proptest::{collection::vec, prelude::*};

use crate::{Cause, RetryBudget, retry::budget::Withdrawal};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Retries are asked for, sent, given up before, rewarded and refunded in any order: what is left
    /// is the same number, never more than the capacity, and a retry is had if it can be paid.
    #[test]
    fn a_budget_counts_like_a_number(
        capacity in prop_oneof![0..60_u32, Just(500), Just(u32::MAX)],
        (cost, throttle_cost) in (0..20_u32, 0..20_u32),
        steps in vec(any::<(u8, u8)>(), 1..80),
    ) {
        let budget = RetryBudget::with_costs(capacity, cost, throttle_cost);
        let mut left = u64::from(capacity);
        let mut asked: Vec<(Withdrawal, u32)> = Vec::new();
        let mut sent: Vec<u32> = Vec::new();
        let gain = |left: u64, tokens: u32| (left + u64::from(tokens)).min(capacity.into());
        for (kind, which) in steps {
            let which = usize::from(which);
            match kind % 10 {
                0..4 => {
                    let (cause, cost) = match which % 4 {
                        0 => (Cause::Internal, cost),
                        1 => (Cause::Timeout, cost),
                        2 => (Cause::TokenRate, throttle_cost),
                        _ => (Cause::ModelNotReady, throttle_cost),
                    };
                    let withdrawal = budget.withdraw(cause);
                    prop_assert_eq!(withdrawal.is_some(), left >= u64::from(cost));
                    if let Some(withdrawal) = withdrawal {
                        left -= u64::from(cost);
                        asked.push((withdrawal, cost));
                    }
                }
                4 | 5 if !asked.is_empty() => {
                    let (withdrawal, cost) = asked.swap_remove(which % asked.len());
                    let spent = withdrawal.spend();
                    prop_assert_eq!(spent, cost);
                    sent.push(spent);
                }
                6 if !asked.is_empty() => {
                    let (withdrawal, cost) = asked.swap_remove(which % asked.len());
                    drop(withdrawal);
                    left = gain(left, cost);
                }
                7 if !sent.is_empty() => {
                    let spent = sent.swap_remove(which % sent.len());
                    budget.reward(Some(spent));
                    left = gain(left, spent);
                }
                8 if !sent.is_empty() => {
                    let spent = sent.swap_remove(which % sent.len());
                    budget.refund(Some(spent));
                    left = gain(left, spent);
                }
                9 => {
                    budget.reward(None);
                    left = gain(left, 1);
                }
                _ => {}
            }
            prop_assert_eq!(u64::from(budget.available()), left);
        }
    }
}
