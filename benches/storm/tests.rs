//! That the small version of everything runs, tells the same twice, and can tell policies apart.

use std::time::Duration;

use crate::{
    Result, calibration, compare,
    figures::Recovery,
    oracle,
    policy::Policy,
    report::{Report, Scene},
    scenario::{self, Extent, Storm},
};

fn quick(storms: &[Storm], policies: &[Policy], seed: u64) -> Result<Vec<Scene>> {
    compare(storms, policies, &[seed], Extent::Quick, |_| {})
}

fn storm(id: &str) -> Storm {
    let mut all = scenario::ALL.iter();
    *all.find(|storm| storm.id == id).expect("a known scenario")
}

fn goodput(scene: &Scene, policy: Policy) -> f64 {
    scene.figures(policy).expect("a policy that played").goodput
}

/// Every scenario is played by every policy, some calls are answered, and everything that is shown of
/// it can be written.
#[test]
fn the_small_version_of_everything_runs() -> Result<()> {
    let scenes = quick(scenario::ALL, &Policy::ALL, 1)?;
    assert_eq!(scenes.len(), scenario::ALL.len());
    for scene in &scenes {
        for policy in Policy::ALL {
            let goodput = goodput(scene, policy);
            assert!(goodput > 0.0, "{policy} in {}", scene.id());
        }
    }
    let folder = tempfile::tempdir()?;
    let report = Report::new(scenes, calibration::points()?, Extent::Quick);
    report.write_into(folder.path())?;
    let page = std::fs::read_to_string(folder.path().join("report.html"))?;
    assert!(page.contains("<svg") && !page.contains("http://www.google"));
    for storm in scenario::ALL {
        assert!(page.contains(storm.title), "{} is in the report", storm.id);
    }
    Ok(())
}

/// The same seed gives the same figures to the last byte, another seed others; also of the SDK, which
/// draws from a generator of its own.
#[test]
fn a_seed_tells_everything() -> Result<()> {
    let storms = [
        storm("burst"),
        storm("overloaded-fallback"),
        storm("slow-streams"),
    ];
    let json = |seed| {
        Report::new(
            quick(&storms, &Policy::ALL, seed)?,
            Vec::new(),
            Extent::Quick,
        )
        .json()
    };
    let first = json(1)?;
    assert_eq!(first, json(1)?);
    assert_ne!(first, json(2)?);
    Ok(())
}

/// Where the known quota is all that bounds it, the stack gets what the oracle gets and is never
/// refused, and the plain client is.
#[test]
fn the_stack_uses_a_known_quota_and_is_never_refused() -> Result<()> {
    let policies = [Policy::Plain, Policy::Tower, Policy::InsideSdk];
    for scene in quick(&[storm("burst"), storm("rpm-bound")], &policies, 1)? {
        for policy in [Policy::Tower, Policy::InsideSdk] {
            let figures = scene.figures(policy).expect("it played");
            assert!(
                figures.goodput >= 0.95,
                "{policy} in {}: {figures:?}",
                scene.id()
            );
            assert_eq!(figures.refused, 0, "{policy} in {}", scene.id());
        }
        let plain = scene.figures(Policy::Plain).expect("it played");
        assert!(plain.refused > 0 && plain.goodput < 0.9, "{plain:?}");
    }
    Ok(())
}

/// An outage that has a way around it is told apart from one that has none: who falls back loses
/// next to nothing, who does not loses the outage.
#[test]
fn a_fallback_shows() -> Result<()> {
    let policies = [Policy::Plain, Policy::TowerResilience, Policy::Tower];
    let scenes = quick(&[storm("region-outage")], &policies, 1)?;
    assert!(goodput(&scenes[0], Policy::Plain) < 0.8);
    assert!(goodput(&scenes[0], Policy::TowerResilience) > 0.95);
    assert!(goodput(&scenes[0], Policy::Tower) > 0.95);
    let plain = scenes[0].figures(Policy::Plain).expect("it played");
    assert_ne!(plain.recovery, Recovery::Nothing);
    Ok(())
}

/// The oracle answers no more than the bucket and what flows into it: as many requests as there are
/// at the start, and one for each sixtieth part of a minute's quota until the last caller gives up.
#[test]
fn the_oracle_cannot_do_what_the_quota_forbids() -> Result<()> {
    let setup = (storm("burst").setup)(1, Extent::Quick)?;
    let rpm = setup.quotas[0].rpm.expect("a scenario of requests");
    let answers = oracle::answers(&setup);
    let answered = answers.iter().flatten().count() as u64;
    let flows_in = rpm * setup.patience.as_secs() / 60;
    assert!(answered <= rpm + flows_in);
    assert!(answered >= (rpm + flows_in).min(setup.jobs.len() as u64) - 1);
    let at_once = answers
        .iter()
        .flatten()
        .filter(|took| **took < Duration::from_secs(5));
    assert!(at_once.count() as u64 <= rpm + rpm * 5 / 60);
    Ok(())
}

/// A fair oracle has all that is asked by those who ask for less than their share, and loses next to
/// nothing by it.
#[test]
fn fairness_costs_the_oracle_next_to_nothing() -> Result<()> {
    let setup = (storm("noisy-neighbour").setup)(1, Extent::Quick)?;
    let (first_come, fair) = (oracle::answers(&setup), oracle::fair_answers(&setup));
    let fair = fair.expect("several tenants");
    let lost = |answers: &[Option<Duration>]| {
        let calls = setup.jobs.iter().zip(answers);
        calls
            .filter(|(job, answer)| job.tenant > 0 && answer.is_none())
            .count()
    };
    assert_eq!(lost(&fair), 0);
    assert!(lost(&first_come) > 0);
    let (all, at_best) = (fair.iter().flatten(), first_come.iter().flatten());
    assert!(all.count() * 100 >= at_best.count() * 98);
    Ok(())
}

/// The simulator comes as near to what was measured of the service as the arithmetic of its bucket
/// does, but for the instant burst, which the service let overshoot.
#[test]
fn the_calibration_is_as_near_as_it_is_known_to_be() -> Result<()> {
    for point in calibration::points()? {
        let Some(deviation) = point.deviation() else {
            assert_eq!(point.simulated, 0.0, "{point:?}");
            continue;
        };
        if point.what == "accepted" {
            let is_instant_burst = point.unit == "M tokens";
            assert_eq!(deviation.abs() > 0.2, is_instant_burst, "{point:?}");
        } else {
            assert!(deviation.abs() < 0.25, "{point:?}");
        }
    }
    Ok(())
}
