//! The hub and its store: what is kept, asked, tidied and shown of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_metrics::{KindLabels, Metrics, StateLabels};
use anita_model::{Fix, Timestamp};
use anita_store::{
    AuditPage, AuditQuery, BoxFuture, EventPage, EventQuery, Health, HistoryPage, HistoryQuery, NewestQuery,
    Order, Record, Retention, State, Store, StoreError, Ticket, Window, WindowQuery,
};

use anita_world::{NUMBERED_MAX, World};
use tokio::task::JoinSet;

use super::{DEVICES_AT_ONCE, Hub, HubFault};
use crate::keeping::{Durability, state};

/// Done when what was handed in is kept.
pub type Kept = BoxFuture<'static, Result<(), HubFault>>;

fn fault(cause: StoreError, metrics: &Metrics, retry_after: Duration) -> HubFault {
    metrics.store_errors.inc();
    HubFault::Store { cause, retry_after }
}

/// How long before the end a source was heard that may have something under way since: far longer than a broker waits
/// for an acknowledgement before it cuts the connection.
const UNDER_WAY: Duration = Duration::from_secs(300);

/// How many devices are asked for at once at the start.
const RECALLED_AT_ONCE: usize = 16;

/// Recalls what sources may bring again that the store has already: it was not acknowledged yet when the last server
/// ended.
pub(super) async fn recall(store: &Arc<dyn Store>, world: &mut World) {
    for devices in world.numbered_lately(UNDER_WAY).chunks(RECALLED_AT_ONCE) {
        let mut asked = JoinSet::new();
        for device in devices {
            let query = HistoryQuery {
                device: device.clone(),
                start: None,
                end: None,
                order: Order::NewestFirst,
                limit: NUMBERED_MAX,
                after: None,
                within: None,
            };
            let store = Arc::clone(store);
            asked.spawn(async move { (query.device.clone(), store.page(query).await) });
        }
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((device, Ok(page))) => world.recall(&device, &page.fixes),
                // That is no reason not to start.
                Ok((device, Err(error))) => {
                    tracing::warn!(%device, %error, "the latest fixes can't be read; if they come again, they are kept twice");
                }
                Err(error) => tracing::error!(%error, "a question to the store ended by a fault"),
            }
        }
    }
}

/// What can be asked of the past, for as long as it takes.
#[derive(Debug, Clone)]
pub struct Past {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    retry_after: Duration,
}

impl Past {
    /// An answer of the store, its error as a fault.
    pub(super) fn told<T>(&self, answer: Result<T, StoreError>) -> Result<T, HubFault> {
        answer.map_err(|cause| fault(cause, &self.metrics, self.retry_after))
    }

    /// A page of a device's history.
    ///
    /// # Errors
    /// A fault of the store; so for all of these.
    pub async fn page(&self, query: HistoryQuery) -> Result<HistoryPage, HubFault> {
        self.told(self.store.page(query).await)
    }

    /// Where devices were at a moment.
    pub async fn newest(&self, query: NewestQuery) -> Result<Vec<Arc<Fix>>, HubFault> {
        self.told(self.store.newest(query).await)
    }

    /// What happened to devices in a stretch of time.
    pub async fn window(&self, query: WindowQuery) -> Result<Window, HubFault> {
        self.told(self.store.window(query).await)
    }

    /// A page of events.
    pub async fn events(&self, query: EventQuery) -> Result<EventPage, HubFault> {
        self.told(self.store.events(query).await)
    }

    /// A page of the audit trail.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage, HubFault> {
        self.told(self.store.audit(query).await)
    }
}

impl Hub {
    /// Saves what was last heard of the devices. Call it every few seconds: after a crash, a device that sends no fixes
    /// counts as silent since then.
    pub fn save_states(&self) {
        let mut looked_at = None;
        loop {
            let mut core = self.core.lock();
            let (unsaved, last) = core.world.take_unsaved(looked_at.as_ref(), DEVICES_AT_ONCE);
            if !unsaved.is_empty() {
                let states = unsaved.iter().map(|device| Record::State(state(device))).collect();
                drop(self.writer.entrust(states));
            }
            drop(core);
            match last {
                Some(last) => looked_at = Some(last),
                None => return,
            }
        }
    }

