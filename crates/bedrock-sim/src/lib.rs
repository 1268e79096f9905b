//! A local Amazon Bedrock.

mod engine;
mod scenario;
#[cfg(feature = "sdk-client")]
mod sdk_client;
#[cfg(feature = "server")]
mod server;
mod service;
mod target;
mod wire;

pub use engine::{
    Admission, Admitted, Call, Counts, Engine, ErrorText, Exception, Finish, Ledger, ModelHandle,
    Operation, QuotaLedger, Refusal, Refused, RetryAfterHint, StreamFault, Ticket,
};
pub use scenario::{
    DailyReset, DownAnswer, ErrorSpec, FaultKind, FaultSpec, Message, ModelSpec, OutputTokens,
    QuotaOptions, Scenario, ScenarioBuilder, ScenarioError, Vendor, WhenFull, Window,
};
#[cfg(feature = "sdk-client")]
pub use sdk_client::SimHttpClient;
#[cfg(feature = "server")]
pub use server::Server;
pub use service::{ResponseFuture, SimBody, SimError, SimService};
