//! What cannot be a scenario.

use std::fs;

use super::NOVA;
use crate::{FaultKind, FaultSpec, ModelSpec, Recording, Scenario, ScenarioBuilder};

/// A scenario that cannot be is refused with the place and the reason.
#[test]
fn a_bad_scenario_is_refused_with_line_and_reason() {
    // After the model come faults; `|` marks where the error points to.
    for (text, reason) in [
        ("|", "there is no model"),
        ("seed = |", "value"),
        ("|sed = 1\n[[model]]\nid = 'a.b'", "unknown field `sed`"),
        ("seed = |-1\n[[model]]\nid = 'a.b'", "integer `-1`"),
        ("|account = '12'\n[[model]]\nid = 'a.b'", "twelve digits"),
        (
            "|region = 'US'\n[[model]]\nid = 'a.b'",
            "not the name of a region",
        ),
        ("window = |'leaky'\n[[model]]\nid = 'a.b'", "`leaky`"),
        (
            "|burst_seconds = 0\n[[model]]\nid = 'a.b'",
            "between 1 and 86400, not 0",
        ),
        (
            "window = 'fixed-minute'\n|burst_seconds = 9\n[[model]]\nid = 'a.b'",
            "which this `window` has not",
        ),
        (
            "enforcement_lag = |'2'\n[[model]]\nid = 'a.b'",
            "expected a duration",
        ),
        (
            "|starts_at = 2026-01-01\n[[model]]\nid = 'a.b'",
            "a time of day",
        ),
        ("|[[model]]\nrpm = 1", "missing field `id`"),
        ("[[model]]\n|id = ''", "empty"),
        ("[[model]]\n|id = 'a b'", "' ' at byte 1"),
        ("[[model]]\nid = 'a.b'\n|rpm = 0", "`rpm` is at least 1"),
        ("[[model]]\nid = 'a.b'\nrpm = |-60", "integer `-60`"),
        ("[[model]]\nid = 'a.b'\n|tpm = 0", "`tpm` is at least 1"),
        ("[[model]]\nid = 'a.b'\n|tpd = 0", "`tpd` is at least 1"),
        (
            "[[model]]\nid = 'a.b'\n|burndown = 0",
            "`burndown` is at least 1",
        ),
        ("[[model]]\nid = 'a.b'\n|concurrency = 0", "at least 1"),
        (
            "[[model]]\nid = 'a.b'\n|tokens_per_second = 0",
            "at least 1",
        ),
        (
            "[[model]]\nid = 'a.b'\n|bytes_per_token = 0.0",
            "more than 0",
        ),
        (
            "[[model]]\nid = 'a.b'\n|bytes_per_token = nan",
            "more than 0",
        ),
        (
            "[[model]]\nid = 'a.b'\nlatency = |'soon'",
            "expected a duration",
        ),
        (
            "[[model]]\nid = 'a.b'\n|latency_jitter = 1.5",
            "between 0 and 1",
        ),
        (
            "[[model]]\nid = 'a.b'\n|output_tokens = [2, 1]",
            "2 is more than 1",
        ),
        (
            "[[model]]\nid = 'a.b'\noutput_tokens = |'many'",
            "[least, most]",
        ),
        (
            "[[model]]\nid = 'a.b'\noutput_tokens = |[1, 2, 3]",
            "[least, most]",
        ),
        (
            "[[model]]\nid = 'a.b'\noutput_tokens = |[1]",
            "[least, most]",
        ),
        ("[[model]]\nid = 'a.b'\n|regions = []", "`regions` is empty"),
        (
            "[[model]]\nid = 'a.b'\n|regions = ['x-1', 'x-1']",
            "named twice",
        ),
        (
            "[[model]]\nid = 'a.b'\n|regoins = ['x-1']",
            "unknown field `regoins`",
        ),
        (
            "[[model]]\n|id = 'arn:aws:bedrock:eu-west-1::foundation-model/a.b'",
            "cannot be called from us-east-1",
        ),
        (
            "burst_seconds = 10\n[[model]]\nid = 'a.b'\n|rpm = 5",
            "never holds a whole request",
        ),
        (
            "[[model]]\nid = 'a.b'\n[[model]]\n|id = 'a.b'",
            "in us-east-1 twice",
        ),
        (
            "[[model]]\nid = 'us.a.b'\n[[model]]\n|id = 'eu.a.b'",
            "shares its quotas with \"us.a.b\"",
        ),
        (
            "[[model]]\nid = 'a.b'\naliases = ['mine']\n[[model]]\nid = 'a.c'\n|aliases = ['mine']",
            "\"mine\" is in us-east-1 twice",
        ),
    ] {
        expect(text, reason);
    }
}

