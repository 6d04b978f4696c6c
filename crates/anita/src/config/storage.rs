//! `[storage]`: what is kept, where, and how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anita_hub::Durability;
use anita_store::{KindLimits, Retention, Thinning, WriterSettings};

use super::raw::{RawConfig, RawDurability, RawRetention};
use super::{ConfigError, secs, wrong};

const DAY_SECS: f64 = 86_400.0;

/// The longest that anything is kept for, days: a hundred years.
const DAYS_MAX: f64 = 36_525.0;

/// What is kept, where, and how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Where.
    pub backend: Backend,
    /// How it gets there.
    pub writer: WriterSettings,
    /// When a report is acknowledged.
    pub durability: Durability,
    /// How long.
    pub retention: Retention,
}

/// Where things are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Backend {
    /// Nowhere: they are gone with the process.
    Memory {
        /// Past locations of each device.
        fixes_per_device_max: usize,
        /// Past locations in all.
        fixes_max: usize,
    },
    /// In a file.
    Sqlite {
        /// Which.
        path: PathBuf,
        /// Fixes that are not packed yet.
        recent_fixes_max: usize,
    },
    /// In PostgreSQL.
    Postgres {
        /// The address, as PostgreSQL's own programs take it.
        url: String,
        /// Its password, in a file that is read again for each connection.
        password_file: Option<PathBuf>,
        /// Where fixes wait while it is away.
        spool_file: PathBuf,
        /// How many; 0 is no spool.
        spool_fixes_max: u64,
        /// Connections for what is asked.
        connections_max: usize,
    },
}

impl std::fmt::Debug for Backend {
    /// Never prints an address that may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory { .. } => f.write_str("Memory"),
            Self::Sqlite { path, .. } => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres { spool_file, .. } => f.debug_tuple("Postgres").field(spool_file).finish(),
        }
    }
}

pub(super) fn storage(raw: &RawConfig, folder: &Path) -> Result<Storage, ConfigError> {
    let storage = &raw.storage;
    let commit_secs = storage.commit_ms / 1_000.0;
    if !(0.0..=10.0).contains(&commit_secs) {
        let message = format!("has to be 0 to 10000 milliseconds, and is {}", storage.commit_ms);
        return Err(wrong("storage.commit_ms", message));
    }
    let defaults = WriterSettings::default();
    Ok(Storage {
        backend: backend(raw, folder)?,
        writer: WriterSettings {
            commit_every: Duration::from_secs_f64(commit_secs),
            // One report always fits.
            waiting_fixes_max: storage.waiting_fixes_max.max(anita_wire::limits::LOCATIONS_PER_REPORT_MAX),
            backlog_max: storage.waiting_events_max,
            ..defaults
        },
        durability: match storage.durability {
            RawDurability::Commit => Durability::Commit,
            RawDurability::None => Durability::None,
        },
        retention: retention(&storage.retention)?,
    })
}

fn backend(raw: &RawConfig, folder: &Path) -> Result<Backend, ConfigError> {
    let storage = &raw.storage;
    let url = storage.url.as_str();
    match url.split_once(':') {
        None if url == "memory" => Ok(Backend::Memory {
            fixes_per_device_max: storage.history_per_device_max,
            fixes_max: storage.history_max,
        }),
        Some(("sqlite", file)) if !file.is_empty() => {
            Ok(Backend::Sqlite { path: folder.join(file), recent_fixes_max: storage.recent_fixes_max })
        }
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Backend::Postgres {
            url: url.to_owned(),
            password_file: password_file(raw, folder)?,
            spool_file: folder.join(&storage.spool_file),
            spool_fixes_max: storage.spool_fixes_max,
            connections_max: storage.connections_max.max(1),
        }),
        Some(("sqlite", _nothing)) => Err(wrong("storage.url", "names no file; write sqlite:FILE")),
        // What is written may hold a password, so it is not repeated.
        _ => {
            let scheme = url.split(':').next().unwrap_or_default();
            let message = format!(
                "{scheme:?} is not understood; write sqlite:FILE, postgres://USER@HOST/DATABASE or memory"
            );
            Err(wrong("storage.url", message))
        }
    }
}

/// Where the password is. Looked at here, so that what is wrong is said before anything starts.
fn password_file(raw: &RawConfig, folder: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let Some(file) = &raw.storage.password_file else { return Ok(None) };
    let path = folder.join(file);
    match std::fs::File::open(&path) {
        Ok(_file) => Ok(Some(path)),
        Err(source) => Err(ConfigError::File { key: "storage.password_file".to_owned(), path, source }),
    }
}

fn retention(raw: &RawRetention) -> Result<Retention, ConfigError> {
    let days = |key: &str, days: f64| {
        let key = format!("storage.retention.{key}");
        if days > 0.0 && days <= DAYS_MAX {
            Ok(Duration::from_secs_f64(days * DAY_SECS))
        } else {
            Err(wrong(&key, format!("has to be more than 0 and at most {DAYS_MAX} days, and is {days}")))
        }
    };
    let limits = |key: &str, age: Option<f64>, bytes_max| -> Result<KindLimits, ConfigError> {
        Ok(KindLimits { age_max: age.map(|age| days(key, age)).transpose()?, bytes_max })
    };
    let mut thinning: Vec<Thinning> = Vec::new();
    for step in &raw.thinning {
        let after = days("thinning.after_days", step.after_days)?;
        let every = secs("storage.retention.thinning.every_secs", step.every_secs, 0.1, DAY_SECS)?;
        if thinning.last().is_some_and(|last| last.after >= after || last.every >= every) {
            let message =
                "each step has to have a longer after_days and a longer every_secs than the one before";
            return Err(wrong("storage.retention.thinning", message));
        }
        thinning.push(Thinning { after, every });
    }
    Ok(Retention {
        fixes: limits("fixes_days", raw.fixes_days, raw.fixes_bytes_max)?,
        events: limits("events_days", raw.events_days, raw.events_bytes_max)?,
        audit: limits("audit_days", raw.audit_days, raw.audit_bytes_max)?,
        thinning,
    })
}
