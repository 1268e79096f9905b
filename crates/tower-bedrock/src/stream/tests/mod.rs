mod ends;
mod hold_back;
mod lifecycle;
mod limits;
mod usage;
mod watchers;
#[cfg(feature = "aws")]
mod wire;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use tokio::time::sleep;

use super::*;
use crate::{
    call::{CallContext, Operation},
    error::{ErrorDetails, RawError},
    reply::{Finish, Usage, UsageEstimate, Watcher},
    route::Route,
};

/// An event of a stream made up for a test.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Start,
    Text(&'static str),
    Stop,
    Metadata(Usage),
    /// Of a format whose end nobody knows.
    Foreign,
}

impl StreamEvent for Event {
    fn facts(&self) -> EventFacts {
        let mut facts = EventFacts {
            has_known_end: *self != Self::Foreign,
            ..EventFacts::default()
        };
        match self {
            Self::Start => {}
            Self::Text(text) => {
                facts.is_content = true;
                facts.output_bytes = text.len() as u64;
            }
            Self::Stop => facts.is_end = true,
            Self::Metadata(usage) => {
                facts.counts_are_final = true;
                facts.counts = Some(TokenCounts {
                    input: Some(usage.input),
                    output: Some(usage.output),
                    ..TokenCounts::default()
                });
            }
            Self::Foreign => facts.is_content = true,
        }
        facts
    }
}

/// What a service does, and how long after what it did before.
#[derive(Clone, Debug)]
enum Step {
    Says(u64, Event),
    /// Sends an exception.
    Refuses(u64, &'static str),
    /// The connection breaks.
    Breaks(u64),
    /// Nothing ever comes.
    Hangs,
}

use Step::{Breaks, Hangs, Refuses, Says};

const USAGE: Usage = Usage {
    input: 7,
    output: 5,
    cache_read: 0,
    cache_write: 0,
};

/// A whole answer, an event a second.
fn answer() -> Vec<Step> {
    vec![
        Says(1000, Event::Start),
        Says(1000, Event::Text("Hello")),
        Says(1000, Event::Text(", world")),
        Says(1000, Event::Stop),
        Says(1000, Event::Metadata(USAGE)),
    ]
}

/// Whether a connection is still open.
#[derive(Clone, Default)]
struct Connection(Arc<AtomicBool>);

struct Open(Arc<AtomicBool>);

impl Connection {
    fn open(&self) -> Open {
        self.0.store(true, Ordering::SeqCst);
        Open(Arc::clone(&self.0))
    }

    fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn script(
    steps: Vec<Step>,
    connection: &Connection,
) -> impl Stream<Item = Result<Event, RawError>> + Send + 'static {
    let open = connection.open();
    stream::unfold((steps.into_iter(), open), |(mut steps, open)| async move {
        let (wait, item) = match steps.next()? {
            Says(wait, event) => (wait, Ok(event)),
            Refuses(wait, code) => (wait, Err(exception(code))),
            Breaks(wait) => (wait, Err(RawError::Truncated(Box::default()))),
            Hangs => return std::future::pending().await,
        };
        if wait > 0 {
            sleep(Duration::from_millis(wait)).await;
        }
        Some((item, (steps, open)))
    })
    .boxed()
}

fn exception(code: &str) -> RawError {
    RawError::Answered(Box::new(ErrorDetails {
        code: Some(code.to_owned()),
        ..ErrorDetails::default()
    }))
}

fn call() -> CallContext {
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap()).in_region("us-east-1");
    let mut call = CallContext::new(Operation::ConverseStream, route);
    call.attempt = 2;
    call
}

fn stream_of(steps: Vec<Step>) -> ResponseStream<Event> {
    ResponseStream::new(script(steps, &Connection::default()), call())
}

/// The events of a stream, and the cause of its error.
async fn drain(stream: &mut ResponseStream<Event>) -> (Vec<Event>, Option<crate::error::Error>) {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

/// Writes down what it hears.
#[derive(Clone, Default)]
struct Recorder {
    name: &'static str,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn named(&self, name: &'static str) -> Self {
        Self {
            name,
            heard: Arc::clone(&self.heard),
        }
    }

    fn note(&self, what: &str) {
        let name = self.name;
        self.heard.lock().unwrap().push(format!("{name}{what}"));
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Watcher for Recorder {
    fn usage(&mut self, usage: &Usage) {
        self.note(&format!("used {}+{}", usage.input, usage.output));
    }

    fn estimate(&mut self, estimate: &UsageEstimate) {
        let input = estimate
            .input
            .map_or("?".to_owned(), |input| input.to_string());
        self.note(&format!("about {input}+{}", estimate.output));
    }

    fn finish(&mut self, finish: Finish<'_>) {
        self.note(&match finish {
            Finish::Complete => "complete".to_owned(),
            Finish::Failed(error) => format!("failed: {}", error.cause()),
            Finish::Abandoned => "abandoned".to_owned(),
        });
    }
}
