//! One request and its answer.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{
    SimBody, SimError, generate,
    settlement::{Progress, Settlement},
    state::{Shared, State, later},
};
use crate::{
    control::{ControlError, Protocol},
    engine::{Admission, Admitted, Call, ErrorText, ModelHandle, Operation},
    scenario::Vendor,
    wire::{
        JSON, MAX_BODY, auth,
        content::Scale,
        error::WireError,
        guardrail, header as own, request,
        script::Pace,
        uri::{OwnPage, Target},
    },
};

/// What an image counts: what a Claude model charges for one of the largest size that it does not
/// shrink.
const TOKENS_PER_IMAGE: u64 = 1_600;

/// The largest body of a request to the control plane, in bytes: far more than any has.
const MAX_CONTROL_BODY: usize = 65_536;

/// What a request comes to that is not answered with success.
pub(super) enum Stop {
    /// An error response.
    Error(WireError),
    /// The connection is reset.
    Reset,
    /// Nothing ever comes.
    NoAnswer,
    /// The request broke off.
    Body(SimError),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Error(error)
    }
}

/// What a request asks for, and where.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) operation: Operation,
    pub(super) region: &'a str,
}

/// A model as a request found it.
pub(super) struct Model {
    pub(super) handle: ModelHandle,
    /// Its id as it was called.
    pub(super) id: String,
    pub(super) vendor: Vendor,
    pub(super) scale: Scale,
}

/// Answers a request.
pub(super) async fn answer<B>(
    shared: Arc<Shared>,
    request: Request<B>,
) -> Result<Response<SimBody>, SimError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let id = shared.lock().ids.request_id();
    let mut response = match respond(&shared, &parts, body).await {
        Ok(response) => response,
        Err(Stop::Error(error)) => {
            wait_until(later(Instant::now(), error.after)).await;
            error.into_response().map(SimBody::whole)
        }
        Err(Stop::Reset) => return Err(SimError::ConnectionReset),
        Err(Stop::NoAnswer) => std::future::pending().await,
        Err(Stop::Body(error)) => return Err(error),
    };
    response.headers_mut().insert(own::REQUEST_ID, id);
    Ok(response)
}

async fn respond<B>(shared: &Arc<Shared>, parts: &Parts, body: B) -> Result<Response<SimBody>, Stop>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if let Some(protocol) = Protocol::of(parts) {
        return control_plane(shared, protocol, parts, body).await;
    }
    let target = known(shared, Target::parse(&parts.method, parts.uri.path()))?;
    let operation = match target {
        Target::Own(page) => return Ok(own_page(shared, page)),
        Target::Model { operation, .. } => operation,
        Target::Guardrail => Operation::ApplyGuardrail,
    };
    let region = known(shared, auth::region(&parts.headers, &parts.uri, "bedrock"))?;
    let region = region.map_or_else(|| shared.home_region(), str::to_owned);
    let asked = Asked {
        operation,
        region: &region,
    };
    let body = read(shared, asked, body).await?;
    let Target::Model { model_id, .. } = target else {
        return apply_guardrail(shared, asked, &body).await;
    };
    let model = resolve(shared, asked, model_id)?;
    match operation {
        Operation::CountTokens => count_tokens(shared, asked, &model, &body).await,
        _ => generate::generate(shared, asked, model, &parts.headers, &body).await,
    }
}

/// Service Quotas and the inference profiles, which take no time and draw on no quota.
async fn control_plane<B>(
    shared: &Shared,
    protocol: Protocol,
    parts: &Parts,
    body: B,
) -> Result<Response<SimBody>, Stop>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body = Limited::new(body, MAX_CONTROL_BODY).collect().await;
    let body = body.map_err(|error| Stop::Body(SimError::RequestBody(error)))?;
    let region = auth::region(&parts.headers, &parts.uri, protocol.signed_for());
    let answer = region.map_err(ControlError::from).and_then(|region| {
        let region = region.map_or_else(|| shared.home_region(), str::to_owned);
        let asked = protocol.read(parts, &body.to_bytes())?;
        let State {
            control, engine, ..
        } = &mut *shared.lock();
        control.answer(engine.scenario(), &region, &asked)
    });
    Ok(protocol.answer(answer).map(SimBody::whole))
}

