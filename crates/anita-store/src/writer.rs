//! The way into a store: many callers, one commit every few milliseconds, an answer to each caller after it.
//!
//! There are two ways to hand something in. What is **offered** (fixes) comes back to the caller when it could not be
//! kept: the caller says so to whoever sent it, and that one sends it again. What is **entrusted** (the registry, states,
//! events, the audit trail) has no one to send it again: it stays here until the store has it.
//!
//! Nobody who hands something in waits for the store, unless it wants to: that is what its [`Ticket`] is for.

mod backlog;
mod group;
mod health;
mod settings;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use anita_model::Fix;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::audit::{AuditHead, AuditLink};
use crate::memory::MemoryStore;
use crate::port::{Condition, Store, StoreError};
use crate::record::Record;
use crate::writer::backlog::Backlog;
use crate::writer::group::{Entry, Hand, Slip, joined, owned};

pub use health::{Health, State};
pub use settings::WriterSettings;
pub use ticket::Ticket;

/// The way into a store. Cheap to share by reference; ends with [`Writer::close`].
#[derive(Debug)]
pub struct Writer {
    settings: WriterSettings,
    way: Way,
    /// The last entry of the audit chain that was kept.
    audit_kept: Arc<watch::Sender<Option<AuditHead>>>,
}

#[derive(Debug)]
enum Way {
    /// Into memory nothing takes time.
    Immediate(Arc<MemoryStore>),
    Grouped {
        shared: Arc<Shared>,
        task: Mutex<Option<JoinHandle<()>>>,
    },
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn Store>,
    settings: WriterSettings,
    waiting: Mutex<Waiting>,
    bell: Notify,
    audit_kept: Arc<watch::Sender<Option<AuditHead>>>,
}

#[derive(Debug)]
struct Waiting {
    entries: Vec<Entry>,
    /// Of the records of the entries, those that are entrusted.
    entrusted: usize,
    /// Whatever is in it was handed in before the entries.
    backlog: Backlog,
    fixes: usize,
    is_closing: bool,
    /// Since when a commit is under way.
    committing_since: Option<Instant>,
    /// The last failure, until a commit succeeds, and until when the store is left alone.
    failed: Option<(StoreError, Instant)>,
    commits: u64,
    failures: u64,
    kept_fixes: u64,
    commit_time: Duration,
}

impl Writer {
    /// Into memory: what is handed in is kept at once.
    pub fn immediate(store: Arc<MemoryStore>) -> Self {
        Self { settings: WriterSettings::default(), way: Way::Immediate(store), audit_kept: Arc::default() }
    }

    /// Into a store, in groups. Starts a task of the present runtime.
    pub fn start(store: Arc<dyn Store>, settings: WriterSettings) -> Self {
        let waiting = Waiting {
            entries: Vec::new(),
            entrusted: 0,
            backlog: Backlog::new(settings.backlog_max),
            fixes: 0,
            is_closing: false,
            committing_since: None,
            failed: None,
            commits: 0,
            failures: 0,
            kept_fixes: 0,
            commit_time: Duration::ZERO,
        };
        let audit_kept = Arc::<watch::Sender<_>>::default();
        let shared = Arc::new(Shared {
            store,
            settings,
            waiting: Mutex::new(waiting),
            bell: Notify::new(),
            audit_kept: Arc::clone(&audit_kept),
        });
        let task = tokio::spawn(write(Arc::clone(&shared)));
        Self { settings, way: Way::Grouped { shared, task: Mutex::new(Some(task)) }, audit_kept }
    }

    /// How long a caller whose fixes were refused should wait.
    pub fn retry_after(&self) -> Duration {
        self.settings.retry_after
    }

    /// Hands in fixes that come back if they can't be kept. The order among calls is that of the calls.
    pub fn offer(&self, fixes: Vec<Arc<Fix>>) -> Ticket {
        let count = fixes.len();
        let records: Vec<Record> = fixes.into_iter().map(Record::Fix).collect();
        match &self.way {
            Way::Immediate(store) => {
                store.keep(&records);
                Ticket::done(Ok(()))
            }
            Way::Grouped { shared, .. } => shared.offer(records, count),
        }
    }

