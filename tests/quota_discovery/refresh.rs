//! Quotas that change while calls go on, in virtual time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::*;
use tower_bedrock::{Jitter, quotas::DiscoveryEvent};

const HOUR: Duration = Duration::from_secs(3600);
/// Longer than a period with its jitter, shorter than two.
const NEXT: Duration = Duration::from_secs(4500);

/// What listeners heard: whether all was read, and how many ledgers changed.
type Heard = Arc<Mutex<Vec<(bool, usize)>>>;

fn listening_to(discovery: QuotaDiscovery) -> (QuotaDiscovery, Heard) {
    let heard = Heard::default();
    let hears = Arc::clone(&heard);
    let discovery = discovery.jitter(Jitter::seeded(7)).on_event(move |event| {
        let (is_whole, adoption) = match event {
            DiscoveryEvent::Read { adoption, .. } => (true, adoption),
            DiscoveryEvent::ReadInPart { adoption, .. } => (false, adoption),
            _ => unreachable!("there are two events"),
        };
        hears
            .lock()
            .unwrap()
            .push((is_whole, adoption.changed.len()));
    });
    (discovery, heard)
}

fn without_days() -> ControlPlane {
    let mut plane = account();
    plane
        .quotas
        .retain(|quota| !quota.name.contains("tokens per day"));
    plane
}

/// A raised quota is noticed at the next refresh, and the ledger goes by it.
#[tokio::test(start_paused = true)]
async fn a_raised_quota_is_picked_up() {
    let service = in_process(without_days());
    let (discovery, heard) = listening_to(discovery(&over_memory(&service)));
    let quotas = Quotas::new();
    let refresh = tokio::spawn(discovery.refresh_every(HOUR, quotas.clone()));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tokens_of(&quotas, NOVA), Some(1_000));
    set_value(&service, NOVA_TPM, Some(50_000.0));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(tokens_of(&quotas, NOVA), Some(1_000));
    sleep(NEXT).await;
    assert_eq!(tokens_of(&quotas, NOVA), Some(50_000));
    assert_eq!(*heard.lock().unwrap(), [(true, 0), (true, 1)]);
    refresh.abort();
}

/// What a refresh fails to read stays, whichever list it is and however far it came; what it reads counts.
#[tokio::test(start_paused = true)]
async fn a_failed_refresh_keeps_what_is_known() {
    for denied in [
        "servicequotas:ListServiceQuotas",
        "servicequotas:ListAWSDefaultServiceQuotas",
        "bedrock:ListInferenceProfiles",
    ] {
        let mut plane = without_days();
        for quota in &mut plane.quotas {
            quota.default = Some(9_999.0);
        }
        row(&mut plane, NOVA_RPM).value = None;
        let service = in_process(plane);
        let (discovery, heard) = listening_to(discovery(&over_memory(&service)));
        let quotas = Quotas::new();
        let refresh = tokio::spawn(discovery.refresh_every(HOUR, quotas.clone()));
        sleep(Duration::from_secs(1)).await;
        let known = |id: &str| {
            let snapshot = quotas.snapshot_of(&to(id));
            (snapshot.tokens_per_minute, snapshot.requests_per_minute)
        };
        let profile = arn(PROFILE);
        // A request has at least one token.
        let before = (Some(1_000), Some(1_000));
        assert_eq!(known(NOVA), before);
        service.change_control_plane(|plane| plane.denied.push(denied.to_owned()));
        sleep(NEXT).await;
        assert_eq!(known(NOVA), before, "{denied}");
        assert_eq!(known(&profile), before, "{denied}");
        assert_eq!(*heard.lock().unwrap(), [(true, 0), (false, 0)], "{denied}");
        service.change_control_plane(|plane| {
            plane.denied.clear();
            row(plane, NOVA_TPM).value = Some(2_000.0);
        });
        sleep(HOUR).await;
        assert_eq!(known(NOVA), (Some(2_000), Some(2_000)), "{denied}");
        assert_eq!(heard.lock().unwrap()[2], (true, 1), "{denied}");
        refresh.abort();
    }
}