/// The same for faults, which stand below a sound model.
#[test]
fn a_bad_fault_is_refused_with_line_and_reason() {
    for (fault, reason) in [
        ("", "missing field `what`"),
        ("|what = 'explode'", "\"explode\" is none of"),
        ("what = 'reset'\n|model = 'a.c'", "is called \"a.c\""),
        (
            "what = 'reset'\n|region = 'eu-west-1'",
            "is in \"eu-west-1\"",
        ),
        (
            "what = 'reset'\noperation = |'Chat'",
            "unknown variant `Chat`",
        ),
        ("what = 'reset'\nmodel = |[]", "the list is empty"),
        (
            "what = 'reset'\n|until = '0s'",
            "`until` (0ns) has to be later than `from` (0ns)",
        ),
        (
            "what = 'reset'\nfrom = '2s'\n|until = '1s'",
            "has to be later than `from`",
        ),
        ("what = 'reset'\nfrom = |'2x'", "expected a duration"),
        ("what = 'reset'\n|every = 0", "`every` is at least 1"),
        ("what = 'reset'\n|count = 0", "`count` is at least 1"),
        (
            "what = 'reset'\n|probability = 1.01",
            "between 0 and 1, not 1.01",
        ),
        ("what = 'reset'\n|probability = -0.1", "between 0 and 1"),
        ("what = 'reset'\n|probability = nan", "between 0 and 1"),
        (
            "what = 'reset'\n|after_events = 1",
            "`after_events` means nothing",
        ),
        (
            "what = 'bad-crc'\n|message = 'x'",
            "`message` means nothing",
        ),
        ("|what = 'slow-first-token'", "needs a `delay`"),
        ("|what = 'down'", "needs an `until`"),
        ("|what = 'stream-exception'", "needs an `exception`"),
        (
            "what = 'stream-exception'\n|exception = 'AccessDeniedException'",
            "never comes in a stream",
        ),
        (
            "what = 'stream-exception'\n|exception = 'ModelTimeoutException'",
            "InvokeModelWithResponseStream alone",
        ),
        (
            "what = 'stream-cut'\n|operation = 'Converse'",
            "Converse has none",
        ),
        (
            "what = 'ThrottlingException'\n|text = 'input-too-long'",
            "one of ValidationException",
        ),
        (
            "what = 'ThrottlingException'\ntext = |'slow'",
            "unknown variant `slow`",
        ),
        (
            "what = 'ThrottlingException'\ntext = 'overloaded'\n|message = 'x'",
            "keep one of them",
        ),
        (
            "what = 'ThrottlingException'\n|original_status = 500",
            "has no original status",
        ),
        (
            "what = 'ModelErrorException'\n|original_status = 600",
            "not 600",
        ),
        (
            "what = 'ThrottlingException'\n|retry_after = '1500ms'",
            "whole seconds",
        ),
        (
            "what = 'ThrottlingException'\nretry_after = '1s'\n|x_amz_retry_after = '1s'",
            "exclude each other",
        ),
        ("|what = 'recording'", "needs `frames`"),
        (
            "what = 'recording'\n|frames = [{ event = 'x' }, {}]",
            "frame 2: it has one of event, exception,",
        ),
        (
            "what = 'recording'\n|frames = [{ event = 'x', pause = '1s' }]",
            "frame 1: it has one of",
        ),
        (
            "what = 'recording'\n|frames = [{ event = 'x', message = 'y' }]",
            "`message` means nothing to \"event\"",
        ),
        (
            "what = 'recording'\n|frames = [{ error = 'x', payload = 'y' }]",
            "`payload` means nothing to \"error\"",
        ),
        (
            "what = 'recording'\n|frames = [{ bytes = '!' }]",
            "`bytes` is not Base64",
        ),
        (
            "what = 'recording'\nframes = []\n|chunk_bytes = 0",
            "`chunk_bytes` is at least 1",
        ),
        (
            "what = 'recording'\n|lasts = '1s'\nframes = []",
            "`lasts` means nothing",
        ),
        (
            "what = 'recording'\nframes = []\n|operation = 'Converse'",
            "Converse has none",
        ),
    ] {
        let table = if fault.contains('|') {
            "[[fault]]"
        } else {
            "|[[fault]]"
        };
        expect(&format!("[[model]]\nid = 'a.b'\n{table}\n{fault}"), reason);
    }
}

/// Checks that the text is refused where the mark stands, for the reason.
fn expect(marked: &str, reason: &str) {
    let at = marked.find('|').unwrap();
    let line = marked[..at].matches('\n').count() + 1;
    let column = at - marked[..at].rfind('\n').map_or(0, |newline| newline + 1) + 1;
    let text = marked.replacen('|', "", 1);
    let error = Scenario::from_toml(&text).unwrap_err();
    assert!(error.reason().contains(reason), "{text}\n{error}");
    let place = (error.line().unwrap(), error.column().unwrap());
    assert_eq!(place, (line, column), "{text}\n{error}");
}

/// What code makes is checked like a file, and told apart by its number.
#[test]
fn a_bad_builder_is_refused_with_the_reason() {
    let error = |scenario: ScenarioBuilder| scenario.build().unwrap_err().to_string();
    let sound = || Scenario::builder().model(ModelSpec::new(NOVA));
    assert!(error(Scenario::builder()).starts_with("there is no model"));
    assert_eq!(
        error(sound().model(ModelSpec::new("a.b").rpm(0))),
        "model 2: `rpm` is at least 1; leave it out for no limit"
    );
    assert_eq!(
        error(sound().fault(FaultSpec::new(FaultKind::Reset).model("a.b"))),
        "fault 1: no [[model]] of the scenario is called \"a.b\""
    );
    let too_long = Recording::new().event("x".repeat(70_000), "{}");
    assert!(
        error(sound().fault(FaultSpec::new(FaultKind::Recording(too_long))))
            .starts_with("fault 1: a frame cannot be written")
    );
}

/// A file is named in its errors, with the place in it; so is one that cannot be read.
#[test]
fn a_file_is_named_in_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    fs::write(&path, "seed = 1\n\n[[model]]\nid = 'a.b'\nrpm = 0\n").unwrap();
    let error = Scenario::load(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}:5:1: `rpm` is at least 1; leave it out for no limit",
            path.display()
        )
    );
    fs::write(&path, b"seed = 1\n\n# caf\xe9\n").unwrap();
    let error = Scenario::load(&path).unwrap_err();
    assert_eq!((error.line(), error.column()), (Some(3), Some(6)));
    assert!(error.reason().contains("UTF-8"), "{error}");
    let error = Scenario::load(folder.path().join("none.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("none.toml: the file cannot be read")
    );
    assert_eq!((error.line(), error.reason().is_empty()), (None, false));
}
