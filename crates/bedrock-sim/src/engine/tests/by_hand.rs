//! Faults that are begun and ended while the engine runs.

use super::support::*;
use crate::{Admission, DownAnswer, Engine, ErrorText, FaultKind, FaultSpec, QuotaOptions};

fn throttle() -> FaultSpec {
    FaultSpec::error(ErrorText::RequestsPerMinute)
}

/// A fault that is begun by hand befalls calls from then until it is ended, before those of the
/// scenario, the latest first; to end it again changes nothing.
#[test]
fn a_fault_is_begun_and_ended_by_hand() {
    let mut sim = Sim::with(plain(), QuotaOptions::new(), [throttle().every(3)]);
    let call = sim.call(1);
    let answers = |engine: &mut Engine, calls| -> Vec<&'static str> {
        let mut answer = || match engine.admit(ms(0), &call) {
            Admission::Admitted(_) => "admitted",
            Admission::Refused(refusal) => refusal.exception.code(),
            other => panic!("{other:?}"),
        };
        (0..calls).map(|_| answer()).collect()
    };
    const THROTTLED: &str = "ThrottlingException";
    const DOWN: &str = "ServiceUnavailableException";
    const INTERNAL: &str = "InternalServerException";

    assert_eq!(answers(&mut sim.engine, 1), ["admitted"]);
    let down = FaultSpec::new(FaultKind::Down {
        answer: DownAnswer::ServiceUnavailable,
    });
    let down = sim.engine.begin_fault(&down).unwrap();
    assert_eq!(answers(&mut sim.engine, 2), [DOWN; 2]);
    let internal = FaultSpec::error(ErrorText::InternalServer).count(2);
    let internal = sim.engine.begin_fault(&internal).unwrap();
    assert_ne!(down, internal);
    assert_eq!(answers(&mut sim.engine, 3), [INTERNAL, INTERNAL, DOWN]);

    assert!(sim.engine.end_fault(down));
    assert!(!sim.engine.end_fault(down));
    // The scenario's own has seen but the first call.
    assert_eq!(answers(&mut sim.engine, 2), ["admitted", THROTTLED]);
    assert!(sim.engine.end_fault(internal), "spent, but not ended");
}

/// A reset ends what was begun by hand; its id is no other fault's.
#[test]
fn a_reset_ends_what_was_begun_by_hand() {
    let mut sim = Sim::new(plain());
    let call = sim.call(1);
    let before = sim.engine.begin_fault(&throttle()).unwrap();
    sim.engine.reset();
    assert!(sim.admit(0, &call).is_ok());
    assert!(!sim.engine.end_fault(before));
    let after = sim.engine.begin_fault(&throttle()).unwrap();
    assert_ne!(before, after);
    assert!(!sim.engine.end_fault(before));
    assert!(sim.admit(0, &call).is_err());
}

/// What cannot be is refused with the reason, and befalls nothing.
#[test]
fn a_fault_that_cannot_be_is_not_begun() {
    let mut sim = Sim::new(plain());
    let call = sim.call(1);
    for (fault, reason) in [
        (throttle().model("amazon.titan"), "is called"),
        (throttle().region("eu-west-9"), "eu-west-9"),
        (throttle().probability(2.0), "between 0 and 1"),
        (throttle().every(0), "at least 1"),
    ] {
        let error = sim.engine.begin_fault(&fault).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(sim.admit(0, &call).is_ok());
}
