//! A fix on its way to many, with its texts made once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anita_model::Fix;
use anita_wire::message::Whereabouts;
use anita_wire::view::Fields;
use anita_wire::{Metres, Outgoing, Percent, Place, Time, compose};
use bytes::Bytes;

use crate::payload;

/// A fix with its number. What is said of it is written by the first who needs it, and shared by all.
#[derive(Debug)]
pub struct Live {
    /// The fix.
    pub fix: Arc<Fix>,
    /// Its number: greater than that of every fix before it, of any device.
    pub version: u64,
    /// When it arrived, by the uptime.
    pub arrived: Duration,
    /// Whether it became its device's newest. A late one is only for those who want every fix.
    pub is_newest: bool,
    frame: OnceLock<Bytes>,
    position: OnceLock<Box<str>>,
    everything: OnceLock<Box<str>>,
}

impl Live {
    /// The newest fix of its device, which got a number.
    pub fn newest(fix: Arc<Fix>, version: u64, arrived: Duration) -> Self {
        Self {
            fix,
            version,
            arrived,
            is_newest: true,
            frame: OnceLock::new(),
            position: OnceLock::new(),
            everything: OnceLock::new(),
        }
    }

    /// A fix that was taken before the newest of its device, and came after it.
    pub fn late(fix: Arc<Fix>, version: u64, arrived: Duration) -> Self {
        Self { is_newest: false, ..Self::newest(fix, version, arrived) }
    }

    /// The same for another thread: what counts how many hold it is not shared between cores.
    #[must_use]
    pub fn own(&self) -> Self {
        let same = Self::newest(Arc::clone(&self.fix), self.version, self.arrived);
        Self { is_newest: self.is_newest, ..same }
    }

    /// The complete WebSocket frame of its `uwb.location`, as the room `uwb` hears it.
    pub(crate) fn frame(&self) -> &Bytes {
        self.frame
            .get_or_init(|| anita_ws::frame::text(&Outgoing::push(&payload::location(&self.fix)).to_text()))
    }

    /// Its entry in a `uwb.position_update`.
    pub(crate) fn entry(&self, fields: Fields) -> &[u8] {
        let fix = &self.fix;
        let entry = match fields {
            Fields::Position => self.position.get_or_init(|| {
                let place = Whereabouts::from(Place::from(fix.position));
                compose::position_entry(fix.device.as_str(), &place).into()
            }),
            Fields::All => self.everything.get_or_init(|| {
                let whereabouts = Whereabouts {
                    place: fix.position.into(),
                    accuracy: fix.accuracy_m.map(Metres),
                    floor: fix.floor,
                    battery: fix.battery_percent.map(Percent),
                    timestamp: Some(Time(fix.taken_at)),
                };
                compose::position_entry(fix.device.as_str(), &whereabouts).into()
            }),
        };
        entry.as_bytes()
    }
}
