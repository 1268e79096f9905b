//! A local Amazon Bedrock.

mod engine;
mod scenario;
mod target;

pub use engine::{
    Admission, Admitted, Call, Counts, Engine, ErrorText, Exception, Finish, Ledger, ModelHandle,
    Operation, QuotaLedger, Refusal, Refused, RetryAfterHint, StreamFault, Ticket,
};
pub use scenario::{
    DailyReset, DownAnswer, ErrorSpec, FaultKind, FaultSpec, Message, ModelSpec, OutputTokens,
    QuotaOptions, Scenario, ScenarioBuilder, ScenarioError, Vendor, WhenFull, Window,
};
