//! Both faces of the library over an answer that is made by hand.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{BehaviorVersion, HttpClient, Region, RuntimeComponents},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::runtime::Runtime;
use tower::Layer;
use tower_bedrock::{Bedrock, ClassifyLayer, classify::Classify, sdk::install::Resilience};

pub(crate) const MODEL: &str = "us.amazon.nova-lite-v1:0";

/// What the service answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: http::StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) pieces: VecDeque<Bytes>,
    /// The connection breaks where the answer ends.
    pub(crate) breaks: bool,
}

/// The layers above a client, and the same layers inside of one.
pub(crate) struct Rig {
    pub(crate) runtime: Runtime,
    pub(crate) layers: Classify<Bedrock>,
    pub(crate) client: Client,
    answers: Answers,
}

/// Answers everything with the same.
#[derive(Clone, Debug, Default)]
struct Answers(Arc<Mutex<Option<Answer>>>);

/// A body that comes in pieces.
struct Pieces(Answer);

thread_local! {
    static RIG: Rig = Rig::new();
}

impl Rig {
    /// Made once, since clients are dear.
    pub(crate) fn answering<T>(answer: Answer, ask: impl FnOnce(&Self) -> T) -> T {
        RIG.with(|rig| {
            let mut answers = rig.answers.0.lock().unwrap_or_else(PoisonError::into_inner);
            *answers = Some(answer);
            drop(answers);
            ask(rig)
        })
    }

    fn new() -> Self {
        let answers = Answers::default();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
            .endpoint_url("http://service.invalid")
            .http_client(answers.clone());
        let installed = Resilience::new(ClassifyLayer::new()).install(config.clone());
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime"),
            layers: ClassifyLayer::new().layer(Bedrock::from_builder(config)),
            client: Client::from_conf(installed.build()),
            answers,
        }
    }
}

impl HttpClient for Answers {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Answers {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answer.clone().expect("an answer");
        let (status, headers) = (answer.status, answer.headers.clone());
        let mut response = http::Response::new(SdkBody::from_body_1_x(Pieces(answer)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let response = HttpResponse::try_from(response);
        HttpConnectorFuture::ready(Ok(response.expect("headers that are texts")))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = self
            .0
            .pieces
            .pop_front()
            .map(|piece| Ok(Frame::data(piece)));
        let broken = || Err(io::ErrorKind::ConnectionReset.into());
        Poll::Ready(piece.or_else(|| std::mem::take(&mut self.0.breaks).then(broken)))
    }
}
