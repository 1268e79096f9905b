//! Streams as a whole.

use aws_sdk_bedrockruntime::{
    operation::converse::ConverseOutput,
    types::{ContentBlockDelta, ConverseStreamOutput, ResponseStream as InvokeModelEvent},
};

use super::assemble::MessageAssembler;
use crate::{
    cause::Cause,
    error::Error,
    reply::Response,
    stream::{ResponseStream, wire},
};

/// For streams of ConverseStream.
impl ResponseStream<ConverseStreamOutput> {
    /// Waits for the rest of the answer, and puts it together to what Converse would have answered.
    /// Events that were taken before are not in it: [`MessageAssembler`] is for those who look at
    /// them too.
    ///
    /// # Errors
    ///
    /// Why the stream broke off. What had come of it is lost.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use aws_sdk_bedrockruntime::types::ConverseStreamOutput;
    /// # use tower_bedrock::{Error, ResponseStream};
    /// # async fn example(stream: ResponseStream<ConverseStreamOutput>) -> Result<(), Error> {
    /// let response = stream.into_response().await?;
    /// println!("{:?} used {:?}", response.output().stop_reason(), response.usage());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn into_response(mut self) -> Result<Response<ConverseOutput>, Error> {
        let mut answer = MessageAssembler::new();
        while let Some(event) = self.next().await {
            answer.push(&event?);
        }
        // A stream that ends without an error has had its last event, but not if that was taken
        // before.
        let output = answer.into_output().ok_or_else(|| {
            Error::new(Cause::StreamTruncated).with_message("the end of the stream was read before")
        })?;
        Ok(Response::new(
            output,
            self.served().clone(),
            self.usage().copied(),
        ))
    }

    /// Waits for the rest of the answer; gives its text alone, without reasoning and tools.
    ///
    /// Dropping the future loses what it has read.
    ///
    /// # Errors
    ///
    /// Why the stream broke off. What had come of it is lost.
    pub async fn text(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(event) = self.next().await {
            if let ConverseStreamOutput::ContentBlockDelta(event) = event?
                && let Some(ContentBlockDelta::Text(more)) = event.delta()
            {
                text.push_str(more);
            }
        }
        Ok(text)
    }
}

/// For streams of InvokeModelWithResponseStream.
impl ResponseStream<InvokeModelEvent> {
    /// Waits for the rest of the answer; gives its text alone, without reasoning and tools, in any
    /// format of which [`ResponseStream`] knows the end.
    ///
    /// Dropping the future loses what it has read.
    ///
    /// # Errors
    ///
    /// Why the stream broke off. What had come of it is lost.
    pub async fn text(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(event) = self.next().await {
            if let InvokeModelEvent::Chunk(part) = event?
                && let Some(bytes) = part.bytes()
                && let Some(more) = wire::chunk_text(bytes.as_ref())
            {
                text.push_str(&more);
            }
        }
        Ok(text)
    }
}
