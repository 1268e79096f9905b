//! The two ways in: requests through the layers around a client, and the SDK's own client with the
//! layers inside.

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_bedrockruntime::{Client, config::Builder, error::SdkError};
use tokio::time::sleep;
use tower::Layer;
use tower_bedrock::{
    Bedrock, BedrockResponse, Cause, DefaultStack, Error, Finish, OperationInput, Request,
    StackLayer, Usage, UsageEstimate, Watcher,
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
    /// Where the ends of replies are counted, which only layers hear of.
    pub finishes: Option<Arc<Finishes>>,
}

/// Counts replies and how often they were finished.
#[derive(Debug, Default)]
pub struct Finishes {
    replies: AtomicU64,
    finished: AtomicU64,
    violations: AtomicU64,
}

/// Hears one reply.
struct Finishing {
    finishes: Arc<Finishes>,
    is_used: bool,
    is_over: bool,
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
            finishes: None,
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

    fn listen(&self, reply: &mut impl BedrockResponse) {
        if let Some(finishes) = &self.finishes {
            finishes.replies.fetch_add(1, Ordering::Relaxed);
            reply.watch(Finishing {
                finishes: Arc::clone(finishes),
                is_used: false,
                is_over: false,
            });
        }
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

// === impl Finishes ===

impl Finishes {
    /// What was heard of replies that should not have been: one that was finished twice or never,
    /// whose usage came twice, or after its end.
    #[must_use]
    pub fn violations(&self) -> u64 {
        let replies = self.replies.load(Ordering::Relaxed);
        let finished = self.finished.load(Ordering::Relaxed);
        self.violations.load(Ordering::Relaxed) + replies.abs_diff(finished)
    }

    fn expect(&self, is_right: bool) {
        self.violations
            .fetch_add(u64::from(!is_right), Ordering::Relaxed);
    }
}

impl Watcher for Finishing {
    fn usage(&mut self, _: &Usage) {
        self.finishes.expect(!self.is_used && !self.is_over);
        self.is_used = true;
    }

    fn estimate(&mut self, _: &UsageEstimate) {
        self.finishes.expect(!self.is_used && !self.is_over);
        self.is_used = true;
    }

    fn finish(&mut self, _: Finish<'_>) {
        self.finishes.expect(!self.is_over);
        self.is_over = true;
        self.finishes.finished.fetch_add(1, Ordering::Relaxed);
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

    fn of_sdk<E, R>(error: &SdkError<E, R>, had_begun: bool) -> Self
    where
        E: StdError + 'static,
        R: fmt::Debug + 'static,
    {
        match Error::from_sdk(error) {
            Some(error) => Self::of(error, had_begun),
            None => Self {
                cause: None,
                had_begun,
                text: format!("{error:?}"),
            },
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
                let mut reply = sent.map_err(|error| Failed::of(&error, false))?;
                ask.listen(&mut reply);
                Ok(0)
            }
            (Self::Tower(stack), true) => {
                let request = ask.request(converse_stream(&ask.model));
                let sent = stack.send(request).await;
                let mut stream = sent.map_err(|error| Failed::of(&error, false))?;
                ask.listen(&mut stream);
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
