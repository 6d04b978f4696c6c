//! When something was. Two times are never mixed: `taken_at` is the device's, `received_at` is ours.

use std::fmt;
use std::time::Duration;

/// A moment, UTC, in whole microseconds since the Unix epoch (RFC 3339 in text).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text or a number is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: write RFC 3339 with a zone, like 2026-03-01T12:00:00.250000Z")]
pub struct InvalidTimestamp;

/// The year 1 to the last day of the year 9999: what RFC 3339 can write in any zone.
const MICROS_RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_207_199_999_999;

impl Timestamp {
    /// The Unix epoch.
    pub const UNIX_EPOCH: Self = Self(0);

    /// The present, by this machine's clock. For the edges: everything inside takes `now` as an argument.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// From microseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] outside the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Result<Self, InvalidTimestamp> {
        if MICROS_RANGE.contains(&micros) { Ok(Self(micros)) } else { Err(InvalidTimestamp) }
    }

    /// From seconds since the Unix epoch, with a fraction, as some gateways write it.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] when it is not finite or outside the years 1 to 9999.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked before the cast")]
    pub fn from_secs_f64(secs: f64) -> Result<Self, InvalidTimestamp> {
        let micros = (secs * 1e6).round();
        if micros.is_finite() && micros.abs() < 9e17 {
            Self::from_micros(micros as i64)
        } else {
            Err(InvalidTimestamp)
        }
    }

    /// From RFC 3339 text. Any offset is read; finer than microseconds is cut.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] when it is not RFC 3339 or has no zone.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_not_rfc_3339| InvalidTimestamp)?;
        Self::from_micros(parsed.as_microsecond())
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as JWT counts them.
    pub fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How long it is since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment `later` after this one, at most the end of the year 9999.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        let micros = i64::try_from(later.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(*MICROS_RANGE.end()))
    }

    /// The moment `earlier` before this one, at least the start of the year 1.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        let micros = i64::try_from(earlier.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).max(*MICROS_RANGE.start()))
    }
}

/// The present, as the edges hand it in: by the wall clock, which can jump, and by the time since the start, which can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// UTC, for everything that is compared with times of devices and tokens.
    pub wall: Timestamp,
    /// Since the start of the process, for everything that is a wait: silences, deadlines, rates.
    pub uptime: Duration,
}

impl Now {
    /// The present some time later, by both clocks.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self { wall: self.wall.plus(later), uptime: self.uptime.saturating_add(later) }
    }
}

impl fmt::Display for Timestamp {
    /// `YYYY-MM-DDTHH:MM:SS.ffffffZ`, always six digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: jiff::fmt::temporal::DateTimePrinter =
            jiff::fmt::temporal::DateTimePrinter::new().precision(Some(6));
        let moment = jiff::Timestamp::from_microsecond(self.0).map_err(|_out_of_range| fmt::Error)?;
        PRINTER.print_timestamp(&moment, jiff::fmt::StdFmtWrite(f)).map_err(|_unwritable| fmt::Error)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_become_moments_and_moments_become_texts() {
        let cases = [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000000Z"),
            ("2026-03-01T12:00:00.25+01:00", "2026-03-01T11:00:00.250000Z"),
            ("2026-03-01t12:00:00.1234567z", "2026-03-01T12:00:00.123456Z"),
            ("1969-12-31T23:59:59.9Z", "1969-12-31T23:59:59.900000Z"),
        ];
        for (text, printed) in cases {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), printed);
        }
        for text in ["", "yesterday", "2026-03-01T12:00:00", "2026-13-01T12:00:00Z", "1700000000"] {
            assert_eq!(Timestamp::parse(text), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn seconds_with_a_fraction_keep_their_microseconds() {
        let taken_at = Timestamp::from_secs_f64(1_623_790_949.25).unwrap();
        assert_eq!(taken_at.as_micros(), 1_623_790_949_250_000);
        for secs in [f64::NAN, f64::INFINITY, 1e300, -1e300, 1e12] {
            assert_eq!(Timestamp::from_secs_f64(secs), Err(InvalidTimestamp), "{secs}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_survives_its_text(micros in MICROS_RANGE) {
            let moment = Timestamp::from_micros(micros).unwrap();
            prop_assert_eq!(Timestamp::parse(&moment.to_string()).unwrap(), moment);
        }

        #[test]
        fn arithmetic_stays_inside_what_can_be_written(micros in MICROS_RANGE, secs in 0_u64..u64::MAX / 2) {
            let moment = Timestamp::from_micros(micros).unwrap();
            let step = Duration::from_secs(secs);
            prop_assert!(Timestamp::parse(&moment.plus(step).to_string()).is_ok());
            prop_assert!(Timestamp::parse(&moment.minus(step).to_string()).is_ok());
        }
    }
}
