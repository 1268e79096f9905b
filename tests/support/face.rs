//! The two ways in: requests through the layers around a client, and the SDK's own client with the
//! layers inside.

use std::{error::Error as StdError, time::Duration};

use aws_sdk_bedrockruntime::{Client, config::Builder};
use tokio::time::sleep;
use tower::Layer;
use tower_bedrock::{
    Bedrock, Cause, DefaultStack, Error, OperationInput, Request, StackLayer,
    sdk::install::{CallOptions, Resilience},
};

use crate::{MODEL, converse, converse_stream};

/// Which way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaceKind {
    /// Requests through the layers around a client.
    Tower,
    /// The SDK's own client, with the layers inside.
    Fluent,
}

/// A way in.
#[derive(Clone, Debug)]
pub enum Face {
    /// Requests through the layers around a client.
    Tower(Box<DefaultStack<Bedrock>>),
    /// The SDK's own client, with the layers inside.
    Fluent(Client),
}

/// A call that can be made of both.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The model.
    pub model: String,
    /// Whether the answer is to be a stream.
    pub is_stream: bool,
    /// When the caller stops waiting.
    pub timeout: Option<Duration>,
    /// On whose behalf.
    pub tenant: Option<String>,
    /// After how many events the caller drops a stream.
    pub leaves_after: Option<usize>,
    /// How long the caller takes for each event.
    pub reads_for: Duration,
}

/// How a call failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The cause; `None` where the SDK tells of a stream's end in its own words.
    pub cause: Option<Cause>,
    /// Whether the answer had begun.
    pub had_begun: bool,
    /// All that was told.
    pub text: String,
}

// === impl FaceKind ===

impl FaceKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tower, Self::Fluent];
}

// === impl Ask ===

impl Default for Ask {
    fn default() -> Self {
        Self {
            model: MODEL.to_owned(),
            is_stream: false,
            timeout: None,
            tenant: None,
            leaves_after: None,
            reads_for: Duration::ZERO,
        }
    }
}

impl Ask {
    fn request<In: OperationInput>(&self, input: In) -> Request<In> {
        let mut request = Request::from(input);
        if let Some(timeout) = self.timeout {
            request = request.with_timeout(timeout);
        }
        if let Some(tenant) = &self.tenant {
            request = request.with_tenant(tenant.as_str());
        }
        request
    }

    fn options(&self) -> CallOptions {
        let mut options = CallOptions::new();
        if let Some(timeout) = self.timeout {
            options = options.with_timeout(timeout);
        }
        if let Some(tenant) = &self.tenant {
            options = options.with_tenant(tenant.as_str());
        }
        options
    }

    /// Whether the caller, who has seen so many events, leaves. Takes the time that it takes for one.
    async fn leaves(&self, seen: &mut usize) -> bool {
        *seen += 1;
        if !self.reads_for.is_zero() {
            sleep(self.reads_for).await;
        }
        self.leaves_after.is_some_and(|most| *seen >= most)
    }
}

// === impl Failed ===

impl Failed {
    fn of(error: &Error, had_begun: bool) -> Self {
        Self {
            cause: Some(error.cause()),
            had_begun,
            text: format!("{error:?}"),
        }
    }

    fn of_sdk<E: StdError + 'static>(error: &E, had_begun: bool) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(under) = next {
            if let Some(error) = under.downcast_ref::<Error>() {
                return Self::of(error, had_begun);
            }
            next = under.source();
        }
        Self {
            cause: None,
            had_begun,
            text: format!("{error:?}"),
        }
    }
}

// === impl Face ===

impl Face {
    /// The way in of `kind` to what `config` connects to, through the layers of `stack`.
    #[must_use]
    pub fn of(kind: FaceKind, stack: &StackLayer, config: Builder) -> Self {
        match kind {
            FaceKind::Tower => Self::Tower(Box::new(stack.layer(Bedrock::from_builder(config)))),
            FaceKind::Fluent => {
                let config = Resilience::new(stack.clone()).install(config);
                Self::Fluent(Client::from_conf(config.build()))
            }
        }
    }

    /// Makes a call, and reads its answer to the end or until the caller leaves. Returns how many
    /// events were read.
    ///
    /// # Errors
    ///
    /// [`Failed`] tells how it failed.
    pub async fn call(&self, ask: &Ask) -> Result<usize, Failed> {
        match (self, ask.is_stream) {
            (Self::Tower(stack), false) => {
                let request = ask.request(converse(&ask.model));
                let sent = stack.send(request).await;
                sent.map(|_| 0).map_err(|error| Failed::of(&error, false))
            }
            (Self::Tower(stack), true) => {
                let request = ask.request(converse_stream(&ask.model));
                let sent = stack.send(request).await;
                let mut stream = sent.map_err(|error| Failed::of(&error, false))?;
                let mut seen = 0;
                while let Some(event) = stream.next().await {
                    event.map_err(|error| Failed::of(&error, true))?;
                    if ask.leaves(&mut seen).await {
                        break;
                    }
                }
                Ok(seen)
            }
            (Self::Fluent(client), false) => {
                let input = converse(&ask.model);
                let call = client
                    .converse()
                    .set_model_id(input.model_id)
                    .set_messages(input.messages)
                    .set_inference_config(input.inference_config)
                    .customize()
                    .interceptor(ask.options());
                let sent = call.send().await;
                sent.map(|_| 0)
                    .map_err(|error| Failed::of_sdk(&error, false))
            }
            (Self::Fluent(client), true) => {
                let input = converse_stream(&ask.model);
                let call = client
                    .converse_stream()
                    .set_model_id(input.model_id)
                    .set_messages(input.messages)
                    .set_inference_config(input.inference_config)
                    .customize()
                    .interceptor(ask.options());
                let sent = call.send().await;
                let output = sent.map_err(|error| Failed::of_sdk(&error, false))?;
                let mut stream = output.stream;
                let mut seen = 0;
                while let Some(_event) =
                    (stream.recv().await).map_err(|error| Failed::of_sdk(&error, true))?
                {
                    if ask.leaves(&mut seen).await {
                        break;
                    }
                }
                Ok(seen)
            }
        }
    }
}
