//! Measuring rows in turn, so that what disturbs the machine disturbs them all.

use std::{sync::Barrier, thread, time::Duration};

use tokio::time::Instant;

use crate::row::{Caller, Row};

/// How long one block of calls takes, about. Shorter than a time slice of the scheduler, so that most
/// blocks are not interrupted; long enough that reading the clock is nothing.
const BLOCK: Duration = Duration::from_millis(1);
/// Blocks of a row in a round.
const BLOCKS: usize = 15;

/// What a call of a row takes, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Time {
    /// On one thread.
    pub one_thread: f64,
    /// On each of two threads that share the row's state; `None` where that cannot be shared.
    pub two_threads: Option<f64>,
}

/// Measures `rows` in so many rounds, block by block in turn.
///
/// Of each round the median of a row's blocks counts, and of the rounds the lowest: on a machine that
/// does other work, what is added to a time is never taken away from one.
///
/// Blocks are counted out within the context of a tokio runtime, for those that start timers.
#[must_use]
pub fn measure(rows: &[Row], rounds: usize) -> Vec<Time> {
    let mut rounds = measure_rounds(rows, rounds).into_iter();
    let first = rounds.next().unwrap_or_default();
    rounds.fold(first, |best, this| {
        let both = best.into_iter().zip(this);
        both.map(|(best, this)| best.min(this)).collect()
    })
}

/// Measures `rows` as [`measure`] does, and tells of every round.
#[must_use]
pub fn measure_rounds(rows: &[Row], rounds: usize) -> Vec<Vec<Time>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let context = runtime.handle();
    let mut subjects: Vec<_> = rows.iter().map(|row| Subject::new(row, context)).collect();
    let round = |_| {
        for _ in 0..BLOCKS {
            for subject in &mut subjects {
                subject.block(context);
            }
        }
        subjects.iter_mut().map(Subject::take).collect()
    };
    (0..rounds).map(round).collect()
}

impl Time {
    fn min(self, other: Self) -> Self {
        Self {
            one_thread: self.one_thread.min(other.one_thread),
            two_threads: (self.two_threads.zip(other.two_threads))
                .map(|(one, other)| one.min(other)),
        }
    }
}

/// A row under measurement.
struct Subject {
    one: Box<dyn Caller>,
    two: Option<[Box<dyn Caller>; 2]>,
    /// How many calls are a block.
    calls: u64,
    times: [Vec<f64>; 2],
}

impl Subject {
    fn new(row: &Row, context: &tokio::runtime::Handle) -> Self {
        let _entered = context.enter();
        let callers = row.callers();
        let mut subject = Self {
            one: callers.one,
            two: callers.two,
            calls: 1,
            times: [Vec::new(), Vec::new()],
        };
        // Warms up, too.
        loop {
            // The quickest of three: one that was interrupted would make the blocks too short.
            let tries = [(); 3].map(|()| timed(&mut *subject.one, subject.calls));
            let taken = tries.into_iter().min().unwrap_or_default();
            if taken >= BLOCK / 2 || subject.calls >= 1 << 22 {
                break;
            }
            subject.calls *= 2;
        }
        subject
    }

    fn block(&mut self, context: &tokio::runtime::Handle) {
        let entered = context.enter();
        let taken = timed(&mut *self.one, self.calls);
        self.times[0].push(per_call(taken, self.calls));
        drop(entered);
        if let Some(two) = &mut self.two {
            let taken = timed_together(two, self.calls, context);
            self.times[1].push(per_call(taken, self.calls));
        }
    }

    fn take(&mut self) -> Time {
        let [one, two] = std::mem::take(&mut self.times).map(median);
        Time {
            one_thread: one.unwrap_or(f64::NAN),
            two_threads: two,
        }
    }
}

fn timed(caller: &mut dyn Caller, calls: u64) -> Duration {
    let start = Instant::now();
    caller.run(calls);
    start.elapsed()
}

/// From when both have begun to when both have ended.
fn timed_together(
    callers: &mut [Box<dyn Caller>; 2],
    calls: u64,
    context: &tokio::runtime::Handle,
) -> Duration {
    let barrier = Barrier::new(callers.len());
    let spans = thread::scope(|scope| {
        let threads = callers.each_mut().map(|caller| {
            let barrier = &barrier;
            scope.spawn(move || {
                let _entered = context.enter();
                barrier.wait();
                let start = Instant::now();
                caller.run(calls);
                (start, Instant::now())
            })
        });
        threads.map(|thread| thread.join().expect("a caller does not panic"))
    });
    let start = spans.iter().map(|(start, _)| *start).min();
    let end = spans.iter().map(|(_, end)| *end).max();
    match (start, end) {
        (Some(start), Some(end)) => end - start,
        _ => Duration::ZERO,
    }
}

fn per_call(taken: Duration, calls: u64) -> f64 {
    taken.as_nanos() as f64 / calls as f64
}

/// The middle one; `None` of none.
#[must_use]
pub fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}