/// The first pages of a list that breaks off count, and the rest stays.
#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_is_completed_by_what_was_known() {
    let service = in_process(without_days());
    let discovery = discovery(&over_memory(&service)).time_limit(Duration::from_secs(60));
    let before = discovery.discover().await;
    set_value(&service, NOVA_TPM, Some(5_000.0));
    service.change_control_plane(|plane| {
        // Nova stands on the first page; what follows is out of reach.
        let nova = plane.quotas.iter().position(|quota| quota.code == NOVA_TPM);
        plane.quotas.swap(0, nova.unwrap());
        plane.page_size = 1;
        plane.throttle_first = 0;
    });
    let cut = discovery
        .clone()
        .time_limit(Duration::ZERO)
        .discover()
        .await;
    assert!(!cut.is_complete());
    let kept = before.clone().updated_by(cut);
    assert_eq!(tokens(&kept, NOVA), Some(1_000));
    assert_eq!(kept.read_at(&region()), before.read_at(&region()));
    let whole = kept.updated_by(discovery.discover().await);
    assert_eq!(tokens(&whole, NOVA), Some(5_000));
    assert_eq!(tokens(&whole, "us.amazon.nova-pro-v1:0"), Some(1_000));
}

/// No period is too short or too long, and no time limit: one asks AWS without a pause, the other adds up
/// to more than there is.
#[tokio::test(start_paused = true)]
async fn periods_of_any_length_can_be_waited_for() {
    for (period, most_readings) in [(Duration::ZERO, 12), (Duration::MAX, 1)] {
        let service = in_process(ControlPlane::new());
        let readings = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&readings);
        let discovery = discovery(&over_memory(&service))
            .time_limit(Duration::MAX)
            .on_event(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        let refresh = discovery.refresh_every(period, Quotas::new());
        let ended = tokio::time::timeout(Duration::from_secs(10), refresh).await;
        assert!(ended.is_err(), "it goes on for ever");
        let readings = readings.load(Ordering::Relaxed);
        assert!(
            (1..=most_readings).contains(&readings),
            "{period:?}: {readings}"
        );
    }
}

/// Two processes that start together do not read together for long, and no wait strays by more than a
/// tenth.
#[tokio::test(start_paused = true)]
async fn refreshes_are_jittered() {
    let mut first: Vec<Duration> = Vec::new();
    for seed in 0..8 {
        let service = in_process(ControlPlane::new());
        let start = Instant::now();
        let at = Arc::new(Mutex::new(Vec::new()));
        let times = Arc::clone(&at);
        let discovery = discovery(&over_memory(&service))
            .jitter(Jitter::seeded(seed))
            .on_event(move |_| times.lock().unwrap().push(start.elapsed()));
        let refresh = tokio::spawn(discovery.refresh_every(HOUR, Quotas::new()));
        sleep(NEXT).await;
        refresh.abort();
        let at = at.lock().unwrap().clone();
        assert_eq!(at.len(), 2, "{at:?}");
        assert!(
            at[1] >= HOUR.mul_f64(0.9) && at[1] <= HOUR.mul_f64(1.11),
            "{at:?}"
        );
        first.push(at[1]);
    }
    first.sort();
    first.dedup();
    assert!(first.len() > 6, "{first:?}");
}

/// After a discovery that was made before, the first reading comes with the first wait.
#[tokio::test(start_paused = true)]
async fn refreshes_go_on_from_what_was_found() {
    let service = in_process(without_days());
    let (discovery, heard) = listening_to(discovery(&over_memory(&service)));
    let found = discovery.discover().await;
    let quotas = Quotas::new();
    found.apply(&quotas);
    service
        .change_control_plane(|plane| plane.denied.push("servicequotas:ListServiceQuotas".into()));
    let refresh = tokio::spawn(discovery.refresh_after(found, HOUR, quotas.clone()));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(*heard.lock().unwrap(), []);
    sleep(NEXT).await;
    assert_eq!(*heard.lock().unwrap(), [(false, 0)]);
    assert_eq!(tokens_of(&quotas, NOVA), Some(1_000));
    refresh.abort();
}
