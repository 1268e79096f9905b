use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::super::{
    calibration::{Calibration, most_tokens},
    estimate::Estimate,
};
use crate::{InputSize, ModelId};

/// What a service counts: bytes of text to a token, tools, documents, images and what surrounds
/// them.
struct Truth {
    text: f64,
    tools: f64,
    documents: f64,
    image: f64,
    part: f64,
}

impl Truth {
    fn tokens(&self, size: &InputSize) -> u64 {
        let tokens = size.text_bytes as f64 / self.text
            + size.tool_bytes as f64 / self.tools
            + size.document_bytes as f64 / self.documents
            + f64::from(size.images) * self.image
            + f64::from(size.parts) * self.part;
        tokens.ceil().max(1.0) as u64
    }
}

/// Prompts of every kind: chats, long documents, tools, images, and mixtures of them.
fn mixed(rng: &mut StdRng) -> InputSize {
    let mut size = InputSize {
        parts: rng.random_range(1..20),
        ..InputSize::default()
    };
    size.text_bytes = rng.random_range(20..2000) * u64::from(size.parts);
    if rng.random_bool(0.4) {
        size.tool_bytes = rng.random_range(500..20_000);
    }
    if rng.random_bool(0.3) {
        size.document_bytes = rng.random_range(2000..400_000);
    }
    if rng.random_bool(0.3) {
        size.images = rng.random_range(1..6);
    }
    size
}

fn text(bytes: u64) -> InputSize {
    InputSize {
        text_bytes: bytes,
        ..InputSize::default()
    }
}

fn error(calibration: &Calibration, size: InputSize, actual: u64) -> f64 {
    let estimate = calibration.tokens(Estimate::Size(size));
    (estimate as f64 - actual as f64).abs() / actual as f64
}

/// Whatever is learned, no input is held for more than is known beforehand to be the most.
#[test]
fn the_most_that_is_held_is_known() {
    let mut rng = StdRng::seed_from_u64(11);
    for model in [
        None,
        Some("amazon.nova-lite-v1:0"),
        Some("anthropic.claude-sonnet-4-6"),
    ] {
        let model: Option<ModelId> = model.map(|id| id.parse().unwrap());
        let mut calibration = Calibration::new(model.as_ref());
        let mut closest = 0.0_f64;
        for _ in 0..2000 {
            let size = match rng.random_range(0..4) {
                0 => text(rng.random_range(0..1_000_000)),
                1 => InputSize {
                    images: rng.random_range(0..20),
                    ..InputSize::default()
                },
                2 => InputSize {
                    parts: rng.random_range(0..500),
                    ..InputSize::default()
                },
                _ => mixed(&mut rng),
            };
            let most = most_tokens(&size);
            let held = calibration.tokens(Estimate::Size(size));
            assert!(held <= most, "{held} of {most} for {size:?}");
            closest = closest.max(held as f64 / most as f64);
            calibration.observe(&size, most * 10);
        }
        assert!(closest > 0.1, "far from anything that is held: {closest}");
    }
}

/// The truths of several models, and one as the simulator has it: bytes alone and a flat image.
fn truths() -> [Truth; 4] {
    let simulator = Truth {
        text: 4.0,
        tools: 4.0,
        documents: 4.0,
        image: 1000.0,
        part: 0.0,
    };
    let dense = Truth {
        text: 2.4,
        tools: 2.1,
        documents: 3.0,
        image: 1300.0,
        part: 6.0,
    };
    let sparse = Truth {
        text: 5.2,
        tools: 3.5,
        documents: 9.0,
        image: 300.0,
        part: 3.0,
    };
    let nova = Truth {
        text: 3.0,
        tools: 3.0,
        documents: 3.0,
        image: 1700.0,
        part: 2.0,
    };
    [simulator, dense, sparse, nova]
}

/// After 50 calls of a mixed corpus, the mean error of the next ones is below 10 %, whatever the
/// model counts.
#[test]
fn fifty_calls_teach_a_mixed_corpus() {
    for (index, truth) in truths().iter().enumerate() {
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut calibration = Calibration::new(None);
            for _ in 0..50 {
                let size = mixed(&mut rng);
                // A model counts text by its words, not by its bytes: 5 % more or less.
                let noise = rng.random_range(0.95..1.05);
                let counted = (truth.tokens(&size) as f64 * noise) as u64;
                calibration.observe(&size, counted.max(1));
            }
            let mean = (0..200)
                .map(|_| mixed(&mut rng))
                .map(|size| error(&calibration, size, truth.tokens(&size)))
                .sum::<f64>()
                / 200.0;
            assert!(mean < 0.10, "truth {index}, seed {seed}: {mean}");
        }
    }
}

/// Counts that are absurd, one in ten, do not carry the estimate away.
#[test]
fn outliers_change_little() {
    for (index, truth) in truths().iter().enumerate() {
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut calibration = Calibration::new(None);
            for call in 0..200 {
                let size = mixed(&mut rng);
                let mut counted = truth.tokens(&size);
                if call % 10 == 7 {
                    counted = [1, counted * 50, u64::MAX / 2][rng.random_range(0..3)];
                }
                calibration.observe(&size, counted);
            }
            let mean = (0..200)
                .map(|_| mixed(&mut rng))
                .map(|size| error(&calibration, size, truth.tokens(&size)))
                .sum::<f64>()
                / 200.0;
            assert!(mean < 0.15, "truth {index}, seed {seed}: {mean}");
        }
    }
}

/// The mean error of inputs of a mixed corpus.
fn mean_error(calibration: &Calibration, truth: &Truth, rng: &mut StdRng) -> f64 {
    let inputs = (0..200).map(|_| mixed(rng));
    let errors = inputs.map(|size| error(calibration, size, truth.tokens(&size)));
    errors.sum::<f64>() / 200.0
}

