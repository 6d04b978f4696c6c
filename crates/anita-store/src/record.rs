//! What is kept.

use std::sync::Arc;

use anita_model::{
    DeviceId, DeviceKind, DeviceStatus, Fix, Position, Revocation, RevocationId, RoomName, SiteName,
    Timestamp,
};

use crate::audit::{AuditEntry, AuditHead};

/// What the registry remembers of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRecord {
    /// Its id.
    pub id: DeviceId,
    /// What people call it.
    pub name: Option<String>,
    /// What it is.
    pub kind: DeviceKind,
    /// The site it is in.
    pub site: SiteName,
    /// Where it is mounted.
    pub mounted_at: Option<Position>,
    /// The floor of that.
    pub floor: Option<f64>,
}

/// What was last heard of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// Its id.
    pub id: DeviceId,
    /// The status that was told last.
    pub status: DeviceStatus,
    /// When it was last heard of; `None` if never.
    pub last_seen: Option<Timestamp>,
    /// Charge of the battery, percent.
    pub battery_percent: Option<f64>,
    /// Its newest fix by its own time. It is here, too, so that it outlives the history.
    pub newest: Option<Arc<Fix>>,
}

impl DeviceState {
    /// What is known when nothing but a fix is.
    pub fn of_fix(fix: &Arc<Fix>) -> Self {
        let mut state = Self {
            id: fix.device.clone(),
            status: DeviceStatus::Connected,
            last_seen: None,
            battery_percent: None,
            newest: None,
        };
        state.heard(fix);
        state
    }

    /// Takes a fix of the history into account that may be newer than the state.
    pub fn heard(&mut self, fix: &Arc<Fix>) {
        let is_newer = self.newest.as_ref().is_none_or(|newest| FixKey::of(newest) < FixKey::of(fix));
        if is_newer {
            self.newest = Some(Arc::clone(fix));
            self.battery_percent = fix.battery_percent.or(self.battery_percent);
        }
        if self.last_seen.is_none_or(|seen| seen < fix.received_at) {
            self.last_seen = Some(fix.received_at);
            self.status = DeviceStatus::Connected;
        }
    }
}

/// A numbered message of a room.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Its number among the events of all rooms.
    pub ordinal: u64,
    /// The room.
    pub room: RoomName,
    /// The epoch of the room's numbering.
    pub epoch: Arc<str>,
    /// Its number in the room.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The devices it tells of: only those who may see all of them hear it.
    pub devices: Vec<DeviceId>,
    /// The connection that said it, if one did.
    pub from: Option<Arc<str>>,
    /// The message as it was told, JSON.
    pub text: Arc<str>,
}

/// One thing to keep.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A fix. One with the same [`FixKey`] changes nothing.
    Fix(Arc<Fix>),
    /// A device of the registry, new or changed.
    Save(DeviceRecord),
    /// A device is gone: out of the registry, with its state and its history. One that is not there is no error.
    Remove(DeviceId),
    /// What was last heard of a device.
    State(DeviceState),
    /// A numbered message. One with the same ordinal changes nothing.
    Event(EventRecord),
    /// Who did what. One with the same number of the chain changes nothing.
    Audit(AuditEntry),
    /// Tokens are not accepted any more. One with the same id changes nothing.
    Revoke(Revocation),
    /// They are again. One that is not there is no error.
    Unrevoke(RevocationId),
}

/// What makes a fix the same as another one of its device, and its place among those: by time, then by the source's own
/// number, else by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixKey {
    /// The device's time.
    pub taken_at: Timestamp,
    /// The source's number, 0 or more; for a source that has none, a negative number made of the position.
    pub discriminator: i64,
}

impl FixKey {
    /// Of a fix.
    pub fn of(fix: &Fix) -> Self {
        let discriminator = if let Some(sequence) = fix.sequence {
            (sequence & (u64::MAX >> 1)).cast_signed()
        } else {
            let position = fix.position;
            let mut hash = FNV_OFFSET;
            for metres in [position.x_m(), position.y_m(), position.z_m()] {
                for byte in millimetres(metres).to_le_bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
                }
            }
            (hash | (1 << 63)).cast_signed()
        };
        Self { taken_at: fix.taken_at, discriminator }
    }
}

