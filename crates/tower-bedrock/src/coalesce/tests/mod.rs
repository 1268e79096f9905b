mod cancel;
mod deadlines;
mod failures;
mod sharing;
mod streams;
mod threads;

use std::{task::Poll, time::Duration};

use tokio_test::{
    assert_pending, assert_ready,
    task::{Spawn, spawn},
};
use tower::{ServiceExt, util::Oneshot};
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::{
    call::{BedrockRequest, CoalesceControl, Request},
    cause::Cause,
    error::Error,
    replay::doubles::{Answer, Backend, Heard, Question, USAGE, ask, asking, says},
    reply::{Response, Usage},
};

type Shared = Coalesce<Backend<Response<Answer>>>;
type Call<T> = Spawn<Oneshot<Coalesce<Backend<T>>, Request<Question>>>;

fn service() -> (CoalesceLayer, Shared, Backend<Response<Answer>>) {
    let layer = CoalesceLayer::new();
    let backend = Backend::new();
    (layer.clone(), layer.layer(backend.clone()), backend)
}

/// A call that was made and waits.
fn waiting<T: crate::ReplayResponse + std::fmt::Debug>(
    service: &Coalesce<Backend<T>>,
    request: Request<Question>,
) -> Call<T> {
    let mut call = spawn(service.clone().oneshot(request));
    assert_pending!(call.poll());
    call
}

/// The answer of a call that was woken for it.
fn answer<T: crate::ReplayResponse>(call: &mut Call<T>) -> Result<T, Error> {
    assert!(call.is_woken(), "nobody woke the call");
    assert_ready!(call.poll())
}