/// The simulator's own pages, which ask for no credentials.
fn own_page(shared: &Shared, page: OwnPage) -> Response<SimBody> {
    match page {
        OwnPage::Ledger => json(to_json(&shared.ledger())),
        OwnPage::Reset => {
            shared.lock().reset();
            json("{}")
        }
        OwnPage::Health => json(r#"{"status":"ok"}"#),
    }
}

async fn read<B>(shared: &Shared, asked: Asked<'_>, body: B) -> Result<Bytes, Stop>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let too_large = || {
        valid(
            shared,
            asked,
            None,
            Err(WireError::body_too_large(MAX_BODY)),
        )
    };
    if body.size_hint().lower() > MAX_BODY as u64 {
        return too_large();
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => too_large(),
        Err(error) => Err(Stop::Body(SimError::RequestBody(error))),
    }
}

fn resolve(shared: &Shared, asked: Asked<'_>, id: String) -> Result<Model, Stop> {
    let found = find(shared, asked.region, id);
    valid(shared, asked, None, found)
}

fn find(shared: &Shared, region: &str, id: String) -> Result<Model, WireError> {
    let state = shared.lock();
    let handle = state.engine.resolve(region, &id)?;
    match state.engine.spec(handle) {
        Some(spec) => Ok(Model {
            handle,
            id,
            vendor: spec.vendor(),
            scale: Scale {
                bytes_per_token: spec.bytes_per_token,
                tokens_per_image: TOKENS_PER_IMAGE,
            },
        }),
        // The handle is the engine's own.
        None => Err(WireError::known(ErrorText::InternalServer)),
    }
}

async fn count_tokens(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    model: &Model,
    body: &[u8],
) -> Result<Response<SimBody>, Stop> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Reply {
        input_tokens: u64,
    }

    let content = request::parse_count(body, model.vendor);
    let content = valid(shared, asked, Some(model.handle), content)?;
    let input_tokens = model.scale.tokens(content.size);
    let call = Call::new(model.handle, Operation::CountTokens, input_tokens);
    let admission = {
        let mut state = shared.lock();
        let now = state.now();
        state.engine.admit(now, &call)
    };
    take_time(shared, admitted(admission)?).await;
    Ok(json(to_json(&Reply { input_tokens })))
}

async fn apply_guardrail(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    body: &[u8],
) -> Result<Response<SimBody>, Stop> {
    let reply = valid(shared, asked, None, guardrail::apply(body))?;
    let admission = {
        let mut state = shared.lock();
        let now = state.now();
        state
            .engine
            .admit_without_model(now, asked.region, asked.operation)
    };
    take_time(shared, admitted(admission)?).await;
    Ok(json(reply))
}

/// Lets an answer take its time, for operations that generate nothing.
async fn take_time(shared: &Arc<Shared>, admitted: Admitted) {
    let settlement = Settlement::new(Arc::clone(shared), admitted.ticket, Progress::Sent(0));
    wait_until(later(Instant::now(), admitted.first_token_after)).await;
    settlement.complete(0);
}

/// Counts a request that does not say what it is for, or where.
fn known<T>(shared: &Shared, checked: Result<T, WireError>) -> Result<T, Stop> {
    checked.map_err(|error| {
        shared.lock().engine.refuse_invalid(None);
        error.into()
    })
}

/// Counts an invalid request, unless nobody is there to find that out.
pub(super) fn valid<T>(
    shared: &Shared,
    asked: Asked<'_>,
    model: Option<ModelHandle>,
    checked: Result<T, WireError>,
) -> Result<T, Stop> {
    checked.map_err(|error| {
        let mut state = shared.lock();
        let now = state.now();
        let end = state
            .engine
            .admit_invalid(now, asked.region, model, asked.operation);
        match end.map(admitted) {
            Some(Err(stop)) => stop,
            Some(Ok(_)) | None => error.into(),
        }
    })
}

pub(super) fn admitted(admission: Admission) -> Result<Admitted, Stop> {
    match admission {
        Admission::Admitted(admitted) => Ok(admitted),
        Admission::Refused(refusal) => Err(WireError::from(refusal).into()),
        Admission::Reset => Err(Stop::Reset),
        Admission::NoAnswer => Err(Stop::NoAnswer),
    }
}

pub(super) fn pace(admitted: &Admitted) -> Pace {
    Pace {
        first_token_after: admitted.first_token_after,
        per_token: admitted.per_token,
    }
}

/// Waits, but does not yield when there is nothing to wait for.
pub(super) async fn wait_until(instant: Instant) {
    if instant > Instant::now() {
        sleep_until(instant).await;
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

pub(super) fn json(body: impl Into<Bytes>) -> Response<SimBody> {
    let mut response = Response::new(SimBody::whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
