//! What does it cost to find out why a call failed, and how long to wait?

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tower_bedrock::{Backoff, Classifier, ErrorDetails, RawError};

fn failure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("failure");
    group.bench_function("classify a throttle", |bencher| {
        let classifier = Classifier::default();
        let throttle = || {
            let mut details = ErrorDetails::default();
            details.code = Some("ThrottlingException".to_owned());
            details.status = Some(429);
            details.message = Some("Too many tokens, please wait before trying again.".to_owned());
            RawError::Answered(Box::new(details))
        };
        bencher.iter_with_setup(throttle, |raw| classifier.classify(raw));
    });
    group.bench_function("draw a wait", |bencher| {
        use rand::{SeedableRng, rngs::StdRng};
        let mut rng = StdRng::seed_from_u64(7);
        let backoff = Backoff::new(
            std::time::Duration::from_secs(1),
            std::time::Duration::from_secs(60),
        );
        bencher.iter(|| backoff.draw(black_box(3), &mut rng));
    });
    group.finish();
}

criterion_group!(benches, failure);
criterion_main!(benches);
