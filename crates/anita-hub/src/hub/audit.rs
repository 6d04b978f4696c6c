//! The audit trail: each entry is numbered, hashed and handed to the store under one small lock, so the order of the chain
//! is the order in which the store gets it.

mod found;
mod lines;
mod restraint;

use std::sync::Arc;
use std::time::Duration;

use anita_metrics::Metrics;
use anita_model::{Now, Timestamp};
use anita_store::audit::{
    Chain, LOST_ENTRIES, LOST_LINES, MISSED_ENTRIES, START_SERVER, Unexplained, numbers,
};
use anita_store::{AuditEntry, AuditHead, AuditQuery, AuditRecord, Record, State, Store, StoreError, Writer};
use parking_lot::Mutex;

use super::Hub;
use crate::keeping::Past;
use restraint::{Restraint, Verdict};

pub(super) use found::Found;
pub(super) use lines::Lines;
pub use restraint::AuditLimits;

/// How many entries there are between two that are told in the log with their hash.
const HEAD_EVERY: u64 = 1_000;

/// How many of the newest entries a start looks at for gaps that nobody accounted for: as many as may have waited for the
/// store when the last server ended.
const LOOKED_AT_MAX: usize = 100_000;

/// How many of those are asked for at a time.
const PAGE: usize = 1_000;

/// The end of the trail.
#[derive(Debug)]
pub(super) struct Trail {
    state: Mutex<Growing>,
    lines: Option<Lines>,
}

#[derive(Debug)]
struct Growing {
    chain: Chain,
    restraint: Restraint,
    excuse: Option<Excuse>,
    /// What the last server left without a word, until it is said.
    missed: Vec<Gap>,
    /// What this server found when it started, until it is said.
    found: Vec<Found>,
    /// The last head that was told in the log.
    told_seq: u64,
    /// The latest time that anybody came with.
    at: Timestamp,
}

/// Entries that say that others were given up, until they are kept.
#[derive(Debug)]
struct Excuse {
    /// The numbers of these entries.
    first: u64,
    last: u64,
    /// What they say.
    gaps: Vec<Gap>,
}

/// Entries that the store does not have.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// What an entry calls it: [`LOST_ENTRIES`] or [`MISSED_ENTRIES`].
    action: &'static str,
    first: u64,
    last: u64,
}

impl Gap {
    fn record(self, at: Timestamp) -> AuditRecord {
        own(at, self.action, numbers(self.first, self.last))
    }
}

/// What there is to say of the store of the last server.
pub(super) async fn unsaid(store: &Arc<dyn Store>, head: Option<AuditHead>, removed: u64) -> Unsaid {
    let found = (removed > 0).then_some(Found::Removed { store: head, count: removed });
    Unsaid { missed: missed(store).await, found: found.into_iter().collect() }
}

/// The gaps that the last server left without a word, because it was killed before it could say so.
async fn missed(store: &Arc<dyn Store>) -> Vec<(u64, u64)> {
    let read = read_missed(store).await;
    let missed = read.inspect_err(|error| {
        tracing::error!(%error, "whether the last server left gaps in the audit trail is not known");
    });
    let missed = missed.unwrap_or_default();
    for (first, last) in &missed {
        tracing::error!(
            first,
            last,
            "entries of the audit trail are missing, and no entry says why: the last server was killed before it could, \
             or somebody removed them"
        );
    }
    missed
}

async fn read_missed(store: &Arc<dyn Store>) -> Result<Vec<(u64, u64)>, StoreError> {
    let (mut gaps, mut after, mut seen) = (Unexplained::default(), None, 0);
    loop {
        let page = store.audit(AuditQuery { limit: PAGE, after, ..AuditQuery::default() }).await?;
        (after, seen) = (page.next, seen + page.entries.len());
        let stepped = page.entries.iter().try_for_each(|(_ordinal, entry)| gaps.step(entry));
        if stepped.is_break() || after.is_none() || seen >= LOOKED_AT_MAX {
            return Ok(gaps.finish());
        }
    }
}

/// What a start has to say of what was before it.
#[derive(Debug, Default)]
pub(super) struct Unsaid {
    /// The gaps of the last server.
    pub(super) missed: Vec<(u64, u64)>,
    /// What does not fit together.
    pub(super) found: Vec<Found>,
}

