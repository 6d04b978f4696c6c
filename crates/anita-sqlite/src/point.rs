//! A fix as it is kept: device and origin apart, everything else in numbers.

use anita_model::{DeviceId, Fix, Position, SiteName, SourceName, Timestamp};
use anita_store::{FixKey, millimetres};

/// A place among the fixes of a device: the time in microseconds and the discriminator of [`FixKey`].
pub(crate) type Key = (i64, i64);

/// The key before all others.
pub(crate) const KEY_MIN: Key = (i64::MIN, i64::MIN);

/// The key after all others.
pub(crate) const KEY_MAX: Key = (i64::MAX, i64::MAX);

/// The key after this one.
pub(crate) fn after((taken_us, discriminator): Key) -> Key {
    match discriminator.checked_add(1) {
        Some(next) => (taken_us, next),
        None => (taken_us.saturating_add(1), i64::MIN),
    }
}

/// The key before this one.
pub(crate) fn before((taken_us, discriminator): Key) -> Key {
    match discriminator.checked_sub(1) {
        Some(last) => (taken_us, last),
        None => (taken_us.saturating_sub(1), i64::MAX),
    }
}

/// As `POSITION_ABS_MAX_M`, millimetres: whole numbers are quicker to compare.
const MM_ABS_MAX: i64 = 10_000_000_000;

/// A fix of a device that is known from where the point is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// The device's time, microseconds.
    pub(crate) taken_us: i64,
    /// As in [`FixKey`].
    pub(crate) discriminator: i64,
    /// The arrival, microseconds.
    pub(crate) received_us: i64,
    /// Where, millimetres.
    pub(crate) x_mm: i64,
    /// Where, millimetres.
    pub(crate) y_mm: i64,
    /// Where, millimetres.
    pub(crate) z_mm: i64,
    accuracy_mm: i64,
    floor: f64,
    battery_percent: f64,
    /// The number of its site and source.
    pub(crate) origin: u32,
    has: Has,
}

/// Which of the optional parts a point has; together, because a point is one of a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Has(u8);

impl Has {
    const ACCURACY: u8 = 1;
    const FLOOR: u8 = 2;
    const BATTERY: u8 = 4;
    const SEQUENCE: u8 = 8;
    /// The highest bit of the sequence, which the discriminator has not.
    const SEQUENCE_TOP: u8 = 16;

    fn is(self, part: u8) -> bool {
        self.0 & part != 0
    }

    fn set(&mut self, part: u8, value: Option<()>) {
        if value.is_some() {
            self.0 |= part;
        }
    }
}

/// The parts of a point that not every fix has.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Extras {
    /// Millimetres.
    pub(crate) accuracy_mm: Option<i64>,
    /// As in [`Fix`].
    pub(crate) floor: Option<f64>,
    /// As in [`Fix`].
    pub(crate) battery_percent: Option<f64>,
    /// As in [`Fix`].
    pub(crate) sequence: Option<u64>,
}

/// When and where a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The device's time, microseconds.
    pub(crate) taken_us: i64,
    /// The arrival, microseconds.
    pub(crate) received_us: i64,
    /// x, y, z, millimetres.
    pub(crate) mm: [i64; 3],
}

impl Point {
    /// Of a fix, whose origin has that number.
    pub(crate) fn of(fix: &Fix, origin: u32) -> Self {
        let position = fix.position;
        let place = Place {
            taken_us: fix.taken_at.as_micros(),
            received_us: fix.received_at.as_micros(),
            mm: [position.x_m(), position.y_m(), position.z_m()].map(millimetres),
        };
        let extras = Extras {
            accuracy_mm: fix.accuracy_m.map(millimetres),
            floor: fix.floor,
            battery_percent: fix.battery_percent,
            sequence: fix.sequence,
        };
        Self::with_key(FixKey::of(fix).discriminator, origin, place, extras)
    }

