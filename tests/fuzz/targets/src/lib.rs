//! What is fuzzed: one function a target, which takes any bytes and panics if a property does not hold.
//!
//! libFuzzer calls them from `fuzz_targets`; the workspace's own tests play the committed corpus
//! through them. Whatever a target finds gets its input into the corpus.

mod classification;
mod event_streams;
mod explanations;
mod model_ids;
mod quota_names;
mod scenario_files;
mod server_hints;
mod wire;

pub use self::{
    classification::classification, event_streams::event_streams, explanations::explanations,
    model_ids::model_ids, quota_names::quota_names, scenario_files::scenario_files,
    server_hints::server_hints,
};

/// A target's body.
pub type Target = fn(&[u8]);

/// Every target, by the name of its binary and of its folder in the corpus.
pub const TARGETS: [(&str, Target); 7] = [
    ("classification", classification),
    ("event_streams", event_streams),
    ("explanations", explanations),
    ("model_ids", model_ids),
    ("quota_names", quota_names),
    ("scenario_files", scenario_files),
    ("server_hints", server_hints),
];