    /// What can be asked of the past.
    pub fn past(&self) -> Past {
        Past {
            store: Arc::clone(&self.store),
            metrics: Arc::clone(&self.metrics),
            retry_after: self.writer.retry_after(),
        }
    }

    /// Whether what is given to the store is still kept, now or when it is well again: no part on the way has ended by a
    /// fault.
    pub fn is_keeping(&self) -> bool {
        self.writer.is_alive()
    }

    /// How the way into the store is.
    pub fn store_health(&self) -> Health {
        self.writer.health()
    }

    /// When a report counts as acknowledged.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Saves what is not saved yet, and ends the store in good order. Nothing is reported or told afterwards.
    pub async fn close(&self) {
        self.save_states();
        self.end_trail();
        self.writer.close().await;
        self.close_trail().await;
        if self.writer.health().backlog == 0 {
            self.rooms.close();
        }
        if let Err(error) = self.store.close().await {
            tracing::error!(%error, "the store did not end in good order");
        }
    }

    /// Done when all of this is kept.
    pub(crate) fn kept(&self, tickets: impl IntoIterator<Item = Ticket>) -> Kept {
        let tickets: Vec<Ticket> = tickets.into_iter().collect();
        let (metrics, retry_after) = (Arc::clone(&self.metrics), self.writer.retry_after());
        Box::pin(async move {
            for ticket in tickets {
                ticket.await.map_err(|cause| fault(cause, &metrics, retry_after))?;
            }
            Ok(())
        })
    }

    /// Deletes and thins out a piece of what is too old or too much. Says whether there is more to do at once.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn tidy(&self, retention: Retention, now: Timestamp) -> Result<bool, HubFault> {
        let tidied = self.past().told(self.store.tidy(retention, now).await)?;
        let counts = [
            ("fixes", tidied.fixes_removed),
            ("fixes_thinned", tidied.fixes_thinned),
            ("events", tidied.events_removed),
            ("audit", tidied.audit_removed),
        ];
        for (kind, count) in counts {
            self.metrics.store_removed.get_or_create(&KindLabels { kind }).inc_by(count);
        }
        Ok(tidied.has_more)
    }

    /// Asks the store how much it holds, for the metrics. Call it every few seconds.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn measure_store(&self) -> Result<(), HubFault> {
        let usage = self.past().told(self.store.usage().await)?;
        let metrics = &self.metrics;
        let kinds = [
            ("fixes", usage.fixes),
            ("events", usage.events),
            ("audit", usage.audit),
            ("plans", usage.plans),
        ];
        for (kind, amount) in kinds {
            let labels = KindLabels { kind };
            metrics.store_records.get_or_create(&labels).set(gauge(amount.count));
            metrics.store_bytes.get_or_create(&labels).set(gauge(amount.bytes));
        }
        metrics.store_disk_bytes.set(gauge(usage.disk_bytes));
        Ok(())
    }

    /// Brings the gauges of the store up to date.
    pub(super) fn refresh_store_gauges(&self) {
        let (health, metrics) = (self.writer.health(), &self.metrics);
        for state in [State::Well, State::Spooling, State::Slow, State::Full, State::Away] {
            let labels = StateLabels { state: state.as_str() };
            metrics.store_state.get_or_create(&labels).set(i64::from(state == health.state));
        }
        metrics.store_waiting_fixes.set(gauge(health.waiting_fixes as u64));
        metrics.store_backlog.set(gauge(health.backlog as u64));
        metrics.audit_last_seq.set(gauge(self.audit_kept.borrow().map_or(0, |head| head.seq)));
        metrics.store_spooled_fixes.set(gauge(health.spooled_fixes));
        for (counter, count) in [
            (&metrics.store_given_up, health.given_up),
            (&metrics.store_commits, health.commits),
            (&metrics.store_failures, health.failures),
            (&metrics.store_fixes, health.fixes),
        ] {
            counter.inner().store(count, Ordering::Relaxed);
        }
        metrics
            .store_commit_seconds
            .inner()
            .store(health.commit_time.as_secs_f64().to_bits(), Ordering::Relaxed);
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
