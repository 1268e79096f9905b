//! What the fuzzer has found worth keeping, played on every run.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use crate::targets::{TARGETS, Target};

/// The most that is committed.
const MOST_FILES: usize = 200;
const MOST_BYTES: usize = 300_000;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The inputs of a target, by their names.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fs::read_dir(corpus().join(target)).expect("a folder for the target");
    let mut inputs: Vec<_> = folder
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let input = fs::read(&path).expect("a file");
            (path, input)
        })
        .collect();
    inputs.sort();
    inputs
}

fn play(target: &str, run: Target) {
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "{target} has no corpus");
    for (path, input) in inputs {
        if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
            panic!("{}", path.display());
        }
    }
}

macro_rules! played {
    ($($target:ident)*) => {
        $(
            /// The property of the target holds for all of its corpus.
            #[test]
            fn $target() {
                play(stringify!($target), crate::targets::$target);
            }
        )*

        /// Every target has its test here and its binary, and no folder is left over.
        #[test]
        fn every_target_is_played() {
            let named = TARGETS.map(|(name, _)| name);
            assert_eq!(named, [$(stringify!($target)),*]);
            let mut folders: Vec<_> = fs::read_dir(corpus())
                .expect("a corpus")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
                .collect();
            folders.sort();
            assert_eq!(folders, named);
            for name in named {
                let binary = corpus().join(format!("../targets/fuzz_targets/{name}.rs"));
                assert!(binary.exists(), "{name}");
            }
        }
    };
}

played! {
    classification
    event_streams
    explanations
    model_ids
    quota_names
    scenario_files
    server_hints
}

/// The corpus stays small.
#[test]
fn the_corpus_is_small() {
    let all: Vec<_> = TARGETS.iter().flat_map(|(name, _)| inputs(name)).collect();
    let bytes: usize = all.iter().map(|(_, input)| input.len()).sum();
    assert!(all.len() <= MOST_FILES, "{} files", all.len());
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}
