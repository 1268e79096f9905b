#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt::{self, Write},
    future::{poll_fn, ready},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_bedrockruntime::{
    operation::count_tokens::{CountTokensInput, CountTokensOutput},
    types,
};
use tokio::time::timeout;
use tower_service::Service;

use super::operation::{Addressed, SdkOperation};
use crate::{
    call::{BedrockRequest, Operation, Request},
    cause::Cause,
    error::Error,
    model_id::ModelId,
    reply::Response,
    token_budget::{Estimate, SizeEstimator, TokenCount, TokenEstimator},
};

/// Counts that are remembered: a conversation that is retried or asked again needs no other one.
const REMEMBERED: usize = 4096;
/// A count that takes longer is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Estimates by size, and has the service count what does not fit the quota with room to spare.
///
/// CountTokens costs nothing but time, is not there for every model (BEDROCK.md §1.1), and may be
/// throttled itself. So a call that fits even if its input were half as large again goes at once, by
/// its size, and only one that is in doubt is counted. Counts are remembered, and teach the
/// estimates of the model; a model that cannot be counted is not asked again; and a count that fails
/// or takes more than two seconds is done without.
///
/// # Example
///
/// ```no_run
/// use tower::ServiceBuilder;
/// use tower_bedrock::{
///     Bedrock, ClassifyLayer, CountTokensEstimator, Quotas, RetryLayer, TokenBudgetLayer,
/// };
///
/// # fn example(sdk_config: &aws_types::SdkConfig, quotas: Quotas) {
/// let bedrock = ServiceBuilder::new()
///     .layer(ClassifyLayer::new())
///     .service(Bedrock::new(sdk_config));
/// let stack = ServiceBuilder::new()
///     .layer(RetryLayer::new())
///     .layer(TokenBudgetLayer::new(quotas).with_estimator(CountTokensEstimator::new(bedrock.clone())))
///     .service(bedrock);
/// # let _ = stack;
/// # }
/// ```
#[derive(Clone)]
pub struct CountTokensEstimator<S> {
    service: S,
    patience: Duration,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    counts: HashMap<u64, u64>,
    /// What is remembered, oldest first.
    order: VecDeque<u64>,
    uncountable: HashSet<ModelId>,
}

impl<S> CountTokensEstimator<S> {
    /// Counts through `service`: what sends CountTokens, with errors classified, and without a token
    /// budget of its own.
    pub fn new(service: S) -> Self {
        Self {
            service,
            patience: PATIENCE,
            memory: Arc::default(),
        }
    }

    /// Waits this long for a count; two seconds by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl<Op, S> TokenEstimator<Request<Op>> for CountTokensEstimator<S>
where
    Op: SdkOperation,
    S: Service<Request<CountTokensInput>, Response = Response<CountTokensOutput>>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Error: Into<Error>,
    S::Future: Send,
{
    fn estimate(&self, request: &Request<Op>) -> Estimate {
        SizeEstimator.estimate(request)
    }

    fn count(&self, request: &Request<Op>) -> Option<TokenCount> {
        let call = request.context();
        let model = call.route.model.clone()?;
        if call.tokens.input.is_some() || lock(&self.memory).uncountable.contains(&model) {
            return None;
        }
        let input = Addressed::to_be_counted(request.input())?;
        let digest = digest(&model, &input);
        if let Some(&tokens) = lock(&self.memory).counts.get(&digest) {
            return Some(Box::pin(ready(Some(tokens))));
        }

        let input = CountTokensInput::builder()
            .model_id(model.as_str())
            .input(input)
            .build()
            .ok()?;
        let mut count = Request::from(input).with_route(call.route.clone());
        count.context_mut().operation = Operation::CountTokens;
        count.context_mut().deadline = call.deadline;
        let (mut service, memory) = (self.service.clone(), Arc::clone(&self.memory));
        let patience = self.patience;
        Some(Box::pin(async move {
            let counting = async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(count).await
            };
            match timeout(patience, counting).await.ok()?.map_err(Into::into) {
                Ok(response) => {
                    let tokens = u64::try_from(response.output().input_tokens()).ok()?;
                    lock(&memory).remember(digest, tokens);
                    Some(tokens)
                }
                Err(error) => {
                    if cannot_be_counted(&error) {
                        lock(&memory).give_up_on(model);
                    }
                    None
                }
            }
        }))
    }
}

/// Whether the service will never count for the model, or not for us.
fn cannot_be_counted(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::InvalidRequest | Cause::AccessDenied | Cause::NotFound | Cause::ProfileRequired
    )
}

impl Memory {
    fn remember(&mut self, digest: u64, tokens: u64) {
        if self.counts.insert(digest, tokens).is_none() {
            self.order.push_back(digest);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
    }

    fn give_up_on(&mut self, model: ModelId) {
        if self.uncountable.len() < REMEMBERED {
            self.uncountable.insert(model);
        }
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells one input from another. The SDK's types can be printed and not hashed; what they do
/// not print of themselves, such as the bytes of images, hardly tells on the count.
fn digest(model: &ModelId, input: &types::CountTokensInput) -> u64 {
    struct Sink(DefaultHasher);

    impl Write for Sink {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }

    let mut sink = Sink(DefaultHasher::new());
    model.hash(&mut sink.0);
    match input {
        types::CountTokensInput::InvokeModel(request) => {
            request.body().as_ref().hash(&mut sink.0);
        }
        // The sink takes everything.
        other => drop(write!(sink, "{other:?}")),
    }
    sink.0.finish()
}

impl<S> fmt::Debug for CountTokensEstimator<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountTokensEstimator")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
