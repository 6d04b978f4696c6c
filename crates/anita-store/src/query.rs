//! What is asked of a store, and its answers.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Fix, RoomName, Timestamp};

use crate::audit::AuditEntry;
use crate::record::{EventRecord, FixKey};

/// A place in a device's history: what `next` and `after` carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub FixKey);

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has to be the `next` of a page, unchanged")]
pub struct InvalidCursor;

impl Cursor {
    /// From the text of a page's `next`.
    ///
    /// # Errors
    /// [`InvalidCursor`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let (micros, discriminator) = text.split_once('.').ok_or(InvalidCursor)?;
        let micros = micros.parse().map_err(|_not_a_number| InvalidCursor)?;
        let taken_at = Timestamp::from_micros(micros).map_err(|_not_a_time| InvalidCursor)?;
        let discriminator = discriminator.parse().map_err(|_not_a_number| InvalidCursor)?;
        Ok(Self(FixKey { taken_at, discriminator }))
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0.taken_at.as_micros(), self.0.discriminator)
    }
}

/// In which order a history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As people ask.
    #[default]
    NewestFirst,
    /// As things happened.
    OldestFirst,
}

/// A box along the axes of the site, metres, its edges included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// The west end.
    pub min_x_m: f64,
    /// The south end.
    pub min_y_m: f64,
    /// The east end.
    pub max_x_m: f64,
    /// The north end.
    pub max_y_m: f64,
}

impl Extent {
    /// Whether a fix is inside, to the millimetre.
    pub fn contains(&self, fix: &Fix) -> bool {
        let mm = crate::record::millimetres;
        let (x, y) = (mm(fix.position.x_m()), mm(fix.position.y_m()));
        (mm(self.min_x_m)..=mm(self.max_x_m)).contains(&x)
            && (mm(self.min_y_m)..=mm(self.max_y_m)).contains(&y)
    }
}

/// What is asked of a device's history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// Whose.
    pub device: DeviceId,
    /// Not before this, by the device's time.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
    /// In which order.
    pub order: Order,
    /// How many at most; at least 1.
    pub limit: usize,
    /// Only what comes after this in the order.
    pub after: Option<Cursor>,
    /// Only what is inside.
    pub within: Option<Extent>,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistoryPage {
    /// The fixes, in the order that was asked for.
    pub fixes: Vec<Arc<Fix>>,
    /// Where the next page begins; `None` on the last. With `within`, a page may be short, even empty, and still have a
    /// next one: so long a stretch was looked through.
    pub next: Option<Cursor>,
}

/// Where devices were at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct NewestQuery {
    /// Whose.
    pub devices: Vec<DeviceId>,
    /// The moment, by the devices' time.
    pub at: Timestamp,
    /// Fixes older than this don't count.
    pub not_before: Option<Timestamp>,
}

/// What happened to devices in a stretch of time, thinned out.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowQuery {
    /// Whose.
    pub devices: Vec<DeviceId>,
    /// From this on, by the devices' time.
    pub start: Timestamp,
    /// Until before this.
    pub end: Timestamp,
    /// Of each device at most one fix, the newest, in each such stretch, counted from `start`; all where it is zero.
    pub every: Duration,
    /// How many at most; at least 1.
    pub fixes_max: usize,
}

/// The answer to a [`WindowQuery`].
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The fixes, oldest first; those of the same time in the order of their devices' ids.
    pub fixes: Vec<Arc<Fix>>,
    /// Up to before this moment nothing is left out: the end that was asked for, or earlier where there were too many.
    /// Always after the start, and on the border of a stretch of `every`.
    pub complete_to: Timestamp,
}

/// What is asked of the events, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventQuery {
    /// Of this room; of all where there is none.
    pub room: Option<RoomName>,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
    /// How many at most; at least 1.
    pub limit: usize,
    /// Only those with a smaller ordinal.
    pub after: Option<u64>,
}

/// A page of events, newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventPage {
    /// The events.
    pub events: Vec<EventRecord>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<u64>,
}

/// What is asked of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Of this subject only.
    pub subject: Option<String>,
    /// Of this action only.
    pub action: Option<String>,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
    /// How many at most; at least 1.
    pub limit: usize,
    /// In which order: the newest first where nothing else is said.
    pub order: Order,
    /// Only those that come after this ordinal in the order.
    pub after: Option<u64>,
}

/// A page of the audit trail, in the order that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditPage {
    /// The entries with their ordinals, which count up.
    pub entries: Vec<(u64, AuditEntry)>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<u64>,
}

impl WindowQuery {
    /// What it wants of the fixes of one device, oldest first, all within its time: of each stretch the newest.
    pub fn thinned(&self, fixes: &[Arc<Fix>]) -> Vec<Arc<Fix>> {
        let every_us = i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX);
        if every_us == 0 {
            return fixes.to_vec();
        }
        let stretch = |fix: &Fix| (fix.taken_at.as_micros() - self.start.as_micros()).div_euclid(every_us);
        fixes.chunk_by(|a, b| stretch(a) == stretch(b)).filter_map(<[_]>::last).cloned().collect()
    }
}

impl Window {
    /// Of the fixes of all devices, already thinned out: in order, and no more than may be.
    pub fn of(mut fixes: Vec<Arc<Fix>>, query: &WindowQuery) -> Self {
        fixes.sort_by(|a, b| (a.taken_at, &a.device).cmp(&(b.taken_at, &b.device)));
        let mut complete_to = query.end;
        if let Some(first_left_out) = fixes.get(query.fixes_max) {
            // Whole stretches only, so that the next window thins out by the same borders; one at least, however many
            // it has.
            let every_us = i64::try_from(query.every.as_micros()).unwrap_or(i64::MAX).max(1);
            let start_us = query.start.as_micros();
            let stretches = (first_left_out.taken_at.as_micros() - start_us).div_euclid(every_us).max(1);
            let border = start_us.saturating_add(stretches.saturating_mul(every_us));
            complete_to = Timestamp::from_micros(border).map_or(query.end, |border| border.min(query.end));
            fixes.truncate(fixes.partition_point(|fix| fix.taken_at < complete_to));
        }
        Self { fixes, complete_to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_cursors_are_refused() {
        for text in ["", "1", "1.", ".1", "a.b", "1.2.3", "1. 2", "99999999999999999999.1"] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
        for text in ["1.2", "-62135596800000000.-9223372036854775808", "0.9223372036854775807"] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
    }
}
