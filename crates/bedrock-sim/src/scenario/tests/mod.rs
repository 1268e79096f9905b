mod checked_in;
mod refused;

use std::time::Duration;

use super::*;
use crate::{ErrorText, Exception, Operation, RetryAfterHint};

const NOVA: &str = "amazon.nova-lite-v1:0";

/// A file that says nothing gets the documented defaults.
#[test]
fn defaults_are_the_documented_ones() {
    let scenario = Scenario::from_toml("[[model]]\nid = \"amazon.nova-lite-v1:0\"\n").unwrap();
    assert_eq!(scenario.seed(), 0);
    assert_eq!(scenario.region(), "us-east-1");
    assert_eq!(scenario.account(), "123456789012");
    assert_eq!(
        scenario.quota().window,
        Window::TokenBucket { burst_seconds: 60 }
    );
    assert_eq!(*scenario.quota(), QuotaOptions::new());
    assert_eq!(scenario.models(), [ModelSpec::new(NOVA)]);
    assert_eq!(scenario.faults(), []);
}

/// Every key of a file means the same as its setter in code.
#[test]
fn a_file_says_the_same_as_code() {
    let ms = Duration::from_millis;
    let file = Scenario::from_toml(
        r#"
        seed = 9
        region = "eu-west-1"
        account = "000000000001"
        burst_seconds = 30
        reservation_burndown = true
        min_output_reservation = 4096
        charge_rejected = true
        enforcement_lag = "1500ms"
        tpd_reset = "midnight"
        starts_at = 18:30:05.5

        [[model]]
        id = "us.amazon.nova-lite-v1:0"
        regions = ["eu-west-1", "eu-west-3"]
        aliases = ["my-profile"]
        rpm = 60
        tpm = 100_000
        tpd = 1_000_000
        burndown = 3
        max_output = 5000
        context_window = 300_000
        bytes_per_token = 3.5
        concurrency = 7
        when_full = "overloaded"
        latency = "1s 20ms"
        latency_jitter = 0.25
        tokens_per_second = 80
        output_tokens = [10, 20]

        [[fault]]
        what = "ThrottlingException"
        text = "tokens-per-day"
        retry_after = "3s"
        delay = "5ms"
        model = "apac.amazon.nova-lite-v1:0"
        region = ["eu-west-1", "eu-west-3"]
        operation = ["Converse", "InvokeModel"]
        from = "1m"
        until = "2m"
        skip = 1
        every = 2
        count = 3
        probability = 0.5

        [[fault]]
        what = "stream-exception"
        exception = "ModelTimeoutException"
        message = "slow"
        operation = "InvokeModelWithResponseStream"
        after_events = 4

        [[fault]]
        what = "ModelErrorException"
        original_status = 500
        x_amz_retry_after = "250ms"

        [[fault]]
        what = "stream-stall"
        after_events = 2
        lasts = "90s"

        [[fault]]
        what = "down"
        answer = "no-answer"
        until = "1s"

        [[fault]]
        what = "recording"
        chunk_bytes = 7
        end = "cut"
        frames = [
            { event = "messageStart", payload = '{"role":"assistant"}' },
            { event = "heartbeat" },
            { chunk = '{"type":"ping"}' },
            { pause = "20ms" },
            { exception = "throttlingException", payload = '{"message":"slow down"}' },
            { error = "InternalFailure", message = "oh" },
            { bytes = "AAH/" },
        ]
        "#,
    )
    .unwrap();
    let mut throttle =
        ErrorSpec::from(ErrorText::TokensPerDay).retry_after(RetryAfterHint::Seconds(3));
    throttle.delay = ms(5);
    let code = Scenario::builder()
        .seed(9)
        .region("eu-west-1")
        .account("000000000001")
        .quota(
            QuotaOptions::new()
                .window(Window::TokenBucket { burst_seconds: 30 })
                .reservation_burndown(true)
                .min_output_reservation(4_096)
                .charge_rejected(true)
                .enforcement_lag(ms(1_500))
                .tpd_reset(DailyReset::Midnight)
                .starts_at(ms(((18 * 60 + 30) * 60 + 5) * 1_000 + 500)),
        )
        .model(
            ModelSpec::new("us.amazon.nova-lite-v1:0")
                .regions(["eu-west-1", "eu-west-3"])
                .alias("my-profile")
                .rpm(60)
                .tpm(100_000)
                .tpd(1_000_000)
                .burndown(3)
                .max_output(5_000)
                .context_window(300_000)
                .bytes_per_token(3.5)
                .concurrency(7)
                .when_full(WhenFull::Overloaded)
                .latency(ms(1_020))
                .latency_jitter(0.25)
                .tokens_per_second(80)
                .output_tokens((10, 20)),
        )
        .fault(
            FaultSpec::error(throttle)
                .model("apac.amazon.nova-lite-v1:0")
                .region("eu-west-1")
                .region("eu-west-3")
                .operation(Operation::Converse)
                .operation(Operation::InvokeModel)
                .from(ms(60_000))
                .until(ms(120_000))
                .skip(1)
                .every(2)
                .count(3)
                .probability(0.5),
        )
        .fault(
            FaultSpec::new(FaultKind::StreamException {
                after_events: 4,
                error: ErrorSpec::from(Exception::ModelTimeout).message("slow"),
            })
            .operation(Operation::InvokeModelWithResponseStream),
        )
        .fault(FaultSpec::error(
            ErrorSpec::from(Exception::ModelError)
                .original_status(500)
                .retry_after(RetryAfterHint::AmzMillis(250)),
        ))
        .fault(FaultSpec::new(FaultKind::StreamStall {
            after_events: 2,
            lasts: Some(ms(90_000)),
        }))
        .fault(
            FaultSpec::new(FaultKind::Down {
                answer: DownAnswer::NoAnswer,
            })
            .until(ms(1_000)),
        )
        .fault(FaultSpec::new(FaultKind::Recording(
            Recording::new()
                .event("messageStart", r#"{"role":"assistant"}"#)
                .event("heartbeat", "{}")
                .chunk(r#"{"type":"ping"}"#)
                .pause(ms(20))
                .exception("throttlingException", r#"{"message":"slow down"}"#)
                .error("InternalFailure", "oh")
                .bytes([0, 1, 255])
                .in_chunks_of(7)
                .end(RecordingEnd::Cut),
        )))
        .build()
        .unwrap();
    assert_eq!(file, code);
}

/// Another seed changes the seed alone.
#[test]
fn a_seed_can_be_put_in_place_of_the_files() {
    let text = |seed| format!("seed = {seed}\nregion = 'eu-west-1'\n[[model]]\nid = 'a.b'\n");
    let read = |seed| Scenario::from_toml(&text(seed)).unwrap();
    assert_eq!(read(1).with_seed(2), read(2));
    assert_ne!(read(1), read(2));
}
