//! What a view is: its filter, its rate, its form.

use std::time::Duration;

use anita_auth::Patterns;
use anita_wire::view::{Fields, LengthUnit, Mode};

use crate::area::Exact;
use crate::devices::Known;
use crate::filter::Filter;

/// The form in which a view tells what moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// One `uwb.location` for each.
    Single,
    /// One `uwb.position_update` for all.
    Batch,
    /// One `uwb.position_columns` for all, in this unit.
    Columns(LengthUnit),
}

/// How often a view tells of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Whenever it moves.
    Unlimited,
    /// At most once in this time, each device for itself.
    PerDevice(Duration),
    /// All that moved, once in this time: position tracking.
    Beat(Duration),
}

impl Pace {
    /// At most so often a second.
    pub fn at_most_hz(hz: f64) -> Self {
        Self::PerDevice(Duration::from_secs_f64(hz.recip()))
    }

    pub(crate) fn interval(self) -> Option<Duration> {
        match self {
            Self::Unlimited => None,
            Self::PerDevice(interval) | Self::Beat(interval) => Some(interval),
        }
    }
}

/// What a view is. Those that are equal, of equal rights, are one class and share their frames.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ViewSpec {
    /// Which devices.
    pub filter: Filter,
    /// What of them.
    pub fields: Fields,
    /// How often.
    pub pace: Pace,
    /// In which form.
    pub form: Form,
    min_move_m: Exact,
}

impl ViewSpec {
    /// Everything of a filter at once, position only.
    pub fn new(filter: Filter, form: Form, pace: Pace) -> Self {
        Self { filter, fields: Fields::Position, pace, form, min_move_m: Exact::new(0.0) }
    }

    /// With other fields.
    #[must_use]
    pub fn with_fields(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    /// Only what moved at least so far, metres.
    #[must_use]
    pub fn with_min_move_m(self, metres: f64) -> Self {
        Self { min_move_m: Exact::new(metres), ..self }
    }

    pub(crate) fn min_move_m(&self) -> f64 {
        self.min_move_m.get()
    }

    /// The mode as the wire says it.
    pub fn mode(&self) -> Mode {
        match self.form {
            Form::Single => Mode::Single,
            Form::Batch => Mode::Batch,
            Form::Columns(_) => Mode::Columns,
        }
    }
}

/// Which of a connection's views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The room `uwb`: every newest fix as one `uwb.location`.
    Room,
    /// Position tracking.
    Tracking,
    /// The subscription of this number, from 1.
    Subscription(u8),
}

impl Slot {
    /// The name of a subscription on the wire: `s1`, `s2`, ….
    pub fn subscription(self) -> Option<String> {
        match self {
            Self::Room | Self::Tracking => None,
            Self::Subscription(number) => Some(format!("s{number}")),
        }
    }

    /// The subscription of a name.
    pub fn from_subscription(name: &str) -> Option<Self> {
        let number: u8 = name.strip_prefix('s')?.parse().ok()?;
        (Self::Subscription(number).subscription()? == name).then_some(Self::Subscription(number))
    }

    pub(crate) fn is_subscription(self) -> bool {
        matches!(self, Self::Subscription(_))
    }
}

/// What makes two views one class. The slot is part of it because it stands in the frames: most connections have one
/// view, and it is the first of each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClassKey {
    pub(crate) spec: ViewSpec,
    pub(crate) rights: Patterns,
    pub(crate) slot: Slot,
    /// Different in each class that is not shared: one that is slower than once a second would keep those who come
    /// waiting for its next turn.
    pub(crate) own: u64,
}

/// The label of a class in metrics, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// The room `uwb`.
    Room,
    /// Position tracking.
    Tracking,
    /// Subscriptions of the form `single`.
    Single,
    /// Subscriptions of the form `batch`.
    Batch,
    /// Subscriptions of the form `columns`.
    Columns,
    /// Subscriptions of the lane `every`.
    Every,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 6] =
        [Self::Room, Self::Tracking, Self::Single, Self::Batch, Self::Columns, Self::Every];

    /// As metrics say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Tracking => "tracking",
            Self::Single => "single",
            Self::Batch => "batch",
            Self::Columns => "columns",
            Self::Every => "every",
        }
    }
}

impl ClassKey {
    /// Whether it shows a device: where it is, what it is, and whether its members may see it.
    pub(crate) fn shows(&self, known: &Known) -> bool {
        self.spec.filter.lets_place(known.position(), known.floor())
            && self.spec.filter.lets_device(&known.device)
            && self.rights.allow(known.device.id.as_str())
    }

    pub(crate) fn label(&self) -> Label {
        match (self.slot, self.spec.form) {
            (Slot::Room, _) => Label::Room,
            (Slot::Tracking, _) => Label::Tracking,
            (Slot::Subscription(_), Form::Single) => Label::Single,
            (Slot::Subscription(_), Form::Batch) => Label::Batch,
            (Slot::Subscription(_), Form::Columns(_)) => Label::Columns,
        }
    }
}

/// The first beat after a moment: beats are multiples of the interval, so that all who want the same are one class.
pub(crate) fn next_beat(now: Duration, interval: Duration) -> Duration {
    let (now_us, interval_us) = (now.as_micros(), interval.as_micros().max(1));
    let beats = now_us / interval_us + 1;
    Duration::from_micros(u64::try_from(beats * interval_us).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_has_one_name() {
        for number in 1..=u8::MAX {
            let name = Slot::Subscription(number).subscription().unwrap();
            assert_eq!(Slot::from_subscription(&name), Some(Slot::Subscription(number)));
        }
        for name in ["", "s", "1", "s-1", "s01", "s+1", "s 1", "S1", "s256", "s1 ", "uwb"] {
            assert_eq!(Slot::from_subscription(name), None, "{name:?}");
        }
        assert_eq!(Slot::Room.subscription(), None);
        assert_eq!(Slot::Tracking.subscription(), None);
    }

    #[test]
    fn a_rate_is_an_interval() {
        let cases = [(2.0, 500), (0.5, 2_000), (100.0, 10)];
        for (hz, millis) in cases {
            assert_eq!(Pace::at_most_hz(hz).interval(), Some(Duration::from_millis(millis)));
        }
        assert_eq!(Pace::Unlimited.interval(), None);
    }
}
