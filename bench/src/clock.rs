//! The clock of the run: the wall clock, because the due time of a fix is its `timestamp`.

use std::thread;
use std::time::Duration;

use anita_model::Timestamp;

/// Microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    Timestamp::now().as_micros()
}

/// RFC 3339 with six digits.
pub(crate) fn text(us: i64) -> String {
    Timestamp::from_micros(us).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Sleeps until a time.
pub(crate) fn sleep_until(us: i64) {
    if let Ok(wait_us) = u64::try_from(us - now_us()) {
        thread::sleep(Duration::from_micros(wait_us));
    }
}

/// Seconds as microseconds.
pub(crate) fn secs(secs: f64) -> i64 {
    (secs * 1e6) as i64
}
