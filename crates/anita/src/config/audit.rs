//! `[audit]`: the file of the audit trail, and how much of what is refused it says one by one.

use std::path::Path;

use anita_hub::AuditLimits;
use anita_store::audit::{AuditFileSettings, FILES_MAX, LINE_BYTES_MAX};

use super::raw::RawConfig;
use super::{ConfigError, secs, wrong};

/// The smallest file, bytes: room for a few of the longest lines.
const FILE_BYTES_MIN: u64 = 4 * LINE_BYTES_MAX as u64;

/// Where the lines go, if anywhere.
pub(super) fn file(raw: &RawConfig, folder: &Path) -> Result<Option<AuditFileSettings>, ConfigError> {
    let audit = &raw.audit;
    let Some(file) = &audit.file else { return Ok(None) };
    if file.file_name().is_none() {
        return Err(wrong("audit.file", "names no file; write for instance audit.ndjson"));
    }
    if audit.file_bytes_max < FILE_BYTES_MIN {
        let message = format!("has to be at least {FILE_BYTES_MIN} bytes, and is {}", audit.file_bytes_max);
        return Err(wrong("audit.file_bytes_max", message));
    }
    if !(1..=FILES_MAX).contains(&audit.files_max) {
        let message = format!("has to be 1 to {FILES_MAX}, and is {}", audit.files_max);
        return Err(wrong("audit.files_max", message));
    }
    Ok(Some(AuditFileSettings {
        path: folder.join(file),
        bytes_max: audit.file_bytes_max,
        files_max: audit.files_max,
    }))
}

/// How many refusals get an entry of their own.
pub(super) fn limits(raw: &RawConfig) -> Result<AuditLimits, ConfigError> {
    let audit = &raw.audit;
    let number = |key: &str, value: f64| {
        if (1.0..=1_000_000.0).contains(&value) {
            Ok(value)
        } else {
            Err(wrong(&format!("audit.{key}"), format!("has to be 1 to 1000000, and is {value}")))
        }
    };
    let refusals_per_second = number("refusals_per_second", audit.refusals_per_second)?;
    let refusals_burst = number("refusals_burst", audit.refusals_burst)?;
    let defaults = AuditLimits::default();
    Ok(AuditLimits {
        refusals_per_second,
        refusals_burst,
        // One caller is never held up by the bound of all.
        refusals_per_second_in_all: defaults.refusals_per_second_in_all.max(refusals_per_second),
        refusals_burst_in_all: defaults.refusals_burst_in_all.max(refusals_burst),
        summary_every: secs("audit.summary_secs", audit.summary_secs, 1.0, 3_600.0)?,
    })
}
