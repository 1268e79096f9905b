use bedrock_sim::{ErrorText, FaultSpec};
use tower_bedrock::RetryLayer;
use tower_bedrock_tests::{MODEL, scenario};

use super::{
    call::{Call, Op},
    rig::Rig,
    row::Row,
};

const ALL: [Op; 4] = [
    Op::Converse,
    Op::InvokeModel,
    Op::CountTokens,
    Op::ApplyGuardrail,
];

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

/// All operations go through one stack, to the same answers.
#[tokio::test(start_paused = true)]
async fn all_operations_are_answered() {
    let row = Row::new(scenario(), retrying).calls(ALL.map(Call::of));
    let outcome = row.outcome().await;
    assert_eq!(outcome.answered(), 4);
    assert_eq!(outcome.requests(), 4);
    let guardrail = outcome.told[3].answer().expect("it is answered");
    assert_eq!(guardrail.served.route.model, None);
}

/// All operations are retried, each request counted once.
#[tokio::test(start_paused = true)]
async fn all_operations_are_retried() {
    for op in ALL {
        let trouble = FaultSpec::error(ErrorText::ServiceUnavailable).count(2);
        let row = Row::faulty(trouble, retrying).calls([Call::of(op)]);
        let outcome = row.outcome().await;
        let answer = outcome.told[0]
            .answer()
            .expect("the third attempt is answered");
        assert_eq!(answer.served.attempts, 3, "{op:?}");
        assert_eq!(outcome.requests(), 3, "{op:?}");
    }
}

/// ARNs reach the model that they name.
#[tokio::test(start_paused = true)]
async fn arns_reach_their_model() {
    let arn = format!("arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}");
    let row = Row::new(scenario(), retrying)
        .calls([Op::Converse, Op::InvokeModel].map(|op| Call::of(op).to(&arn)));
    let outcome = row.outcome().await;
    let quota = outcome
        .ledger
        .quota("us-east-1", "geo", "amazon.nova-lite-v1:0");
    assert_eq!(quota.map(|quota| quota.counts.admitted), Some(2));
}
