//! What conversations may be like: `[heartbeat]`, and what `[limits]` says of messages.

use std::ops::RangeInclusive;

use anita_auth::TOKEN_BYTES_MAX;
use anita_session::SessionSettings;
use anita_wire::limits::{
    AREA_CORNERS_MAX, MESSAGE_BYTES_BEFORE_AUTH_MAX, NESTING_DEPTH_MAX, SUBSCRIPTIONS_MAX,
};

use super::living::class_rates;
use super::raw::RawConfig;
use super::{ConfigError, secs, wrong};

/// The largest token, and the message that it comes in.
const UNAUTHENTICATED_MESSAGE_BYTES_MIN: usize = TOKEN_BYTES_MAX + 1_024;

/// The messages of the protocol are nested so deep, and applications put theirs into them.
const NESTING_DEPTH_MIN: usize = 8;

/// Peers answer the server's own pings, and ask themselves.
const PINGS_PER_SECOND: RangeInclusive<u32> = 10..=100_000;

/// One is a message that is not in fragments at all.
const FRAGMENTS: RangeInclusive<usize> = 1..=65_536;

pub(super) fn session(raw: &RawConfig) -> Result<SessionSettings, ConfigError> {
    let limits = &raw.limits;
    if limits.message_bytes_max < MESSAGE_BYTES_BEFORE_AUTH_MAX {
        return Err(wrong(
            "limits.message_bytes_max",
            format!("has to be {MESSAGE_BYTES_BEFORE_AUTH_MAX} or more, so that a token fits"),
        ));
    }
    let unauthenticated = (
        UNAUTHENTICATED_MESSAGE_BYTES_MIN..=limits.message_bytes_max,
        "from a token with its message to limits.message_bytes_max",
    );
    Ok(SessionSettings {
        auth_deadline: secs("auth.deadline_secs", raw.auth.deadline_secs, 1.0, 300.0)?,
        heartbeat_interval: secs("heartbeat.interval_secs", raw.heartbeat.interval_secs, 1.0, 300.0)?,
        message_bytes_max: limits.message_bytes_max,
        unauthenticated_message_bytes_max: within(
            "unauthenticated_message_bytes_max",
            limits.unauthenticated_message_bytes_max,
            unauthenticated,
        )?,
        json_nesting_max: within(
            "json_nesting_max",
            limits.json_nesting_max,
            (NESTING_DEPTH_MIN..=NESTING_DEPTH_MAX, "from what the protocol needs to what it allows"),
        )?,
        views_per_connection_max: within(
            "views_per_connection_max",
            limits.views_per_connection_max,
            (1..=SUBSCRIPTIONS_MAX, "at most what the protocol allows"),
        )?,
        area_corners_max: within(
            "area_corners_max",
            limits.area_corners_max,
            (3..=AREA_CORNERS_MAX, "from a triangle to what the protocol allows"),
        )?,
        pings_per_second: within(
            "pings_per_second",
            limits.pings_per_second,
            (PINGS_PER_SECOND, "the answers to the server's own pings are among them"),
        )?,
        viewer_requests_per_second: limits.viewer_requests_per_second,
        publisher_requests_per_second: limits.publisher_requests_per_second,
        class_rates: class_rates(raw),
        rate_refusals_max: limits.rate_refusals_max,
    })
}

/// How many fragments a message may have.
pub(super) fn fragments(raw: &RawConfig) -> Result<usize, ConfigError> {
    within("fragments_max", raw.limits.fragments_max, (FRAGMENTS, "1 allows no fragments"))
}

/// A limit within its bounds, with what these mean.
fn within<T: PartialOrd + std::fmt::Display>(
    name: &str,
    value: T,
    (bounds, meaning): (RangeInclusive<T>, &str),
) -> Result<T, ConfigError> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (bounds.start(), bounds.end());
    let message = format!("has to be {least} to {most}, {meaning}, and is {value}");
    Err(wrong(&format!("limits.{name}"), message))
}
