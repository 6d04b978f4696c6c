//! The file of JSON lines beside the store: written by a task of its own, so nobody waits for it. A line is written when its
//! entry is in the store; what the store gave up is written, too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anita_metrics::Metrics;
use anita_store::audit::AuditFile;
use anita_store::{AuditEntry, AuditHead, AuditQuery, Store, StoreError};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How many entries may wait for the file.
const WAITING_MAX: usize = 100_000;

/// How many lines are written at once.
const BATCH_MAX: usize = 1_000;

/// How many entries the file gets from the store at most, when it lacks some at the start.
const CAUGHT_UP_MAX: usize = 100_000;

/// How many of those are asked for at a time.
const PAGE: usize = 1_000;

/// How long the end waits for the file.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The way to the file.
#[derive(Debug)]
pub(crate) struct Lines {
    entries: Mutex<Option<mpsc::Sender<AuditEntry>>>,
    lost: Arc<Lost>,
    is_closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What the file does not have, until somebody says so in the trail.
#[derive(Debug)]
struct Lost {
    stretches: Mutex<Vec<(u64, u64)>>,
    is_failing: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Lost {
    fn lose(&self, first: u64, last: u64) {
        self.metrics.audit_lines_lost.inc_by(last - first + 1);
        let mut stretches = self.stretches.lock();
        match stretches.last_mut() {
            // They come in their order; between two stretches that are lost nothing is written.
            Some(before) if before.1.saturating_add(1) >= first => before.1 = before.1.max(last),
            Some(_) | None => stretches.push((first, last)),
        }
    }
}

impl Lines {
    /// Brings the file up to what the store has, and starts the task.
    pub(crate) async fn start(
        file: AuditFile,
        store: &Arc<dyn Store>,
        head: Option<AuditHead>,
        kept: watch::Receiver<Option<AuditHead>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let lost =
            Arc::new(Lost { stretches: Mutex::default(), is_failing: AtomicBool::new(false), metrics });
        let file = caught_up(file, store, head, &lost).await;
        let (entries, waiting) = mpsc::channel(WAITING_MAX);
        let (is_closing, closing) = watch::channel(false);
        let task = file.map(|file| tokio::spawn(write(file, waiting, kept, closing, Arc::clone(&lost))));
        Self { entries: Mutex::new(Some(entries)), lost, is_closing, task: Mutex::new(task) }
    }

    /// Hands in an entry. Never waits.
    pub(super) fn write(&self, entry: AuditEntry) {
        let Some(seq) = entry.seq() else { return };
        let is_taken = self.entries.lock().as_ref().is_some_and(|entries| entries.try_send(entry).is_ok());
        if !is_taken {
            self.lost.lose(seq, seq);
        }
    }

    /// The numbers of the lines that the file does not have, since this was asked last; none while it can't be written:
    /// what is said of them would be lost as well, and so on.
    pub(super) fn take_lost(&self) -> Vec<(u64, u64)> {
        let is_taking = self
            .entries
            .lock()
            .as_ref()
            .is_some_and(|entries| !entries.is_closed() && entries.capacity() > 0);
        if !is_taking || self.lost.is_failing.load(Ordering::Relaxed) {
            return Vec::new();
        }
        std::mem::take(&mut *self.lost.stretches.lock())
    }

