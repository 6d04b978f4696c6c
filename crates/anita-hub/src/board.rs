//! The newest fix of every device, in the order in which they became the newest.
//!
//! Every fix that becomes a device's newest gets the next version. Whoever has seen everything up to a version finds
//! what is newer by walking from the newest entry back: as many steps as there are changes, however many devices there
//! are. A device stands in the list once, so a reader that comes late gets its newest fix and none of those between.
//! A reader that keeps up gets every fix: the latest of them are also kept one by one, in a short log.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use anita_model::{DeviceId, Fix};
use anita_wire::Outgoing;
use bytes::Bytes;

use crate::payload;

/// The newest fix of one device, with its place in the order.
#[derive(Debug)]
pub struct Live {
    /// The fix.
    pub fix: Arc<Fix>,
    /// Its version: greater than that of every fix before it, of any device.
    pub version: u64,
    frame: OnceLock<Bytes>,
}

impl Live {
    /// The complete WebSocket frame of its `uwb.location`: made by the first who asks, shared by all.
    pub fn frame(&self) -> Bytes {
        self.frame
            .get_or_init(|| anita_ws::frame::text(&Outgoing::push(&payload::location(&self.fix)).to_text()))
            .clone()
    }
}

/// How many of the latest fixes are kept one by one, for readers that keep up.
const LOG_FIXES_MAX: usize = 4_096;

/// Where an entry's neighbours in the order are.
#[derive(Debug)]
struct Entry {
    live: Arc<Live>,
    older: Option<usize>,
    newer: Option<usize>,
}

/// The newest fix of every device.
#[derive(Debug, Default)]
pub struct Board {
    /// `None` where a device was removed; its place is taken by the next new one.
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    by_device: HashMap<DeviceId, usize>,
    newest: Option<usize>,
    version: u64,
    /// The latest fixes of all devices, in the order of their versions.
    log: VecDeque<Arc<Live>>,
    /// The version after which the log is whole.
    log_since: u64,
}

impl Board {
    /// The version of the newest fix; 0 while there is none.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Makes a fix the newest of its device, and of all.
    pub fn set(&mut self, fix: Arc<Fix>) {
        self.version += 1;
        let known = self.by_device.get(&fix.device).copied();
        let index = match known {
            Some(index) => {
                self.unlink(index);
                index
            }
            None => self.free.pop().unwrap_or(self.entries.len()),
        };
        self.by_device.insert(fix.device.clone(), index);
        let live = Arc::new(Live { fix, version: self.version, frame: OnceLock::new() });
        self.log.push_back(Arc::clone(&live));
        if self.log.len() > LOG_FIXES_MAX {
            self.log_since = self.log.pop_front().map_or(self.log_since, |oldest| oldest.version);
        }
        self.link(index, Entry { live, older: self.newest, newer: None });
    }

    /// Takes a device off the board.
    pub fn remove(&mut self, device: &str) {
        if let Some(index) = self.by_device.remove(device) {
            self.unlink(index);
            self.free.push(index);
            self.log.retain(|live| live.fix.device.as_str() != device);
        }
    }

    /// The newest fix of a device.
    pub fn get(&self, device: &str) -> Option<&Arc<Live>> {
        self.by_device.get(device).and_then(|&index| self.entry(index)).map(|entry| &entry.live)
    }

    /// What became newer than a version, the oldest of it first.
    pub fn newer_than(&self, version: u64) -> impl Iterator<Item = &Arc<Live>> {
        let mut start = None;
        let mut at = self.newest;
        while let Some(entry) = at.and_then(|index| self.entry(index)) {
            if entry.live.version <= version {
                break;
            }
            start = at;
            at = entry.older;
        }
        std::iter::successors(start.and_then(|index| self.entry(index)), |entry| {
            entry.newer.and_then(|index| self.entry(index))
        })
        .map(|entry| &entry.live)
    }

    /// Every fix after a version, in order; `None` where the log does not reach back that far.
    pub fn every_after(&self, version: u64) -> Option<impl Iterator<Item = &Arc<Live>>> {
        let first = self.log.partition_point(|live| live.version <= version);
        (version >= self.log_since).then(|| self.log.range(first..))
    }

    fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index).and_then(Option::as_ref)
    }

    fn entry_mut(&mut self, index: Option<usize>) -> Option<&mut Entry> {
        index.and_then(|index| self.entries.get_mut(index)).and_then(Option::as_mut)
    }

    fn unlink(&mut self, index: usize) {
        let Some(entry) = self.entries.get_mut(index).and_then(Option::take) else { return };
        if let Some(older) = self.entry_mut(entry.older) {
            older.newer = entry.newer;
        }
        match self.entry_mut(entry.newer) {
            Some(newer) => newer.older = entry.older,
            None => self.newest = entry.older,
        }
    }

    fn link(&mut self, index: usize, entry: Entry) {
        if let Some(older) = self.entry_mut(entry.older) {
            older.newer = Some(index);
        }
        self.newest = Some(index);
        match self.entries.get_mut(index) {
            Some(place) => *place = Some(entry),
            None => self.entries.push(Some(entry)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anita_model::{Position, SiteName, SourceName, Timestamp};
    use proptest::prelude::*;

    fn fix(device: u8, x: f64) -> Arc<Fix> {
        Arc::new(Fix {
            device: DeviceId::parse(&format!("d{device}")).unwrap(),
            site: SiteName::main(),
            position: Position::new(x, 0.0, 0.0).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            source: SourceName::parse("test").unwrap(),
        })
    }

    fn newer(board: &Board, version: u64) -> Vec<(String, u64)> {
        board.newer_than(version).map(|live| (live.fix.device.to_string(), live.version)).collect()
    }

    #[test]
    fn a_device_stands_once_where_its_newest_fix_is() {
        let mut board = Board::default();
        for device in [1, 2, 1, 3, 1] {
            board.set(fix(device, 0.0));
        }
        assert_eq!(newer(&board, 0), [("d2".into(), 2), ("d3".into(), 4), ("d1".into(), 5)]);
        assert_eq!(newer(&board, 2), [("d3".into(), 4), ("d1".into(), 5)]);
        assert_eq!(newer(&board, 5), []);
        board.remove("d3");
        assert_eq!(newer(&board, 0), [("d2".into(), 2), ("d1".into(), 5)]);
    }

    #[test]
    fn a_reader_that_keeps_up_gets_every_fix_and_a_late_one_is_sent_to_the_newest() {
        let mut board = Board::default();
        for _ in 0..10 {
            board.set(fix(1, 0.0));
            board.set(fix(2, 0.0));
        }
        let versions = |board: &Board, since| -> Option<Vec<u64>> {
            board.every_after(since).map(|lives| lives.map(|live| live.version).collect())
        };
        assert_eq!(versions(&board, 16), Some(vec![17, 18, 19, 20]));
        assert_eq!(versions(&board, 20), Some(vec![]));
        board.remove("d2");
        assert_eq!(versions(&board, 16), Some(vec![17, 19]), "what is gone is not told");
        for _ in 0..LOG_FIXES_MAX {
            board.set(fix(1, 0.0));
        }
        assert_eq!(versions(&board, 16), None);
        assert_eq!(versions(&board, 20).unwrap().len(), LOG_FIXES_MAX);
    }

    proptest! {
        /// The board against the obvious thing: a list that is searched.
        #[test]
        fn what_is_newer_is_what_a_plain_list_says(
            steps in proptest::collection::vec((0_u8..8, proptest::bool::weighted(0.1)), 1..200),
            since in 0_u64..220,
        ) {
            let mut board = Board::default();
            let mut plain: Vec<(String, u64)> = Vec::new();
            let mut version = 0;
            for (device, is_removed) in steps {
                let id = format!("d{device}");
                plain.retain(|(known, _)| *known != id);
                if is_removed {
                    board.remove(&id);
                } else {
                    version += 1;
                    board.set(fix(device, 0.0));
                    plain.push((id, version));
                }
            }
            plain.retain(|(_, version)| *version > since);
            prop_assert_eq!(newer(&board, since), plain);
        }
    }
}
