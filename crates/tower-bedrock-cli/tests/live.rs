//! `quotas --live` as a person runs it, against a local account.

use assert_cmd::Command;
use bedrock_sim::{
    ControlPlane, InferenceProfileSpec, ModelSpec, Scenario, Server, ServiceQuotaSpec,
};
use serde_json::{Value, json};

const NOVA: &str = "us.amazon.nova-lite-v1:0";
const PROFILE: &str =
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6";

fn account() -> ControlPlane {
    let name = |limit: &str| format!("Cross-region model inference {limit} for Amazon Nova Lite");
    ControlPlane::new()
        .quota(ServiceQuotaSpec::new("L-7C42E72A", name("tokens per minute")).value(400_000.0))
        .quota(ServiceQuotaSpec::new("L-89F8391A", name("requests per minute")).default(200.0))
        .profile(InferenceProfileSpec::application("a1b2c3d4e5f6").of(NOVA))
}

async fn listening(plane: ControlPlane) -> Server {
    let model = ModelSpec::new(NOVA).regions(["us-east-1", "us-west-2"]);
    let scenario = Scenario::builder().model(model).control_plane(plane);
    Server::bind("127.0.0.1:0", scenario.build().unwrap())
        .await
        .unwrap()
}

/// The command with `args` against `server`, in a process that knows nothing of this machine's account.
async fn quotas(server: &Server, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tower-bedrock"));
    command
        .args(["quotas", "--live", "--endpoint-url", &server.url()])
        .args(args)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    output.await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What the account may do is shown for each region that is asked, with what is only a default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_region_is_shown() {
    let server = listening(account()).await;
    let args = ["--region", "us-west-2", "--region", "us-east-1", "--json"];
    let output = quotas(&server, &args).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = |region: &str| {
        json!({
            "model": "Amazon Nova Lite",
            "region": region,
            "path": "geo",
            "tokens_per_minute": {"value": 400_000, "code": "L-7C42E72A", "adjustable": true},
            "requests_per_minute": {"value": 200, "code": "L-89F8391A", "adjustable": true, "default": true},
            "tokens_per_day": null,
        })
    };
    assert_eq!(
        answer["quotas"],
        json!([line("us-east-1"), line("us-west-2")])
    );
    assert_eq!(answer.get("missing_permissions"), None);

    let output = quotas(&server, &["--region", "us-west-2"]).await;
    let shown = text(&output.stdout);
    for part in [
        "us-west-2",
        "400000 (L-7C42E72A)",
        "200 (L-89F8391A, default)",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// An application profile has the quota of what it was made of, and the line that asks for more is printed
/// with its region. Nothing is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_increase_is_a_line_to_run() {
    let server = listening(account()).await;
    let args = [
        "--region",
        "us-east-1",
        "--model",
        PROFILE,
        "--raise-tokens-per-minute",
        "800000",
    ];
    let output = quotas(&server, &args).await;
    let shown = text(&output.stdout);
    assert!(
        shown.contains(
            "aws service-quotas request-service-quota-increase --service-code bedrock --quota-code \
             L-7C42E72A --desired-value 800000 --region us-east-1"
        ),
        "{shown}"
    );
    let requests = server.service().control_plane_requests();
    assert!(
        requests
            .iter()
            .all(|request| request.action.contains(":List")),
        "{requests:?}"
    );
}

/// What may not be read is named, beside what was; with nothing at all the command fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_permissions_are_named() {
    let denied = "servicequotas:ListServiceQuotas";
    let server = listening(account().deny(denied)).await;
    let output = quotas(&server, &["--region", "us-east-1", "--json"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answer["missing_permissions"],
        json!([format!("allow {denied} in us-east-1")])
    );
    assert_eq!(answer["quotas"][0]["requests_per_minute"]["value"], 200);

    let all = "servicequotas:ListAWSDefaultServiceQuotas";
    let server = listening(account().deny(denied).deny(all)).await;
    let output = quotas(&server, &["--region", "us-east-1"]).await;
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains(denied) && said.contains(all), "{said}");
    assert!(!said.contains("secret") && !said.contains("AKID"), "{said}");
}

/// Without a region there is nothing to ask, and a list is not asked for more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused() {
    let server = listening(account()).await;
    let said = text(&quotas(&server, &[]).await.stderr);
    assert!(said.contains("give --region"), "{said}");
    let said = text(&quotas(&server, &["list.json"]).await.stderr);
    assert!(said.contains("cannot be used with"), "{said}");
    let said = text(
        &quotas(&server, &["--region", "us-east-1", "--model", "a b"])
            .await
            .stderr,
    );
    assert!(said.contains("--model"), "{said}");
}
