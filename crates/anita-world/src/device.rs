//! One device, and when its silence counts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, DeviceKind, DeviceStatus, Fix, Position, SiteName, Timestamp};

/// A device as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What people call it.
    pub name: Option<String>,
    /// What it is.
    pub kind: DeviceKind,
    /// The site it is in.
    pub site: SiteName,
    /// Whether it is heard of.
    pub status: DeviceStatus,
    /// When it was last heard of, by the wall clock; `None` if never.
    pub last_seen: Option<Timestamp>,
    /// Charge of the battery, percent.
    pub battery_percent: Option<f64>,
    /// The newest fix, by the device's time.
    pub live: Option<Arc<Fix>>,
    /// Where it is mounted or was said to be, while there is no fix.
    pub mounted_at: Option<Position>,
    /// The floor that goes with `mounted_at`.
    pub floor: Option<f64>,
    /// When it was last heard of, by the uptime.
    pub(crate) heard_at: Option<Duration>,
    /// How long it had been silent at `heard_at` already: for one that was last heard of before the start.
    pub(crate) silent_before: Duration,
    /// Its latest fixes that carry a number and no time of their own: number and place again are the same fix again.
    pub(crate) numbered: VecDeque<Numbered>,
    /// Whether its clock stands still.
    pub(crate) clock: Clock,
    /// Whether something of it is not said to be saved yet.
    pub(crate) is_unsaved: bool,
}

/// How many fixes of a device may have the very same time, at different places, one after the other. What comes beyond
/// that has the time of a clock that stands still.
pub(crate) const SAME_TIME_MAX: u32 = 4_096;

/// A device's clock, as far as it has to be doubted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Clock {
    last: Option<(Timestamp, Position)>,
    fixes: u32,
}

impl Clock {
    /// Takes note of a fix. Says whether its time means anything.
    pub(crate) fn goes(&mut self, fix: &Fix) -> bool {
        match &mut self.last {
            Some((taken_at, position)) if *taken_at == fix.taken_at => {
                // The same again says nothing of the clock.
                self.fixes += u32::from(*position != fix.position && self.fixes <= SAME_TIME_MAX);
                *position = fix.position;
            }
            last => {
                *last = Some((fix.taken_at, fix.position));
                self.fixes = 1;
            }
        }
        self.fixes <= SAME_TIME_MAX
    }
}

/// A fix that its source numbers and stamps with its arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Numbered {
    number: u64,
    /// Millimetres, as coordinates are told and stored: after a restart they are known no better.
    place_mm: [f64; 3],
    /// The arrival of the first.
    pub(crate) taken_at: Timestamp,
}

impl Numbered {
    /// Of a fix, if it is such a one.
    pub(crate) fn of(fix: &Fix) -> Option<Self> {
        let number = fix.sequence.filter(|_number| fix.taken_at == fix.received_at)?;
        let place_m = [fix.position.x_m(), fix.position.y_m(), fix.position.z_m()];
        Some(Self {
            number,
            place_mm: place_m.map(|metres| (metres * 1_000.0).round()),
            taken_at: fix.taken_at,
        })
    }

    /// Whether both are the same fix, whenever they came.
    pub(crate) fn is_again(&self, other: &Self) -> bool {
        (self.number, self.place_mm) == (other.number, other.place_mm)
    }
}

impl Device {
    /// A device that nothing is known of but its id.
    pub fn new(id: DeviceId, kind: DeviceKind, site: SiteName) -> Self {
        Self {
            id,
            name: None,
            kind,
            site,
            status: DeviceStatus::Disconnected,
            last_seen: None,
            battery_percent: None,
            live: None,
            mounted_at: None,
            floor: None,
            heard_at: None,
            silent_before: Duration::ZERO,
            numbered: VecDeque::new(),
            clock: Clock::default(),
            is_unsaved: false,
        }
    }

    /// Where it is, as far as that is known.
    pub fn position(&self) -> Option<Position> {
        self.live.as_ref().map(|fix| fix.position).or(self.mounted_at)
    }
}

/// How long a device may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silences {
    /// After this it is stale.
    pub stale_after: Duration,
    /// After this it is disconnected.
    pub disconnected_after: Duration,
}

/// The silences of each kind; `None` where silence means nothing and only the gateway's word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusPolicy {
    /// Of tags.
    pub tags: Option<Silences>,
    /// Of anchors and gateways: many say nothing for hours and are well.
    pub infrastructure: Option<Silences>,
}

impl Default for StatusPolicy {
    fn default() -> Self {
        let tags =
            Silences { stale_after: Duration::from_secs(10), disconnected_after: Duration::from_secs(60) };
        Self { tags: Some(tags), infrastructure: None }
    }
}

impl StatusPolicy {
    /// The status of a kind of device after this much silence; `None` where silence means nothing.
    pub fn after_silence(&self, kind: DeviceKind, silence: Duration) -> Option<DeviceStatus> {
        let silences = match kind {
            DeviceKind::Tag => self.tags,
            DeviceKind::Anchor | DeviceKind::Gateway => self.infrastructure,
        }?;
        Some(if silence <= silences.stale_after {
            DeviceStatus::Connected
        } else if silence <= silences.disconnected_after {
            DeviceStatus::Stale
        } else {
            DeviceStatus::Disconnected
        })
    }
}
