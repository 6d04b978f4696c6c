//! Whether a chain is whole: a fold over its entries, oldest first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{
    AuditEntry, AuditHash, AuditHead, AuditLine, AuditLink, LOST_ENTRIES, LOST_LINES, MISSED_ENTRIES,
    START_SERVER, STOP_SERVER, Stretches, numbers_of,
};

/// So many gaps without an explanation are remembered: one may come later.
const GAPS_MAX: usize = 10_000;

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The hash of an entry is not that of what it says.
    #[error("entry {seq} was changed: its hash is not that of what it says")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// An entry does not go on where the one before it ends.
    #[error(
        "entry {seq} does not follow from the one before it: that one was changed or replaced, with a new hash, after {seq} was written"
    )]
    Unlinked {
        /// Which.
        seq: u64,
    },
    /// An entry stands after one with the same or a higher number.
    #[error("entry {seq} stands after entry {after}: entries were swapped or inserted")]
    Disordered {
        /// Which.
        seq: u64,
        /// The one before it.
        after: u64,
    },
    /// An entry without a number stands after the chain began.
    #[error("after entry {after} stands one without number and hash: it was inserted")]
    Unnumbered {
        /// The one before it.
        after: u64,
    },
    /// Entries are not there, and no entry says why.
    #[error("{} entries are missing between {before} and {next}, and no entry says that they were given up", next - before - 1)]
    Missing {
        /// The last one before the gap.
        before: u64,
        /// The next one that no entry accounts for or that is there.
        next: u64,
    },
    /// The store gave its entries places of which some are empty now, and their numbers to others.
    #[error(
        "{count} entries after entry {after} were removed, and their numbers given to others: the store counts what it is given"
    )]
    Replaced {
        /// The last one before them.
        after: u64,
        /// How many.
        count: u64,
    },
    /// The store gave places after its last entry.
    #[error(
        "{count} entries after entry {last} were removed: the store counts what it is given, so it is no older copy"
    )]
    Removed {
        /// The last one; 0 if there is none.
        last: u64,
        /// How many.
        count: u64,
    },
    /// The first line of a file does not say what was before it.
    #[error("entry {seq} does not say what was before it: lines before it were cut off")]
    Headless {
        /// Which.
        seq: u64,
    },
    /// An entry is not the one that was noted.
    #[error(
        "entry {seq} is not the one whose hash was noted: the chain was written anew up to there, or the note is of another store"
    )]
    NotNoted {
        /// Which.
        seq: u64,
    },
    /// A noted entry is after the end.
    #[error(
        "the chain ends with entry {last}, and entry {noted} was noted: its end was cut off, or an older copy was restored"
    )]
    Cut {
        /// The last one; 0 if there is none.
        last: u64,
        /// The noted one.
        noted: u64,
    },
}

/// A chain that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whole {
    /// How many entries are in it.
    pub entries: u64,
    /// Entries from before there was a chain: nothing shows whether they were changed.
    pub older: u64,
    /// The number of the first one; those before it went by their age or size. `None` when there are none.
    pub first: Option<u64>,
    /// Its end.
    pub head: Option<AuditHead>,
    /// Entries that are missing and for which entries of the chain account.
    pub given_up: u64,
    /// Entries that are missing since a server did not end in good order, as the start after it says.
    pub missed: u64,
    /// Entries that went by their age or size while the others were read.
    pub tidied: u64,
    /// Noted heads that say nothing, because their entries are not there any more.
    pub unchecked: Vec<u64>,
}

/// Verifies a chain.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// What accounts for gaps.
    excuses: Vec<&'static str>,
    whole: Whole,
    /// Numbers that are not there and not accounted for.
    gaps: Vec<(u64, u64)>,
    noted: BTreeMap<u64, AuditHash>,
    /// The place of the last entry, and its number, where the store counts places.
    place: Option<(u64, u64)>,
}

