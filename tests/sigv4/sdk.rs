use std::time::Duration;

use aws_sdk_bedrockruntime::{
    Client,
    config::{Token, retry::RetryConfig},
    error::ProvideErrorMetadata,
};
use bedrock_sim::{ErrorText, FaultSpec, SimService};
use tower_bedrock_tests::{
    MODEL, PROMPT, message, scenario,
    verifying::{API_KEY, Objection, VerifyingClient, VirtualTime, signing},
};

fn sim() -> SimService {
    SimService::new(scenario().build().expect("a valid scenario"))
}

async fn call(client: &Client, model: &str) -> Result<(), String> {
    let call = client.converse().model_id(model).messages(message(PROMPT));
    let sent = call.send().await;
    sent.map(drop)
        .map_err(|error| error.code().unwrap_or_default().to_owned())
}

/// The SDK's own requests, with nothing of ours, are let in: model ids and ARNs, each attempt of its
/// own retries. The headers that it adds after signing are not covered, all of AWS's are.
#[tokio::test(start_paused = true)]
async fn the_sdks_own_signatures_are_valid() {
    let scenario = scenario().fault(FaultSpec::error(ErrorText::InternalServer).count(2));
    let sim = SimService::new(scenario.build().expect("a valid scenario"));
    let clock = VirtualTime::new();
    let door = VerifyingClient::new(&sim, clock.clone());
    let client = Client::from_conf(signing(&door, clock).build());
    let arn = format!("arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}");
    for model in [MODEL, &arn] {
        assert_eq!(call(&client, model).await, Ok(()));
    }
    let arrivals = door.admitted();
    let attempts: Vec<_> = arrivals
        .iter()
        .map(|arrival| arrival.attempt.as_deref())
        .collect();
    assert_eq!(
        attempts,
        [
            "attempt=1; max=3",
            "attempt=2; max=3",
            "attempt=3; max=3",
            "attempt=1; max=3"
        ]
        .map(Some)
    );
    for arrival in &arrivals {
        assert_eq!(arrival.host, "bedrock-runtime.us-east-1.amazonaws.com");
        let signature = arrival.signature.as_ref().expect("it is signed");
        assert_eq!(signature.region, "us-east-1");
        let covers = |name: &str| signature.headers.iter().any(|covered| covered == name);
        assert!(covers("host") && covers("x-amz-date") && covers("x-amz-security-token"));
        assert!(!covers("amz-sdk-request") && !covers("user-agent"));
        // The service dates its answers in whole seconds.
        assert!(arrival.age_secs.abs() <= 1, "{}", arrival.age_secs);
    }
    assert!(
        arrivals[3]
            .path
            .contains("inference-profile%2Fus.amazon.nova-lite-v1%3A0/")
    );
}

/// The door refuses what AWS would: a signature for another region than the host's, one that is six
/// minutes old or ahead, another secret, and an API key that nobody has.
#[tokio::test(start_paused = true)]
async fn the_door_refuses_what_aws_would() {
    let clock = VirtualTime::new();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let as_usual = |door: &VerifyingClient| {
        signing(door, clock.clone())
            .retry_config(RetryConfig::disabled())
            .disable_clock_skew_correction(true)
    };
    let other = aws_credential_types::Credentials::from_keys("AKIDEXAMPLE", "other", None);
    let door = || VerifyingClient::new(&sim(), clock.clone());

    let late = door();
    let config = as_usual(&late).time_source(clock.clone().behind(minutes(6)));
    assert!(
        call(&Client::from_conf(config.build()), MODEL)
            .await
            .is_err()
    );
    assert_eq!(late.arrivals()[0].objection, Some(Objection::Clock));
    assert_eq!(late.arrivals()[0].age_secs, 360);

    let early = door();
    let config = as_usual(&early).time_source(clock.clone().ahead(minutes(6)));
    assert!(
        call(&Client::from_conf(config.build()), MODEL)
            .await
            .is_err()
    );
    assert_eq!(early.arrivals()[0].objection, Some(Objection::Clock));

    let elsewhere = door();
    let config =
        as_usual(&elsewhere).endpoint_url("https://bedrock-runtime.us-west-2.amazonaws.com");
    assert!(
        call(&Client::from_conf(config.build()), MODEL)
            .await
            .is_err()
    );
    assert_eq!(elsewhere.arrivals()[0].objection, Some(Objection::Region));

    let stranger = door();
    let config = as_usual(&stranger).credentials_provider(other);
    assert!(
        call(&Client::from_conf(config.build()), MODEL)
            .await
            .is_err()
    );
    assert!(matches!(
        stranger.arrivals()[0].objection,
        Some(Objection::Signature(_))
    ));

    for (key, objection) in [
        (API_KEY, None),
        ("bedrock-api-key-other", Some(Objection::ApiKey)),
    ] {
        let door = door();
        let config = as_usual(&door)
            .bearer_token(Token::new(key, None))
            .auth_scheme_preference(["httpBearerAuth".into()]);
        let sent = call(&Client::from_conf(config.build()), MODEL).await;
        assert_eq!(sent.is_ok(), objection.is_none(), "{sent:?}");
        assert_eq!(door.arrivals()[0].objection, objection);
        assert_eq!(door.arrivals()[0].signature, None);
    }
}

/// A clock that is ten minutes off is told by the door's `Date`, and the SDK's own second attempt is
/// dated by it: what our own attempts are measured against.
#[tokio::test(start_paused = true)]
async fn the_sdk_corrects_its_clock_by_the_doors() {
    let clock = VirtualTime::new();
    let door = VerifyingClient::new(&sim(), clock.clone());
    let config = signing(&door, clock.behind(Duration::from_secs(600)));
    let client = Client::from_conf(config.build());
    assert_eq!(call(&client, MODEL).await, Ok(()));
    assert_eq!(call(&client, MODEL).await, Ok(()));
    let ages: Vec<_> = door
        .arrivals()
        .iter()
        .map(|arrival| arrival.age_secs.abs() < 2)
        .collect();
    assert_eq!(ages, [false, true, true]);
    assert_eq!(door.arrivals()[0].objection, Some(Objection::Clock));
}
