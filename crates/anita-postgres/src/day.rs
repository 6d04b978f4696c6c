//! Moments and days as PostgreSQL counts them.

use std::error::Error;

use anita_model::Timestamp;
use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// The year 2000, from which PostgreSQL counts, in microseconds since the Unix epoch.
const YEAR_2000_US: i64 = 946_684_800_000_000;

pub(crate) const DAY_US: i64 = 86_400_000_000;

/// A moment: `timestamptz`, exact to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// Something on the scale of moments that need not be one of ours: the start of a stretch of time may be before year 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micros(pub(crate) i64);

/// As PostgreSQL counts.
pub(crate) fn since_2000_us(at: Timestamp) -> i64 {
    at.as_micros() - YEAR_2000_US
}

impl ToSql for Moment {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Micros(self.0.as_micros()).to_sql(ty, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl ToSql for Micros {
    fn to_sql(&self, _type: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0.saturating_sub(YEAR_2000_US));
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl FromSql<'_> for Moment {
    fn from_sql(_type: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Timestamp::from_micros(micros.saturating_add(YEAR_2000_US))?))
    }

    accepts!(TIMESTAMPTZ);
}

/// A day, UTC: days since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(pub(crate) i64);

impl Day {
    pub(crate) fn of(at: Timestamp) -> Self {
        Self::of_micros(at.as_micros())
    }

    pub(crate) fn of_micros(micros: i64) -> Self {
        Self(micros.div_euclid(DAY_US))
    }

    /// Its first moment.
    pub(crate) fn start(self) -> Micros {
        Micros(self.0.saturating_mul(DAY_US))
    }

    /// Its name in the calendar, `YYYYMMDD`, for days of the years 1 to 9999.
    pub(crate) fn name(self) -> String {
        let text = Timestamp::from_micros(self.start().0).map(|start| start.to_string()).unwrap_or_default();
        text.chars().take(10).filter(char::is_ascii_digit).collect()
    }

    /// Its first moment as SQL.
    pub(crate) fn literal(self) -> String {
        let text = Timestamp::from_micros(self.start().0).map(|start| start.to_string()).unwrap_or_default();
        format!("'{text}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_names_and_borders() {
        let at = Timestamp::parse("2026-03-01T23:59:59.999999Z").unwrap();
        let day = Day::of(at);
        assert_eq!(day.name(), "20260301");
        assert_eq!(day.literal(), "'2026-03-01T00:00:00.000000Z'");
        assert_eq!(Day(day.0 + 1).start().0, at.as_micros() + 1);
        assert_eq!(Day::of(Timestamp::parse("1969-12-31T00:00:00Z").unwrap()), Day(-1));
    }
}
