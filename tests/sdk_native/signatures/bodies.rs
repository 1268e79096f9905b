use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents, Token};
use aws_smithy_runtime_api::{
    box_error::BoxError, client::interceptors::context::BeforeTransmitInterceptorContextMut,
};
use bedrock_sim::ErrorText;
use tower_bedrock::{Error, Ladder, Quota, Route};
use tower_bedrock_tests::{MODEL, PROMPT, message, verifying::API_KEY};

use super::{Place, always, answered, host, hosts, retrying};
use crate::suite::{Call, Configure, Face, MakeRig};

/// An API key goes with every attempt and every hop, and nothing is signed.
#[tokio::test(start_paused = true)]
async fn an_api_key_goes_along() {
    let faults = [always(ErrorText::Overloaded).region("us-east-1")];
    let rig: MakeRig = || retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
    let with_key: Configure = |config| {
        config
            .bearer_token(Token::new(API_KEY, None))
            .auth_scheme_preference(["httpBearerAuth".into()])
    };
    for (place, face) in Place::faces(&faults, rig, with_key) {
        // The simulator knows the region of an API key's request by its host alone.
        answered(&face.make(&Call::converse()).await);
        let arrivals = place.door.admitted();
        assert_eq!(hosts(&arrivals), [host("us-east-1"), host("us-west-2")]);
        assert!(arrivals.iter().all(|arrival| arrival.signature.is_none()));
    }
}

/// A bound that a layer puts on the output is in the body, whose length and hash are told rightly.
#[tokio::test(start_paused = true)]
async fn a_body_that_a_layer_changes_is_signed() {
    let place = Place::new([]);
    let rig = retrying().budgeted(
        &Route::to(MODEL.parse().expect("an id")),
        Quota::new().with_tokens_per_minute(1_000_000),
        |layer| layer.with_output_clamp(55.try_into().expect("not zero")),
    );
    let Face::Fluent(client) = Face::fluent(place.config(), &rig) else {
        panic!("it is the fluent face")
    };
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let sent = call.send().await;
    assert!(sent.is_ok(), "{sent:?}");
    let arrivals = place.door.admitted();
    let body = String::from_utf8_lossy(&arrivals[0].body);
    assert!(body.contains(r#""maxTokens":55"#), "{body}");
}

/// What the user's own interceptors add before signing is signed on every attempt; what they add
/// after it is kept, unsigned as it was.
#[tokio::test(start_paused = true)]
async fn what_the_user_adds_is_kept() {
    let place = Place::new([always(ErrorText::Overloaded).count(2)]);
    let Face::Fluent(client) = Face::fluent(place.config(), &retrying()) else {
        panic!("it is the fluent face")
    };
    let sent = client
        .converse()
        .model_id(MODEL)
        .messages(message(PROMPT))
        .customize()
        .interceptor(Late)
        .mutate_request(|request| {
            request.headers_mut().insert("x-team", "search");
        })
        .send()
        .await;
    assert!(sent.is_ok(), "{:?}", sent.as_ref().map_err(Error::from_sdk));
    let arrivals = place.door.admitted();
    assert_eq!(arrivals.len(), 3);
    for arrival in &arrivals {
        let has = |name: &str| arrival.headers.iter().any(|(known, _)| known == name);
        assert!(has("x-team") && has("x-late"), "{:?}", arrival.headers);
        let signature = arrival.signature.as_ref().expect("it is signed");
        let covers = |name: &str| signature.headers.iter().any(|covered| covered == name);
        assert!(covers("x-team"));
        assert!(!covers("x-late"), "{:?}", signature.headers);
    }
}

/// Adds a header after signing.
#[derive(Debug)]
struct Late;

impl Intercept for Late {
    fn name(&self) -> &'static str {
        "Late"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert("x-late", "1");
        Ok(())
    }
}
