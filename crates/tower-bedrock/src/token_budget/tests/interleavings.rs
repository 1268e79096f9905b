//! Threads at one ledger, in every order (`cargo xtask loom`).

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use super::{
    estimate::Estimate,
    gate::{Admission, Gate, Line},
    hold::Hold,
    routes::Found,
    terms::Need,
    turnstile::Turnstile,
    *,
};
use crate::{
    interleavings::{block_on, check, thread},
    route_gate::RouteGate,
    send_signal::LateSend,
};

/// One call fits, two do not.
const QUOTA: u64 = 100;
const EACH: u32 = 60;
const LINE: Line = Line {
    waits: true,
    max_waiting: 100,
    max_wait: Duration::from_secs(3600),
};

fn ask(gate: &Arc<Gate>) -> Admission {
    let need = Need {
        input: Estimate::Tokens(EACH.into()),
        max_output: Some(0),
    };
    gate.admit(Instant::now(), &call(EACH, 0), need, LINE)
}

fn hold(gate: &Arc<Gate>, key: u64) -> Hold {
    let layer = TokenBudgetLayer::new(Quotas::new());
    Hold::new(layer.rules(), Found::Other(Arc::clone(gate)), key)
}

/// Waits to be admitted as long as it takes.
fn wait(gate: &Arc<Gate>) -> Hold {
    match ask(gate) {
        Admission::Admitted(key) => hold(gate, key),
        Admission::Waits(mut turnstile, draw) => {
            let sent = block_on(poll_fn(|cx| turnstile.poll_pass(cx)));
            let sent = sent.expect("there is room in the end");
            let layer = TokenBudgetLayer::new(Quotas::new());
            let gate = Arc::clone(gate);
            Hold::of_waiter(layer.rules(), gate, &call(EACH, 0), draw, LINE, sent)
        }
        Admission::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// Draws, counts what it draws meanwhile, and gives it back.
fn come_and_go(gate: &Arc<Gate>, drawn: &AtomicU64) {
    let hold = wait(gate);
    let before = drawn.fetch_add(EACH.into(), Ordering::SeqCst);
    assert!(before + u64::from(EACH) <= QUOTA, "above the quota");
    thread::yield_now();
    drawn.fetch_sub(EACH.into(), Ordering::SeqCst);
    hold.give_back(Instant::now());
}

/// Nothing is drawn, nobody waits, and nothing is remembered of who did.
fn assert_at_rest(gate: &Gate) {
    let state = gate.lock();
    assert!(state.ledger.is_idle());
    assert!(state.queue.is_empty());
    assert!(state.verdicts.is_empty(), "{:?}", state.verdicts);
    assert!(state.keeper.is_none());
}

/// A turnstile of a call that has to wait.
fn in_line(gate: &Arc<Gate>) -> Option<Turnstile> {
    match ask(gate) {
        Admission::Waits(turnstile, _) => Some(turnstile),
        Admission::Admitted(key) => {
            hold(gate, key).give_back(Instant::now());
            None
        }
        Admission::Refused(refusal) => panic!("{refusal:?}"),
    }
}

fn look(turnstile: &mut Turnstile) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    match turnstile.poll_pass(&mut cx) {
        Poll::Ready(result) => {
            let sent = result.expect("there is room");
            let gate = Arc::clone(turnstile.gate());
            gate.at(Instant::now(), |state| {
                state.ledger.give_back(sent, EACH.into());
            });
            true
        }
        Poll::Pending => false,
    }
}

/// Room for one, three who want it: never more is drawn than the quota, everybody is admitted in the
/// end, and then nothing is drawn.
#[test]
fn tokens_go_round() {
    check(|| {
        let gate = quotas(QUOTA).gate(&route());
        let drawn = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (gate, drawn) = (Arc::clone(&gate), Arc::clone(&drawn));
                thread::spawn(move || come_and_go(&gate, &drawn))
            })
            .collect();
        come_and_go(&gate, &drawn);
        threads.into_iter().for_each(|one| one.join().unwrap());
        assert_at_rest(&gate);
    });
}

/// Somebody leaves the line in the moment in which it is its turn: what was reserved for it goes to
/// the next.
#[test]
fn tokens_that_nobody_comes_for_go_to_the_next() {
    check(|| {
        let gate = quotas(QUOTA).gate(&route());
        let first = wait(&gate);
        let leaves = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                if let Some(mut turnstile) = in_line(&gate) {
                    look(&mut turnstile);
                }
            })
        };
        let waits = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || wait(&gate).give_back(Instant::now()))
        };
        first.give_back(Instant::now());
        leaves.join().unwrap();
        waits.join().unwrap();
        assert_at_rest(&gate);
    });
}

