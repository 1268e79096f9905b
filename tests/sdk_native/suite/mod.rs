//! One table of scenarios, run on both faces: the layers around [`Bedrock`](tower_bedrock::Bedrock),
//! and the same layers inside the SDK's fluent client.
//!
//! A row names what goes wrong at the service, which layers stand in between, and what is asked. Both
//! faces must come to the same: the same answers and errors, the same requests on the wire, the same
//! virtual time. The row says on top of it what that is, so that two equal mistakes are none.

mod budgets;
mod call;
mod cancel;
mod causes;
mod config;
mod face;
mod operations;
mod outcome;
mod pools;
mod retries;
mod rig;
mod routes;
mod row;
mod sockets;
mod stack;
mod streaming;
mod streams;
mod surface;
mod time;
mod timeouts;
mod utilities;

pub(crate) use self::{
    call::{Call, Op},
    face::{Face, MakeFace},
    outcome::Told,
    rig::{MakeRig, Rig},
    row::Configure,
};
