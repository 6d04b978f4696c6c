//! The hub as the sources see it, and the sources as the edge sees them.

use std::sync::Arc;
use std::time::Duration;

use anita_hub::{Hub, HubFault};
use anita_model::{Report, Timestamp};
use anita_server::{Clock, SourceReport, SourceReports};
use anita_sources::{Health, Intake, Unavailable};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// When a source shall try again after the store refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Hands what sources report to the hub.
#[derive(Debug)]
pub(crate) struct HubIntake {
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Clock,
}

impl Intake for HubIntake {
    fn submit(&self, reports: Vec<Report>) -> BoxFuture<'_, Result<(), Unavailable>> {
        let kept = self.hub.report(reports, self.clock.now()).kept;
        let kept = async {
            kept.await.map_err(|fault| match fault {
                // How the store is, is said in the log when that changes.
                HubFault::Store { retry_after, .. } => Unavailable { retry_after },
                HubFault::Told(_) => Unavailable { retry_after: RETRY_AFTER },
            })
        };
        kept.boxed()
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}

/// How the sources are.
#[derive(Debug)]
pub(crate) struct Healths(pub(crate) Vec<Arc<Health>>);

impl SourceReports for Healths {
    fn reports(&self) -> Vec<SourceReport> {
        let report = |health: &Arc<Health>| {
            let snapshot = health.snapshot();
            SourceReport {
                name: snapshot.source.to_string(),
                state: snapshot.state.as_str(),
                malformed: snapshot.malformed.into_iter().collect(),
                dropped: snapshot.dropped,
                restarts: snapshot.restarts,
            }
        };
        self.0.iter().map(report).collect()
    }
}
