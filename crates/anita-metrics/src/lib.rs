//! Every metric, as a typed field, and the text page that shows them (`OpenMetrics` 1.0).
//!
//! Label values come from closed lists or from the configuration, never from clients or devices, so the number of
//! series is bounded.

mod ages;

pub use ages::{AgeCounts, AgeHistogram};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Which source, and what became of the fix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FixLabels {
    /// The source's name.
    pub source: String,
    /// `newest`, `late`, `duplicate`, `no_position`, or why it was refused; `refused_item` for one that could not be read.
    pub outcome: &'static str,
}

/// Which type of message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TypeLabels {
    /// The type on the wire; `unknown` for what the protocol does not have, `domain` for applications' own.
    pub r#type: &'static str,
}

/// Which code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabels {
    /// The code of an error or a close.
    pub code: &'static str,
}

/// Which lane of delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabels {
    /// `reply`, `event` or `position`.
    pub lane: &'static str,
}

/// Which lane of delivery, and which class of views.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// `event`, `position` or `every`.
    pub lane: &'static str,
    /// `room`, `tracking`, `single`, `batch`, `columns` or `every`.
    pub class: &'static str,
}

/// Which status of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatusLabels {
    /// `connected`, `stale` or `disconnected`.
    pub status: &'static str,
}

/// Which source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabels {
    /// The source's name.
    pub source: String,
}

/// Which source, and why a message of it was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MalformedLabels {
    /// The source's name.
    pub source: String,
    /// The reason, from a closed list.
    pub reason: &'static str,
}

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were opened.
    pub connections_opened: Counter,
    /// Connections that were refused before the upgrade.
    pub connections_refused: Counter,
    /// Connections that ended, by close code.
    pub closes: Family<CodeLabels, Counter>,
    /// Rooms with somebody in them.
    pub rooms: Gauge,
    /// Messages of clients, by type.
    pub messages_received: Family<TypeLabels, Counter>,
    /// Frames to clients, by lane.
    pub frames_sent: Family<LaneLabels, Counter>,
    /// Errors that clients were told, by code.
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
    /// Saves that the store refused.
    pub store_errors: Counter,
    /// Actions that were refused for want of a permission.
    pub forbidden: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("anita"),
            connections: Gauge::default(),
            connections_opened: Counter::default(),
            connections_refused: Counter::default(),
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
            forbidden: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let it = &mut self.registry;
        it.register("connections", "Connections that are open", self.connections.clone());
        it.register("connections_opened", "Connections that were opened", self.connections_opened.clone());
        it.register(
            "connections_refused",
            "Connections that were refused before the upgrade",
            self.connections_refused.clone(),
        );
        it.register("closes", "Connections that ended, by close code", self.closes.clone());
        it.register("rooms", "Rooms with somebody in them", self.rooms.clone());
        it.register("messages_received", "Messages of clients, by type", self.messages_received.clone());
        it.register("frames_sent", "Frames to clients, by lane", self.frames_sent.clone());
        it.register("errors", "Errors that clients were told, by code", self.errors.clone());
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
        it.register("store_errors", "Saves that the store refused", self.store_errors.clone());
        it.register("forbidden", "Actions refused for want of a permission", self.forbidden.clone());
    }

    /// The text page, `OpenMetrics` 1.0.
    pub fn page(&self) -> String {
        let mut page = String::new();
        match encode(&mut page, &self.registry) {
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
}