impl Unsaid {
    /// Tells what was found in the log. Beside a store that forgets, a file never has the end of what is there.
    pub(super) fn told(&mut self, past: Past, metrics: &Metrics) {
        if past == Past::Forgotten {
            self.found.clear();
        }
        self.found.iter().for_each(|found| found.tell(metrics));
    }
}

impl Trail {
    /// That goes on after a head.
    pub(super) fn new(
        limits: AuditLimits,
        head: Option<AuditHead>,
        unsaid: Unsaid,
        lines: Option<Lines>,
        now: Now,
    ) -> Self {
        let missed = unsaid.missed.into_iter();
        let state = Growing {
            chain: Chain::after(head),
            restraint: Restraint::new(limits),
            excuse: None,
            missed: missed.map(|(first, last)| Gap { action: MISSED_ENTRIES, first, last }).collect(),
            found: unsaid.found,
            told_seq: head.map_or(0, |head| head.seq),
            at: now.wall,
        };
        Self { state: Mutex::new(state), lines }
    }

    /// Adds an entry.
    fn add(&self, growing: &mut Growing, writer: &Writer, record: AuditRecord) -> AuditEntry {
        let entry = growing.chain.add(record);
        drop(writer.entrust(vec![Record::Audit(entry.clone())]));
        if let Some(lines) = &self.lines {
            lines.write(entry.clone());
        }
        entry
    }
}

/// Tells an entry in the log; without the lock, since the log may take its time.
fn log(entry: &AuditEntry) {
    let AuditRecord { at: _, subject, issuer, action, object, outcome, address } = &entry.record;
    let seq = entry.seq();
    tracing::info!(target: "anita::audit", seq, subject, issuer, action, object, outcome, address, "audit");
}

/// What the server itself says in the trail.
fn own(at: Timestamp, action: &str, object: String) -> AuditRecord {
    AuditRecord {
        at,
        subject: String::new(),
        issuer: None,
        action: action.to_owned(),
        object,
        outcome: "done".to_owned(),
        address: None,
    }
}

fn told(head: AuditHead, message: &str) {
    tracing::info!(target: "anita::audit", seq = head.seq, hash = %head.hash, "{message}");
}

impl Hub {
    /// Keeps what somebody did or tried. Of what is refused again and again, some is only counted, and summed up later.
    pub fn audit(&self, record: AuditRecord) {
        let record = record.bounded();
        let entry = {
            let mut growing = self.trail.state.lock();
            match growing.restraint.judge(&record, self.uptime()) {
                Verdict::Entered => Some(self.trail.add(&mut growing, &self.writer, record)),
                Verdict::Counted => None,
            }
        };
        match entry {
            Some(entry) => log(&entry),
            None => {
                self.metrics.audit_suppressed.inc();
            }
        }
    }

    /// Keeps what the server itself did.
    pub fn audit_own(&self, at: Timestamp, action: &str, object: &str) {
        self.audit(own(at, action, object.to_owned()));
    }

    /// Keeps that the server starts, and before it what it found and what the last one left without a word: what is before a
    /// start is not looked at again.
    pub fn audit_start(&self, at: Timestamp, version: &str) {
        let mut said = Vec::new();
        {
            let mut growing = self.trail.state.lock();
            for found in std::mem::take(&mut growing.found) {
                said.push(self.trail.add(&mut growing, &self.writer, found.record(at).bounded()));
            }
            let missed = std::mem::take(&mut growing.missed);
            self.account_for(&mut growing, missed, at, &mut said);
        }
        said.iter().for_each(log);
        self.audit_own(at, START_SERVER, version);
    }

    /// Keeps what the server itself read again because a file changed: `object` is what is in force now. Or why it can't be
    /// used, and what was in force before stays so.
    pub fn audit_reload(&self, at: Timestamp, action: &str, read: Result<&str, &dyn std::error::Error>) {
        let (object, outcome) = match read {
            Ok(object) => (object.to_owned(), "done"),
            Err(error) => (error.to_string(), "refused"),
        };
        self.audit(AuditRecord { outcome: outcome.to_owned(), ..own(at, action, object) });
    }