/// A quota that is raised while somebody comes to wait lets him go.
#[test]
fn a_raised_quota_lets_those_go_who_wait() {
    check(|| {
        let quotas = quotas(QUOTA);
        let gate = quotas.gate(&route());
        let first = wait(&gate);
        let waits = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || wait(&gate).give_back(Instant::now()))
        };
        let quota = Quota::new().with_tokens_per_minute(2 * QUOTA);
        quotas
            .set(&route(), quota.without_learning())
            .expect("it can be meant");
        waits.join().unwrap();
        first.give_back(Instant::now());
        assert_at_rest(&gate);
    });
}

/// Of two who wait, the one that keeps the timer leaves while the other looks: in the end the other
/// keeps it, and nobody waits without a timer.
#[test]
fn somebody_always_keeps_the_timer() {
    check(|| {
        let gate = quotas(QUOTA).gate(&route());
        let first = wait(&gate);
        let mut keeper = in_line(&gate).expect("a place in line");
        assert!(!look(&mut keeper));
        let stays = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let mut turnstile = in_line(&gate).expect("a place in line");
                let gate = Arc::clone(turnstile.gate());
                // Polled once, and then as often as it is woken.
                block_on(poll_fn(|cx| {
                    assert!(turnstile.poll_pass(cx).is_pending());
                    if turnstile.keeps_time() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                }));
                drop(turnstile);
                gate
            })
        };
        drop(keeper);
        let gate = stays.join().unwrap();
        first.give_back(Instant::now());
        assert_at_rest(&gate);
    });
}

/// A call that is over is told from below that it waits and that it is sent, while it is being settled:
/// it draws nothing afterwards.
#[test]
fn a_signal_to_a_call_that_ends_draws_nothing() {
    check(|| {
        let gate = quotas(QUOTA).gate(&route());
        let hold = wait(&gate);
        let mut call = call(EACH, 0);
        call.send_signal = hold.signal();
        let below = thread::spawn(move || {
            let mut late = LateSend::default();
            late.waits(&call);
            let mut cx = Context::from_waker(Waker::noop());
            drop(late.poll_sends(&call, &mut cx));
        });
        hold.give_back(Instant::now());
        below.join().unwrap();
        assert_at_rest(&gate);
    });
}

/// Routes that are called by two threads at once have one ledger each, the same for both, though
/// tables are full and forget what nobody uses; and what holds something is never forgotten.
#[test]
fn a_ledger_in_use_is_not_forgotten() {
    fn at(region: &'static str) -> Route {
        Route::to(MODEL.parse().unwrap()).in_region(region)
    }

    check(|| {
        let quotas = Quotas::new();
        // The first one stays; of others there is room for one.
        drop(quotas.gate(&at("first")));
        let shared = quotas.gate(&at("shared"));
        let hold = wait(&shared);
        drop(shared);
        let threads: Vec<_> = ["this", "that"]
            .into_iter()
            .map(|own| {
                let quotas = quotas.clone();
                thread::spawn(move || {
                    drop(quotas.gate(&at(own)));
                    quotas.gate(&at("shared"))
                })
            })
            .collect();
        let own = Arc::clone(hold.gate().expect("the one that was asked"));
        for one in threads {
            assert!(Arc::ptr_eq(&own, &one.join().unwrap()), "two ledgers");
        }
        assert_eq!(quotas.snapshot_of(&at("shared")).tokens_held, EACH.into());
        hold.give_back(Instant::now());
        assert_at_rest(&own);
    });
}

/// Somebody who knows the ledgers by routes of his own asks whether one is open while its first call
/// comes, and remembers that there was none: from then on it is found.
#[test]
fn a_ledger_that_was_not_there_is_found() {
    check(|| {
        let quotas = Quotas::new();
        // More than are looked through one by one.
        for region in ["eu-west-1", "eu-west-2"] {
            let other = Route::to(MODEL.parse().unwrap()).in_region(region);
            drop(quotas.gate(&other));
        }
        let asker = quotas.clone().with_home_region("eu-west-1");
        let asks = {
            let asker = asker.clone();
            thread::spawn(move || asker.ask(&call(EACH, 0), &route(), Instant::now()))
        };
        let made = quotas.gate(&route());
        asks.join().unwrap();
        let found = asker.at_known_gate(&route(), |gate| std::ptr::eq(gate, &raw const *made));
        assert_eq!(found, Some(true));
    });
}

/// Two look at all ledgers for what they have room for while one of them runs dry: never is more told than
/// that one has.
#[test]
fn never_more_is_told_than_the_least_room() {
    check(|| {
        let quotas = quotas(10_000);
        let gate = quotas.gate(&route());
        let most = Need {
            input: Estimate::Tokens(9500),
            max_output: Some(0),
        };
        let draws = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let asked = gate.admit(Instant::now(), &call(9500, 0), most, LINE);
                assert!(matches!(asked, Admission::Admitted(_)), "{asked:?}");
            })
        };
        let looks = {
            let quotas = quotas.clone();
            thread::spawn(move || quotas.shared.look_for_least(Instant::now()))
        };
        quotas.shared.look_for_least(Instant::now());
        draws.join().unwrap();
        looks.join().unwrap();
        assert!(!quotas.shared.least.has(&call(1000, 0).tokens));
    });
}