impl Verification {
    /// Of a store. `noted` are heads that were noted elsewhere.
    pub fn of_store(noted: impl IntoIterator<Item = AuditHead>) -> Self {
        Self::new(vec![LOST_ENTRIES, MISSED_ENTRIES], noted)
    }

    /// Of files: they may lack lines besides.
    pub fn of_files(noted: impl IntoIterator<Item = AuditHead>) -> Self {
        Self::new(vec![LOST_ENTRIES, MISSED_ENTRIES, LOST_LINES], noted)
    }

    fn new(excuses: Vec<&'static str>, noted: impl IntoIterator<Item = AuditHead>) -> Self {
        let noted = noted.into_iter().map(|head| (head.seq, head.hash)).collect();
        Self { excuses, noted, ..Self::default() }
    }

    /// The end so far.
    pub fn head(&self) -> Option<AuditHead> {
        self.whole.head
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// [`Broken`]; what comes after it says nothing any more.
    pub fn step(&mut self, entry: &AuditEntry) -> Result<(), Broken> {
        let Some(link) = entry.link else {
            let after = self.whole.head.map(|head| Broken::Unnumbered { after: head.seq });
            self.whole.older += 1;
            return after.map_or(Ok(()), Err);
        };
        let seq = link.seq;
        match self.whole.head {
            Some(head) if seq <= head.seq => return Err(Broken::Disordered { seq, after: head.seq }),
            Some(head) if seq == head.seq + 1 && link.previous != head.hash => {
                return Err(Broken::Unlinked { seq });
            }
            None if seq == 1 && link.previous != AuditHash::NONE => return Err(Broken::Unlinked { seq }),
            Some(_) | None => {}
        }
        if !link.fits(&entry.record) {
            return Err(Broken::Changed { seq });
        }
        if self.noted.remove(&seq).is_some_and(|noted| noted != link.hash) {
            return Err(Broken::NotNoted { seq });
        }
        if let Some(head) = self.whole.head.filter(|head| head.seq + 1 < seq) {
            if self.gaps.len() >= GAPS_MAX {
                return Err(self.missing().unwrap_or(Broken::Missing { before: head.seq, next: seq }));
            }
            self.gaps.push((head.seq + 1, seq - 1));
        }
        self.excuse(entry, seq);
        self.whole.entries += 1;
        self.whole.first.get_or_insert(seq);
        self.whole.head = Some(link.head());
        Ok(())
    }

    /// Takes the next entry of a store that gives each entry the place after the one before it.
    ///
    /// # Errors
    /// As [`Verification::step`], and [`Broken::Replaced`] when there are more places than numbers between two entries.
    pub fn step_placed(&mut self, place: u64, entry: &AuditEntry) -> Result<(), Broken> {
        self.step(entry)?;
        let Some(seq) = entry.seq() else { return Ok(()) };
        if let Some((place_before, after)) = self.place.replace((place, seq)) {
            let count = place.saturating_sub(place_before).saturating_sub(seq - after);
            if count > 0 {
                return Err(Broken::Replaced { after, count });
            }
        }
        Ok(())
    }

    /// Takes the next line of a file.
    ///
    /// # Errors
    /// As [`Verification::step`].
    pub fn step_line(&mut self, line: AuditLine) -> Result<(), Broken> {
        let AuditLine { record, seq, previous, hash } = line;
        let previous = match (previous, self.whole.head) {
            (Some(previous), _) => previous,
            (None, None) => return Err(Broken::Headless { seq }),
            (None, Some(head)) if head.seq.saturating_add(1) < seq => {
                return Err(Broken::Missing { before: head.seq, next: seq });
            }
            (None, Some(head)) => head.hash,
        };
        self.step(&AuditEntry { record, link: Some(AuditLink { seq, previous, hash }) })
    }

    /// What an entry says of entries before it that are missing.
    fn excuse(&mut self, entry: &AuditEntry, seq: u64) {
        let record = &entry.record;
        if !record.subject.is_empty() || !self.excuses.contains(&record.action.as_str()) {
            return;
        }
        let Some((first, last)) = numbers_of(&record.object).filter(|(_first, last)| *last < seq) else {
            return;
        };
        let is_missed = record.action == MISSED_ENTRIES;
        let count = if is_missed { &mut self.whole.missed } else { &mut self.whole.given_up };
        let mut left = Vec::new();
        for (start, end) in std::mem::take(&mut self.gaps) {
            let (from, to) = (start.max(first), end.min(last));
            if from > to {
                left.push((start, end));
                continue;
            }
            *count += to - from + 1;
            left.extend((start < from).then(|| (start, from - 1)));
            left.extend((to < end).then(|| (to + 1, end)));
        }
        self.gaps = left;
    }

    /// That the store begins with this number now: those before it went by their age or size, maybe while the others were
    /// read. A gap below it is none.
    pub fn begins_with(&mut self, first: u64) {
        let tidied = &mut self.whole.tidied;
        self.gaps.retain(|(start, end)| {
            let is_gone = *end < first;
            *tidied += if is_gone { end - start + 1 } else { 0 };
            !is_gone
        });
    }

    fn missing(&self) -> Option<Broken> {
        self.gaps.first().map(|(first, last)| Broken::Missing { before: first - 1, next: last + 1 })
    }

    /// What there was, when all have come.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn finish(mut self) -> Result<Whole, Broken> {
        if let Some(missing) = self.missing() {
            return Err(missing);
        }
        let last = self.whole.head.map_or(0, |head| head.seq);
        if let Some((&noted, _hash)) = self.noted.range(last + 1..).next_back() {
            return Err(Broken::Cut { last, noted });
        }
        self.whole.unchecked = self.noted.into_keys().collect();
        Ok(self.whole)
    }
}

