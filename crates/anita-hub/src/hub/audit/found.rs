//! What a start finds wrong with the trail or its file: told in the log with what to do, counted, and entered into the trail.

use std::path::PathBuf;

use anita_metrics::Metrics;
use anita_model::Timestamp;
use anita_store::audit::{FILE_BEGUN, FILE_MENDED, FILE_SET_ASIDE, REMOVED_ENTRIES, numbers};
use anita_store::{AuditHead, AuditRecord};

use super::own;

/// What a start finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// The store knows that it had more entries after its end.
    Removed {
        /// The end now.
        store: Option<AuditHead>,
        /// How many.
        count: u64,
    },
    /// The end of the file is not in the store. Another file begins, and the old one is kept beside it.
    SetAside {
        /// The file.
        path: PathBuf,
        /// Its end.
        end: AuditHead,
        /// The end of the store.
        store: Option<AuditHead>,
    },
    /// There is no file, and the store has entries.
    Begun {
        /// The file.
        path: PathBuf,
        /// The end of the store.
        store: AuditHead,
    },
    /// The file lacked lines, though the last server ended in good order.
    Mended {
        /// The file.
        path: PathBuf,
        /// The first and the last.
        lines: (u64, u64),
    },
}

fn shown(head: Option<AuditHead>) -> String {
    head.map_or_else(|| "nothing".to_owned(), |head| head.to_string())
}

impl Found {
    /// Says it in the log; what can only be somebody's doing is counted.
    pub(crate) fn tell(&self, metrics: &Metrics) {
        match self {
            Self::Removed { store, count } => {
                metrics.audit_breaks.inc();
                tracing::error!(
                    count, store = %shown(*store),
                    "entries were removed from the end of the audit trail in the store, which counts what it is given; the \
                     trail goes on after what is left. Keep the store as it is, compare it with a backup and with the audit \
                     file (anita audit verify), and find out who can write the store"
                );
            }
            Self::SetAside { path, end, store } => {
                metrics.audit_breaks.inc();
                tracing::error!(
                    seq = end.seq, hash = %end.hash, store = %shown(*store), path = %path.display(),
                    "the last line of the audit file is not in the store: the end of the trail in the store was cut off or \
                     written anew, or an older copy was put in its place by hand, or it is another store; another file begins, \
                     and the old one is kept beside it. Find out which (anita audit verify), and move the old one away when \
                     that is done; anita restore does so itself"
                );
            }
            Self::Begun { path, store } => {
                tracing::warn!(
                    store = %store, path = %path.display(),
                    "the audit file begins now, and the store has entries already: there was none before, or it was removed"
                );
            }
            Self::Mended { path, lines: (first, last) } => {
                tracing::warn!(
                    first, last, path = %path.display(),
                    "the audit file lacked its last lines, though the last server ended in good order: they were removed, or \
                     could not be written; the store has them, and they are written again"
                );
            }
        }
    }

    /// What the trail says of it.
    pub(super) fn record(&self, at: Timestamp) -> AuditRecord {
        match self {
            Self::Removed { store, count } => {
                own(at, REMOVED_ENTRIES, format!("{count} after {}", shown(*store)))
            }
            Self::SetAside { end, store, .. } => {
                own(at, FILE_SET_ASIDE, format!("it ends with {end}, and the store with {}", shown(*store)))
            }
            Self::Begun { store, .. } => own(at, FILE_BEGUN, format!("after {store}")),
            Self::Mended { lines: (first, last), .. } => own(at, FILE_MENDED, numbers(*first, *last)),
        }
    }
}
