//! The hub as the sources see it, and the sources as the edge sees them.

use std::sync::Arc;
use std::time::Duration;

use anita_hub::{Hub, HubFault};
use anita_model::{Report, Timestamp};
use anita_server::{Clock, SourceFault, SourceReport, SourceReports};
use anita_sources::{Description, Health, Intake, Unavailable};
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

/// What the sources are, and how.
#[derive(Debug)]
pub(crate) struct Healths(pub(crate) Vec<(Description, Arc<Health>)>);

impl SourceReports for Healths {
    fn reports(&self) -> Vec<SourceReport> {
        let report = |(description, health): &(Description, Arc<Health>)| {
            let snapshot = health.snapshot();
            let fault = snapshot.last_error.zip(snapshot.last_error_at).zip(snapshot.remedy);
            SourceReport {
                name: snapshot.source.to_string(),
                kind: description.kind,
                format: description.format,
                address: description.address.clone(),
                since: snapshot.since,
                messages: snapshot.messages,
                last_fault: fault.map(|((message, at), remedy)| SourceFault { message, at, remedy }),
                state: snapshot.state.as_str(),
                malformed: snapshot.malformed.into_iter().collect(),
                dropped: snapshot.dropped,
                restarts: snapshot.restarts,
            }
        };
        self.0.iter().map(report).collect()
    }
}
