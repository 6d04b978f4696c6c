//! The audit trail: each entry is numbered, hashed and handed to the store under one small lock, so the order of the chain
//! is the order in which the store gets it.

mod lines;
mod restraint;

use std::time::Duration;

use anita_model::{Now, Timestamp};
use anita_store::audit::{Chain, LOST_ENTRIES, LOST_LINES, numbers};
use anita_store::{AuditEntry, AuditHead, AuditRecord, Record, State, Writer};
use parking_lot::Mutex;

use super::Hub;
use restraint::{Restraint, Verdict};

pub(super) use lines::Lines;
pub use restraint::AuditLimits;

/// How many entries there are between two that are told in the log with their hash.
const HEAD_EVERY: u64 = 1_000;

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
    lost: Vec<(u64, u64)>,
}

impl Trail {
    /// That goes on after a head.
    pub(super) fn new(limits: AuditLimits, head: Option<AuditHead>, lines: Option<Lines>, now: Now) -> Self {
        let state = Growing {
            chain: Chain::after(head),
            restraint: Restraint::new(limits),
            excuse: None,
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
        let mut lost = self.writer.take_lost_audit();
        if let Some(excuse) = growing.excuse.take() {
            let is_lost = |seq| lost.iter().any(|(first, last)| (*first..=*last).contains(&seq));
            let kept = self.audit_kept.borrow().map_or(0, |head| head.seq);
            if (excuse.first..=excuse.last).any(is_lost) {
                lost.splice(0..0, excuse.lost);
            } else if kept < excuse.last {
                growing.excuse = Some(excuse);
            }
        }
        if lost.is_empty() {
            return;
        }
        let fresh = Excuse { first: u64::MAX, last: 0, lost: Vec::new() };
        let mut excuse = growing.excuse.take().unwrap_or(fresh);
        for (first, last) in &lost {
            let entry = self.trail.add(growing, &self.writer, own(at, LOST_ENTRIES, numbers(*first, *last)));
            let seq = entry.seq().unwrap_or_default();
            (excuse.first, excuse.last) = (excuse.first.min(seq), excuse.last.max(seq));
            said.push(entry);
        }
        excuse.lost.append(&mut lost);
        growing.excuse = Some(excuse);
    }

    /// Says what was counted only and what was given up, before the end.
    pub(super) fn end_trail(&self) {
        let mut growing = self.trail.state.lock();
        let at = growing.at;
        let counted = growing.restraint.sum_up(self.uptime(), at);
        let kept = self.audit_kept.borrow().map_or(0, |head| head.seq);
        let unkept = growing.excuse.take().filter(|excuse| kept < excuse.last);
        let given_up = unkept.into_iter().flat_map(|excuse| excuse.lost).chain(self.writer.take_lost_audit());
        let given_up = given_up.map(|(first, last)| own(at, LOST_ENTRIES, numbers(first, last)));
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
