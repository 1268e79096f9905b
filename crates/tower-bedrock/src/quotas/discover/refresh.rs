//! Discovery again and again.

use std::{convert::Infallible, time::Duration};

use rand::RngExt as _;
use tokio::time::sleep;

use super::{Discovery, DiscoveryEvent, QuotaDiscovery};
use crate::token_budget::Quotas;

/// How far a wait between two refreshes strays from its period, as a share of it: processes that start
/// together soon read at different times.
const JITTER: f64 = 0.1;
/// What is read by dozens of requests to APIs that allow a few a second is not read more often.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);
/// No process lives to see the second reading.
const LONGEST_PERIOD: Duration = Duration::from_secs(10 * 365 * 86_400);

impl QuotaDiscovery {
    /// Reads now, and again whenever `period` has passed, a tenth more or less of it by chance, and has
    /// the ledgers of `quotas` go by what is known. What cannot be read stays as it was known.
    ///
    /// Spawn it, and abort it to end it. What a reading costs is some dozens of requests to APIs with low
    /// limits; once an hour is often enough, and a period below a second is taken for one.
    ///
    /// # Cancellation
    ///
    /// Dropped at any time, it leaves the ledgers as the last whole turn made them.
    pub async fn refresh_every(self, period: Duration, quotas: Quotas) -> Infallible {
        let found = self.turn(None, &quotas).await;
        self.refresh_after(found, period, quotas).await
    }

    /// The same after a discovery that was made already: begins with the wait.
    pub async fn refresh_after(
        self,
        mut found: Discovery,
        period: Duration,
        quotas: Quotas,
    ) -> Infallible {
        let period = period.clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
        loop {
            let chance = self.jitter.with(|rng| rng.random_range(-JITTER..=JITTER));
            sleep(period.mul_f64(1.0 + chance)).await;
            found = self.turn(Some(found), &quotas).await;
        }
    }

    async fn turn(&self, known: Option<Discovery>, quotas: &Quotas) -> Discovery {
        let newer = self.discover().await;
        let discovery = match known {
            Some(known) => known.updated_by(newer),
            None => newer,
        };
        let adoption = discovery.apply(quotas);
        self.tell(&match discovery.is_complete() {
            true => DiscoveryEvent::Read {
                discovery: &discovery,
                adoption: &adoption,
            },
            false => DiscoveryEvent::ReadInPart {
                discovery: &discovery,
                adoption: &adoption,
            },
        });
        discovery
    }
}
