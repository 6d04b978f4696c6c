//! Copies the write-ahead log into the file, beside the writing.
//!
//! A helper thread with a connection of its own copies most of it, which takes as long as the disk takes; the writing
//! thread then copies what came meanwhile, which is little, so that the log is copied completely at a moment when nobody
//! writes, and begins anew. So the log stays small and no commit waits for the copying of much.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::schema;

/// How many pages the log may have before it is copied.
const PAGES: i64 = 1_024;

/// After how many pages the writing thread copies the log itself, however long that takes: the helper does not keep up.
const PAGES_MAX: i64 = 32 * 1_024;

/// How many transactions there are between two looks at the log.
const LOOK_EVERY: u32 = 16;

/// The helper, and what the writing thread knows of the log.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    orders: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// The helper copied what there was.
    has_copied: Arc<AtomicBool>,
    transactions: u32,
}

impl Checkpointer {
    pub(crate) fn start(path: PathBuf) -> Result<Self, io::Error> {
        let (orders, waiting) = sync_channel(1);
        let has_copied = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&has_copied);
        let thread = std::thread::Builder::new()
            .name("anita-sqlite-log".into())
            .spawn(move || help(&path, &waiting, &shared))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), has_copied, transactions: 0 })
    }

    /// Looks after the log; to be called after each transaction.
    pub(crate) fn finish(&mut self, db: &Connection) -> Result<(), rusqlite::Error> {
        self.transactions += 1;
        let has_copied = self.has_copied.swap(false, Ordering::AcqRel);
        if !has_copied && self.transactions < LOOK_EVERY {
            return Ok(());
        }
        self.transactions = 0;
        let Log { pages, copied } = if has_copied { copy(db)? } else { look(db)? };
        if pages - copied > PAGES_MAX {
            copy(db)?;
        } else if pages - copied > PAGES
            && let Some(orders) = &self.orders
        {
            // One order is as good as two.
            orders.try_send(()).ok();
        }
        Ok(())
    }

    /// Ends the helper.
    pub(crate) fn stop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that copies the store's log panicked");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn help(path: &Path, orders: &Receiver<()>, has_copied: &AtomicBool) {
    // Opened when it is needed, and again after an error.
    let mut kept: Option<Connection> = None;
    let mut has_failed = false;
    while orders.recv().is_ok() {
        let copied = kept.take().map_or_else(|| schema::reopen(path), Ok).and_then(|db| {
            copy(&db)?;
            Ok(db)
        });
        match copied {
            Ok(db) => {
                kept = Some(db);
                has_failed = false;
            }
            Err(error) => {
                if !has_failed {
                    tracing::error!(%error, "the log could not be copied into the store's file; it grows");
                }
                has_failed = true;
            }
        }
        has_copied.store(true, Ordering::Release);
    }
}

/// The log, pages.
#[derive(Debug, Clone, Copy)]
struct Log {
    pages: i64,
    copied: i64,
}

fn log(row: &rusqlite::Row<'_>) -> Result<Log, rusqlite::Error> {
    Ok(Log { pages: row.get(1)?, copied: row.get(2)? })
}

fn copy(db: &Connection) -> Result<Log, rusqlite::Error> {
    db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], log)
}

fn look(db: &Connection) -> Result<Log, rusqlite::Error> {
    db.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], log)
}