/// The gaps that the last server left when it did not end in good order, for which no entry accounts: a fold over the newest
/// entries of a store, newest first.
///
/// Only what came after the last start or end of a server counts: of what was before it that start has spoken, and a good end
/// leaves no gap. So what somebody removes from older entries stays a break.
#[derive(Debug, Clone, Default)]
pub struct Unexplained {
    excused: Vec<(u64, u64)>,
    gaps: Stretches,
    next: Option<u64>,
}

impl Unexplained {
    /// Takes the next older entry. Says whether those before it matter.
    pub fn step(&mut self, entry: &AuditEntry) -> ControlFlow<()> {
        let Some(seq) = entry.seq() else { return ControlFlow::Break(()) };
        if let Some(next) = self.next.filter(|next| seq.saturating_add(1) < *next) {
            let mut left = vec![(seq + 1, next - 1)];
            for (first, last) in &self.excused {
                left = left.into_iter().flat_map(|gap| without(gap, *first, *last)).collect();
            }
            for (first, last) in left {
                self.gaps.add(first, last);
            }
        }
        self.next = Some(seq);
        let record = &entry.record;
        if !record.subject.is_empty() {
            return ControlFlow::Continue(());
        }
        match record.action.as_str() {
            START_SERVER | STOP_SERVER => return ControlFlow::Break(()),
            LOST_ENTRIES | MISSED_ENTRIES if self.excused.len() < GAPS_MAX => {
                self.excused.extend(numbers_of(&record.object));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// The gaps, lowest first: `(first, last)`.
    pub fn finish(mut self) -> Vec<(u64, u64)> {
        self.gaps.take()
    }
}

/// What is left of a gap without the numbers `first` to `last`.
fn without((start, end): (u64, u64), first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> {
    let before = (start < first).then(|| (start, end.min(first.saturating_sub(1))));
    let after = (end > last).then(|| (start.max(last.saturating_add(1)), end));
    before.into_iter().chain(after)
}

#[cfg(test)]
mod tests;