/// The offset basis of FNV-1a with 64 bits (draft-eastlake-fnv).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The prime of FNV-1a with 64 bits.
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Metres as whole millimetres: how coordinates and radii are kept and told.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a position is at most 10,000 km away, which is 10^10 mm"
)]
pub fn millimetres(metres: f64) -> i64 {
    (metres * 1_000.0).round() as i64
}

/// How many rooms' numberings a store remembers besides that of `uwb`: those that were used last.
pub const ROOMS_MAX: usize = 10_000;

/// A room as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomRecord {
    /// Its name.
    pub name: RoomName,
    /// The epoch of its numbering.
    pub epoch: Arc<str>,
    /// The last number.
    pub seq: u64,
    /// The ordinal of the message with that number, whether it is still kept or not.
    pub ordinal: u64,
    /// Its latest messages of this epoch, oldest first.
    pub events: Vec<EventRecord>,
}

/// What a server needs to go on where it stopped.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remembered {
    /// The registry, in the order of the ids.
    pub devices: Vec<DeviceRecord>,
    /// What was last heard of each device, in the order of the ids: its state as it was kept last, with the newest fix of
    /// its history if that is newer.
    pub states: Vec<DeviceState>,
    /// The rooms that ever had a message, in the order of their names. They know where their numbering is also when all
    /// their messages are gone.
    pub rooms: Vec<RoomRecord>,
    /// Which tokens are not accepted any more, in the order in which that was said, and of the ids where that is the same.
    pub revocations: Vec<Revocation>,
    /// The end of the audit chain; `None` while there is none.
    pub audit_head: Option<AuditHead>,
    /// How many audit entries the store had after that end and has not any more, as far as it knows by itself: nothing of
    /// ours takes entries from there.
    pub audit_removed: u64,
    /// The ordinal of the last event, whether it is still kept or not; 0 if there was none.
    pub last_ordinal: u64,
}

#[cfg(test)]
mod tests {
    use anita_model::SourceName;
    use proptest::prelude::*;

    use super::*;

    fn fix(x_m: f64, sequence: Option<u64>) -> Fix {
        Fix {
            device: DeviceId::parse("a").unwrap(),
            site: SiteName::main(),
            position: Position::new(x_m, 2.0, 0.5).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            source: SourceName::parse("test").unwrap(),
            sequence,
        }
    }

    #[test]
    fn a_number_of_the_source_decides_and_without_one_the_place_to_the_millimetre() {
        assert_eq!(FixKey::of(&fix(1.0, Some(7))), FixKey::of(&fix(2.0, Some(7))));
        assert_ne!(FixKey::of(&fix(1.0, Some(7))), FixKey::of(&fix(1.0, Some(8))));
        assert_eq!(FixKey::of(&fix(1.0001, None)), FixKey::of(&fix(1.0, None)));
        assert_ne!(FixKey::of(&fix(1.001, None)), FixKey::of(&fix(1.0, None)));
        // The numbers are kept in files: they must not change from one version to the next.
        assert_eq!(FixKey::of(&fix(1.0, None)).discriminator, -3_650_578_474_284_846_070);
    }

    proptest! {
        #[test]
        fn a_fix_without_a_number_comes_before_those_with_one(x_m in -1e7..1e7, sequence: u64) {
            prop_assert!(FixKey::of(&fix(x_m, None)) < FixKey::of(&fix(x_m, Some(sequence))));
        }

        #[test]
        fn millimetres_are_exact_where_metres_have_three_digits(mm in -10_000_000_000_i64..10_000_000_000) {
            #[expect(clippy::cast_precision_loss, reason = "10^10 is exact")]
            let metres = mm as f64 / 1_000.0;
            prop_assert_eq!(millimetres(metres), mm);
        }
    }
}