    /// Hands in what stays here until the store has it. The order among calls is that of the calls.
    pub fn entrust(&self, records: Vec<Record>) -> Ticket {
        match &self.way {
            Way::Immediate(store) => {
                store.keep(&records);
                note_audit(&self.audit_kept, &records);
                Ticket::done(Ok(()))
            }
            Way::Grouped { shared, .. } => shared.entrust(records),
        }
    }

    /// How far the audit chain is kept: its last entry that the store has. `None` until one was kept.
    pub fn audit_kept(&self) -> watch::Receiver<Option<AuditHead>> {
        self.audit_kept.subscribe()
    }

    /// The numbers of audit entries that were given up since this was asked last: `(first, last)`. Now and then entries
    /// between two stretches of them count as given up that were not.
    pub fn take_lost_audit(&self) -> Vec<(u64, u64)> {
        match &self.way {
            Way::Immediate(_store) => Vec::new(),
            Way::Grouped { shared, .. } => shared.waiting.lock().backlog.take_lost(),
        }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        match &self.way {
            Way::Immediate(_store) => Health::default(),
            Way::Grouped { shared, .. } => shared.health(),
        }
    }

    /// Whether it still keeps what it is given: neither its task nor the store behind it has ended by a fault.
    pub fn is_alive(&self) -> bool {
        match &self.way {
            Way::Immediate(_store) => true,
            Way::Grouped { shared, task } => {
                !shared.store.is_gone() && task.lock().as_ref().is_none_or(|task| !task.is_finished())
            }
        }
    }

    /// Commits what waits and ends. What is handed in afterwards is refused. Done when the last commit is; whatever could
    /// not be kept then is said in the log.
    pub async fn close(&self) {
        let Way::Grouped { shared, task } = &self.way else { return };
        shared.waiting.lock().is_closing = true;
        shared.bell.notify_one();
        let task = task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the task that writes into the store ended by a fault");
        }
    }
}

impl Drop for Writer {
    /// Without [`Writer::close`], the task ends by itself after what waits.
    fn drop(&mut self) {
        if let Way::Grouped { shared, .. } = &self.way {
            shared.waiting.lock().is_closing = true;
            shared.bell.notify_one();
        }
    }
}

impl Shared {
    fn offer(&self, records: Vec<Record>, count: usize) -> Ticket {
        let mut waiting = self.waiting.lock();
        if waiting.is_closing {
            return Ticket::done(Err(StoreError::Busy));
        }
        // One that asks after the pause finds out how the store is now.
        if let Some((error, until)) = &waiting.failed
            && Instant::now() < *until
        {
            return Ticket::done(Err(error.clone()));
        }
        if waiting.fixes.saturating_add(count) > self.settings.waiting_fixes_max {
            return Ticket::done(Err(StoreError::Busy));
        }
        waiting.fixes += count;
        self.enter(&mut waiting, records, Hand::Offered)
    }

    fn entrust(&self, records: Vec<Record>) -> Ticket {
        let mut waiting = self.waiting.lock();
        if waiting.is_closing {
            return Ticket::done(Err(StoreError::Busy));
        }
        if let Some((error, until)) = &waiting.failed
            && Instant::now() < *until
        {
            let refused = Ticket::done(Err(error.clone()));
            // There are no entries now, so nothing older comes after it.
            waiting.backlog.push(records);
            return refused;
        }
        if waiting.entrusted.saturating_add(records.len()) > self.settings.entrusted_max() {
            waiting.turn_away(&StoreError::Busy);
        }
        waiting.entrusted += records.len();
        self.enter(&mut waiting, records, Hand::Entrusted)
    }

    fn enter(&self, waiting: &mut Waiting, records: Vec<Record>, hand: Hand) -> Ticket {
        let (ticket, answer) = oneshot::channel();
        waiting.entries.push(Entry { records, ticket: Some(ticket), hand });
        self.bell.notify_one();
        Ticket::waiting(answer)
    }

