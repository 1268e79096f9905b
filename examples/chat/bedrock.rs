//! The stack, and everything that is asked of it.

use std::{sync::Arc, time::Duration};

use aws_sdk_bedrockruntime::{
    operation::{
        converse::{ConverseInput, ConverseOutput},
        converse_stream::ConverseStreamInput,
    },
    types::{ConverseStreamOutput, InferenceConfiguration},
};
use tower_bedrock::{
    Bedrock, BedrockRequest, CircuitBreakers, DefaultStack, Error, FallbackLayer, ModelId,
    OperationInput, Pools, Priority, Quotas, Request, Response, ResponseStream, RetryLayer, Route,
    Stack, StreamLimits, TokenBudgetLayer,
};

use crate::{Result, ask::Question, tally::Tally, target::Target};

/// What goes on at a time for each region, and what may stand in line for it.
const IN_FLIGHT: usize = 100;
const IN_LINE: usize = 200;

/// Somebody looks at the answer grow. A silence of so long is a stall to them.
const SILENCE: Duration = Duration::from_secs(30);

/// What handlers share: clones share quotas, circuits, pools and connections.
#[derive(Clone)]
pub(crate) struct Chat {
    pub(crate) stack: DefaultStack<Bedrock>,
    pub(crate) tally: Arc<Tally>,
    /// Where calls go first.
    route: Route,
}

impl Chat {
    pub(crate) fn new(target: Target, model: ModelId) -> Result<Self> {
        let tally = Arc::new(Tally::new());
        let limits = StreamLimits::new().with_between_events(SILENCE);
        let bedrock = Bedrock::from_builder(target.config).with_stream_limits(limits);
        let home = bedrock
            .home_region()
            .cloned()
            .ok_or("no region is configured: set AWS_REGION")?;

        let (on_budget, on_circuit, on_pool, on_retry, on_fallback) = (
            Arc::clone(&tally),
            Arc::clone(&tally),
            Arc::clone(&tally),
            Arc::clone(&tally),
            Arc::clone(&tally),
        );
        let route = Route::to(model).in_region(home.clone());
        let quotas = Quotas::new().with_home_region(home.clone());
        let breakers = CircuitBreakers::new()
            .with_home_region(home.clone())
            .on_event(move |event| on_circuit.circuit(event));
        let pools = Pools::new()
            .with_home_region(home)
            .with_max_in_flight(IN_FLIGHT)
            .with_max_waiting(IN_LINE)
            .on_event(move |event| on_pool.pool(event));
        let mut stack = Stack::builder(bedrock)
            .fallback(
                FallbackLayer::new(target.ladder)?
                    .on_event(move |event| on_fallback.fallback(event)),
            )
            .retry(RetryLayer::new().on_event(move |event| on_retry.retry(event)))
            .circuit_breaker(breakers)
            .token_budget(
                TokenBudgetLayer::new(quotas)
                    .with_max_waiting(IN_LINE)
                    .on_event(move |event| on_budget.budget(event)),
            )
            .pool(pools);
        for (route, quota) in target.quotas {
            stack = stack.quota(route, quota);
        }
        Ok(Self {
            stack: stack.build()?,
            tally,
            route,
        })
    }

    /// Where calls go first.
    pub(crate) const fn route(&self) -> &Route {
        &self.route
    }

    /// The whole answer.
    ///
    /// Whoever drops the future, as hyper does when the client is gone, has the call cancelled: its
    /// place in line or in flight is free again.
    pub(crate) async fn answer(
        &self,
        question: Question,
        priority: Priority,
    ) -> std::result::Result<Response<ConverseOutput>, Error> {
        let input = ConverseInput::builder()
            .set_messages(Some(question.messages))
            .inference_config(generate_at_most(question.max_tokens))
            .build()
            .map_err(not_built)?;
        let request = self.request(input, question.tenant, question.timeout, priority);
        let answered = self.stack.send(request).await;
        self.tally.outcome(answered.as_ref().map(Response::served));
        answered
    }

    /// The answer as it is generated. It is there when its first content is: what fails before is
    /// retried, falls back, or is the error of this call.
    pub(crate) async fn stream(
        &self,
        question: Question,
    ) -> std::result::Result<ResponseStream<ConverseStreamOutput>, Error> {
        let input = ConverseStreamInput::builder()
            .set_messages(Some(question.messages))
            .inference_config(generate_at_most(question.max_tokens))
            .build()
            .map_err(not_built)?;
        let request = self.request(input, question.tenant, question.timeout, Priority::High);
        let answered = self.stack.send(request).await;
        self.tally
            .outcome(answered.as_ref().map(ResponseStream::served));
        answered
    }

    fn request<Op: OperationInput>(
        &self,
        input: Op,
        tenant: Arc<str>,
        timeout: Duration,
        priority: Priority,
    ) -> Request<Op> {
        let mut request = Request::from(input)
            .with_route(self.route.clone())
            .with_tenant(tenant)
            .with_timeout(timeout)
            .with_priority(priority);
        // The answer takes its time, too. Whoever would be let in too late for it hears so at once,
        // with the time to come again, and costs nobody anything.
        request.context_mut().max_wait = Some(timeout / 2);
        request
    }
}

fn generate_at_most(tokens: i32) -> InferenceConfiguration {
    InferenceConfiguration::builder().max_tokens(tokens).build()
}

fn not_built(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(tower_bedrock::Cause::InvalidRequest).with_source(error)
}
