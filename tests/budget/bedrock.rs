//! The simulator's engine as the innermost service: its own account of quotas, without the wire.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bedrock_sim::{
    Admission, Call, Engine, Finish, Ledger, ModelHandle, ModelSpec, Operation, QuotaOptions,
    Scenario, Ticket, Window,
};
use tokio::time::{Instant, sleep};
use tower::Service;
use tower_bedrock::{
    BedrockRequest, CallContext, Cause, Error, Request, Response, Route, Served, Usage,
};
use tower_bedrock_tests::{MODEL, REGION};

/// A simulated account. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Bedrock {
    engine: Arc<Mutex<Engine>>,
    model: ModelHandle,
    burndown: u64,
    start: Instant,
}

impl Bedrock {
    pub(crate) fn new(model: ModelSpec, window: Window) -> Self {
        let burndown = model.burndown_rate();
        let scenario = Scenario::builder()
            .seed(7)
            .quota(QuotaOptions::new().window(window))
            .model(model)
            .build()
            .expect("a valid scenario");
        let engine = Engine::new(scenario);
        let model = engine.resolve(REGION, MODEL).expect("the model is there");
        Self {
            engine: Arc::new(Mutex::new(engine)),
            model,
            burndown,
            start: Instant::now(),
        }
    }

    pub(crate) fn burndown(&self) -> u64 {
        self.burndown
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let now = self.start.elapsed();
        self.engine
            .lock()
            .expect("no test panics inside")
            .ledger(now)
    }
}

/// The route of [`Bedrock`]'s model.
pub(crate) fn route() -> Route {
    Route::to(MODEL.parse().expect("a model id")).in_region(REGION)
}

/// A call of `input` tokens that may generate `max_output`.
pub(crate) fn request(input: u32, max_output: u32) -> Request<()> {
    let mut call = CallContext::new(tower_bedrock::Operation::Converse, route());
    call.tokens.input = Some(input);
    call.tokens.max_output = Some(max_output);
    Request::new((), call)
}

/// Settles as broken off when the caller goes away.
struct InFlight {
    bedrock: Bedrock,
    ticket: Option<Ticket>,
}

impl InFlight {
    fn finish(&mut self, finish: Finish) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.bedrock.start.elapsed();
            let mut engine = self.bedrock.engine.lock().expect("no test panics inside");
            engine.finish(now, ticket, finish);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.finish(Finish::Failed { output_tokens: 0 });
    }
}

impl Service<Request<()>> for Bedrock {
    type Response = Response<()>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let tokens = request.context().tokens;
        let input = u64::from(tokens.input.expect("the tests count"));
        let mut call = Call::new(self.model, Operation::Converse, input);
        call.max_tokens = tokens.max_output.map(u64::from);
        let bedrock = self.clone();
        Box::pin(async move {
            let now = bedrock.start.elapsed();
            let admission = bedrock
                .engine
                .lock()
                .expect("no test panics inside")
                .admit(now, &call);
            let admitted = match admission {
                Admission::Admitted(admitted) => admitted,
                Admission::Refused(refusal) => {
                    return Err(Error::new(match &*refusal.message {
                        text if text.starts_with("Too many requests") => Cause::RequestRate,
                        text if text.starts_with("Too many tokens per day") => Cause::TokensPerDay,
                        _ => Cause::TokenRate,
                    }));
                }
                other => panic!("no faults are scripted: {other:?}"),
            };
            let takes = admitted.last_token_after();
            let output = admitted.output_tokens;
            let mut in_flight = InFlight {
                bedrock,
                ticket: Some(admitted.ticket),
            };
            sleep(takes).await;
            in_flight.finish(Finish::Complete {
                output_tokens: output,
            });
            let usage = Usage {
                input,
                output,
                ..Usage::default()
            };
            Ok(Response::new((), Served::default(), Some(usage)))
        })
    }
}
