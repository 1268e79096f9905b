//! Ids that the service gives out, from the scenario's seed.

use http::HeaderValue;
use rand::{Rng, RngExt, SeedableRng, distr::Alphanumeric, rngs::StdRng};
use uuid::{Builder, fmt::Hyphenated};

/// Keeps ids apart from the engine's chance, which has the same seed.
const STREAM: u64 = 0x1d5;

/// A source of ids.
pub(super) struct Ids(StdRng);

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed ^ STREAM))
    }

    /// The value of `x-amzn-requestid`.
    pub(super) fn request_id(&mut self) -> HeaderValue {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        let id = Builder::from_random_bytes(bytes).into_uuid().hyphenated();
        let mut buffer = [0; Hyphenated::LENGTH];
        let text = id.encode_lower(&mut buffer);
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
    }

    /// A random id behind a prefix, as models give to messages and tool calls.
    pub(super) fn prefixed(&mut self, prefix: &str) -> String {
        let mut id = prefix.to_owned();
        id.extend(
            (&mut self.0)
                .sample_iter(Alphanumeric)
                .take(22)
                .map(char::from),
        );
        id
    }
}