    /// From its parts. `None` when they can't be those of a fix.
    pub(crate) fn new(origin: u32, place: Place, extras: Extras) -> Option<Self> {
        let discriminator = discriminator(place.mm, extras.sequence);
        let is_sound = Timestamp::from_micros(place.taken_us).is_ok()
            && Timestamp::from_micros(place.received_us).is_ok()
            && place.mm.iter().all(|mm| (-MM_ABS_MAX..=MM_ABS_MAX).contains(mm));
        is_sound.then(|| Self::with_key(discriminator, origin, place, extras))
    }

    fn with_key(discriminator: i64, origin: u32, place: Place, extras: Extras) -> Self {
        let mut has = Has::default();
        has.set(Has::ACCURACY, extras.accuracy_mm.map(|_is_there| ()));
        has.set(Has::FLOOR, extras.floor.map(|_is_there| ()));
        has.set(Has::BATTERY, extras.battery_percent.map(|_is_there| ()));
        has.set(Has::SEQUENCE, extras.sequence.map(|_is_there| ()));
        has.set(Has::SEQUENCE_TOP, extras.sequence.filter(|it| it >> 63 == 1).map(|_is_there| ()));
        let [x_mm, y_mm, z_mm] = place.mm;
        Self {
            taken_us: place.taken_us,
            discriminator,
            received_us: place.received_us,
            x_mm,
            y_mm,
            z_mm,
            accuracy_mm: extras.accuracy_mm.unwrap_or_default(),
            floor: extras.floor.unwrap_or_default(),
            battery_percent: extras.battery_percent.unwrap_or_default(),
            origin,
            has,
        }
    }

    /// Its place among the fixes of its device.
    pub(crate) fn key(&self) -> Key {
        (self.taken_us, self.discriminator)
    }

    /// Its parts.
    pub(crate) fn extras(&self) -> Extras {
        let top = u64::from(self.has.is(Has::SEQUENCE_TOP)) << 63;
        let sequence = self.discriminator.cast_unsigned() | top;
        Extras {
            accuracy_mm: self.has.is(Has::ACCURACY).then_some(self.accuracy_mm),
            floor: self.has.is(Has::FLOOR).then_some(self.floor),
            battery_percent: self.has.is(Has::BATTERY).then_some(self.battery_percent),
            sequence: self.has.is(Has::SEQUENCE).then_some(sequence),
        }
    }

    /// The fix. `None` when the file it came from is damaged.
    pub(crate) fn fix(&self, device: &DeviceId, (site, source): &(SiteName, SourceName)) -> Option<Fix> {
        let extras = self.extras();
        Some(Fix {
            device: device.clone(),
            site: site.clone(),
            position: position_of([self.x_mm, self.y_mm, self.z_mm])?,
            accuracy_m: extras.accuracy_mm.map(metres),
            floor: extras.floor,
            battery_percent: extras.battery_percent,
            taken_at: Timestamp::from_micros(self.taken_us).ok()?,
            received_at: Timestamp::from_micros(self.received_us).ok()?,
            source: source.clone(),
            sequence: extras.sequence,
        })
    }
}

fn position_of(mm: [i64; 3]) -> Option<Position> {
    let [x_m, y_m, z_m] = mm.map(metres);
    Position::new(x_m, y_m, z_m).ok()
}

#[expect(clippy::cast_precision_loss, reason = "a position is at most 10^10 mm away, which is exact")]
fn metres(mm: i64) -> f64 {
    mm as f64 / 1_000.0
}

/// As [`FixKey`] has it, of the parts; a test compares the two.
fn discriminator(mm: [i64; 3], sequence: Option<u64>) -> i64 {
    if let Some(sequence) = sequence {
        return (sequence & (u64::MAX >> 1)).cast_signed();
    }
    let bytes = mm.into_iter().flat_map(i64::to_le_bytes);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash | (1 << 63)).cast_signed()
}
