//! `[drain]`, `[watchdog]` and `[limits.requests_per_second]`: how the server lives through what happens to it.

use anita_server::{DrainSettings, WatchdogSettings};
use anita_session::{ClassRates, Rate};

use super::raw::RawConfig;
use super::{ConfigError, secs};

/// The most of anything of a stop, seconds.
const STOP_SECS_MAX: f64 = 3_600.0;

pub(super) fn drain(raw: &RawConfig) -> Result<DrainSettings, ConfigError> {
    let drain = &raw.drain;
    let within = |key, value| secs(key, value, 0.0, STOP_SECS_MAX);
    Ok(DrainSettings {
        ready_wait: within("drain.ready_wait_secs", drain.ready_wait_secs)?,
        spread: within("drain.spread_secs", drain.spread_secs)?,
        close_over: within("drain.close_over_secs", drain.close_over_secs)?,
        wait: within("drain.wait_secs", drain.wait_secs)?,
    })
}

pub(super) fn watchdog(raw: &RawConfig) -> Result<WatchdogSettings, ConfigError> {
    let stuck_after = secs("watchdog.stuck_secs", raw.watchdog.stuck_secs, 0.1, STOP_SECS_MAX)?;
    Ok(WatchdogSettings { stuck_after, aborts: raw.watchdog.abort })
}

pub(super) fn class_rates(raw: &RawConfig) -> ClassRates {
    let rates = &raw.limits.requests_per_second;
    ClassRates {
        report: Rate::of(rates.report),
        read: Rate::of(rates.read),
        past: Rate::of(rates.past),
        say: Rate::of(rates.say),
        change: Rate::of(rates.change),
        auth: Rate { per_second: rates.auth, burst: rates.auth.saturating_mul(2) },
        revoke: Rate::of(rates.revoke),
        domain: Rate::of(rates.domain),
    }
}