    fn health(&self) -> Health {
        let condition = self.store.condition();
        let waiting = self.waiting.lock();
        let spooled_fixes = match condition {
            Condition::Well => 0,
            Condition::Spooling { fixes } => fixes,
        };
        let is_slow =
            waiting.committing_since.is_some_and(|since| since.elapsed() > self.settings.slow_after);
        let state = match (&waiting.failed, condition) {
            (Some((StoreError::Full(_), _until)), _) => State::Full,
            (Some(_failure), _) => State::Away,
            (None, _) if is_slow => State::Slow,
            (None, Condition::Spooling { .. }) => State::Spooling,
            (None, Condition::Well) => State::Well,
        };
        Health {
            state,
            waiting_fixes: waiting.fixes,
            backlog: waiting.backlog.len(),
            given_up: waiting.backlog.given_up(),
            spooled_fixes,
            commits: waiting.commits,
            failures: waiting.failures,
            fixes: waiting.kept_fixes,
            commit_time: waiting.commit_time,
        }
    }

    /// The next group: the backlog first, then what was handed in.
    fn take(&self) -> Vec<Entry> {
        let mut waiting = self.waiting.lock();
        let backlog = waiting.backlog.take();
        let mut entries = Vec::with_capacity(waiting.entries.len() + 1);
        if !backlog.is_empty() {
            entries.push(Entry { records: backlog, ticket: None, hand: Hand::Entrusted });
        }
        entries.append(&mut waiting.entries);
        waiting.entrusted = 0;
        entries
    }

    /// Waits until there is something to commit and it is time to. `false` when there never will be.
    async fn is_due(&self, last_began: Option<Instant>) -> bool {
        loop {
            let pause = {
                let waiting = self.waiting.lock();
                let has_work = !waiting.entries.is_empty() || !waiting.backlog.is_empty();
                let left_alone = waiting.failed.as_ref().map(|(_error, until)| *until);
                match (has_work, waiting.is_closing) {
                    (false, true) => return false,
                    (true, true) => return true,
                    // A store that failed is asked now and then whether it is well again, even if nobody needs it.
                    (false, false) => left_alone.map(Some),
                    (true, false) => {
                        let next = last_began.map(|began| began + self.settings.commit_every);
                        Some(next.max(left_alone))
                    }
                }
            };
            match pause {
                None => self.bell.notified().await,
                Some(due) => match due.filter(|due| *due > Instant::now()) {
                    None => return true,
                    Some(due) => {
                        // Only the end is a reason to be early.
                        tokio::select! {
                            () = tokio::time::sleep_until(due) => return true,
                            () = self.bell.notified() => {}
                        }
                    }
                },
            }
        }
    }

