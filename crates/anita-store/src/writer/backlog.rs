//! What was entrusted and is not kept yet, in its order.

use std::collections::{HashMap, HashSet};

use anita_model::{DeviceId, RevocationId};

use crate::audit::Stretches;
use crate::record::Record;

/// The most revocations that wait to be taken back. Beyond it the oldest of those are given up: what is revoked stays so
/// then. Revocations themselves are never given up; there are no more than their owner lets be in force.
const UNREVOKED_MAX: usize = 100_000;

/// Entrusted records that the store does not have yet. Bounded: of the registry and of states only the last word on each
/// device stays, and on each revocation; of events and audit entries only the newest.
#[derive(Debug)]
pub(crate) struct Backlog {
    records: Vec<Record>,
    /// The most events and audit entries.
    events_max: usize,
    /// From this length on it is looked through for what is out of date.
    compact_at: usize,
    given_up: u64,
    /// The numbers of audit entries that were given up and of which nobody has heard yet.
    lost: Stretches,
}

impl Backlog {
    pub(crate) fn new(events_max: usize) -> Self {
        Self {
            records: Vec::new(),
            events_max,
            compact_at: events_max.max(1),
            given_up: 0,
            lost: Stretches::default(),
        }
    }

    pub(crate) fn push(&mut self, records: impl IntoIterator<Item = Record>) {
        self.records.extend(records);
        if self.records.len() > self.compact_at {
            self.compact();
        }
    }

    /// Puts back what was taken: before whatever came since.
    pub(crate) fn put_back(&mut self, mut records: Vec<Record>) {
        records.append(&mut self.records);
        self.push(records);
    }

    pub(crate) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// How many records were given up because there were too many.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// The numbers of audit entries that were given up since this was asked last.
    pub(crate) fn take_lost(&mut self) -> Vec<(u64, u64)> {
        self.lost.take()
    }

    /// Notes that an audit entry is given up.
    pub(crate) fn lose(&mut self, seq: u64) {
        self.lost.add(seq, seq);
    }

    /// Looks from the newest back: what a later record makes pointless goes, and events beyond the bound.
    fn compact(&mut self) {
        let (mut saved, mut stated, mut removed) =
            (HashSet::new(), HashSet::new(), HashSet::<DeviceId>::new());
        let (mut events, mut unrevoked) = (0, 0);
        let mut kept: Vec<Record> = Vec::new();
        let mut lost = Vec::new();
        let all = std::mem::take(&mut self.records);
        let pointless = pointless_revocations(&all);
        for (place, record) in all.into_iter().enumerate().rev() {
            let is_needed = match &record {
                Record::Fix(_) => true,
                Record::Save(device) => !removed.contains(&device.id) && saved.insert(device.id.clone()),
                Record::State(state) => !removed.contains(&state.id) && stated.insert(state.id.clone()),
                Record::Remove(id) => removed.insert(id.clone()),
                Record::Event(_) | Record::Audit(_) => {
                    events += 1;
                    let has_room = events <= self.events_max;
                    self.given_up += u64::from(!has_room);
                    if let Record::Audit(entry) = &record
                        && !has_room
                    {
                        lost.extend(entry.seq());
                    }
                    has_room
                }
                Record::Revoke(_) => !pointless.contains(&place),
                Record::Unrevoke(_) if pointless.contains(&place) => false,
                Record::Unrevoke(_) => {
                    unrevoked += 1;
                    self.given_up += u64::from(unrevoked > UNREVOKED_MAX);
                    unrevoked <= UNREVOKED_MAX
                }
            };
            if is_needed {
                kept.push(record);
            }
        }
        lost.into_iter().rev().for_each(|seq| self.lose(seq));
        kept.reverse();
        self.compact_at = (kept.len() * 2).max(self.events_max).max(1);
        self.records = kept;
    }
}

/// The places of what is said of revocations and changes nothing, given what comes after it: of a revocation that was taken
/// back only that counts, and of the same id twice the first.
fn pointless_revocations(records: &[Record]) -> HashSet<usize> {
    /// The last that was said of an id.
    enum Word {
        Revoked(usize),
        Unrevoked(usize),
    }
    let mut words: HashMap<&RevocationId, Word> = HashMap::new();
    let mut pointless = HashSet::new();
    for (place, record) in records.iter().enumerate() {
        match record {
            Record::Revoke(revocation) => match words.get(&revocation.id) {
                Some(Word::Revoked(_before)) => {
                    pointless.insert(place);
                }
                Some(Word::Unrevoked(_)) | None => {
                    words.insert(&revocation.id, Word::Revoked(place));
                }
            },
            Record::Unrevoke(id) => {
                if let Some(Word::Revoked(before) | Word::Unrevoked(before)) =
                    words.insert(id, Word::Unrevoked(place))
                {
                    pointless.insert(before);
                }
            }
            Record::Fix(_)
            | Record::Save(_)
            | Record::Remove(_)
            | Record::State(_)
            | Record::Event(_)
            | Record::Audit(_) => {}
        }
    }
    pointless
}

