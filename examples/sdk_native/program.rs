//! A program as people have it: the AWS SDK's fluent client, and nothing of tower-bedrock.

use aws_sdk_bedrockruntime::{
    Client,
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use tokio::task::JoinSet;

const MODEL: &str = "us.amazon.nova-lite-v1:0";

/// Asks `questions` questions at once, and counts the answers.
pub(crate) async fn ask_all(client: &Client, questions: u32) -> u32 {
    let mut calls = JoinSet::new();
    for number in 1..=questions {
        let client = client.clone();
        calls.spawn(async move {
            let message = Message::builder()
                .role(ConversationRole::User)
                .content(ContentBlock::Text(format!("What is {number} times 7?")))
                .build()?;
            client
                .converse()
                .model_id(MODEL)
                .messages(message)
                .inference_config(InferenceConfiguration::builder().max_tokens(200).build())
                .send()
                .await?;
            Ok::<_, aws_sdk_bedrockruntime::Error>(())
        });
    }
    let results = calls.join_all().await;
    let answered = results.iter().filter(|result| result.is_ok()).count();
    u32::try_from(answered).unwrap_or(u32::MAX)
}