    /// Commits a group and answers. Says whether all of it is kept.
    async fn commit(&self, entries: Vec<Entry>) -> bool {
        let began = Instant::now();
        self.waiting.lock().committing_since = Some(began);
        let (records, slips) = joined(entries);
        let records = Arc::new(records);
        let result = self.store.commit(Arc::clone(&records)).await;
        let result = match result {
            Ok(()) => {
                note_audit(&self.audit_kept, &records);
                self.settle(slips, Vec::new(), &Ok(()));
                Ok(())
            }
            Err(StoreError::Invalid(_cause)) => self.commit_one_by_one(slips, owned(records)).await,
            Err(error) => {
                let error = Err(error);
                self.settle(slips, owned(records), &error);
                error
            }
        };
        let mut waiting = self.waiting.lock();
        waiting.committing_since = None;
        waiting.commit_time += began.elapsed();
        let is_kept = result.is_ok();
        match result {
            Ok(()) => {
                waiting.commits += 1;
                if waiting.failed.take().is_some() {
                    tracing::info!("the store keeps again what it is given");
                }
            }
            Err(error) => {
                waiting.failures += 1;
                if waiting.failed.is_none() {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "nothing can be kept; live delivery goes on");
                }
                // Whoever came meanwhile hears it, too, and is not overtaken by who comes now.
                waiting.turn_away(&error);
                waiting.failed = Some((error, Instant::now() + self.settings.retry_after));
            }
        }
        is_kept
    }

    /// One of the records is to blame: the others are kept all the same. From a failure of another kind on, the rest is
    /// not tried, so that nothing is overtaken.
    async fn commit_one_by_one(&self, slips: Vec<Slip>, records: Vec<Record>) -> Result<(), StoreError> {
        let mut records = records.into_iter();
        let mut away = Ok(());
        let mut left = Vec::new();
        for slip in slips {
            let own: Vec<Record> = records.by_ref().take(slip.records).collect();
            // What is entrusted comes from many places; what is offered is one caller's.
            let parts = if slip.hand == Hand::Entrusted {
                own.into_iter().map(|it| vec![it]).collect()
            } else {
                vec![own]
            };
            let mut result = Ok(());
            for part in parts {
                let part = Arc::new(part);
                if away.is_ok() {
                    match self.store.commit(Arc::clone(&part)).await {
                        Ok(()) => {
                            note_audit(&self.audit_kept, &part);
                            continue;
                        }
                        Err(StoreError::Invalid(cause)) => {
                            tracing::error!(%cause, records = ?part, "what the store cannot hold is given up");
                            let seqs = part.iter().filter_map(audit_link).map(|link| link.seq);
                            seqs.for_each(|seq| self.waiting.lock().backlog.lose(seq));
                            if slip.hand == Hand::Offered {
                                result = Err(StoreError::Invalid(cause));
                            }
                            continue;
                        }
                        Err(error) => away = Err(error),
                    }
                }
                result.clone_from(&away);
                if slip.hand == Hand::Entrusted {
                    left.extend(owned(part));
                }
            }
            self.waiting.lock().answer(slip, &result);
        }
        self.waiting.lock().backlog.put_back(left);
        away
    }

    /// Answers the callers of a group. What is entrusted and not kept goes back to the backlog.
    fn settle(&self, slips: Vec<Slip>, records: Vec<Record>, result: &Result<(), StoreError>) {
        let mut records = records.into_iter();
        let mut left = Vec::new();
        let mut waiting = self.waiting.lock();
        for slip in slips {
            let own = records.by_ref().take(slip.records);
            if slip.hand == Hand::Entrusted {
                left.extend(own);
            } else {
                own.for_each(drop);
            }
            waiting.answer(slip, result);
        }
        waiting.backlog.put_back(left);
    }
}

impl Waiting {
    /// Answers a caller, whoever handed it in may be gone.
    fn answer(&mut self, slip: Slip, result: &Result<(), StoreError>) {
        if slip.hand == Hand::Offered {
            self.fixes = self.fixes.saturating_sub(slip.records);
            self.kept_fixes += if result.is_ok() { slip.records as u64 } else { 0 };
        }
        if let Some(ticket) = slip.ticket {
            ticket.send(result.clone()).ok();
        }
    }

    /// Refuses what waits for the next commit: what is offered is its sender's again, what is entrusted goes to the
    /// backlog, in its order.
    fn turn_away(&mut self, error: &StoreError) {
        let (records, slips) = joined(std::mem::take(&mut self.entries));
        self.entrusted = 0;
        let mut records = records.into_iter();
        for slip in slips {
            let own = records.by_ref().take(slip.records);
            if slip.hand == Hand::Entrusted {
                self.backlog.push(own);
            } else {
                own.for_each(drop);
            }
            self.answer(slip, &Err(error.clone()));
        }
    }
}

/// Notes how far the audit chain is kept with these records.
fn note_audit(kept: &watch::Sender<Option<AuditHead>>, records: &[Record]) {
    if let Some(link) = records.iter().rev().find_map(audit_link) {
        kept.send_replace(Some(link.head()));
    }
}

fn audit_link(record: &Record) -> Option<AuditLink> {
    if let Record::Audit(entry) = record { entry.link } else { None }
}

/// The task.
async fn write(shared: Arc<Shared>) {
    let mut last_began = None;
    while shared.is_due(last_began).await {
        last_began = Some(Instant::now());
        let is_kept = shared.commit(shared.take()).await;
        let waiting = shared.waiting.lock();
        if waiting.is_closing && !is_kept {
            let (fixes, entrusted) = (waiting.fixes, waiting.backlog.len());
            tracing::error!(fixes, entrusted, "the server ends and the store does not have everything");
            break;
        }
    }
}

#[cfg(test)]
mod tests;