    /// Writes what is in the store, and ends.
    pub(super) async fn close(&self) {
        self.entries.lock().take();
        self.is_closing.send_replace(true);
        let task = self.task.lock().take();
        if let Some(task) = task
            && tokio::time::timeout(CLOSE_MAX, task).await.is_err()
        {
            tracing::warn!("the audit file takes too long; what it lacks is written at the next start");
        }
    }
}

/// Writes what the store has and the file has not.
async fn caught_up(
    mut file: AuditFile,
    store: &Arc<dyn Store>,
    head: Option<AuditHead>,
    lost: &Lost,
) -> Option<AuditFile> {
    let end = file.end();
    let Some(head) = head else {
        // The store is another one, and begins anew: what the file has is of another trail.
        if end.is_some()
            && let Err(error) = file.rotate()
        {
            tracing::error!(%error, "the audit file could not begin anew");
        }
        return Some(file);
    };
    if end == Some(head) {
        return Some(file);
    }
    // A new file begins with what the store has, as far as that goes back.
    let end_seq = end.map_or(0, |end| end.seq);
    if end_seq >= head.seq {
        tracing::warn!(
            file = end_seq, store = head.seq, path = %file.path().display(),
            "the audit file is of another trail, or the store is an older copy; another file begins"
        );
        if let Err(error) = file.rotate() {
            tracing::error!(%error, "the audit file could not begin anew");
        }
        return Some(file);
    }
    let missing = match missing(store, end_seq).await {
        Ok(missing) => missing,
        Err(error) => {
            tracing::error!(%error, "the audit file was not brought up to date");
            Vec::new()
        }
    };
    let newest = missing.iter().filter_map(AuditEntry::seq).next_back().unwrap_or(end_seq);
    let first = missing.iter().find_map(AuditEntry::seq).unwrap_or(head.seq + 1);
    if first > end_seq + 1 && end.is_some() {
        lost.lose(end_seq + 1, first - 1);
    }
    let file = append(file, missing, lost).await;
    if newest < head.seq && newest >= first {
        lost.lose(newest + 1, head.seq);
    }
    file
}

/// The entries of the store after a number, oldest first.
async fn missing(store: &Arc<dyn Store>, seq: u64) -> Result<Vec<AuditEntry>, StoreError> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    let mut after = None;
    loop {
        let page = store.audit(AuditQuery { limit: PAGE, after, ..AuditQuery::default() }).await?;
        let is_missing = |entry: &AuditEntry| entry.seq().is_some_and(|it| it > seq);
        let before = entries.len();
        let count = page.entries.len();
        entries.extend(page.entries.into_iter().map(|(_ordinal, entry)| entry).take_while(is_missing));
        after = page.next;
        if after.is_none() || entries.len() < before + count || entries.len() >= CAUGHT_UP_MAX {
            entries.reverse();
            return Ok(entries);
        }
    }
}

/// Writes entries; those that could not be written are lost. Gives the file back, unless writing panicked.
async fn append(mut file: AuditFile, entries: Vec<AuditEntry>, lost: &Lost) -> Option<AuditFile> {
    let seqs: Vec<u64> = entries.iter().filter_map(AuditEntry::seq).collect();
    let work = move || {
        let (written, error) = file.append(&entries);
        (file, written, error)
    };
    let (file, written, error) = tokio::task::spawn_blocking(work)
        .await
        .inspect_err(|error| tracing::error!(%error, "the audit file is given up until the next start"))
        .ok()?;
    say(lost, error.as_ref(), &file);
    if let (Some(first), Some(last)) = (seqs.get(written), seqs.last()) {
        lost.lose(*first, *last);
    }
    Some(file)
}

/// Says in the log when the file begins and ends to fail.
fn say(lost: &Lost, error: Option<&io::Error>, file: &AuditFile) {
    let was_failing = lost.is_failing.swap(error.is_some(), Ordering::Relaxed);
    let path = file.path().display();
    match error {
        Some(error) if !was_failing => {
            tracing::error!(%error, %path, "the audit file can't be written; the trail in the store goes on");
        }
        None if was_failing => tracing::info!(%path, "the audit file is written again"),
        Some(_) | None => {}
    }
}

/// The task.
async fn write(
    mut file: AuditFile,
    mut waiting: mpsc::Receiver<AuditEntry>,
    mut kept: watch::Receiver<Option<AuditHead>>,
    mut closing: watch::Receiver<bool>,
    lost: Arc<Lost>,
) {
    loop {
        let mut batch = Vec::new();
        if waiting.recv_many(&mut batch, BATCH_MAX).await == 0 {
            break;
        }
        let newest = batch.iter().filter_map(AuditEntry::seq).next_back().unwrap_or_default();
        let is_kept = |head: &Option<AuditHead>| head.is_some_and(|head| head.seq >= newest);
        tokio::select! {
            biased;
            // Whichever ends it, how far the store is decides.
            ended = kept.wait_for(is_kept) => { ended.ok(); }
            ended = closing.wait_for(|is_closing| *is_closing) => { ended.ok(); }
        }
        // At the end nothing is kept any more that is not.
        let kept_seq = kept.borrow().map_or(0, |head| head.seq);
        batch.retain(|entry| entry.seq().is_some_and(|seq| seq <= kept_seq));
        if !batch.is_empty() {
            let Some(same) = append(file, batch, &lost).await else { return };
            file = same;
        }
    }
    if let Err(error) = file.sync() {
        tracing::warn!(%error, path = %file.path().display(), "the audit file may lack lines if the machine stops now");
    }
}
