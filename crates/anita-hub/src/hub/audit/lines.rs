//! The file of JSON lines beside the store: written by a task of its own, so nobody waits for it. A line is written when its
//! entry is in the store; what the store gave up is written, too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anita_metrics::Metrics;
use anita_store::audit::{AuditFile, STOP_SERVER, Stretches};
use anita_store::{AuditEntry, AuditHead, AuditQuery, Store, StoreError};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Found;

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
    stretches: Mutex<Stretches>,
    is_failing: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Lost {
    fn lose(&self, first: u64, last: u64) {
        self.metrics.audit_lines_lost.inc_by(last - first + 1);
        self.stretches.lock().add(first, last);
    }
}

impl Lines {
    /// Brings the file up to what the store has, and starts the task. What does not fit together is `found`.
    pub(crate) async fn start(
        file: AuditFile,
        store: &Arc<dyn Store>,
        head: Option<AuditHead>,
        kept: watch::Receiver<Option<AuditHead>>,
        metrics: Arc<Metrics>,
        found: &mut Vec<Found>,
    ) -> Self {
        let lost =
            Arc::new(Lost { stretches: Mutex::default(), is_failing: AtomicBool::new(false), metrics });
        let file = caught_up(file, store, head, &lost, found).await;
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
        self.lost.stretches.lock().take()
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
    found: &mut Vec<Found>,
) -> Option<AuditFile> {
    let path = file.path().to_owned();
    let aside = |end: AuditHead| Found::SetAside { path: path.clone(), end, store: head };
    let Some(head) = head else {
        // The store is another one, and begins anew: what the file has is of another trail.
        found.extend(file.end().map(aside));
        begin_anew(&mut file);
        return Some(file);
    };
    if file.end() == Some(head) {
        return Some(file);
    }
    let mut behind = behind(store, file.end()).await;
    if let Some(end) = file.end()
        && behind.is_of_another_trail(end, head)
    {
        found.push(aside(end));
        begin_anew(&mut file);
        behind = self::behind(store, None).await;
    } else if file.end().is_none() {
        found.push(Found::Begun { path: path.clone(), store: head });
    } else if let Some(lines) = behind.lines_of_a_good_end() {
        found.push(Found::Mended { path: path.clone(), lines });
    }
    let (end, missing) = (file.end(), behind.missing);
    // A new file begins with what the store has, as far as that goes back.
    let end_seq = end.map_or(0, |end| end.seq);
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

fn begin_anew(file: &mut AuditFile) {
    if let Err(error) = file.begin_anew() {
        tracing::error!(%error, path = %file.path().display(), "the audit file could not begin anew");
    }
}

/// What the store has and a file has not.
#[derive(Debug, Default)]
struct Behind {
    /// The newest entry of the store that is not after the last line of the file.
    last: Option<AuditHead>,
    /// The entries after that line, oldest first.
    missing: Vec<AuditEntry>,
}

impl Behind {
    /// Whether the store does not have the last line of the file, but another entry in its place or none so far.
    fn is_of_another_trail(&self, end: AuditHead, head: AuditHead) -> bool {
        if end.seq >= head.seq {
            return end != head;
        }
        if let Some(last) = self.last.filter(|last| last.seq == end.seq) {
            return last != end;
        }
        let next = self.missing.first().and_then(|entry| entry.link);
        next.is_some_and(|next| next.seq == end.seq + 1 && next.previous != end.hash)
    }

    /// The numbers of what is missing where the last server ended in good order, and so with a whole file.
    fn lines_of_a_good_end(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.missing.first()?, self.missing.last()?);
        let is_end = last.record.subject.is_empty() && last.record.action == STOP_SERVER;
        is_end.then(|| first.seq().zip(last.seq())).flatten()
    }
}

/// What the store has after the last line of a file.
async fn behind(store: &Arc<dyn Store>, end: Option<AuditHead>) -> Behind {
    let read = read_behind(store, end.map_or(0, |end| end.seq)).await;
    read.inspect_err(|error| tracing::error!(%error, "the audit file was not brought up to date"))
        .unwrap_or_default()
}

async fn read_behind(store: &Arc<dyn Store>, seq: u64) -> Result<Behind, StoreError> {
    let mut behind = Behind::default();
    let mut after = None;
    loop {
        let page = store.audit(AuditQuery { limit: PAGE, after, ..AuditQuery::default() }).await?;
        after = page.next;
        for (_ordinal, entry) in page.entries {
            match entry.link {
                Some(link) if link.seq > seq => behind.missing.push(entry),
                before => {
                    (behind.last, after) = (before.map(|link| link.head()), None);
                    break;
                }
            }
        }
        if after.is_none() || behind.missing.len() >= CAUGHT_UP_MAX {
            behind.missing.reverse();
            return Ok(behind);
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

#[cfg(test)]
mod tests {
    use anita_model::Timestamp;
    use anita_store::AuditRecord;
    use anita_store::audit::Chain;

    use super::*;

    fn entries(count: usize) -> Vec<AuditEntry> {
        let record = AuditRecord {
            at: Timestamp::UNIX_EPOCH,
            subject: "alice".to_owned(),
            issuer: None,
            action: "act".to_owned(),
            object: String::new(),
            outcome: "done".to_owned(),
            address: None,
        };
        let mut chain = Chain::default();
        (0..count).map(|_n| chain.add(record.clone())).collect()
    }

    /// The way to a file whose task is the test.
    fn lines(waiting_max: usize) -> (Lines, mpsc::Receiver<AuditEntry>, Arc<Lost>) {
        let (entries, waiting) = mpsc::channel(waiting_max);
        let lost = Arc::new(Lost {
            stretches: Mutex::default(),
            is_failing: AtomicBool::new(false),
            metrics: Arc::default(),
        });
        let (is_closing, _closing) = watch::channel(false);
        let way = Lines {
            entries: Mutex::new(Some(entries)),
            lost: Arc::clone(&lost),
            is_closing,
            task: Mutex::new(None),
        };
        (way, waiting, lost)
    }

    #[test]
    fn what_a_full_queue_does_not_take_is_counted_and_told_when_it_takes_again() {
        let (lines, mut waiting, lost) = lines(2);
        for entry in entries(5) {
            lines.write(entry);
        }
        assert_eq!((lost.metrics.audit_lines_lost.get(), lines.take_lost()), (3, vec![]));
        waiting.try_recv().unwrap();
        assert_eq!((lines.take_lost(), lines.take_lost()), (vec![(3, 5)], vec![]));
    }

    #[test]
    fn what_comes_after_the_end_of_the_task_is_counted_and_not_told_in_vain() {
        let (lines, waiting, lost) = lines(2);
        drop(waiting);
        for entry in entries(3) {
            lines.write(entry);
        }
        assert_eq!((lost.metrics.audit_lines_lost.get(), lines.take_lost()), (3, vec![]));
        lines.entries.lock().take();
        for entry in entries(2) {
            lines.write(entry);
        }
        assert_eq!((lost.metrics.audit_lines_lost.get(), lines.take_lost()), (5, vec![]));
    }

    /// The store may not have the entry of the last line any more: then the one after it says what was before it.
    #[test]
    fn a_store_whose_next_entry_follows_from_another_one_is_of_another_trail() {
        let (ours, mut chain) = (entries(12), Chain::default());
        let other =
            ours.iter().map(|entry| AuditRecord { subject: "bob".to_owned(), ..entry.record.clone() });
        let other: Vec<AuditEntry> = other.map(|record| chain.add(record)).collect();
        let head = |entries: &[AuditEntry], seq: usize| entries[seq - 1].link.unwrap().head();
        let end = head(&ours, 9);
        let judged = |last: Option<AuditHead>, missing: &[AuditEntry]| {
            let head = missing.last().unwrap().link.unwrap().head();
            Behind { last, missing: missing.to_vec() }.is_of_another_trail(end, head)
        };
        assert!(!judged(Some(end), &ours[9..]) && judged(Some(head(&other, 9)), &other[9..]));
        for last in [None, Some(head(&ours, 5))] {
            assert!(!judged(last, &ours[9..]));
            assert!(judged(last, &other[9..]));
            assert!(!judged(last, &other[10..]), "nobody knows");
        }
    }

    /// Once, lines that the disk refused after the queue had refused later ones were forgotten.
    #[test]
    fn lines_are_told_as_lost_whichever_order_they_are_lost_in() {
        let (lines, _waiting, lost) = lines(2);
        lost.lose(100, 120);
        lost.lose(1, 10);
        lost.lose(11, 20);
        lost.is_failing.store(true, Ordering::Relaxed);
        assert_eq!(lines.take_lost(), [], "it would be lost, too");
        lost.is_failing.store(false, Ordering::Relaxed);
        assert_eq!(lines.take_lost(), [(1, 20), (100, 120)]);
        assert_eq!(lost.metrics.audit_lines_lost.get(), 41);
    }
}