#[cfg(test)]
mod tests {
    use anita_model::{DeviceKind, Revocation, Revoked, SiteName, Timestamp};

    use super::*;
    use crate::audit::{AuditEntry, AuditHash, AuditLink, AuditRecord};
    use crate::record::DeviceRecord;

    fn save(id: &str, name: &str) -> Record {
        Record::Save(DeviceRecord {
            id: DeviceId::parse(id).unwrap(),
            name: Some(name.to_owned()),
            kind: DeviceKind::Tag,
            site: SiteName::main(),
            mounted_at: None,
            floor: None,
        })
    }

    fn remove(id: &str) -> Record {
        Record::Remove(DeviceId::parse(id).unwrap())
    }

    fn audit(seq: u64) -> Record {
        let record = AuditRecord {
            at: Timestamp::UNIX_EPOCH,
            subject: String::new(),
            issuer: None,
            action: String::new(),
            object: String::new(),
            outcome: String::new(),
            address: None,
        };
        let link = AuditLink { seq, previous: AuditHash::NONE, hash: AuditHash::NONE };
        Record::Audit(AuditEntry { record, link: Some(link) })
    }

    fn revoke(id: &str, reason: &str) -> Record {
        Record::Revoke(Revocation {
            id: RevocationId::parse(id).unwrap(),
            revoked: Revoked::Token("t".into()),
            issuer: None,
            made_at: Timestamp::UNIX_EPOCH,
            until: None,
            made_by: "admin".into(),
            reason: reason.into(),
        })
    }

    fn unrevoke(id: &str) -> Record {
        Record::Unrevoke(RevocationId::parse(id).unwrap())
    }

    #[test]
    fn only_the_last_word_on_a_device_and_the_newest_events_stay() {
        let mut backlog = Backlog::new(2);
        let records = [
            save("a", "1"),
            audit(1),
            save("b", "1"),
            remove("a"),
            audit(2),
            save("a", "2"),
            save("b", "2"),
            audit(3),
        ];
        backlog.push(records);
        let left = [remove("a"), audit(2), save("a", "2"), save("b", "2"), audit(3)];
        assert_eq!((backlog.take(), backlog.given_up()), (left.to_vec(), 1));
        assert_eq!((backlog.take_lost(), backlog.take_lost()), (vec![(1, 1)], vec![]));
    }

    #[test]
    fn a_full_backlog_gives_up_no_revocation() {
        let mut backlog = Backlog::new(2);
        for n in 0..100 {
            backlog.push([revoke(&n.to_string(), "")]);
        }
        assert_eq!((backlog.len(), backlog.given_up()), (100, 0));
    }

    #[test]
    fn of_a_revocation_only_what_counts_stays() {
        let mut backlog = Backlog::new(2);
        let words = [
            revoke("a", "first"),
            revoke("a", "again"),
            revoke("b", ""),
            unrevoke("b"),
            unrevoke("b"),
            unrevoke("c"),
            revoke("c", "anew"),
            unrevoke("d"),
        ];
        backlog.push(words);
        let left = [revoke("a", "first"), unrevoke("b"), unrevoke("c"), revoke("c", "anew"), unrevoke("d")];
        assert_eq!((backlog.take(), backlog.given_up()), (left.to_vec(), 0));
    }

    #[test]
    fn of_revocations_that_are_taken_back_a_bounded_number_waits() {
        let mut backlog = Backlog::new(2);
        let cycles =
            (0..UNREVOKED_MAX + 5).flat_map(|n| [revoke(&n.to_string(), ""), unrevoke(&n.to_string())]);
        backlog.push(cycles);
        assert_eq!((backlog.len(), backlog.given_up()), (UNREVOKED_MAX, 5));
    }

    const MAX: usize = Stretches::MAX;

    #[test]
    fn entries_that_are_given_up_are_known_by_their_numbers() {
        let mut backlog = Backlog::new(2);
        backlog.push((1..=9).map(audit));
        assert_eq!(backlog.take_lost(), [(1, 7)]);
        assert_eq!(backlog.take(), [audit(8), audit(9)]);
        for seq in (10..).step_by(3).take(MAX + 5) {
            backlog.lose(seq);
            backlog.lose(seq + 1);
        }
        // One that comes late is below the others.
        backlog.lose(2);
        let lost = backlog.take_lost();
        assert_eq!((lost.len(), lost[0], lost[1], lost[2]), (MAX, (2, 2), (10, 11), (13, 14)));
        assert_eq!(lost[MAX - 1].1, 10 + 3 * (MAX as u64 + 4) + 1, "the last one covers the rest");
    }
}