/// When a model begins to count another way, however long it was known, fifty calls teach that as well
/// as they did at first: the mean error is below 10 %, and never above 30 %.
#[test]
fn fifty_calls_teach_a_change() {
    let truths = truths();
    let mut errors = Vec::new();
    for known in [60, 200, 1000] {
        for (before, old) in truths.iter().enumerate() {
            for new in (0..truths.len()).filter(|&after| after != before) {
                let mut rng = StdRng::seed_from_u64((known + 10 * before + new) as u64);
                let mut calibration = Calibration::new(None);
                for call in 0..known + 50 {
                    let truth = if call < known { old } else { &truths[new] };
                    let size = mixed(&mut rng);
                    let noise = rng.random_range(0.95..1.05);
                    let counted = (truth.tokens(&size) as f64 * noise) as u64;
                    calibration.observe(&size, counted.max(1));
                }
                let mean = mean_error(&calibration, &truths[new], &mut rng);
                assert!(mean < 0.3, "{before} to {new} after {known}: {mean}");
                errors.push(mean);
            }
        }
    }
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(mean < 0.1, "{mean}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// As long as a model counts the same way, no call changes what is estimated for another by half,
    /// once 150 are known: of any mixture, counted with some noise or none, up to one in ten of them absurdly.
    #[test]
    fn what_is_known_does_not_jump(
        seed in any::<u64>(),
        (text, tools, documents) in (2.0..6.0_f64, 2.0..6.0_f64, 2.0..8.0_f64),
        (image, part) in (300.0..1800.0_f64, 0.0..6.0_f64),
        noise in prop_oneof![Just(0.0), 0.0..0.2_f64],
        absurd in 0.0..0.1_f64,
    ) {
        let truth = Truth { text, tools, documents, image, part };
        let mut rng = StdRng::seed_from_u64(seed);
        let mut calibration = Calibration::new(None);
        let other = mixed(&mut rng);
        let mut last = 0.0;
        for call in 0..1000 {
            let size = mixed(&mut rng);
            let noise = 1.0 + noise * rng.random_range(-1.0..1.0);
            let mut counted = truth.tokens(&size) as f64 * noise;
            if rng.random_bool(absurd) {
                counted = [1.0, counted * 50.0, 1e18][rng.random_range(0..3)];
            }
            calibration.observe(&size, counted.max(1.0) as u64);
            let estimate = calibration.tokens(Estimate::Size(other)) as f64;
            if call > 150 {
                let change = (estimate / last - 1.0).abs();
                prop_assert!(change < 0.5, "by {} at call {}", change, call);
            }
            last = estimate;
        }
    }
}

/// Absurd counts weigh no more than others where most are not learned from because they came as expected:
/// with one in ten and all others exact, estimates stay where they are.
#[test]
fn outliers_weigh_no_more_once_much_is_known() {
    for (index, truth) in truths().iter().enumerate() {
        for seed in 0..10 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut calibration = Calibration::new(None);
            let other = mixed(&mut rng);
            let mut last = 0.0;
            for call in 0..3000 {
                let size = mixed(&mut rng);
                let mut counted = truth.tokens(&size);
                if rng.random_bool(0.1) {
                    counted = [1, counted * 50, u64::MAX / 2][rng.random_range(0..3)];
                }
                calibration.observe(&size, counted);
                let estimate = calibration.tokens(Estimate::Size(other)) as f64;
                let change = (estimate / last - 1.0).abs();
                assert!(
                    call < 150 || change < 0.1,
                    "truth {index}, seed {seed}, call {call}: {change}"
                );
                last = estimate;
            }
        }
    }
}

/// What is not heard of for long is doubted again, but never more than at first: of images nothing is
/// ever said here.
#[test]
fn nothing_is_doubted_more_than_at_first() {
    let mut calibration = Calibration::new(None);
    for bytes in 1..500 {
        calibration.observe(&text(bytes * 100), bytes * 30);
        let doubt = calibration.most_doubt();
        assert!(doubt <= 1.0 + 1e-9, "{doubt} after {bytes}");
    }
    assert!(calibration.most_doubt() > 0.9);
}

/// Estimates stay numbers, and within bounds, after a million calls of anything.
#[test]
fn calibration_is_stable() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut calibration = Calibration::new(None);
    for _ in 0..100_000 {
        let mut size = mixed(&mut rng);
        if rng.random_bool(0.01) {
            size = InputSize::default();
        }
        if rng.random_bool(0.01) {
            size.text_bytes = u64::MAX;
        }
        calibration.observe(&size, rng.random_range(0..1_000_000));
    }
    let size = text(40_000);
    let tokens = calibration.tokens(Estimate::Size(size));
    assert!((10_000 / 8..=8 * 12_000).contains(&tokens), "{tokens}");
    assert!(calibration.tokens(Estimate::Size(InputSize::default())) >= 1);
}

/// Before anything is known: four bytes to a token and 10 % on top, three for Nova (BEDROCK.md
/// §3.7); and what somebody has counted is taken as it is.
#[test]
fn the_first_estimate_is_by_bytes() {
    let size = text(400_000);
    let first = |id: &str| {
        let model: ModelId = id.parse().unwrap();
        Calibration::new(Some(&model)).tokens(Estimate::Size(size))
    };
    assert_eq!(first("anthropic.claude-sonnet-4-6"), 110_008);
    assert_eq!(first("us.amazon.nova-lite-v1:0"), 146_675);
    let calibration = Calibration::new(None);
    assert_eq!(calibration.tokens(Estimate::Tokens(17)), 17);
}
