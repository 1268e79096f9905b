//! [`Stack`]: all layers in the order in which they belong, wired to each other.
//!
//! ```no_run
//! # #[cfg(feature = "aws")]
//! # async fn example(sdk_config: &aws_types::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
//! use aws_sdk_bedrockruntime::operation::converse::ConverseInput;
//! use std::time::Duration;
//! use tower_bedrock::{Bedrock, FallbackLayer, Ladder, Quota, Request, Route, Stack};
//!
//! let sonnet = Route::to("eu.anthropic.claude-sonnet-4-6".parse()?);
//! let bedrock = Stack::builder(Bedrock::new(sdk_config))
//!     .quota(sonnet, Quota::new().with_tokens_per_minute(2_000_000))
//!     .fallback(FallbackLayer::new(Ladder::regions(["eu-west-1", "eu-central-1"]))?)
//!     .build()?;
//!
//! let input = ConverseInput::builder()
//!     .model_id("eu.anthropic.claude-sonnet-4-6")
//!     // .messages(…)
//!     .build()?;
//! let request = Request::from(input).with_timeout(Duration::from_secs(60));
//! let response = bedrock.send(request).await?;
//! println!("{:?}", response.served());
//! # Ok(())
//! # }
//! ```
//!
//! # What is in it, and why in this order
//!
//! Outermost first, with what each does unless the builder is told otherwise:
//!
//! | layer | by default |
//! |---|---|
//! | `Trace` of calls | with the feature `tracing`: a span around each call, and one around each attempt inside of `Retry` |
//! | `CallMetrics` | with the feature `metrics`: counts calls by what comes of them; `AttemptMetrics`, directly around `Classify`, counts what goes out |
//! | `Cache` | not there: with the feature `cache`, `StackBuilder::cache` has calls answered out of memory |
//! | [`Coalesce`](crate::Coalesce) | not there: [`coalesce`](StackBuilder::coalesce) has calls that are the same share attempts |
//! | [`Fallback`](crate::Fallback) | knows no other route: calls stay where they are sent until a [`Ladder`](crate::Ladder) says where else they may go. Asks circuits, quotas and pools before it sends a call anywhere |
//! | [`Retry`](crate::Retry) | the [`Reactions`](crate::Reactions) table, a budget of 500 tokens; not after a timeout, because the work may be billed twice (a ladder that is set does move on then) |
//! | [`CircuitBreaker`](crate::CircuitBreaker) | one circuit for each route; opens when half of the calls of a minute, or ten in a row, fail |
//! | [`TokenBudget`](crate::TokenBudget) | no quota is known: ledgers learn from refusals until [`quota`](StackBuilder::quota) tells them |
//! | [`Pool`](crate::Pool) | 50 calls in flight for each region, up to 1000 more in line, each for up to a minute |
//! | [`Classify`](crate::Classify) | the catalogue of causes |
//!
//! A call without a deadline of its own gets one of an hour ([`StackBuilder::timeout`]): as long as an
//! inference may take (BEDROCK.md §7), so nothing is cut that the service would still answer, and a
//! connection that hangs does not keep its places for ever.
//!
//! What another order would mean; all but the last compile:
//!
//! | order | what happens |
//! |---|---|
//! | `Cache` inside of `Fallback` | what another route answered is kept for that route; a hit still waits for what lies above |
//! | `Coalesce` around `Cache` | a call that could be answered at once joins one that has just begun |
//! | `Retry` around `Fallback` | each retry goes down the whole ladder: attempts multiply, and a call waits for its primary before it looks elsewhere |
//! | `CircuitBreaker` around `Retry` | a call's attempts count as one, and go on against a route that others know to be sick |
//! | `TokenBudget` around `Retry` | a call is admitted once: its retries go to the service unaccounted |
//! | `TokenBudget` around `CircuitBreaker` | calls stand in line for quota to be refused by an open circuit |
//! | `Pool` around `TokenBudget` | calls that wait for the quota of one model fill the places of all others |
//! | `Pool` around `Retry` | calls keep their places while they wait for their next attempt |
//! | `Classify` further out | the errors of `Bedrock` have no cause yet that a layer inside of it could read: it does not compile |
//!
//! # The same by hand
//!
//! ```
//! use std::time::Duration;
//! use tower::ServiceBuilder;
//! use tower_bedrock::{
//!     CircuitBreakerLayer, CircuitBreakers, ClassifyLayer, FallbackLayer, Ladder, PoolLayer, Pools,
//!     Quotas, RetryLayer, TokenBudgetLayer,
//! };
//!
//! # fn stack<S>(bedrock: S) -> Result<(), tower_bedrock::InvalidLadder> {
//! let home = "eu-west-1";
//! let quotas = Quotas::new().with_home_region(home);
//! let breakers = CircuitBreakers::new().with_home_region(home);
//! let pools = Pools::new().with_home_region(home);
//! let fallback = FallbackLayer::new(Ladder::regions(["eu-west-1", "eu-central-1"]))?
//!     .with_home_region(home)
//!     .with_gate(breakers.clone())
//!     .with_gate(quotas.clone())
//!     .with_gate(pools.clone());
//!
//! let stack = ServiceBuilder::new()
//!     .layer(fallback)
//!     .layer(RetryLayer::new())
//!     .layer(CircuitBreakerLayer::new(breakers))
//!     .layer(TokenBudgetLayer::new(quotas))
//!     .layer(PoolLayer::new(pools))
//!     .layer(ClassifyLayer::new())
//!     .service(bedrock);
//! # let _ = stack;
//! # Ok(())
//! # }
//! ```
//!
//! Written like this, calls have no default deadline, nothing is counted or traced, and layers of one's
//! own can go in between.

mod builder;
mod error;
mod layer;
mod meter;
mod part;
mod service;
#[cfg(test)]
mod tests;
mod traces;

pub use self::{
    builder::{DefaultLayers, StackBuilder},
    error::InvalidStack,
    layer::StackLayer,
    service::{DefaultStack, Stack},
};
