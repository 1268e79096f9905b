use super::*;

/// The service's own account of one quota, by one of its ways of counting.
#[derive(Clone)]
enum Account {
    Bucket {
        level: f64,
        at: Instant,
    },
    Log(VecDeque<(Instant, i64)>),
    Minute {
        start: Instant,
        number: u64,
        drawn: i64,
    },
}

struct Bedrock {
    quota: i64,
    account: Account,
    refused: u32,
    used: u64,
}

impl Bedrock {
    fn admits(&mut self, now: Instant, tokens: i64) -> bool {
        let quota = self.quota;
        let left = match &mut self.account {
            Account::Bucket { level, at } => {
                let refill = quota as f64 * (now - *at).as_secs_f64() / 60.0;
                *level = (*level + refill).min(quota as f64);
                *at = now;
                level.floor() as i64
            }
            Account::Log(log) => {
                while log.front().is_some_and(|(at, _)| now - *at >= secs(60)) {
                    log.pop_front();
                }
                quota - log.iter().map(|(_, tokens)| tokens).sum::<i64>()
            }
            Account::Minute {
                start,
                number,
                drawn,
            } => {
                let current = (now - *start).as_secs() / 60;
                if current != *number {
                    (*number, *drawn) = (current, 0);
                }
                quota - *drawn
            }
        };
        if tokens > left {
            self.refused += 1;
            return false;
        }
        self.draw(now, tokens);
        true
    }

    fn draw(&mut self, at: Instant, tokens: i64) {
        match &mut self.account {
            Account::Bucket { level, .. } => *level -= tokens as f64,
            Account::Log(log) => {
                let index = log.partition_point(|(other, _)| *other <= at);
                log.insert(index, (at, tokens));
            }
            Account::Minute {
                start,
                number,
                drawn,
            } => {
                if (at - *start).as_secs() / 60 == *number {
                    *drawn += tokens;
                }
            }
        }
    }

    fn settle(&mut self, now: Instant, sent: Instant, held: i64, used: i64) {
        let change = used - held;
        let fits_window = change > 0 || !matches!(self.account, Account::Bucket { .. });
        let at = if change > 0 { now } else { sent };
        if fits_window {
            self.draw(at, change);
        } else {
            self.draw(now, change);
        }
    }
}

/// A load that always has more to send than the quota allows, of calls of many sizes that use
/// another part of their hold each, some more than all of it: whichever way the service counts, it
/// refuses nothing, and at least 97 % of the quota is used.
#[tokio::test(start_paused = true)]
async fn nothing_is_refused_and_the_quota_is_used() {
    let quota = 600_000;
    let start = Instant::now();
    let accounts = [
        Account::Bucket {
            level: quota as f64,
            at: start,
        },
        Account::Log(VecDeque::new()),
        Account::Minute {
            start,
            number: 0,
            drawn: 0,
        },
    ];
    for account in accounts {
        let quotas = quotas(quota as u64);
        let begin = Instant::now();
        let bedrock = Arc::new(Mutex::new(Bedrock {
            quota,
            account,
            refused: 0,
            used: 0,
        }));
        let service = Arc::clone(&bedrock);
        let inner = service_fn(move |request: Request<()>| {
            let service = Arc::clone(&service);
            async move {
                let tokens = request.context().tokens;
                let input = u64::from(tokens.input.unwrap());
                let held = input + u64::from(tokens.max_output.unwrap());
                let sent = Instant::now();
                // Output costs five.
                let output = held * 7 % 300;
                let used = input + 5 * output;
                {
                    let mut service = service.lock().unwrap();
                    if !service.admits(sent, held as i64) {
                        return Err(Error::new(Cause::TokenRate));
                    }
                    service.used += used;
                }
                tokio::time::sleep(Duration::from_millis(200 + input * 37 % 2800)).await;
                service
                    .lock()
                    .unwrap()
                    .settle(Instant::now(), sent, held as i64, used as i64);
                Ok(answer(usage(input, output)))
            }
        });
        let service = TokenBudgetLayer::new(quotas).layer(inner);
        let callers: Vec<_> = (0..400u32)
            .map(|caller| {
                let service = service.clone();
                tokio::spawn(async move {
                    for number in 0u32.. {
                        let seed = caller
                            .wrapping_mul(2_654_435_761)
                            .wrapping_add(number * 40_503);
                        let input = 200 + seed % 1800;
                        let max_output = 100 + seed / 7 % 1500;
                        let request = Request::new((), call(input, max_output));
                        service.clone().oneshot(request).await.unwrap();
                    }
                })
            })
            .collect();
        let minutes = 15;
        tokio::time::sleep(secs(60 * minutes)).await;
        for caller in callers {
            caller.abort();
        }
        let bedrock = bedrock.lock().unwrap();
        assert_eq!(bedrock.refused, 0);
        let whole = quota as u64 * minutes;
        let goodput = bedrock.used as f64 / whole as f64;
        assert!(goodput >= 0.97, "{goodput} after {:?}", begin.elapsed());
    }
}
