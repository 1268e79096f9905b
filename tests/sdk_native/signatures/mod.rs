//! Every request of a call is signed for where it goes and when: proven by a verifier that shares no
//! code with what signs, at a door that refuses what AWS would.

mod bodies;
mod clocks;
mod hops;
mod keys;

use aws_sdk_bedrockruntime::config::Builder;
use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, SimService};
use tower_bedrock::RetryLayer;
use tower_bedrock_tests::{
    model,
    verifying::{Arrival, VerifyingClient, VirtualTime, signing},
};

use crate::suite::{Configure, Face, MakeFace, MakeRig, Rig, Told};

const OTHER: &str = "us.amazon.nova-pro-v1:0";

/// A door, with the usual model and another behind it in two regions.
struct Place {
    sim: SimService,
    clock: VirtualTime,
    door: VerifyingClient,
}

impl Place {
    fn new(faults: impl IntoIterator<Item = FaultSpec>) -> Self {
        Self::at(VirtualTime::new(), faults)
    }

    fn at(clock: VirtualTime, faults: impl IntoIterator<Item = FaultSpec>) -> Self {
        let regions = ["us-east-1", "us-west-2"];
        let scenario = bedrock_sim::Scenario::builder()
            .seed(7)
            .model(model().regions(regions))
            .model(ModelSpec::new(OTHER).regions(regions).output_tokens(20));
        let scenario = faults
            .into_iter()
            .fold(scenario, |scenario, fault| scenario.fault(fault));
        let sim = SimService::new(scenario.build().expect("a valid scenario"));
        let door = VerifyingClient::new(&sim, clock.clone());
        Self { sim, clock, door }
    }

    fn config(&self) -> Builder {
        signing(&self.door, self.clock.clone())
    }

    /// Both faces, each at a door of its own.
    fn faces(faults: &[FaultSpec], rig: MakeRig, config: Configure) -> [(Self, Face); 2] {
        [Face::tower as MakeFace, Face::fluent].map(|face| {
            let place = Self::new(faults.to_vec());
            let face = face(config(place.config()), &rig());
            (place, face)
        })
    }
}

fn always(text: ErrorText) -> FaultSpec {
    FaultSpec::error(text)
}

fn answered(told: &Told) {
    assert!(told.failure().is_none(), "{told:?}");
}

fn hosts(arrivals: &[Arrival]) -> Vec<&str> {
    arrivals
        .iter()
        .map(|arrival| arrival.host.as_str())
        .collect()
}

fn regions(arrivals: &[Arrival]) -> Vec<&str> {
    let signatures = arrivals
        .iter()
        .filter_map(|arrival| arrival.signature.as_ref());
    signatures
        .map(|signature| signature.region.as_str())
        .collect()
}

fn host(region: &str) -> String {
    format!("bedrock-runtime.{region}.amazonaws.com")
}

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

fn usual(config: Builder) -> Builder {
    config
}
