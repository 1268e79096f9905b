//! The live picture: what is drawn of quotas, where circuits stand, what answers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, future::BoxFuture, stream};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tower_bedrock::{CircuitSnapshot, PoolSnapshot, QuotaSnapshot, Route};

use crate::{
    app::App,
    bedrock::Chat,
    demo::Demo,
    refusal::Refusal,
    shutdown::{Shutdown, Stage},
};

/// How often a picture is taken, once for all who look.
const EVERY: Duration = Duration::from_millis(500);

/// The latest picture, as JSON.
pub(crate) type Pictures = watch::Receiver<Arc<str>>;

/// `GET /live`: a picture now, and whenever a new one is taken.
///
/// An `EventSource` connects again by itself, which is what a page wants here.
pub(crate) async fn live(State(app): State<App>) -> Response {
    let Ok(seat) = app.seats.clone().try_acquire_owned() else {
        let busy = "as many are looking as may";
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, busy)
            .with_retry_after(5)
            .into_response();
    };
    let events = Sse::new(events(app.pictures.clone(), seat, &app.shutdown));
    let headers = [("x-accel-buffering", "no")];
    (headers, events.keep_alive(KeepAlive::default())).into_response()
}

/// Ends with the shutdown: nothing else would end it.
fn events(
    mut pictures: Pictures,
    seat: OwnedSemaphorePermit,
    shutdown: &Shutdown,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + use<> {
    pictures.mark_changed();
    let closing: BoxFuture<'static, ()> = Box::pin(shutdown.reached(Stage::Closing));
    stream::unfold(
        (pictures, seat, closing),
        |(mut pictures, seat, mut closing)| async {
            tokio::select! {
                changed = pictures.changed() => changed.ok()?,
                () = &mut closing => return None,
            }
            let picture = Arc::clone(&pictures.borrow_and_update());
            let event = Event::default().data(picture);
            Some((Ok(event), (pictures, seat, closing)))
        },
    )
}

/// Takes pictures for as long as somebody may look.
pub(crate) fn pictures(chat: Chat, demo: Demo, target: &'static str) -> Pictures {
    let take = move || -> Arc<str> { picture(&chat, &demo, target).to_string().into() };
    let (sender, receiver) = watch::channel(take());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        while !sender.is_closed() {
            ticks.tick().await;
            sender.send_replace(take());
        }
    });
    receiver
}

fn picture(chat: &Chat, demo: &Demo, target: &str) -> Value {
    let stack = &chat.stack;
    let mut quotas = stack
        .quotas()
        .map_or(Vec::new(), |quotas| quotas.snapshot());
    quotas.sort_by_cached_key(|quota| (quota.key.model.clone(), quota.key.region.clone()));
    let mut circuits = stack
        .breakers()
        .map_or(Vec::new(), |breakers| breakers.snapshot());
    circuits.sort_by_cached_key(|circuit| circuit.route.to_string());
    let mut pools = stack.pools().map_or(Vec::new(), |pools| pools.snapshot());
    pools.sort_by_cached_key(|pool| pool.key.region.clone());
    let retries = stack.retry_budget();
    json!({
        "target": target,
        "demo": demo.state(),
        "quotas": quotas.iter().map(quota).collect::<Vec<_>>(),
        "circuits": circuits.iter().map(circuit).collect::<Vec<_>>(),
        "pools": pools.iter().map(pool).collect::<Vec<_>>(),
        "retry_budget": retries.map(|budget| json!({
            "available": budget.available(),
            "capacity": budget.capacity(),
        })),
        "history": chat.tally.history(),
    })
}

fn quota(quota: &QuotaSnapshot) -> Value {
    json!({
        "model": quota.key.model.as_deref(),
        "region": quota.key.region.as_ref().map(|region| region.as_str()),
        "requests": {
            "limit": quota.requests_per_minute,
            "learned": quota.learned_requests_per_minute,
            "used": quota.requests_used,
            "held": 0,
        },
        "tokens": {
            "limit": quota.tokens_per_minute,
            "learned": quota.learned_tokens_per_minute,
            "used": quota.tokens_settled(),
            "held": quota.tokens_held,
        },
        "owed": quota.tokens_owed,
        "waiting": quota.waiting,
        "closed_for_ms": quota.closed_for.map(millis),
    })
}

fn circuit(circuit: &CircuitSnapshot) -> Value {
    let (model, region) = parts(&circuit.route);
    json!({
        "model": model,
        "region": region,
        "state": circuit.state.as_str(),
        "retry_in_ms": circuit.retry_in.map(millis),
        "calls": circuit.calls,
        "failures": circuit.failures,
    })
}

fn pool(pool: &PoolSnapshot) -> Value {
    json!({
        "region": pool.key.region.as_ref().map(|region| region.as_str()),
        "in_flight": pool.in_flight,
        "limit": pool.limit,
        "waiting": pool.waiting,
    })
}

fn parts(route: &Route) -> (Option<&str>, Option<&str>) {
    let model = route.model.as_ref().map(|model| model.as_str());
    let region = route.region.as_ref().map(|region| region.as_str());
    (model, region)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
