//! `[audit]`: the file of the audit trail, and how much of what is refused it says one by one.

use std::path::{Path, PathBuf};

use anita_hub::AuditLimits;
use anita_store::audit::{AuditFileSettings, FILES_MAX, LINE_BYTES_MAX};

use super::raw::RawConfig;
use super::{ConfigError, secs, wrong};

/// The smallest file, bytes: room for a few of the longest lines.
const FILE_BYTES_MIN: u64 = 4 * LINE_BYTES_MAX as u64;

/// What the name of the file ends with by default, after that of the file that it lies beside.
pub const AUDIT_LINES: &str = ".audit.jsonl";

/// The file as it is written, or where it is by default: beside what is on a disk of ours, named after it. Empty for none.
pub(super) fn file_written(raw: &RawConfig) -> PathBuf {
    let beside = |file: &Path| {
        let mut name = file.as_os_str().to_owned();
        name.push(AUDIT_LINES);
        PathBuf::from(name)
    };
    raw.audit.file.clone().unwrap_or_else(|| match raw.storage.url.split_once(':') {
        // Nothing of it outlives the server.
        None => PathBuf::new(),
        Some(("sqlite", file)) => beside(Path::new(file)),
        Some(_database) => beside(&raw.storage.spool_file),
    })
}

/// Where the lines go, if anywhere.
pub(super) fn file(raw: &RawConfig, folder: &Path) -> Result<Option<AuditFileSettings>, ConfigError> {
    let (audit, file) = (&raw.audit, file_written(raw));
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    if file.file_name().is_none() {
        let message = "names no file; write for instance audit.jsonl, or \"\" for none";
        return Err(wrong("audit.file", message));
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
