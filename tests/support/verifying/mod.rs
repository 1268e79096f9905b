//! A Bedrock behind a door that checks who comes, as AWS's does and the simulator, which holds no
//! secrets, does not: in process ([`VerifyingClient`]) and behind a port ([`VerifyingServer`]).

mod client;
mod door;
mod server;
mod time;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Builder, Region};

use crate::{
    REGION,
    sigv4::{Rejection, Signature, Verifier},
};

pub use self::{client::VerifyingClient, server::VerifyingServer, time::VirtualTime};

/// The access key that the door knows.
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// Its secret.
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// Its session token.
pub const TOKEN: &str = "FwoGZXIvYXdzEXAMPLE//////token==";
/// The API key that the door knows.
pub const API_KEY: &str = "bedrock-api-key-EXAMPLE";

/// A request that came to the door.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The host that it was sent to.
    pub host: String,
    /// Its path.
    pub path: String,
    /// What its signature was made for; `None` for an API key.
    pub signature: Option<Signature>,
    /// What the door had against it.
    pub objection: Option<Objection>,
    /// How old its signature was, by the service's clock: seconds, negative when it is dated ahead.
    pub age_secs: i64,
    /// What the SDK says of the attempt.
    pub attempt: Option<String>,
    /// The SDK's id of the call.
    pub invocation: Option<String>,
    /// All of its headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a door may have against a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The signature is not valid.
    Signature(Rejection),
    /// It is for another region than the host's.
    Region,
    /// It is dated too far from the service's clock.
    Clock,
    /// Nobody has this API key.
    ApiKey,
    /// The body is not as long as the header says.
    Length,
}

/// A configuration of the SDK whose requests go to AWS's own endpoints, as far as `client` lets them:
/// [`ACCESS_KEY`] in [`REGION`], by `clock`.
#[must_use]
pub fn signing(client: &VerifyingClient, clock: VirtualTime) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials())
        .time_source(clock)
        .http_client(client.clone())
}

/// What [`ACCESS_KEY`] signs with.
#[must_use]
pub fn credentials() -> Credentials {
    Credentials::from_keys(ACCESS_KEY, SECRET, Some(TOKEN.to_owned()))
}

fn known_key() -> Verifier {
    Verifier::new(ACCESS_KEY, SECRET, "bedrock").with_token(TOKEN)
}
