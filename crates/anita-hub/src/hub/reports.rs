//! What sources report: judged by the world, told to the shards, and kept.

use std::sync::Arc;

use anita_model::{Now, Report, SourceName};
use anita_store::Ticket;
use anita_views::{Change, Live};
use anita_world::{Outcome, Refused};

use super::store::Kept;
use super::{Hub, ReportOutcome, change, refusal};
use crate::keeping::{Durability, records};

/// How many items of a report are taken at once; others have their turn in between.
const ITEMS_AT_ONCE: usize = 128;

/// What became of a report.
pub struct Reported {
    /// One for each item, in order.
    pub outcomes: Vec<ReportOutcome>,
    /// Done when what was taken is kept.
    pub kept: Kept,
}

impl std::fmt::Debug for Reported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reported").field("outcomes", &self.outcomes).finish_non_exhaustive()
    }
}

/// What became of a report so far.
struct Taken {
    outcomes: Vec<ReportOutcome>,
    /// How many of each source had which outcome.
    counts: Vec<(SourceName, &'static str, u64)>,
}

impl Taken {
    fn count(&mut self, source: SourceName, word: &'static str) {
        let known =
            self.counts.iter_mut().find(|(known, outcome, _count)| *known == source && *outcome == word);
        match known {
            Some((_source, _word, count)) => *count += 1,
            None => self.counts.push((source, word, 1)),
        }
    }
}

impl Hub {
    /// Takes what a source reports: live delivery has it at once. One outcome for each report, in order; they count as
    /// acknowledged when [`Reported::kept`] is done well, and none of them if it is not.
    pub fn report(&self, reports: Vec<Report>, now: Now) -> Reported {
        let mut taken = Taken { outcomes: Vec::with_capacity(reports.len()), counts: Vec::new() };
        let mut tickets = Vec::new();
        let mut reports = reports.into_iter().peekable();
        while reports.peek().is_some() {
            tickets.extend(
                self.take(reports.by_ref().take(ITEMS_AT_ONCE), now, &mut taken).into_iter().flatten(),
            );
        }
        self.shards.iter().for_each(|shard| shard.ring());
        for (source, outcome, count) in taken.counts {
            self.metrics.count_fixes(source.as_str(), outcome, count);
        }
        if self.durability == Durability::None {
            tickets.clear();
        }
        Reported { outcomes: taken.outcomes, kept: self.kept(tickets) }
    }

    /// Everything that has an order gets it while the world is locked: numbers of fixes, events in their room, writes
    /// in the store.
    fn take(
        &self,
        reports: impl Iterator<Item = Report>,
        now: Now,
        taken: &mut Taken,
    ) -> [Option<Ticket>; 2] {
        let mut kept = Vec::new();
        let mut told = Vec::new();
        let mut events = Vec::new();
        let mut core = self.core.lock();
        for report in reports {
            let source = source_of(&report);
            let events_before = events.len();
            let outcome = core.world.report(report, now, &mut events);
            told.extend(events.iter().skip(events_before).filter_map(change));
            taken.count(source, outcome_word(&outcome));
            taken.outcomes.push(match outcome {
                Outcome::Newest(ref fix) | Outcome::Late(ref fix) => {
                    core.version += 1;
                    let is_newest = matches!(outcome, Outcome::Newest(_));
                    let make = if is_newest { Live::newest } else { Live::late };
                    told.push(Change::Fix(Arc::new(make(Arc::clone(fix), core.version, now.uptime))));
                    kept.push(Arc::clone(fix));
                    ReportOutcome::Accepted
                }
                Outcome::Duplicate(known) => {
                    // The store may not have it yet, or may have refused it.
                    kept.push(known);
                    ReportOutcome::Accepted
                }
                Outcome::Sighted | Outcome::NoPosition => ReportOutcome::Accepted,
                Outcome::Refused(refused) => ReportOutcome::Refused(refusal(refused)),
            });
        }
        self.shards.iter().for_each(|shard| shard.feed(&told));
        self.tell(&events, now);
        let entrusted = records(&events);
        [
            (!entrusted.is_empty()).then(|| self.writer.entrust(entrusted)),
            (!kept.is_empty()).then(|| self.writer.offer(kept)),
        ]
    }
}

fn source_of(report: &Report) -> SourceName {
    match report {
        Report::Fix(fix) => fix.source.clone(),
        Report::Sighting(sighting) => sighting.source.clone(),
        Report::NoPosition(failure) => failure.source.clone(),
    }
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Newest(_) => "newest",
        Outcome::Late(_) => "late",
        Outcome::Duplicate(_) => "duplicate",
        Outcome::Sighted => "sighted",
        Outcome::NoPosition => "no_position",
        Outcome::Refused(Refused::Future { .. }) => "refused_future",
        Outcome::Refused(Refused::UnknownDevice) => "refused_unknown_device",
        Outcome::Refused(Refused::TooManyDevices { .. }) => "refused_too_many_devices",
    }
}
