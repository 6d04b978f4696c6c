//! When an entry is due, and which time it is given. Pure.

use std::time::Duration;

use anita_formats::recording::Entry;
use anita_model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

/// An entry of a recording, on the way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Due {
    /// Since the first entry; never runs backwards.
    pub(super) at: Duration,
    /// The time of the measurement since the first entry's, microseconds.
    pub(super) taken_us: i64,
    /// The recorded time, where it is wanted and the recording has dates.
    pub(super) recorded_at: Option<Timestamp>,
    /// What was measured.
    pub(super) entry: Entry,
}

/// An item of a report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stamped {
    /// The line of the recording.
    pub(super) line: u64,
    /// The item as the wire has it.
    item: Value,
}

impl Serialize for Stamped {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.item.serialize(serializer)
    }
}

/// A recording's time against ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    began_at: Instant,
    began_wall: Timestamp,
    speed: f64,
}

// === impl Schedule ===

impl Schedule {
    /// The first entry is now.
    pub(super) fn begin(began_at: Instant, began_wall: Timestamp, speed: f64) -> Self {
        Self { began_at, began_wall, speed }
    }

    pub(super) fn began_at(&self) -> Instant {
        self.began_at
    }

    /// When the entry is to be sent.
    pub(super) fn due_at(&self, due: &Due) -> Instant {
        self.began_at + self.scaled(due.at)
    }

    /// The entry with its time, as the server gets it.
    pub(super) fn stamp(&self, due: Due) -> Stamped {
        let since = self.scaled(Duration::from_micros(due.taken_us.unsigned_abs()));
        let shifted =
            if due.taken_us < 0 { self.began_wall.minus(since) } else { self.began_wall.plus(since) };
        let timestamp = due.recorded_at.unwrap_or(shifted);
        let entry = due.entry;
        let position = entry.position;
        let mut item = json!({
            "device_id": entry.device.as_str(),
            "location": { "x": position.x_m(), "y": position.y_m(), "z": position.z_m() },
            "timestamp": timestamp.to_string(),
        });
        let further =
            [("accuracy", entry.accuracy_m), ("floor", entry.floor), ("battery", entry.battery_percent)];
        if let Some(members) = item.as_object_mut() {
            members.extend(
                further.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))),
            );
            members.extend(entry.sequence.map(|sequence| ("sequence".to_owned(), sequence.into())));
        }
        Stamped { line: entry.line, item }
    }

    /// A time of the recording as a time of ours; a year where it is more than that.
    fn scaled(&self, recorded: Duration) -> Duration {
        const MAX: Duration = Duration::from_secs(366 * 86_400);
        let secs = recorded.as_secs_f64() / self.speed;
        Duration::try_from_secs_f64(secs).map_or(MAX, |scaled| scaled.min(MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anita_model::{DeviceId, Position};

    fn due(at_ms: u64, taken_us: i64) -> Due {
        let entry = Entry {
            line: 7,
            at: Duration::from_millis(at_ms),
            taken_us,
            device: DeviceId::parse("tag-1").unwrap(),
            position: Position::new(1.0, 2.5, -3.0).unwrap(),
            accuracy_m: Some(0.25),
            floor: None,
            battery_percent: None,
            sequence: None,
        };
        Due { at: entry.at, taken_us, recorded_at: None, entry }
    }

    #[test]
    fn entries_keep_their_spacing_and_their_order_at_the_speed() {
        let (began_at, wall) = (Instant::now(), Timestamp::parse("2026-03-01T12:00:00Z").unwrap());
        let table = [
            (1.0, due(2_000, 2_000_000), 2_000, "2026-03-01T12:00:02.000000Z"),
            (10.0, due(2_000, 2_000_000), 200, "2026-03-01T12:00:00.200000Z"),
            (0.5, due(2_000, 2_000_000), 4_000, "2026-03-01T12:00:04.000000Z"),
            // Out of order: due with the one before, and earlier than it.
            (2.0, due(2_000, 1_000_000), 1_000, "2026-03-01T12:00:00.500000Z"),
            (1.0, due(0, -500_000), 0, "2026-03-01T11:59:59.500000Z"),
        ];
        for (speed, due, due_ms, timestamp) in table {
            let schedule = Schedule::begin(began_at, wall, speed);
            assert_eq!(schedule.due_at(&due), began_at + Duration::from_millis(due_ms));
            assert_eq!(schedule.stamp(due).item["timestamp"], timestamp, "at speed {speed}");
        }
    }

    #[test]
    fn an_item_is_of_the_wire_and_a_recorded_time_wins() {
        let schedule = Schedule::begin(Instant::now(), Timestamp::UNIX_EPOCH, 1.0);
        let recorded_at = Timestamp::parse("2021-06-15T21:02:29.251787Z").ok();
        let stamped = schedule.stamp(Due { recorded_at, ..due(0, 0) });
        let item = json!({
            "device_id": "tag-1", "location": { "x": 1.0, "y": 2.5, "z": -3.0 }, "accuracy": 0.25,
            "timestamp": "2021-06-15T21:02:29.251787Z",
        });
        assert_eq!((stamped.line, serde_json::to_value(&stamped).unwrap()), (7, item));
    }
}
