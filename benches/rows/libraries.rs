//! Limiters and circuit breakers that are no layers: called around a function, or before it.

use std::{
    future::Future,
    hint::black_box,
    num::NonZeroU32,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use failsafe::CircuitBreaker as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use recloser::Recloser;

use super::Failed;
use crate::row::{Group, Row};

const GROUP: Group = Group::Library;

/// So much that nothing is ever refused.
fn plenty() -> Quota {
    Quota::per_second(NonZeroU32::MAX)
}

/// governor, failsafe, recloser.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![
        Row::function("governor check", GROUP, || {
            let limiter = Arc::new(RateLimiter::direct(plenty()));
            move || assert!(limiter.check().is_ok())
        }),
        Row::function("governor until_ready", GROUP, || {
            let limiter = Arc::new(RateLimiter::direct(plenty()));
            move || {
                let mut cx = Context::from_waker(Waker::noop());
                let mut ready = pin!(limiter.until_ready());
                assert!(black_box(ready.as_mut().poll(&mut cx)).is_ready());
            }
        }),
        // Its own default of a keyed limiter, by the model's name, as a program that has more than
        // one model has to.
        Row::function("governor check_key", GROUP, || {
            let limiter: DefaultKeyedRateLimiter<Arc<str>> = RateLimiter::keyed(plenty());
            let limiter = Arc::new(limiter);
            let key: Arc<str> = "us.amazon.nova-lite-v1:0".into();
            move || assert!(limiter.check_key(&key).is_ok())
        }),
        // The defaults: a success rate over time, or consecutive failures.
        Row::function("failsafe call", GROUP, || {
            let circuit = failsafe::Config::new().build();
            move || assert!(circuit.call(|| black_box(Ok::<_, Failed>(1))).is_ok())
        }),
        // The defaults, shown in its README: half of the last hundred.
        Row::function("recloser call", GROUP, || {
            let circuit = Arc::new(Recloser::default());
            move || assert!(circuit.call(|| black_box(Ok::<_, Failed>(1))).is_ok())
        }),
    ]
}
