use super::*;

/// A file that says nothing gets the documented defaults.
#[test]
fn defaults_are_the_documented_ones() {
    let scenario = Scenario::from_toml("[[model]]\nid = \"amazon.nova-lite-v1:0\"\n").unwrap();
    assert_eq!(scenario.region(), "us-east-1");
    assert_eq!(scenario.account(), "123456789012");
    assert_eq!(
        scenario.quota().window,
        Window::TokenBucket { burst_seconds: 60 }
    );
    assert_eq!(scenario.models(), [ModelSpec::new("amazon.nova-lite-v1:0")]);
}
