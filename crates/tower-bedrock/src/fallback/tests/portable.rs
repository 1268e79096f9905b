//! What a call is made of decides where it can be made.

use super::*;

const PROVISIONED: &str = "arn:aws:bedrock:us-east-1:111111111111:provisioned-model/abcdefghijkl";

/// A body is in the form of its model's family, a count is of its model, a guardrail of its region.
#[tokio::test]
async fn operations_keep_to_what_understands_them() {
    use Operation::{
        ApplyGuardrail, Converse, CountTokens, InvokeModel, InvokeModelWithResponseStream,
    };
    let sonnet = "us.anthropic.claude-sonnet-4-6";
    for (operation, primary, rung, expected) in [
        (Converse, sonnet, "us.amazon.nova-pro-v1:0", true),
        (InvokeModel, sonnet, "us.amazon.nova-pro-v1:0", false),
        (InvokeModel, sonnet, "us.anthropic.claude-opus-4-8", true),
        (
            InvokeModelWithResponseStream,
            sonnet,
            "us.amazon.nova-pro-v1:0",
            false,
        ),
        (
            InvokeModel,
            "amazon.nova-lite-v1:0",
            "amazon.titan-text-express-v1",
            false,
        ),
        (
            InvokeModel,
            "amazon.nova-lite-v1:0",
            "amazon.nova-2-lite-v1:0",
            true,
        ),
        (
            InvokeModel,
            "meta.llama3-8b-instruct-v1:0",
            "meta.llama3-70b-instruct-v1:0",
            true,
        ),
        // Whoever names an ARN knows what stands behind it.
        (InvokeModel, sonnet, PROVISIONED, true),
        (CountTokens, sonnet, "us.anthropic.claude-opus-4-8", false),
        (CountTokens, sonnet, "anthropic.claude-sonnet-4-6", true),
        (ApplyGuardrail, sonnet, "us.amazon.nova-pro-v1:0", true),
    ] {
        let rung = format!("{rung}@us-east-1");
        let mut request = request(&format!("{primary}@us-east-1"));
        request.context_mut().operation = operation;
        let sick = Bed::new({
            let primary = primary.to_owned();
            move |call| match call.route.to_string().starts_with(&primary) {
                true => Err(Error::new(Cause::ModelOverloaded)),
                false => Ok(()),
            }
        });
        let result = layer(&[&rung]).layer(sick).oneshot(request).await;
        assert_eq!(result.is_ok(), expected, "{operation}: {primary} -> {rung}");
        if let Err(error) = result {
            assert_eq!(skipped(&error), [(rung, SkipReason::NotPortable)]);
        }
    }
}

/// What was found out for calls of one operation is not taken for calls of another, in whichever order
/// they come.
#[tokio::test]
async fn one_operation_is_not_judged_by_another() {
    let sick = |call: &CallContext| match call.route.to_string().contains("sonnet") {
        true => Err(Error::new(Cause::ModelOverloaded)),
        false => Ok(()),
    };
    let service = layer(&["us.amazon.nova-pro-v1:0@us-east-1"]).layer(Bed::new(sick));
    for operation in [
        Operation::Converse,
        Operation::InvokeModel,
        Operation::Converse,
        Operation::InvokeModel,
    ] {
        let mut request = request("us.anthropic.claude-sonnet-4-6@us-east-1");
        request.context_mut().operation = operation;
        let result = service.clone().oneshot(request).await;
        assert_eq!(
            result.is_ok(),
            operation == Operation::Converse,
            "{operation}"
        );
    }
}

/// A call without a model names something of its region, so it stays.
#[tokio::test]
async fn a_call_without_a_model_stays() {
    let mut request = request("m.x@us-east-1");
    request.context_mut().operation = Operation::ApplyGuardrail;
    request.context_mut().route.model = None;
    let bed = Bed::new(|_| Err(Error::new(Cause::ServiceUnavailable)));
    let ladder = Ladder::regions(["us-west-2"]).then(model("us.n.y"));
    let service = FallbackLayer::new(ladder).unwrap().layer(bed.clone());
    service.oneshot(request).await.unwrap_err();
    assert_eq!(bed.calls().len(), 1);
}

/// An ARN holds in its own region: elsewhere its id is used, or the route is not.
#[tokio::test]
async fn an_arn_stays_in_its_region() {
    let profile = "arn:aws:bedrock:us-east-1:111111111111:inference-profile/us.m.x";
    let regions = || FallbackLayer::new(Ladder::regions(["us-west-2"])).unwrap();
    for (primary, expected) in [(profile, Some("us.m.x@us-west-2")), (PROVISIONED, None)] {
        let bed = Bed::failing(Cause::ServiceUnavailable, &["us-east-1"]);
        let request = request(&format!("{primary}@us-east-1"));
        let result = regions().layer(bed.clone()).oneshot(request).await;
        assert_eq!(result.is_ok(), expected.is_some());
        assert_eq!(bed.routes().get(1).map(String::as_str), expected);
    }

    // As a rung it brings its region along.
    let bed = Bed::failing(Cause::ServiceUnavailable, &["us-west-2"]);
    let service = layer(&[PROVISIONED]).layer(bed.clone());
    service.oneshot(request("m.x@us-west-2")).await.unwrap();
    assert_eq!(bed.routes()[1], format!("{PROVISIONED}@us-east-1"));
}
