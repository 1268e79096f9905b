//! The bounds of histogram buckets.

/// Seconds: OpenTelemetry's bounds for durations of generative AI (BEDROCK.md §6.2), and on to the
/// hour that an inference may take.
pub const SECONDS: [f64; 20] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68, 655.36, 1310.72, 2621.44, 5242.88,
];

/// Tokens: OpenTelemetry's bounds for token usage (BEDROCK.md §6.2).
pub const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
