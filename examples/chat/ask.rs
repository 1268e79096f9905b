//! What a caller asks: read from a body, a query and headers, and bounded.

use std::{sync::Arc, time::Duration};

use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, Message};
use axum::{
    Json,
    extract::{FromRequest, Query, Request},
    http::{HeaderMap, Method, StatusCode},
};
use serde::Deserialize;

use crate::refusal::Refusal;

/// On whose behalf, as a header. A real application takes it from what it has authenticated.
pub(crate) const TENANT: &str = "x-tenant";
/// How long the caller waits, in milliseconds, as a header.
pub(crate) const TIMEOUT: &str = "x-timeout-ms";

pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_PROMPT_CHARS: usize = 8_000;
const MAX_TURNS: usize = 20;
const MAX_TENANT_BYTES: usize = 64;
const TOKENS: std::ops::RangeInclusive<u32> = 1..=1_000;
const DEFAULT_TOKENS: u32 = 300;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Who asks for longer gets this.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(180);

/// A question that may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) messages: Vec<Message>,
    pub(crate) max_tokens: i32,
    pub(crate) tenant: Arc<str>,
    pub(crate) timeout: Duration,
}

/// A question as it comes: the body of a POST, or the query of a GET. An `EventSource` sends neither
/// bodies nor headers, so what otherwise stands in headers may stand here too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    prompt: String,
    #[serde(default)]
    history: Vec<Turn>,
    max_tokens: Option<u32>,
    timeout_ms: Option<u64>,
    tenant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    role: Role,
    text: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

impl<S: Send + Sync> FromRequest<S> for Question {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let headers = request.headers().clone();
        let asked = if request.method() == Method::GET {
            Query::<Asked>::from_request(request, state).await?.0
        } else {
            Json::<Asked>::from_request(request, state).await?.0
        };
        asked.checked(&headers)
    }
}

impl Question {
    /// One prompt, with the defaults.
    pub(crate) fn new(prompt: &str, tenant: &str, timeout: Duration) -> Result<Self, Refusal> {
        let asked = Asked {
            prompt: prompt.to_owned(),
            history: Vec::new(),
            max_tokens: None,
            timeout_ms: u64::try_from(timeout.as_millis()).ok(),
            tenant: Some(tenant.to_owned()),
        };
        asked.checked(&HeaderMap::new())
    }
}

impl Asked {
    /// The question, if it can be asked. Headers go before fields.
    fn checked(self, headers: &HeaderMap) -> Result<Question, Refusal> {
        let max_tokens = self.max_tokens.unwrap_or(DEFAULT_TOKENS);
        if !TOKENS.contains(&max_tokens) {
            return Err(invalid("`max_tokens` is between 1 and 1000"));
        }
        let tenant = match header(headers, TENANT)? {
            Some(tenant) => tenant,
            None => self.tenant.as_deref().unwrap_or("anonymous"),
        };
        let timeout =
            match header(headers, TIMEOUT)? {
                Some(millis) => Some(millis.parse().map_err(|_| {
                    invalid(format!("`{TIMEOUT}` is a whole number of milliseconds"))
                })?),
                None => self.timeout_ms,
            };
        if timeout == Some(0) {
            return Err(invalid("a timeout is at least a millisecond"));
        }
        Ok(Question {
            tenant: checked_tenant(tenant)?.into(),
            timeout: timeout.map_or(DEFAULT_TIMEOUT, |millis| {
                Duration::from_millis(millis).min(MAX_TIMEOUT)
            }),
            max_tokens: i32::try_from(max_tokens).unwrap_or(i32::MAX),
            messages: messages(self.history, self.prompt)?,
        })
    }
}

/// A value that becomes a key in the quota's line, and may become a label: short, and of characters
/// that need no care anywhere.
fn checked_tenant(tenant: &str) -> Result<&str, Refusal> {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if tenant.is_empty() || tenant.len() > MAX_TENANT_BYTES || !tenant.bytes().all(is_sound) {
        return Err(invalid(format!(
            "a tenant is 1 to {MAX_TENANT_BYTES} letters, digits, `-`, `_` and `.`"
        )));
    }
    Ok(tenant)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(invalid(format!("`{name}` is not ASCII"))),
    }
}

fn messages(history: Vec<Turn>, prompt: String) -> Result<Vec<Message>, Refusal> {
    if history.len() > MAX_TURNS {
        return Err(invalid(format!("`history` has at most {MAX_TURNS} turns")));
    }
    let prompt = Turn {
        role: Role::User,
        text: prompt,
    };
    let turns = history.into_iter().chain([prompt]);
    turns.map(message).collect()
}

fn message(turn: Turn) -> Result<Message, Refusal> {
    if turn.text.trim().is_empty() {
        return Err(invalid("there is a text without words"));
    }
    if turn.text.chars().count() > MAX_PROMPT_CHARS {
        return Err(invalid(format!(
            "a text has at most {MAX_PROMPT_CHARS} characters"
        )));
    }
    Message::builder()
        .role(match turn.role {
            Role::User => ConversationRole::User,
            Role::Assistant => ConversationRole::Assistant,
        })
        .content(ContentBlock::Text(turn.text))
        .build()
        .map_err(|_| invalid("the conversation cannot be sent"))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, message)
}
