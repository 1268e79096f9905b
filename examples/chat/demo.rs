//! Trouble on demand, for the local Bedrock alone: a throttle storm, the outage of a region, load.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use bedrock_sim::{
    DownAnswer, ErrorText, FaultId, FaultKind, FaultSpec, ScenarioError, Server, SimService,
};
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tower_bedrock::{Priority, Route};

use crate::{app::App, ask::Question, bedrock::Chat, refusal::Refusal};

/// Calls a second that may be asked for.
const MOST_LOAD: u32 = 40;
/// Calls of the load at a time. What comes above is not made.
const AT_A_TIME: usize = 300;
/// How long a call of the load waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// In a storm others use up the account's quota: most calls are throttled, whatever we send.
const STORM: f64 = 0.85;

/// The switches, and what they have begun. Clones are one.
#[derive(Clone)]
pub(crate) struct Demo(Arc<Mutex<Switches>>);

struct Switches {
    /// `None` where there is no Bedrock that would obey.
    bedrock: Option<SimService>,
    /// What storms befall, and what is down in an outage.
    model: String,
    region: String,
    storm: Option<FaultId>,
    outage: Option<FaultId>,
    load: u32,
}

/// What the switches stand at.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Switched {
    is_local: bool,
    storm: bool,
    outage: bool,
    load: u32,
}

/// What to switch; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    storm: Option<bool>,
    outage: Option<bool>,
    /// Calls a second.
    load: Option<u32>,
}

impl Demo {
    /// Storms befall the model of `route`, wherever it is called; outages its region.
    pub(crate) fn new(server: Option<&Server>, route: &Route) -> Self {
        let model = route.model.as_ref().map(ToString::to_string);
        let region = route.region.as_ref().map(ToString::to_string);
        Self(Arc::new(Mutex::new(Switches {
            bedrock: server.map(|server| server.service().clone()),
            model: model.unwrap_or_default(),
            region: region.unwrap_or_default(),
            storm: None,
            outage: None,
            load: 0,
        })))
    }

    pub(crate) fn state(&self) -> Switched {
        let switches = self.lock();
        Switched {
            is_local: switches.bedrock.is_some(),
            storm: switches.storm.is_some(),
            outage: switches.outage.is_some(),
            load: switches.load,
        }
    }

    fn switch(&self, switch: Switch) -> Result<(), Refusal> {
        let mut switches = self.lock();
        let Switches {
            bedrock: Some(bedrock),
            model,
            region,
            storm,
            outage,
            load,
        } = &mut *switches
        else {
            let elsewhere = "only the local Bedrock can be switched";
            return Err(Refusal::new(StatusCode::NOT_FOUND, elsewhere));
        };
        if let Some(calls) = switch.load {
            if calls > MOST_LOAD {
                let most = format!("`load` is at most {MOST_LOAD} calls a second");
                return Err(Refusal::new(StatusCode::BAD_REQUEST, most));
            }
            *load = calls;
        }
        let throttles = FaultSpec::error(ErrorText::RequestsPerMinute)
            .model(model.as_str())
            .probability(STORM);
        let down = FaultSpec::new(FaultKind::Down {
            answer: DownAnswer::ServiceUnavailable,
        })
        .region(region.as_str());
        turn(bedrock, storm, switch.storm, &throttles)
            .and_then(|()| turn(bedrock, outage, switch.outage, &down))
            .map_err(|error| {
                tracing::error!(%error, "the fault cannot be begun");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the switch is broken")
            })
    }

    /// Makes the load that is asked for, until it is dropped.
    pub(crate) async fn load(self, chat: Chat) {
        let mut calls = JoinSet::new();
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0_u32;
        loop {
            tokio::select! {
                Some(_) = calls.join_next() => continue,
                _ = ticks.tick() => {}
            }
            let load = self.lock().load;
            for nth in 0..load {
                if calls.len() >= AT_A_TIME {
                    break;
                }
                number = number.wrapping_add(1);
                let Ok(question) = question(number) else {
                    continue;
                };
                let chat = chat.clone();
                let comes = Duration::from_secs(1) * nth / load;
                calls.spawn(async move {
                    sleep(comes).await;
                    // What becomes of it is counted where it is made.
                    drop(chat.answer(question, Priority::Low).await);
                });
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Switches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins or ends a fault, if that is asked.
fn turn(
    bedrock: &SimService,
    begun: &mut Option<FaultId>,
    on: Option<bool>,
    fault: &FaultSpec,
) -> Result<(), ScenarioError> {
    match (on, *begun) {
        (Some(true), None) => *begun = Some(bedrock.begin_fault(fault)?),
        (Some(false), Some(fault)) => {
            bedrock.end_fault(fault);
            *begun = None;
        }
        _ => {}
    }
    Ok(())
}

/// One call of the load. Three tenants share it.
fn question(number: u32) -> Result<Question, Refusal> {
    let prompt = "Say something about quotas. ".repeat(1 + number as usize % 6);
    Question::new(&prompt, &format!("load-{}", 1 + number % 3), PATIENCE)
}

/// `PUT /demo`.
pub(crate) async fn switch(
    State(app): State<App>,
    switch: Result<Json<Switch>, JsonRejection>,
) -> Result<Json<Switched>, Refusal> {
    let Json(switch) = switch?;
    app.demo.switch(switch)?;
    Ok(Json(app.demo.state()))
}
