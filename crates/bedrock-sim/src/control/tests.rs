use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    ControlPlane, InferenceProfileSpec, ModelSpec, Scenario, ServiceQuotaSpec, SimBody, SimService,
};

const US: &str = "us.amazon.nova-lite-v1:0";

fn service(plane: ControlPlane) -> SimService {
    let model = ModelSpec::new(US).regions(["us-east-1"]);
    let scenario = Scenario::builder().model(model).control_plane(plane);
    SimService::new(scenario.build().unwrap())
}

fn rows(count: usize) -> ControlPlane {
    (0..count).fold(ControlPlane::new(), |plane, number| {
        let quota = ServiceQuotaSpec::new(format!("L-{number}"), format!("Row {number}"));
        plane.quota(quota.value(number as f64).default(1.0))
    })
}

fn signed_for(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

async fn whole(response: Response<SimBody>) -> (StatusCode, String, Value) {
    let (head, body) = response.into_parts();
    let kind = head.headers[header::CONTENT_TYPE].to_str().unwrap();
    let body = body.collect().await.unwrap().to_bytes();
    (
        head.status,
        kind.to_owned(),
        serde_json::from_slice(&body).unwrap(),
    )
}

async fn ask(service: &SimService, operation: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post("/")
        .header(
            "x-amz-target",
            format!("ServiceQuotasV20190624.{operation}"),
        )
        .header(header::AUTHORIZATION, signed_for("servicequotas"))
        .body(Full::from(Bytes::from(body.to_string())))
        .unwrap();
    let (status, kind, body) = whole(service.clone().oneshot(request).await.unwrap()).await;
    assert_eq!(kind, "application/x-amz-json-1.1");
    (status, body)
}

async fn get(service: &SimService, path: &str) -> (StatusCode, Value) {
    let request = Request::get(path)
        .header(header::AUTHORIZATION, signed_for("bedrock"))
        .body(Full::<Bytes>::default())
        .unwrap();
    let (status, kind, body) = whole(service.clone().oneshot(request).await.unwrap()).await;
    assert_eq!(kind, "application/json");
    (status, body)
}

/// Pages are no longer than what is asked for, and tokens lead from the first to the last.
#[tokio::test]
async fn pages_lead_to_the_end() {
    let service = service(rows(5));
    let mut token = None;
    let mut values = Vec::new();
    loop {
        let body = json!({"ServiceCode": "bedrock", "MaxResults": 2, "NextToken": token.take()});
        let (status, page) = ask(&service, "ListServiceQuotas", body).await;
        assert_eq!(status, StatusCode::OK);
        let rows = page["Quotas"].as_array().unwrap();
        assert!(rows.len() <= 2);
        values.extend(rows.iter().map(|row| row["Value"].as_f64().unwrap()));
        match page["NextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0]);
}

/// What Service Quotas refuses, and how it says so.
#[tokio::test]
async fn service_quotas_refuses_as_it_does() {
    let service = service(rows(5).page_size(1));
    let first = ask(
        &service,
        "ListServiceQuotas",
        json!({"ServiceCode": "bedrock"}),
    )
    .await;
    let token = first.1["NextToken"].clone();
    for (operation, body, code) in [
        (
            "ListServiceQuotas",
            json!({"ServiceCode": "s3"}),
            "NoSuchResourceException",
        ),
        ("ListServiceQuotas", json!({}), "IllegalArgumentException"),
        (
            "ListServiceQuotas",
            json!({"ServiceCode": "bedrock", "MaxResults": 101}),
            "IllegalArgumentException",
        ),
        (
            "ListServiceQuotas",
            json!({"ServiceCode": "bedrock", "NextToken": "nonsense"}),
            "InvalidPaginationTokenException",
        ),
        (
            "ListAWSDefaultServiceQuotas",
            json!({"ServiceCode": "bedrock", "NextToken": token}),
            "InvalidPaginationTokenException",
        ),
        ("DeleteEverything", json!({}), "UnknownOperationException"),
    ] {
        let (status, said) = ask(&service, operation, body).await;
        assert!(status.is_client_error());
        assert_eq!(said["__type"], code, "{said}");
    }
}

/// Requests are signed for their own service, and need credentials.
#[tokio::test]
async fn each_service_wants_its_own_signature() {
    let service = service(rows(1));
    let request = Request::post("/")
        .header("x-amz-target", "ServiceQuotasV20190624.ListServiceQuotas")
        .header(header::AUTHORIZATION, signed_for("bedrock"))
        .body(Full::<Bytes>::default())
        .unwrap();
    let (_, _, said) = whole(service.clone().oneshot(request).await.unwrap()).await;
    assert!(
        said["Message"]
            .as_str()
            .unwrap()
            .contains("'servicequotas'"),
        "{said}"
    );

    let request = Request::get("/inference-profiles")
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

/// Profiles of the system and of the account are listed apart, and each is found by id and by ARN.
#[tokio::test]
async fn profiles_are_listed_and_found() {
    let profile = InferenceProfileSpec::application("a1b2c3d4e5f6").of(US);
    let service = service(ControlPlane::new().profile(profile));
    let ids = |page: &Value| -> Vec<String> {
        let profiles = page["inferenceProfileSummaries"].as_array().unwrap();
        let id = |profile: &Value| profile["inferenceProfileId"].as_str().unwrap().to_owned();
        profiles.iter().map(id).collect()
    };
    let (_, all) = get(&service, "/inference-profiles").await;
    assert_eq!(ids(&all), [US, "a1b2c3d4e5f6"]);
    let (_, own) = get(
        &service,
        "/inference-profiles?type=APPLICATION&maxResults=5",
    )
    .await;
    assert_eq!(ids(&own), ["a1b2c3d4e5f6"]);
    let summaries = &all["inferenceProfileSummaries"];
    assert_eq!(summaries[0]["models"], summaries[1]["models"]);

    let arn = own["inferenceProfileSummaries"][0]["inferenceProfileArn"]
        .as_str()
        .unwrap();
    let encoded = arn.replace(':', "%3A").replace('/', "%2F");
    for id in ["a1b2c3d4e5f6", &encoded] {
        let (status, found) = get(&service, &format!("/inference-profiles/{id}")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(found["inferenceProfileArn"], arn);
    }
    let (status, _) = get(&service, "/inference-profiles/nobodys").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = get(&service, "/inference-profiles?maxResults=0").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

/// A reset takes everything back to what the scenario says.
#[tokio::test]
async fn a_reset_forgets_what_was_changed() {
    let service = service(rows(1).throttle_first(1));
    let body = || json!({"ServiceCode": "bedrock"});
    let code = async |body| ask(&service, "ListServiceQuotas", body).await.1["__type"].clone();
    assert_eq!(code(body()).await, "TooManyRequestsException");
    service.change_control_plane(|plane| {
        plane
            .denied
            .push("servicequotas:ListServiceQuotas".to_owned());
    });
    assert_eq!(code(body()).await, "AccessDeniedException");
    let [request] = &*service.control_plane_requests() else {
        panic!("one page was asked for");
    };
    assert_eq!(
        (request.throttled, request.denied, request.answered),
        (1, 1, 0)
    );
    service.reset();
    assert_eq!(service.control_plane_requests(), []);
    assert_eq!(code(body()).await, "TooManyRequestsException");
    assert_eq!(code(body()).await, Value::Null);
}

/// A file says the same as code, and finds the quotas that it names beside it.
#[test]
fn a_file_says_the_same_as_code() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "code,model,name,value\nL-1,x,\"One, and more\",5\nL-2,y,Two,\nL-1,z,Again,7\n";
    std::fs::write(folder.path().join("quotas.csv"), csv).unwrap();
    let text = r#"
        [[model]]
        id = "us.amazon.nova-lite-v1:0"

        [control_plane]
        page_size = 10
        throttle_first = 2
        denied = ["bedrock:GetInferenceProfile"]
        quotas_csv = "quotas.csv"
        csv_value = 3.5

        [[control_plane.quota]]
        code = "L-0"
        name = "Zero"
        default = 1.0
        adjustable = false
        regions = ["us-east-1"]

        [[control_plane.profile]]
        id = "a1b2c3d4e5f6"
        of = "us.amazon.nova-lite-v1:0"
    "#;
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, text).unwrap();
    let zero = ServiceQuotaSpec::new("L-0", "Zero");
    let plane = ControlPlane::new()
        .quota(zero.default(1.0).adjustable(false).regions(["us-east-1"]))
        .quota(ServiceQuotaSpec::new("L-1", "One, and more").value(5.0))
        .quota(ServiceQuotaSpec::new("L-2", "Two").value(3.5))
        .profile(InferenceProfileSpec::application("a1b2c3d4e5f6").of(US))
        .page_size(10)
        .throttle_first(2)
        .deny("bedrock:GetInferenceProfile");
    assert_eq!(*Scenario::load(&file).unwrap().control_plane(), plane);

    let missing = text.replace("quotas.csv", "nowhere.csv");
    let said = Scenario::from_toml(&missing).unwrap_err().to_string();
    assert!(said.contains("nowhere.csv cannot be read"), "{said}");
    let zero = Scenario::builder().control_plane(ControlPlane::new().page_size(0));
    let said = zero
        .model(ModelSpec::new(US))
        .build()
        .unwrap_err()
        .to_string();
    assert!(said.contains("page_size"), "{said}");
}
