//! Scenario files.

use bedrock_sim::{Scenario, SimService};

/// A text is a scenario that a simulator can be made of, or an error that says why it is none.
pub fn scenario_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Scenario::from_toml(text) {
        Ok(scenario) => {
            assert_eq!(Scenario::from_toml(text).as_ref(), Ok(&scenario));
            drop(SimService::new(scenario));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