    /// Says what was counted only and what was lost; tells the end of the chain in the log now and then.
    pub(super) fn sweep_trail(&self, now: Now) {
        let (mut said, mut noted) = (Vec::new(), None);
        {
            let mut growing = self.trail.state.lock();
            growing.at = now.wall;
            let counted = growing.restraint.summaries(now.uptime, now.wall);
            let lost = self.trail.lines.iter().flat_map(Lines::take_lost);
            let lost = lost.map(|(first, last)| own(now.wall, LOST_LINES, numbers(first, last)));
            for record in counted.into_iter().chain(lost) {
                said.push(self.trail.add(&mut growing, &self.writer, record.bounded()));
            }
            self.excuse(&mut growing, now.wall, &mut said);
            let kept = *self.audit_kept.borrow();
            if let Some(head) = kept.filter(|head| head.seq / HEAD_EVERY > growing.told_seq / HEAD_EVERY) {
                growing.told_seq = head.seq;
                noted = Some(head);
            }
        }
        said.iter().for_each(log);
        if let Some(head) = noted {
            told(head, "the audit trail is whole up to here; note it elsewhere");
        }
    }

    /// Says which entries were given up: when the store takes some again, since until then this, too, could be given up.
    fn excuse(&self, growing: &mut Growing, at: Timestamp, said: &mut Vec<AuditEntry>) {
        let health = self.writer.health();
        let is_well = !matches!(health.state, State::Away | State::Full) && health.backlog == 0;
        if !is_well {
            return;
        }
        let mut gaps = self.take_gaps(growing);
        if let Some(excuse) = growing.excuse.take() {
            let is_lost = |seq| {
                gaps.iter().any(|gap| gap.action == LOST_ENTRIES && (gap.first..=gap.last).contains(&seq))
            };
            let kept = self.audit_kept.borrow().map_or(0, |head| head.seq);
            if (excuse.first..=excuse.last).any(is_lost) {
                gaps.splice(0..0, excuse.gaps);
            } else if kept < excuse.last {
                growing.excuse = Some(excuse);
            }
        }
        self.account_for(growing, gaps, at, said);
    }

    /// Enters gaps, and remembers them until what says so is kept.
    fn account_for(
        &self,
        growing: &mut Growing,
        mut gaps: Vec<Gap>,
        at: Timestamp,
        said: &mut Vec<AuditEntry>,
    ) {
        if gaps.is_empty() {
            return;
        }
        let fresh = Excuse { first: u64::MAX, last: 0, gaps: Vec::new() };
        let mut excuse = growing.excuse.take().unwrap_or(fresh);
        for gap in &gaps {
            let entry = self.trail.add(growing, &self.writer, gap.record(at));
            let seq = entry.seq().unwrap_or_default();
            (excuse.first, excuse.last) = (excuse.first.min(seq), excuse.last.max(seq));
            said.push(entry);
        }
        excuse.gaps.append(&mut gaps);
        growing.excuse = Some(excuse);
    }

    /// What is missing and was not said yet.
    fn take_gaps(&self, growing: &mut Growing) -> Vec<Gap> {
        let lost = self.writer.take_lost_audit().into_iter();
        let mut gaps = std::mem::take(&mut growing.missed);
        gaps.extend(lost.map(|(first, last)| Gap { action: LOST_ENTRIES, first, last }));
        gaps
    }

    /// Says what was counted only and what was given up, before the end.
    pub(super) fn end_trail(&self) {
        let mut growing = self.trail.state.lock();
        let at = growing.at;
        let counted = growing.restraint.sum_up(self.uptime(), at);
        let kept = self.audit_kept.borrow().map_or(0, |head| head.seq);
        let unkept = growing.excuse.take().filter(|excuse| kept < excuse.last);
        let unsaid = self.take_gaps(&mut growing);
        let given_up = unkept.into_iter().flat_map(|excuse| excuse.gaps).chain(unsaid);
        let given_up = given_up.map(|gap| gap.record(at));
        let records: Vec<AuditRecord> = counted.into_iter().chain(given_up).collect();
        let add = |record: AuditRecord| self.trail.add(&mut growing, &self.writer, record.bounded());
        let said: Vec<AuditEntry> = records.into_iter().map(add).collect();
        drop(growing);
        said.iter().for_each(log);
    }

    /// After the last commit: tells the end of the chain, and ends the file of lines.
    pub(super) async fn close_trail(&self) {
        let kept = *self.audit_kept.borrow();
        if let Some(head) = kept {
            told(head, "the audit trail ends here; note it elsewhere");
        }
        if let Some(lines) = &self.trail.lines {
            lines.close().await;
        }
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.uptime_us.load(std::sync::atomic::Ordering::Relaxed))
    }
}
