//! Every metric, as a typed field, and the text page that shows them (`OpenMetrics` 1.0).
//!
//! Label values come from closed lists or from the configuration, never from clients or devices, so the number of
//! series is bounded.

mod ages;
mod book;
mod identity;
mod labels;

pub use ages::{AgeCounts, AgeHistogram};
pub use book::Described;
pub use identity::{FetchLabels, IdentityMetrics, IssuerLabels, OutcomeLabels};
pub use labels::{
    ClassLabels, CodeLabels, DeliveryLabels, FixLabels, KindLabels, LaneLabels, MalformedLabels, PlaceLabels,
    ReasonLabels, SourceLabels, StageLabels, StateLabels, StatusLabels, TypeLabels,
};

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use book::Book;

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    book: Book,
    /// Who comes in.
    pub identity: IdentityMetrics,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were opened.
    pub connections_opened: Counter,
    /// WebSocket handshakes that were let in: what `limits.handshakes_per_second` bounds.
    pub handshakes: Counter,
    /// Connections that were refused, by reason.
    pub connections_refused: Family<ReasonLabels, Counter>,
    /// TCP connections that are open, those of web sockets among them.
    pub tcp_connections: Gauge,
    /// Connections of which it is not known yet whose they are.
    pub unauthenticated_connections: Gauge,
    /// Connections that ended because a part of them took too long, by which.
    pub deadlines: Family<StageLabels, Counter>,
    /// Revocations that are in force.
    pub revocations: Gauge,
    /// Connections that ended, by close code.
    pub closes: Family<CodeLabels, Counter>,
    /// Rooms with somebody in them.
    pub rooms: Gauge,
    /// Messages of clients, by type.
    pub messages_received: Family<TypeLabels, Counter>,
    /// Frames to clients, by lane.
    pub frames_sent: Family<LaneLabels, Counter>,
    /// Errors that clients were told, by a socket or by REST, by code.
    pub errors: Family<CodeLabels, Counter>,
    /// Positions that a client did not get because a newer one replaced them.
    pub positions_replaced: Counter,
    /// Numbered messages that a client lost, and was told of.
    pub events_lost: Counter,
    /// Received → written to the socket, by lane and class.
    pub delivery_age_seconds: Family<DeliveryLabels, AgeHistogram>,
    /// Due by the view's rate → written to the socket, by lane and class.
    pub delivery_added_age_seconds: Family<DeliveryLabels, AgeHistogram>,
    /// Classes of views: those that share their frames.
    pub view_classes: Gauge,
    /// Bytes that wait in all connections for their peers to read.
    pub queued_bytes: Gauge,
    /// Fixes by source and outcome.
    pub fixes: Family<FixLabels, Counter>,
    /// Devices by status.
    pub devices: Family<StatusLabels, Gauge>,
    /// Whether a source is connected.
    pub source_connected: Family<SourceLabels, Gauge>,
    /// Messages of a source that were not understood, by reason.
    pub source_malformed: Family<MalformedLabels, Gauge>,
    /// Reports of a source that were dropped because nothing took them in time.
    pub source_dropped: Family<SourceLabels, Gauge>,
    /// How often a source was started anew.
    pub source_restarts: Family<SourceLabels, Gauge>,
    /// Requests that the store did not do.
    pub store_errors: Counter,
    /// 1 for the state that the store is in.
    pub store_state: Family<StateLabels, Gauge>,
    /// Fixes that wait for the store.
    pub store_waiting_fixes: Gauge,
    /// Changes of the registry, events and the like that wait for the store.
    pub store_backlog: Gauge,
    /// Of those, how many were given up because too many waited.
    pub store_given_up: Counter,
    /// Fixes in the spool, while the store behind it is away.
    pub store_spooled_fixes: Gauge,
    /// The number of the last entry of the audit trail that is in the store.
    pub audit_last_seq: Gauge,
    /// Refusals that were counted and have no entry of their own in the audit trail.
    pub audit_suppressed: Counter,
    /// Entries that the file of the audit trail does not have.
    pub audit_lines_lost: Counter,
    /// What starts found wrong with the end of the audit trail: entries that were removed, a file whose end the store lacks.
    pub audit_breaks: Counter,
    /// Commits that succeeded.
    pub store_commits: Counter,
    /// Commits that failed.
    pub store_failures: Counter,
    /// How long commits took in all, seconds.
    pub store_commit_seconds: Counter<f64, AtomicU64>,
    /// Fixes that were stored.
    pub store_fixes: Counter,
    /// What the store holds, by kind.
    pub store_records: Family<KindLabels, Gauge>,
    /// The room that takes, by kind.
    pub store_bytes: Family<KindLabels, Gauge>,
    /// What the store takes on the disk.
    pub store_disk_bytes: Gauge,
    /// What was deleted or thinned out, by kind.
    pub store_removed: Family<KindLabels, Counter>,
    /// What was asked for, by a socket or by REST, and refused as forbidden.
    pub forbidden: Counter,
    /// Requests that were refused because there were too many, by class.
    pub rate_limited: Family<ClassLabels, Counter>,
    /// Panics that were caught, by the part of the server.
    pub panics: Family<PlaceLabels, Counter>,
    /// Parts of the server that make no progress just now.
    pub stuck_tasks: Gauge,
    /// Memory of the process, resident.
    pub memory_bytes: Gauge,
    /// Connections that were closed because the process had too much memory.
    pub shed: Counter,
    /// How often the wall clock jumped.
    pub clock_jumps: Counter,
    /// How far the wall clock is ahead of what is believed of it.
    pub clock_doubt_seconds: Gauge<f64, AtomicU64>,
    /// Lines of the log that were left out because there were too many like them.
    pub log_suppressed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            book: Book::new(),
            identity: IdentityMetrics::default(),
            connections: Gauge::default(),
            connections_opened: Counter::default(),
            handshakes: Counter::default(),
            connections_refused: Family::default(),
            tcp_connections: Gauge::default(),
            unauthenticated_connections: Gauge::default(),
            deadlines: Family::default(),
            revocations: Gauge::default(),
            closes: Family::default(),
            rooms: Gauge::default(),
            messages_received: Family::default(),
            frames_sent: Family::default(),
            errors: Family::default(),
            positions_replaced: Counter::default(),
            events_lost: Counter::default(),
            delivery_age_seconds: Family::default(),
            delivery_added_age_seconds: Family::default(),
            view_classes: Gauge::default(),
            queued_bytes: Gauge::default(),
            fixes: Family::default(),
            devices: Family::default(),
            source_connected: Family::default(),
            source_malformed: Family::default(),
            source_dropped: Family::default(),
            source_restarts: Family::default(),
            store_errors: Counter::default(),
            store_state: Family::default(),
            store_waiting_fixes: Gauge::default(),
            store_backlog: Gauge::default(),
            store_given_up: Counter::default(),
            store_spooled_fixes: Gauge::default(),
            audit_last_seq: Gauge::default(),
            audit_suppressed: Counter::default(),
            audit_lines_lost: Counter::default(),
            audit_breaks: Counter::default(),
            store_commits: Counter::default(),
            store_failures: Counter::default(),
            store_commit_seconds: Counter::default(),
            store_fixes: Counter::default(),
            store_records: Family::default(),
            store_bytes: Family::default(),
            store_disk_bytes: Gauge::default(),
            store_removed: Family::default(),
            forbidden: Counter::default(),
            rate_limited: Family::default(),
            panics: Family::default(),
            stuck_tasks: Gauge::default(),
            memory_bytes: Gauge::default(),
            shed: Counter::default(),
            clock_jumps: Counter::default(),
            clock_doubt_seconds: Gauge::default(),
            log_suppressed: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let it = &mut self.book;
        self.identity.register(it);
        it.register("connections", "Connections that are open", self.connections.clone());
        it.register("connections_opened", "Connections that were opened", self.connections_opened.clone());
        it.register("handshakes", "WebSocket handshakes that were let in", self.handshakes.clone());
        it.register(
            "connections_refused",
            "Connections that were refused, by reason",
            self.connections_refused.clone(),
        );
        it.register("tcp_connections", "TCP connections that are open", self.tcp_connections.clone());
        it.register(
            "unauthenticated_connections",
            "Connections of which it is not known yet whose they are",
            self.unauthenticated_connections.clone(),
        );
        it.register(
            "deadlines",
            "Connections that ended because a part of them took too long, by which",
            self.deadlines.clone(),
        );
        it.register("revocations", "Revocations that are in force", self.revocations.clone());
        it.register("closes", "Connections that ended, by close code", self.closes.clone());
        it.register("rooms", "Rooms with somebody in them", self.rooms.clone());
        it.register("messages_received", "Messages of clients, by type", self.messages_received.clone());
        it.register("frames_sent", "Frames to clients, by lane", self.frames_sent.clone());
        it.register(
            "errors",
            "Errors that clients were told by a socket or by REST, by code",
            self.errors.clone(),
        );
        it.register(
            "positions_replaced",
            "Positions that a newer one replaced before a client could read them",
            self.positions_replaced.clone(),
        );
        it.register(
            "events_lost",
            "Numbered messages that a client lost and was told of",
            self.events_lost.clone(),
        );
        it.register_with_unit(
            "delivery_age",
            "Received until written to the socket, by lane and class",
            Unit::Seconds,
            self.delivery_age_seconds.clone(),
        );
        it.register_with_unit(
            "delivery_added_age",
            "Due by the rate of the view until written to the socket, by lane and class",
            Unit::Seconds,
            self.delivery_added_age_seconds.clone(),
        );
        it.register(
            "view_classes",
            "Classes of views: those that share their frames",
            self.view_classes.clone(),
        );
        it.register_with_unit("queued", "Waiting for peers to read", Unit::Bytes, self.queued_bytes.clone());
        it.register(
            "forbidden",
            "What was asked for by a socket or by REST and refused as forbidden",
            self.forbidden.clone(),
        );
        self.register_sources();
        self.register_store();
        self.register_living();
    }

    fn register_sources(&mut self) {
        let it = &mut self.book;
        it.register("fixes", "Fixes by source and outcome", self.fixes.clone());
        it.register("devices", "Devices by status", self.devices.clone());
        it.register("source_connected", "1 while the source is connected", self.source_connected.clone());
        it.register("source_malformed", "Messages that were not understood", self.source_malformed.clone());
        it.register(
            "source_dropped",
            "Reports that were dropped because nothing took them in time",
            self.source_dropped.clone(),
        );
        it.register("source_restarts", "How often a source was started anew", self.source_restarts.clone());
    }

    fn register_living(&mut self) {
        let it = &mut self.book;
        it.register("rate_limited", "Requests refused or held back, by class", self.rate_limited.clone());
        it.register("panics", "Panics that were caught, by the part of the server", self.panics.clone());
        it.register("stuck_tasks", "Parts that make no progress just now", self.stuck_tasks.clone());
        it.register_with_unit("memory", "Resident memory", Unit::Bytes, self.memory_bytes.clone());
        it.register("shed", "Connections closed for want of memory", self.shed.clone());
        it.register("clock_jumps", "Jumps of the wall clock", self.clock_jumps.clone());
        it.register_with_unit(
            "clock_doubt",
            "How far the wall clock is ahead of what is believed of it",
            Unit::Seconds,
            self.clock_doubt_seconds.clone(),
        );
        it.register("log_suppressed", "Lines of the log that were left out", self.log_suppressed.clone());
    }

    fn register_store(&mut self) {
        let it = &mut self.book;
        it.register("store_errors", "Requests that the store did not do", self.store_errors.clone());
        it.register("store_state", "1 for the state that the store is in", self.store_state.clone());
        it.register("store_waiting_fixes", "Fixes that wait for the store", self.store_waiting_fixes.clone());
        it.register(
            "store_backlog",
            "Changes and events that wait for the store",
            self.store_backlog.clone(),
        );
        it.register(
            "store_given_up",
            "Changes and events that were given up because too many waited",
            self.store_given_up.clone(),
        );
        it.register("store_spooled_fixes", "Fixes in the spool", self.store_spooled_fixes.clone());
        it.register(
            "audit_last_seq",
            "The number of the last entry of the audit trail that is stored",
            self.audit_last_seq.clone(),
        );
        it.register(
            "audit_suppressed",
            "Refusals that have no audit entry of their own",
            self.audit_suppressed.clone(),
        );
        it.register(
            "audit_lines_lost",
            "Entries that the file of the audit trail lacks",
            self.audit_lines_lost.clone(),
        );
        it.register(
            "audit_breaks",
            "Cuts of the audit trail that a start found: entries removed from its end, or a file with another end",
            self.audit_breaks.clone(),
        );
        it.register("store_commits", "Commits that succeeded", self.store_commits.clone());
        it.register("store_failures", "Commits that failed", self.store_failures.clone());
        it.register_with_unit(
            "store_commit",
            "How long commits took in all",
            Unit::Seconds,
            self.store_commit_seconds.clone(),
        );
        it.register("store_fixes", "Fixes that were stored, or were already", self.store_fixes.clone());
        it.register("store_records", "What the store holds, by kind", self.store_records.clone());
        it.register_with_unit("store", "The room that takes, by kind", Unit::Bytes, self.store_bytes.clone());
        it.register_with_unit(
            "store_disk",
            "What the store takes on the disk",
            Unit::Bytes,
            self.store_disk_bytes.clone(),
        );
        it.register("store_removed", "What was deleted or thinned out, by kind", self.store_removed.clone());
    }

    /// Every metric, also those that nothing was counted in yet.
    pub fn described(&self) -> &[Described] {
        self.book.described()
    }

    /// The text page, `OpenMetrics` 1.0.
    pub fn page(&self) -> String {
        let mut page = String::new();
        match encode(&mut page, self.book.registry()) {
            Ok(()) => page,
            Err(error) => format!("# the metrics could not be written: {error}\n# EOF\n"),
        }
    }

    /// Counts a fix of a source.
    pub fn count_fix(&self, source: &str, outcome: &'static str) {
        self.count_fixes(source, outcome, 1);
    }

    /// Counts fixes of a source.
    pub fn count_fixes(&self, source: &str, outcome: &'static str, count: u64) {
        self.fixes.get_or_create(&FixLabels { source: source.to_owned(), outcome }).inc_by(count);
    }

    /// Counts a frame of a lane.
    pub fn count_frame(&self, lane: &'static str) {
        self.count_frames(lane, 1);
    }

    /// Counts frames of a lane.
    pub fn count_frames(&self, lane: &'static str, count: u64) {
        self.frames_sent.get_or_create(&LaneLabels { lane }).inc_by(count);
    }

    /// Counts an error that a client is told.
    pub fn count_error(&self, code: &'static str) {
        self.errors.get_or_create(&CodeLabels { code }).inc();
    }

    /// Counts a request that was refused because there were too many of its class.
    pub fn count_rate_limited(&self, class: &'static str) {
        self.rate_limited.get_or_create(&ClassLabels { class }).inc();
    }

    /// Counts a panic that was caught.
    pub fn count_panic(&self, r#where: &'static str) {
        self.panics.get_or_create(&PlaceLabels { r#where }).inc();
    }

    /// Counts a connection that was refused.
    pub fn count_refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a part of a connection that took too long.
    pub fn count_deadline(&self, stage: &'static str) {
        self.deadlines.get_or_create(&StageLabels { stage }).inc();
    }

    /// Counts a message of a client.
    pub fn count_message(&self, r#type: &'static str) {
        self.messages_received.get_or_create(&TypeLabels { r#type }).inc();
    }
}

/// The content type of [`Metrics::page`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_counted() {
        let metrics = Metrics::default();
        metrics.count_fix("hall", "newest");
        metrics.connections.set(3);
        let page = metrics.page();
        assert!(page.contains("anita_fixes_total{source=\"hall\",outcome=\"newest\"} 1\n"), "{page}");
        assert!(page.contains("anita_connections 3\n"));
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn metrics_are_described_by_the_names_that_the_page_has() {
        let metrics = Metrics::default();
        metrics.count_error("forbidden");
        metrics.store_disk_bytes.set(1);
        let told = |lane| DeliveryLabels { lane, class: "room" };
        drop(metrics.delivery_age_seconds.get_or_create(&told("event")));
        let page = metrics.page();
        let names = page.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let end = line.find(['{', ' ']).unwrap();
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|it| line[..end].strip_suffix(it))
                .unwrap_or(&line[..end])
        });
        let described = |name: &str| metrics.described().iter().find(|it| it.name == name);
        let mut found = 0;
        for name in names {
            assert!(described(name).is_some(), "{name}");
            found += 1;
        }
        assert!(found > 20, "{page}");
        let errors = described("anita_errors_total").unwrap();
        assert_eq!((errors.kind.as_str(), errors.help.contains("by code")), ("counter", true));
        assert_eq!(described("anita_delivery_age_seconds").unwrap().kind, "histogram");
        assert_eq!(described("anita_store_disk_bytes").unwrap().kind, "gauge");
    }
}
