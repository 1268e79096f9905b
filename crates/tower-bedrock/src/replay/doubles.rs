//! A service whose every answer is given by hand, and calls to it.

use std::{
    future::Future,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_util::{Stream, stream};
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

use super::AnswerPart;
use crate::{
    call::{BedrockRequest, CallContext, Operation, Request},
    call_key::{InputFacts, KeyedInput},
    cause::Cause,
    error::{Error, RawError},
    reply::{BedrockResponse, Finish, Response, Served, Usage, UsageEstimate, Watcher},
    route::Route,
    stream::{EventFacts, ResponseStream, StreamEvent, TokenCounts},
};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Question {
    pub(crate) text: &'static str,
    pub(crate) facts: InputFacts,
    /// Told apart by equality alone.
    pub(crate) more: f64,
}

impl KeyedInput for Question {
    fn hash_content<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }

    fn facts(&self) -> InputFacts {
        self.facts
    }
}

pub(crate) fn ask(text: &'static str) -> Request<Question> {
    let facts = InputFacts {
        temperature: Some(0.0),
        ..InputFacts::default()
    };
    let question = Question {
        text,
        facts,
        more: 0.0,
    };
    asking(question)
}

pub(crate) fn asking(question: Question) -> Request<Question> {
    let route = Route::to("amazon.nova-lite-v1:0".parse().unwrap());
    Request::new(question, CallContext::new(Operation::Converse, route))
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: &'static str,
    pub(crate) is_whole: bool,
}

impl AnswerPart for Answer {
    fn held_bytes(&self) -> usize {
        self.text.len()
    }

    fn is_whole(&self) -> bool {
        self.is_whole
    }
}

pub(crate) const USAGE: Usage = Usage {
    input: 7,
    output: 5,
    cache_read: 0,
    cache_write: 0,
};

pub(crate) fn says(text: &'static str) -> Result<Response<Answer>, Error> {
    let served = Served {
        attempts: 2,
        request_id: Some("first".into()),
        ..Served::default()
    };
    let answer = Answer {
        text,
        is_whole: true,
    };
    Ok(Response::new(answer, served, Some(USAGE)))
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Text(&'static str),
    /// The end, and whether the model was done by then.
    Stop(bool),
    Metadata(Usage),
}

impl StreamEvent for Event {
    fn facts(&self) -> EventFacts {
        let mut facts = EventFacts {
            has_known_end: true,
            ..EventFacts::default()
        };
        match self {
            Self::Text(text) => {
                facts.is_content = true;
                facts.output_bytes = text.len() as u64;
            }
            Self::Stop(_) => facts.is_end = true,
            Self::Metadata(usage) => {
                facts.counts_are_final = true;
                facts.counts = Some(TokenCounts {
                    input: Some(usage.input),
                    output: Some(usage.output),
                    ..TokenCounts::default()
                });
            }
        }
        facts
    }
}

impl AnswerPart for Event {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            _ => 0,
        }
    }

    fn is_whole(&self) -> bool {
        *self != Self::Stop(false)
    }
}

pub(crate) fn events() -> [Event; 4] {
    [
        Event::Text("hello"),
        Event::Text(" yourself"),
        Event::Stop(true),
        Event::Metadata(USAGE),
    ]
}

/// Says what comes in a stream.
pub(crate) struct Voice(mpsc::UnboundedSender<Result<Event, RawError>>);

impl Voice {
    pub(crate) fn say(&self, event: Event) {
        self.0.send(Ok(event)).unwrap();
    }

    pub(crate) fn fail(&self, error: Error) {
        self.0.send(Err(error.into())).unwrap();
    }

    pub(crate) fn is_heard(&self) -> bool {
        !self.0.is_closed()
    }
}

/// A stream that begins with `first`, in answer to the first call of `backend` that is not.
pub(crate) fn stream_of(first: &[Event]) -> (ResponseStream<Event>, Voice) {
    let (voice, heard) = mpsc::unbounded_channel();
    for event in first {
        voice.send(Ok(event.clone())).unwrap();
    }
    let call = asking(Question::default()).context().clone();
    (ResponseStream::new(received(heard), call), Voice(voice))
}

fn received(
    heard: mpsc::UnboundedReceiver<Result<Event, RawError>>,
) -> impl Stream<Item = Result<Event, RawError>> + Send {
    stream::unfold(heard, |mut heard| async {
        Some((heard.recv().await?, heard))
    })
}

/// A service that keeps its calls until they are answered by hand.
pub(crate) struct Backend<T>(Arc<Mutex<Vec<Kept<T>>>>);

struct Kept<T> {
    call: CallContext,
    answer: Option<oneshot::Sender<Result<T, Error>>>,
}

impl<T> Backend<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// How many calls came.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn call(&self, call: usize) -> CallContext {
        self.0.lock().unwrap()[call].call.clone()
    }

    pub(crate) fn answer(&self, call: usize, answer: Result<T, Error>) {
        let sender = self.0.lock().unwrap()[call].answer.take().unwrap();
        assert!(sender.send(answer).is_ok(), "the call was dropped");
    }

    pub(crate) fn is_dropped(&self, call: usize) -> bool {
        let calls = self.0.lock().unwrap();
        calls[call].answer.as_ref().unwrap().is_closed()
    }
}

impl<T> Clone for Backend<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Service<Request<Question>> for Backend<T> {
    type Response = T;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Question>) -> Self::Future {
        let (sender, answer) = oneshot::channel();
        self.0.lock().unwrap().push(Kept {
            call: request.context().clone(),
            answer: Some(sender),
        });
        Box::pin(async {
            let lost = |_| Err(Error::new(Cause::Unknown).with_message("no answer"));
            answer.await.unwrap_or_else(lost)
        })
    }
}

/// What a watcher heard.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// What a watcher of `response` hears.
    pub(crate) fn of(response: &mut impl BedrockResponse) -> Self {
        let heard = Self::default();
        response.watch(heard.clone());
        heard
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Watcher for Heard {
    fn first_content(&mut self, _: tokio::time::Instant) {
        self.add("content".into());
    }

    fn usage(&mut self, usage: &Usage) {
        self.add(format!("used {}", usage.total()));
    }

    fn estimate(&mut self, estimate: &UsageEstimate) {
        self.add(format!("about {}", estimate.output));
    }

    fn finish(&mut self, finish: Finish<'_>) {
        self.add(match finish {
            Finish::Complete => "complete".into(),
            Finish::Failed(error) => error.cause().to_string(),
            Finish::Abandoned => "abandoned".into(),
        });
    }
}
