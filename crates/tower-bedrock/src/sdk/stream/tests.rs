use aws_sdk_bedrockruntime::{
    operation::{
        converse::{ConverseInput, ConverseOutput},
        converse_stream::ConverseStreamInput,
    },
    primitives::Blob,
    types::{
        ContentBlockDelta, ContentBlockDeltaEvent, ConverseStreamOutput, ReasoningContentBlockDelta,
    },
};
use tower::{
    Service, ServiceBuilder, ServiceExt,
    util::{BoxCloneSyncService, Oneshot},
};

use super::MessageAssembler;
use crate::{
    Bedrock, ClassifyLayer, DefaultStack, Error, RawError, Request, Response, ResponseStream,
    RetryLayer,
};

type Conversation = ResponseStream<ConverseStreamOutput>;
type Boxed<Op, T, E> = BoxCloneSyncService<Request<Op>, T, E>;

fn spawned<F: Future<Output: Send> + Send + 'static>(_: F) {}

/// Calls can be awaited where futures have to be `Send`, as in a spawned task or the handler of a
/// web server: through a whole stack, boxed within or without, and with a stream read to its end.
#[test]
fn calls_can_be_awaited_in_a_task() {
    async fn whole(
        mut bedrock: DefaultStack<Bedrock>,
        request: Request<ConverseInput>,
    ) -> Result<(), Error> {
        bedrock.send(request.clone()).await?;
        bedrock.clone().oneshot(request.clone()).await?;
        let ready = ServiceExt::<Request<ConverseInput>>::ready(&mut bedrock).await?;
        ready.call(request).await?;
        Ok(())
    }

    async fn in_a_stream(
        bedrock: DefaultStack<Bedrock>,
        request: Request<ConverseStreamInput>,
    ) -> Result<String, Error> {
        let mut stream = bedrock.oneshot(request).await?;
        tokio::select! {
            event = stream.next() => drop(event.transpose()?),
            () = std::future::pending() => {}
        }
        stream.text().await
    }

    async fn boxed_without(
        bedrock: Boxed<ConverseStreamInput, Conversation, Error>,
        request: Request<ConverseStreamInput>,
    ) -> Result<Response<ConverseOutput>, Error> {
        bedrock.oneshot(request).await?.into_response().await
    }

    async fn boxed_within(
        bedrock: DefaultStack<Boxed<ConverseStreamInput, Conversation, RawError>>,
        request: Request<ConverseStreamInput>,
    ) -> Result<Conversation, Error> {
        bedrock.oneshot(request).await
    }

    async fn buffered(
        bedrock: Bedrock,
        request: Request<ConverseStreamInput>,
    ) -> Result<Conversation, Error> {
        let stack = ServiceBuilder::new()
            .layer(RetryLayer::new())
            .layer(ClassifyLayer::new())
            .buffer(8)
            .service(bedrock);
        stack.oneshot(request).await
    }

    /// A box within a buffer makes a future that the compiler does not take for `Send` inside of an
    /// async block, whatever is around the two (rust-lang/rust#102211). By itself it is.
    fn boxed_within_a_buffer(
        bedrock: Boxed<ConverseStreamInput, Conversation, RawError>,
        request: Request<ConverseStreamInput>,
    ) -> Oneshot<
        impl Service<Request<ConverseStreamInput>, Response = Conversation, Error = Error, Future: Send>
        + Send,
        Request<ConverseStreamInput>,
    > {
        let stack = ServiceBuilder::new()
            .layer(RetryLayer::new())
            .layer(ClassifyLayer::new())
            .buffer(8)
            .service(bedrock);
        stack.oneshot(request)
    }

    let _ = |stack, request| spawned(whole(stack, request));
    let _ = |stack, request| spawned(in_a_stream(stack, request));
    let _ = |stack, request| spawned(boxed_without(stack, request));
    let _ = |stack, request| spawned(boxed_within(stack, request));
    let _ = |bedrock, request| spawned(buffered(bedrock, request));
    let _ = |bedrock, request| spawned(boxed_within_a_buffer(bedrock, request));
}

/// The service refuses a block without content, of whatever kind: none of them is in a message.
#[test]
fn no_block_is_empty() {
    let empty = [
        ContentBlockDelta::Text(String::new()),
        ContentBlockDelta::ReasoningContent(ReasoningContentBlockDelta::Text(String::new())),
        ContentBlockDelta::ReasoningContent(ReasoningContentBlockDelta::RedactedContent(
            Blob::new([]),
        )),
    ];
    for delta in empty {
        let mut answer = MessageAssembler::new();
        let event = ContentBlockDeltaEvent::builder().content_block_index(0);
        let event = event.delta(delta.clone()).build().unwrap();
        answer.push(&ConverseStreamOutput::ContentBlockDelta(event));
        assert_eq!(answer.into_message(), None, "{delta:?}");
    }

    // A thought that is not shown has its signature.
    let signature = ReasoningContentBlockDelta::Signature("c2ln".to_owned());
    let event = ContentBlockDeltaEvent::builder()
        .content_block_index(0)
        .delta(ContentBlockDelta::ReasoningContent(signature))
        .build()
        .unwrap();
    let mut answer = MessageAssembler::new();
    answer.push(&ConverseStreamOutput::ContentBlockDelta(event));
    assert_eq!(answer.into_message().unwrap().content().len(), 1);
}
