//! Trouble that comes while it runs.

use bedrock_sim::{ErrorSpec, ErrorText, FaultKind, FaultSpec};
use reqwest::Method;
use serde_json::json;

use crate::support::{Chat, bedrock, error, eventually, model};

/// A stream that breaks off says so as its last event, in the form of any other refusal; nothing of
/// what the service said of itself is in it.
#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error() {
    let broken = FaultSpec::new(FaultKind::StreamException {
        after_events: 4,
        error: ErrorSpec::from(ErrorText::ModelStreamError).message("arn:aws:secret"),
    });
    let bedrock = bedrock(model(), |scenario| scenario.fault(broken)).await;
    let chat = Chat::before(&bedrock, &[]);
    let events = chat.stream("x").await.all().await;
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.first(), Some(&"start"));
    assert!(names.contains(&"delta"), "{names:?}");
    assert!(!names.contains(&"done"), "{names:?}");
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "error");
    assert!(data["error"]["code"].is_string(), "{data}");
    assert!(data["error"]["message"].is_string(), "{data}");
    assert!(!data.to_string().contains("arn"), "{data}");
}

/// A throttle in the first frame of a stream is waited out, as if it had been a status.
#[tokio::test]
async fn a_throttled_first_frame_is_survived() {
    let throttled = FaultSpec::new(FaultKind::StreamException {
        after_events: 0,
        error: ErrorText::RequestsPerMinute.into(),
    });
    let bedrock = bedrock(model(), |scenario| scenario.fault(throttled.count(1))).await;
    let chat = Chat::before(&bedrock, &[]);
    let events = chat.stream("x").await.all().await;
    assert_eq!(events[0].1["attempts"], 2);
    assert_eq!(events.last().unwrap().0, "done");
}

/// A storm is switched on and off while the chat runs. Within it, calls are throttled and answered by
/// the other model; after it, by their own again.
#[tokio::test]
async fn a_throttle_storm_begins_and_ends() {
    let chat = Chat::start(&[]);
    chat.switch(json!({"storm": true})).await;
    eventually("another model answers", async || {
        let answer = chat.ask("x", 30_000).await;
        assert_eq!(answer.status(), 200);
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["served"]["degraded"] == true
    })
    .await;
    let picture = chat.picture().await;
    assert_eq!(picture["demo"]["storm"], true);
    let totals = &picture["history"]["totals"];
    assert!(totals["throttled"].as_u64() > Some(0), "{totals}");
    assert_eq!(totals["unavailable"], 0, "{totals}");
    let learned = &picture["quotas"][0]["requests"]["learned"];
    assert!(learned.as_u64() < Some(480), "{learned}");

    chat.switch(json!({"storm": false})).await;
    eventually("the model answers", async || {
        let answer = chat.ask("x", 30_000).await;
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["served"]["degraded"] == false && answer["served"]["attempts"] == 1
    })
    .await;
}

/// In the outage of a region its circuits open and the other region answers; after it they close.
#[tokio::test]
async fn a_region_goes_down_and_comes_back() {
    let chat = Chat::start(&[]);
    let state = async || {
        let circuits = chat.picture().await["circuits"].clone();
        let home = circuits.as_array().unwrap().iter().find(|circuit| {
            circuit["model"] == "us.amazon.nova-lite-v1:0" && circuit["region"] == "us-east-1"
        });
        home.map(|circuit| circuit["state"].as_str().unwrap().to_owned())
    };
    chat.switch(json!({"outage": true})).await;
    eventually("its circuit opens", async || {
        let answer = chat.ask("x", 30_000).await;
        assert_eq!(answer.status(), 200);
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["served"]["region"], "us-west-2");
        state().await.as_deref() == Some("open")
    })
    .await;
    let totals = chat.picture().await["history"]["totals"].clone();
    assert!(totals["unavailable"].as_u64() > Some(0), "{totals}");
    assert_eq!(totals["throttled"], 0, "{totals}");

    chat.switch(json!({"outage": false})).await;
    eventually("its circuit closes", async || {
        assert_eq!(chat.ask("x", 30_000).await.status(), 200);
        state().await.as_deref() == Some("closed")
    })
    .await;
}

/// The load is made, at the pace that was asked for, by calls that are like any other; it ends when it
/// is switched off.
#[tokio::test]
async fn load_is_made() {
    let chat = Chat::start(&[]);
    chat.switch(json!({"load": 10})).await;
    let answered = async || chat.picture().await["history"]["totals"]["answered"].as_u64();
    eventually("it is answered", async || answered().await > Some(20)).await;
    chat.switch(json!({"load": 0})).await;
    eventually("it ends", async || {
        let in_flight = &chat.picture().await["pools"][0]["in_flight"];
        in_flight == 0
    })
    .await;
}

/// What cannot be switched is refused, and what is not the local Bedrock cannot be switched at all.
#[tokio::test]
async fn what_cannot_be_switched_is_told() {
    let bedrock = bedrock(model(), |scenario| scenario).await;
    let elsewhere = Chat::before(&bedrock, &[]);
    let local = Chat::start(&[]);
    for (chat, body, status) in [
        (&local, json!({"load": 41}), 400),
        (&local, json!({"load": -1}), 422),
        (&local, json!({"strom": true}), 422),
        (&elsewhere, json!({"storm": true}), 404),
        (&elsewhere, json!({"load": 1}), 404),
    ] {
        let url = format!("{}/demo", chat.url);
        let put = chat.client.request(Method::PUT, url).json(&body);
        let refused = put.send().await.unwrap();
        assert_eq!(refused.status(), status, "{body}");
        error(refused).await;
    }
    assert_eq!(elsewhere.picture().await["demo"]["is_local"], false);
}
