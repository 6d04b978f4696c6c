//! What was entrusted and is not kept yet, in its order.

use std::collections::HashSet;

use anita_model::DeviceId;

use crate::record::Record;

/// Entrusted records that the store does not have yet. Bounded: of the registry and of states only the last word on each
/// device stays, of events and audit entries only the newest.
#[derive(Debug)]
pub(crate) struct Backlog {
    records: Vec<Record>,
    /// The most events and audit entries.
    events_max: usize,
    /// From this length on it is looked through for what is out of date.
    compact_at: usize,
    given_up: u64,
}

impl Backlog {
    pub(crate) fn new(events_max: usize) -> Self {
        Self { records: Vec::new(), events_max, compact_at: events_max.max(1), given_up: 0 }
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

    /// Looks from the newest back: what a later record makes pointless goes, and events beyond the bound.
    fn compact(&mut self) {
        let (mut saved, mut stated, mut removed) =
            (HashSet::new(), HashSet::new(), HashSet::<DeviceId>::new());
        let mut events = 0;
        let mut given_up = 0;
        let mut kept: Vec<Record> = Vec::new();
        for record in std::mem::take(&mut self.records).into_iter().rev() {
            let is_needed = match &record {
                Record::Fix(_) => true,
                Record::Save(device) => !removed.contains(&device.id) && saved.insert(device.id.clone()),
                Record::State(state) => !removed.contains(&state.id) && stated.insert(state.id.clone()),
                Record::Remove(id) => removed.insert(id.clone()),
                Record::Event(_) | Record::Audit(_) => {
                    events += 1;
                    given_up += u64::from(events > self.events_max);
                    events <= self.events_max
                }
            };
            if is_needed {
                kept.push(record);
            }
        }
        kept.reverse();
        self.given_up += given_up;
        self.compact_at = (kept.len() * 2).max(self.events_max).max(1);
        self.records = kept;
    }
}

#[cfg(test)]
mod tests {
    use anita_model::{DeviceKind, SiteName, Timestamp};

    use super::*;
    use crate::record::{AuditRecord, DeviceRecord};

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

    fn audit(action: &str) -> Record {
        Record::Audit(AuditRecord {
            at: Timestamp::UNIX_EPOCH,
            subject: String::new(),
            action: action.to_owned(),
            object: String::new(),
            outcome: String::new(),
            address: None,
        })
    }

    #[test]
    fn only_the_last_word_on_a_device_and_the_newest_events_stay() {
        let mut backlog = Backlog::new(2);
        let records = [
            save("a", "1"),
            audit("1"),
            save("b", "1"),
            remove("a"),
            audit("2"),
            save("a", "2"),
            save("b", "2"),
            audit("3"),
        ];
        backlog.push(records);
        let left = [remove("a"), audit("2"), save("a", "2"), save("b", "2"), audit("3")];
        assert_eq!((backlog.take(), backlog.given_up()), (left.to_vec(), 1));
    }
}
