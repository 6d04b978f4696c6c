//! Classes of requests: each has a rate of its own besides that of all requests together, so that what is dear cannot be
//! asked as often as what costs next to nothing.

use std::time::Duration;

/// What a request does to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestClass {
    /// Locations of devices come in.
    Report,
    /// Something of the present is asked: a list, a device, members of a room.
    Read,
    /// Something of the past is asked of the store, or played back.
    Past,
    /// Something is said to others in a room.
    Say,
    /// The registry, a view or a membership changes.
    Change,
    /// A token is verified.
    Auth,
    /// Tokens are revoked: of no other class, nor of all requests together, so that nothing else takes its place.
    Revoke,
    /// An application's own.
    Domain,
}

impl RequestClass {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Report,
        Self::Read,
        Self::Past,
        Self::Say,
        Self::Change,
        Self::Auth,
        Self::Revoke,
        Self::Domain,
    ];

    /// The word for it: of the configuration, of refusals and of the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Read => "read",
            Self::Past => "past",
            Self::Say => "say",
            Self::Change => "change",
            Self::Auth => "auth",
            Self::Revoke => "revoke",
            Self::Domain => "domain",
        }
    }
}

/// How often something may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In a second; 0 for no limit of its own.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl Rate {
    /// No limit of its own.
    pub const FREE: Self = Self { per_second: 0, burst: 0 };

    /// So many in a second, and as many at once after a pause.
    pub const fn of(per_second: u32) -> Self {
        Self { per_second, burst: per_second }
    }
}

/// The rate of each class, for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassRates {
    /// Of [`RequestClass::Report`]; free by default: the rate of all requests bounds it.
    pub report: Rate,
    /// Of [`RequestClass::Read`].
    pub read: Rate,
    /// Of [`RequestClass::Past`].
    pub past: Rate,
    /// Of [`RequestClass::Say`].
    pub say: Rate,
    /// Of [`RequestClass::Change`].
    pub change: Rate,
    /// Of [`RequestClass::Auth`].
    pub auth: Rate,
    /// Of [`RequestClass::Revoke`].
    pub revoke: Rate,
    /// Of [`RequestClass::Domain`]; free by default.
    pub domain: Rate,
}

impl Default for ClassRates {
    fn default() -> Self {
        Self {
            report: Rate::FREE,
            read: Rate::of(500),
            past: Rate::of(100),
            say: Rate::of(200),
            change: Rate::of(500),
            auth: Rate { per_second: 5, burst: 10 },
            revoke: Rate::of(20),
            domain: Rate::FREE,
        }
    }
}

impl ClassRates {
    /// The rate of a class.
    pub fn of(&self, class: RequestClass) -> Rate {
        match class {
            RequestClass::Report => self.report,
            RequestClass::Read => self.read,
            RequestClass::Past => self.past,
            RequestClass::Say => self.say,
            RequestClass::Change => self.change,
            RequestClass::Auth => self.auth,
            RequestClass::Revoke => self.revoke,
            RequestClass::Domain => self.domain,
        }
    }
}

/// What one client may still ask of each class. Small, because every connection has one: of each class only the moment is
/// kept at which its bucket is full again (the generic cell rate algorithm, ITU-T I.371).
#[derive(Debug, Clone, Copy, Default)]
pub struct ClassBudgets {
    /// By the uptime, microseconds; in the order of [`RequestClass::ALL`].
    full_at_us: [u64; RequestClass::ALL.len()],
}

impl ClassBudgets {
    /// Takes one request of a class.
    ///
    /// # Errors
    /// When there were too many: how long until there is one.
    pub fn take(
        &mut self,
        class: RequestClass,
        rates: &ClassRates,
        uptime: Duration,
    ) -> Result<(), Duration> {
        let Rate { per_second, burst } = rates.of(class);
        let Some(step_us) = 1_000_000_u64.checked_div(u64::from(per_second)) else { return Ok(()) };
        let Some(full_at_us) = self.full_at_us.get_mut(class as usize) else { return Ok(()) };
        let now_us = u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX);
        let next_us = now_us.max(*full_at_us).saturating_add(step_us);
        let most_us = now_us.saturating_add(step_us.saturating_mul(u64::from(burst.max(1))));
        if next_us > most_us {
            return Err(Duration::from_micros(next_us - most_us));
        }
        *full_at_us = next_us;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let rates = ClassRates { auth: Rate { per_second: 5, burst: 10 }, ..ClassRates::default() };
        let mut budgets = ClassBudgets::default();
        let mut take = |at_ms| budgets.take(RequestClass::Auth, &rates, ms(at_ms));
        assert_eq!((0..30).filter(|_| take(1_000).is_ok()).count(), 10);
        assert_eq!(take(1_000), Err(ms(200)), "one every fifth of a second");
        assert_eq!(take(1_150), Err(ms(50)));
        assert_eq!(take(1_200), Ok(()));
        assert_eq!(take(1_200), Err(ms(200)));
        assert_eq!((0..30).filter(|_| take(1_000_000).is_ok()).count(), 10, "it does not save up");
    }

    #[test]
    fn classes_do_not_take_from_each_other_and_a_free_one_has_no_end() {
        let rates = ClassRates { say: Rate::of(1), read: Rate::of(1), ..ClassRates::default() };
        let mut budgets = ClassBudgets::default();
        assert!(budgets.take(RequestClass::Say, &rates, ms(0)).is_ok());
        assert!(budgets.take(RequestClass::Say, &rates, ms(0)).is_err());
        assert!(budgets.take(RequestClass::Read, &rates, ms(0)).is_ok());
        assert!((0..100_000).all(|_| budgets.take(RequestClass::Report, &rates, ms(0)).is_ok()));
    }

    #[test]
    fn a_connection_pays_less_than_a_hundred_bytes_for_it() {
        assert!(size_of::<ClassBudgets>() < 100);
    }
}
