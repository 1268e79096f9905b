//! A local Amazon Bedrock: the real wire protocol, quotas that are enforced, capacity that runs out,
//! and faults on cue, without an AWS account.
//!
//! What it simulates is a [`Scenario`], from a TOML file or made in code. What to reach it by:
//!
//! - [`SimService`] answers HTTP requests in process. On a paused tokio clock an hour of traffic
//!   takes as long as its arithmetic.
//! - `SimHttpClient` (feature `sdk-client`) is the same as the HTTP client of an AWS SDK for Rust.
//! - `Server` (feature `server`) listens on a port, for an SDK in any language.
//! - The `bedrock-sim` command (feature `cli`) runs one: `bedrock-sim serve`.
//!
//! Below them all is [`Engine`], which decides what becomes of each call. It has neither clock nor
//! IO, and can be driven alone.
//!
//! ```
//! use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, Scenario, SimService};
//!
//! let scenario = Scenario::builder()
//!     .model(ModelSpec::new("amazon.nova-lite-v1:0").rpm(60).tpm(100_000))
//!     .fault(FaultSpec::error(ErrorText::TooManyConnections).every(10))
//!     .build()?;
//! let bedrock = SimService::new(scenario);
//! # drop(bedrock);
//! # Ok::<(), bedrock_sim::ScenarioError>(())
//! ```

mod control;
mod engine;
mod scenario;
#[cfg(feature = "sdk-client")]
mod sdk_client;
#[cfg(feature = "server")]
mod server;
mod service;
mod target;
mod wire;

pub use control::ControlPlaneRequest;
pub use engine::{
    Admission, Admitted, Call, Counts, Engine, ErrorText, Exception, FaultId, Finish, Ledger,
    ModelHandle, Operation, QuotaLedger, Refusal, Refused, RetryAfterHint, StreamFault, Ticket,
};
pub use scenario::{
    ControlPlane, DailyReset, DownAnswer, ErrorSpec, FaultKind, FaultSpec, InferenceProfileSpec,
    Message, ModelSpec, OutputTokens, QuotaOptions, Recording, RecordingEnd, Scenario,
    ScenarioBuilder, ScenarioError, ServiceQuotaSpec, Vendor, WhenFull, Window,
};
#[cfg(feature = "sdk-client")]
pub use sdk_client::SimHttpClient;
#[cfg(feature = "server")]
pub use server::Server;
pub use service::{ResponseFuture, SimBody, SimError, SimService};

/// Runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
