use super::*;
use crate::{Jitter, RetryLayer};

/// A service with one token bucket for everybody, and what each process got through it, by minute.
struct Shared {
    quota: f64,
    level: f64,
    at: Instant,
    start: Instant,
    passed: [Vec<u64>; 2],
    refused: u32,
}

impl Shared {
    fn new(quota: f64) -> Self {
        let now = Instant::now();
        Self {
            quota,
            level: quota,
            at: now,
            start: now,
            passed: [vec![0; 64], vec![0; 64]],
            refused: 0,
        }
    }

    fn admits(&mut self, process: usize, tokens: u64) -> bool {
        let now = Instant::now();
        let refill = self.quota * (now - self.at).as_secs_f64() / 60.0;
        self.level = (self.level + refill).min(self.quota);
        self.at = now;
        if self.level < tokens as f64 {
            self.refused += 1;
            return false;
        }
        self.level -= tokens as f64;
        let minute = (now - self.start).as_secs() / 60;
        self.passed[process][minute as usize] += tokens;
        true
    }

    /// What a process got in a minute of those, on average, as a part of the quota.
    fn share(&self, process: usize, minutes: std::ops::Range<usize>) -> f64 {
        let length = minutes.len() as f64;
        let passed: u64 = self.passed[process][minutes].iter().sum();
        passed as f64 / length / self.quota
    }
}

/// Two processes, each with its own ledger of the whole quota and more calls than it may make, under
/// retries: within three minutes each has half of the quota to 10 %, and when one leaves, the other
/// has the whole again within five. Few calls fail for it.
#[tokio::test(start_paused = true)]
async fn two_processes_share_a_quota() {
    let quota = 600_000u32;
    let shared = Arc::new(Mutex::new(Shared::new(f64::from(quota))));
    let failed = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let mut processes = Vec::new();
    for process in 0..2 {
        let quotas = Quotas::new();
        let quota = Quota::new().with_tokens_per_minute(quota.into());
        quotas.set(&route(), quota).unwrap();
        let service = Arc::clone(&shared);
        let inner = service_fn(move |request: Request<()>| {
            let tokens = request.context().tokens.input.unwrap().into();
            let is_admitted = service.lock().unwrap().admits(process, tokens);
            async move {
                if !is_admitted {
                    return Err(Error::new(Cause::TokenRate));
                }
                tokio::time::sleep(secs(1 + tokens % 7)).await;
                Ok(answer(usage(tokens, 0)))
            }
        });
        let stack = RetryLayer::new()
            .with_jitter(Jitter::seeded(process as u64))
            .layer(TokenBudgetLayer::new(quotas).layer(inner));
        let callers: Vec<_> = (0..100u32)
            .map(|caller| {
                let (stack, failed) = (stack.clone(), Arc::clone(&failed));
                tokio::spawn(async move {
                    for number in 0u32.. {
                        let tokens = 500 + (caller * 7919 + number * 104_729) % 4000;
                        let call = stack.clone().oneshot(holding(tokens)).await;
                        failed
                            .fetch_add(call.is_err().into(), std::sync::atomic::Ordering::Relaxed);
                    }
                })
            })
            .collect();
        processes.push(callers);
    }
    tokio::time::sleep(secs(10 * 60)).await;
    for caller in processes.pop().unwrap() {
        caller.abort();
    }
    tokio::time::sleep(secs(10 * 60)).await;

    let shared = shared.lock().unwrap();
    for process in 0..2 {
        let share = shared.share(process, 3..10);
        assert!((0.45..=0.55).contains(&share), "process {process}: {share}");
    }
    let whole = shared.share(0, 15..20);
    assert!(whole > 0.95, "{whole}");
    let passed: u64 = shared.passed.iter().flatten().sum();
    let calls = passed / 2500;
    let refused = u64::from(shared.refused);
    assert!(refused * 15 < calls, "{refused} refused, {calls} passed");
    let failed = u64::from(failed.load(std::sync::atomic::Ordering::Relaxed));
    assert!(failed * 200 < calls, "{failed} of {calls} failed");
}
