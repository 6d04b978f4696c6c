//! The store in memory: nothing of it survives the process. Plain on purpose: it is what the others are compared with.

mod plans;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anita_model::{DeviceId, Fix, Revocation, RevocationId, RoomName, Timestamp};
use parking_lot::Mutex;

use crate::audit::{AuditEntry, AuditHead, AuditRecord};
use crate::memory::plans::Plans;
use crate::plan::PlanStore;
use crate::port::{BoxFuture, Store, StoreError};
use crate::query::{
    AuditPage, AuditQuery, Cursor, EventPage, EventQuery, HistoryPage, HistoryQuery, NewestQuery, Order,
    Window, WindowQuery,
};
use crate::record::{DeviceRecord, DeviceState, EventRecord, FixKey, Record, Remembered, RoomRecord};
use crate::retention::{Amount, KindLimits, Retention, Tidied, Usage, thinned};

/// The fixes of one device in their order.
type Track = BTreeMap<FixKey, Arc<Fix>>;

/// How much room a fix takes here, bytes: with its place in the tree.
const FIX_BYTES: u64 = 200;

/// Everything in memory. When a device has as many fixes as it may, or all have, the oldest of that device go.
#[derive(Debug)]
pub struct MemoryStore {
    fixes_per_device_max: usize,
    fixes_max: usize,
    events_max: usize,
    kept: Mutex<Kept>,
    plans: Plans,
}

#[derive(Debug, Default)]
struct Kept {
    devices: BTreeMap<DeviceId, DeviceRecord>,
    states: BTreeMap<DeviceId, DeviceState>,
    tracks: HashMap<DeviceId, Track>,
    fixes: usize,
    /// Of each room where its numbering is: the event that was told last, by ordinal, epoch and number.
    rooms: BTreeMap<RoomName, (u64, Arc<str>, u64)>,
    events: BTreeMap<u64, EventRecord>,
    event_bytes: u64,
    audit: BTreeMap<u64, AuditEntry>,
    audit_bytes: u64,
    audit_last: u64,
    audit_head: Option<AuditHead>,
    revocations: BTreeMap<RevocationId, Revocation>,
}

impl MemoryStore {
    /// An empty store that keeps at most so many fixes of a device and of all, and so many events and audit entries.
    pub fn new(fixes_per_device_max: usize, fixes_max: usize, events_max: usize) -> Self {
        Self { fixes_per_device_max, fixes_max, events_max, kept: Mutex::default(), plans: Plans::default() }
    }

    /// Keeps records at once.
    pub(crate) fn keep(&self, records: &[Record]) {
        let mut kept = self.kept.lock();
        for record in records {
            match record {
                Record::Fix(fix) => self.keep_fix(&mut kept, fix),
                Record::Save(device) => {
                    kept.devices.insert(device.id.clone(), device.clone());
                }
                Record::Remove(id) => kept.remove(id),
                Record::State(state) => {
                    kept.states.insert(state.id.clone(), state.clone());
                }
                Record::Event(event) => kept.keep_event(event),
                Record::Audit(entry) => kept.keep_audit(entry),
                Record::Revoke(revocation) => {
                    let known = kept.revocations.entry(revocation.id.clone());
                    known.or_insert_with(|| revocation.clone());
                }
                Record::Unrevoke(id) => {
                    kept.revocations.remove(id);
                }
            }
        }
        while kept.events.len() > self.events_max {
            kept.pop_event();
        }
        while kept.audit.len() > self.events_max.max(1) {
            kept.pop_audit();
        }
    }

    fn keep_fix(&self, kept: &mut Kept, fix: &Arc<Fix>) {
        let track = kept.tracks.entry(fix.device.clone()).or_default();
        let key = FixKey::of(fix);
        if track.contains_key(&key) {
            return;
        }
        track.insert(key, Arc::clone(fix));
        kept.fixes += 1;
        if track.len() > self.fixes_per_device_max || kept.fixes > self.fixes_max {
            track.pop_first();
            kept.fixes -= 1;
        }
    }
}

/// The room that an entry takes, bytes.
fn bytes_of(entry: &AuditEntry) -> u64 {
    let AuditRecord { at: _, subject, issuer, action, object, outcome, address } = &entry.record;
    let (issuer, address) = (issuer.as_deref().unwrap_or_default(), address.as_deref().unwrap_or_default());
    [subject, action, object, outcome, issuer, address].map(|text| text.len() as u64).iter().sum()
}

impl Kept {
    fn remove(&mut self, id: &DeviceId) {
        self.devices.remove(id);
        self.states.remove(id);
        self.fixes -= self.tracks.remove(id).map_or(0, |track| track.len());
    }

    fn keep_event(&mut self, event: &EventRecord) {
        let EventRecord { ordinal, room, epoch, seq, .. } = event;
        if self.events.contains_key(ordinal) {
            return;
        }
        self.event_bytes += event.text.len() as u64;
        self.events.insert(*ordinal, event.clone());
        let is_newer = self.rooms.get(room).is_none_or(|(last, _epoch, _seq)| last < ordinal);
        if is_newer {
            self.rooms.insert(room.clone(), (*ordinal, Arc::clone(epoch), *seq));
        }
    }

    fn keep_audit(&mut self, entry: &AuditEntry) {
        if let Some(link) = entry.link {
            // Numbers only grow: one that is not larger is there already, or was.
            if self.audit_head.is_some_and(|head| link.seq <= head.seq) {
                return;
            }
            self.audit_head = Some(link.head());
        }
        self.audit_last += 1;
        self.audit_bytes += bytes_of(entry);
        self.audit.insert(self.audit_last, entry.clone());
    }

    fn pop_event(&mut self) -> Option<EventRecord> {
        let (_ordinal, event) = self.events.pop_first()?;
        self.event_bytes -= event.text.len() as u64;
        Some(event)
    }

    fn pop_audit(&mut self) -> Option<AuditEntry> {
        let (_ordinal, entry) = self.audit.pop_first()?;
        self.audit_bytes -= bytes_of(&entry);
        Some(entry)
    }

    fn load(&self, events_max: usize) -> Remembered {
        let tail = |name: &RoomName, epoch: &Arc<str>| {
            let events = self.events.values().rev().filter(|it| it.room == *name && it.epoch == *epoch);
            let mut events: Vec<EventRecord> = events.take(events_max).cloned().collect();
            events.reverse();
            events
        };
        let rooms = self.rooms.iter().map(|(name, (ordinal, epoch, seq))| RoomRecord {
            name: name.clone(),
            epoch: Arc::clone(epoch),
            seq: *seq,
            ordinal: *ordinal,
            events: tail(name, epoch),
        });
        let mut states = self.states.clone();
        for (id, track) in &self.tracks {
            let Some(newest) = track.values().next_back() else { continue };
            states.entry(id.clone()).or_insert_with(|| DeviceState::of_fix(newest)).heard(newest);
        }
        let mut revocations: Vec<Revocation> = self.revocations.values().cloned().collect();
        revocations.sort_by(|a, b| (a.made_at, &a.id).cmp(&(b.made_at, &b.id)));
        Remembered {
            revocations,
            audit_head: self.audit_head,
            audit_removed: 0,
            devices: self.devices.values().cloned().collect(),
            states: states.into_values().collect(),
            rooms: rooms.collect(),
            last_ordinal: self.rooms.values().map(|(ordinal, ..)| *ordinal).max().unwrap_or(0),
        }
    }

    fn page(&self, query: &HistoryQuery) -> HistoryPage {
        let Some(track) = self.tracks.get(&query.device) else { return HistoryPage::default() };
        let is_asked = |key: &FixKey, fix: &Fix| {
            query.start.is_none_or(|start| key.taken_at >= start)
                && query.end.is_none_or(|end| key.taken_at <= end)
                && query.within.is_none_or(|extent| extent.contains(fix))
                && query.after.is_none_or(|Cursor(after)| match query.order {
                    Order::NewestFirst => *key < after,
                    Order::OldestFirst => *key > after,
                })
        };
        let asked = track.iter().filter(|(key, fix)| is_asked(key, fix));
        let take = |asked: &mut dyn Iterator<Item = (&FixKey, &Arc<Fix>)>| -> HistoryPage {
            let found: Vec<(FixKey, Arc<Fix>)> =
                asked.take(query.limit + 1).map(|(key, fix)| (*key, Arc::clone(fix))).collect();
            let has_more = found.len() > query.limit;
            let last = found.iter().take(query.limit).next_back().map(|(key, _fix)| Cursor(*key));
            let fixes = found.into_iter().take(query.limit).map(|(_key, fix)| fix).collect();
            HistoryPage { fixes, next: last.filter(|_last| has_more) }
        };
        match query.order {
            Order::NewestFirst => take(&mut asked.rev()),
            Order::OldestFirst => take(&mut { asked }),
        }
    }

    fn newest(&self, query: &NewestQuery) -> Vec<Arc<Fix>> {
        let newest = |device: &DeviceId| {
            let end = FixKey { taken_at: query.at, discriminator: i64::MAX };
            let (key, fix) = self.tracks.get(device)?.range(..=end).next_back()?;
            query.not_before.is_none_or(|least| key.taken_at >= least).then(|| Arc::clone(fix))
        };
        query.devices.iter().filter_map(newest).collect()
    }

    fn window(&self, query: &WindowQuery) -> Window {
        let mut fixes: Vec<Arc<Fix>> = Vec::new();
        let bound = |taken_at| FixKey { taken_at, discriminator: i64::MIN };
        for device in &query.devices {
            let Some(track) = self.tracks.get(device) else { continue };
            let all: Vec<Arc<Fix>> = track
                .range(bound(query.start)..bound(query.end))
                .map(|(_key, fix)| Arc::clone(fix))
                .collect();
            fixes.extend(query.thinned(&all));
        }
        Window::of(fixes, query)
    }

    fn tidy(&mut self, retention: &Retention, now: Timestamp) -> Tidied {
        let mut tidied = Tidied::default();
        let too_old = |limits: KindLimits| limits.age_max.map(|age_max| now.minus(age_max));
        if let Some(least) = too_old(retention.fixes) {
            for track in self.tracks.values_mut() {
                let kept = track.split_off(&FixKey { taken_at: least, discriminator: i64::MIN });
                tidied.fixes_removed += std::mem::replace(track, kept).len() as u64;
            }
        }
        for step in &retention.thinning {
            let least = FixKey { taken_at: now.minus(step.after), discriminator: i64::MIN };
            for track in self.tracks.values_mut() {
                let young = track.split_off(&least);
                let old: Vec<Arc<Fix>> = track.values().cloned().collect();
                let left = thinned(&old, step.every);
                tidied.fixes_thinned += (old.len() - left.len()) as u64;
                *track = left.into_iter().map(|fix| (FixKey::of(&fix), fix)).chain(young).collect();
            }
        }
        self.fixes = self.tracks.values().map(BTreeMap::len).sum();
        while retention.fixes.bytes_max.is_some_and(|most| self.fixes as u64 * FIX_BYTES > most) {
            let oldest = self.tracks.values_mut().filter(|track| !track.is_empty());
            let Some(track) = oldest.min_by_key(|track| track.first_key_value().map(|(key, _fix)| *key))
            else {
                break;
            };
            track.pop_first();
            self.fixes -= 1;
            tidied.fixes_removed += 1;
        }
        self.tracks.retain(|_device, track| !track.is_empty());
        let is_old = |at: Option<Timestamp>, least| at.zip(least).is_some_and(|(at, least)| at < least);
        let is_over = |bytes: u64, limits: KindLimits| limits.bytes_max.is_some_and(|most| bytes > most);
        while is_old(self.events.first_key_value().map(|(_, it)| it.at), too_old(retention.events))
            || is_over(self.event_bytes, retention.events)
        {
            tidied.events_removed += u64::from(self.pop_event().is_some());
        }
        // The newest stays: the chain goes on after it.
        while self.audit.len() > 1
            && (is_old(self.audit.first_key_value().map(|(_, it)| it.record.at), too_old(retention.audit))
                || is_over(self.audit_bytes, retention.audit))
        {
            tidied.audit_removed += u64::from(self.pop_audit().is_some());
        }
        tidied
    }
}

impl Store for MemoryStore {
    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>> {
        let remembered = self.kept.lock().load(events_max);
        Box::pin(std::future::ready(Ok(remembered)))
    }

    fn commit(&self, records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.keep(&records);
        Box::pin(std::future::ready(Ok(())))
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        let page = self.kept.lock().page(&query);
        Box::pin(std::future::ready(Ok(page)))
    }

    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>> {
        let newest = self.kept.lock().newest(&query);
        Box::pin(std::future::ready(Ok(newest)))
    }

    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>> {
        let window = self.kept.lock().window(&query);
        Box::pin(std::future::ready(Ok(window)))
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        let kept = self.kept.lock();
        let is_asked = |event: &&EventRecord| {
            query.room.as_ref().is_none_or(|room| *room == event.room)
                && query.start.is_none_or(|start| event.at >= start)
                && query.end.is_none_or(|end| event.at <= end)
        };
        let before =
            kept.events.range(..query.after.unwrap_or(u64::MAX)).rev().map(|(_ordinal, event)| event);
        let mut events: Vec<EventRecord> = before.filter(is_asked).take(query.limit + 1).cloned().collect();
        let has_more = events.len() > query.limit;
        events.truncate(query.limit);
        let next = events.last().map(|event| event.ordinal).filter(|_last| has_more);
        Box::pin(std::future::ready(Ok(EventPage { events, next })))
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        let kept = self.kept.lock();
        let is_asked = |(_ordinal, entry): &(&u64, &AuditEntry)| {
            let record = &entry.record;
            query.subject.as_ref().is_none_or(|subject| *subject == record.subject)
                && query.action.as_ref().is_none_or(|action| *action == record.action)
                && query.start.is_none_or(|start| record.at >= start)
                && query.end.is_none_or(|end| record.at <= end)
        };
        let take = |entries: &mut dyn Iterator<Item = (&u64, &AuditEntry)>| -> Vec<(u64, AuditEntry)> {
            let found = entries.filter(is_asked).take(query.limit + 1);
            found.map(|(&ordinal, entry)| (ordinal, entry.clone())).collect()
        };
        let mut entries = match query.order {
            Order::NewestFirst => take(&mut kept.audit.range(..query.after.unwrap_or(u64::MAX)).rev()),
            Order::OldestFirst => take(&mut kept.audit.range(query.after.map_or(0, |after| after + 1)..)),
        };
        let has_more = entries.len() > query.limit;
        entries.truncate(query.limit);
        let next = entries.last().map(|(ordinal, _entry)| *ordinal).filter(|_last| has_more);
        Box::pin(std::future::ready(Ok(AuditPage { entries, next })))
    }

    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>> {
        let tidied = self.kept.lock().tidy(&retention, now);
        Box::pin(std::future::ready(Ok(tidied)))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>> {
        let kept = self.kept.lock();
        let usage = Usage {
            fixes: Amount { count: kept.fixes as u64, bytes: kept.fixes as u64 * FIX_BYTES },
            events: Amount { count: kept.events.len() as u64, bytes: kept.event_bytes },
            audit: Amount { count: kept.audit.len() as u64, bytes: kept.audit_bytes },
            plans: self.plans.amount(),
            disk_bytes: 0,
        };
        Box::pin(std::future::ready(Ok(usage)))
    }

    fn plans(&self) -> &dyn PlanStore {
        &self.plans
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Fixture;

    /// A store in memory that holds as much as any check wants.
    struct Memory;

    impl Fixture for Memory {
        fn open(&mut self) -> BoxFuture<'_, Arc<dyn Store>> {
            Box::pin(std::future::ready(Arc::new(MemoryStore::new(usize::MAX, usize::MAX, usize::MAX)) as _))
        }

        fn survives(&self) -> bool {
            false
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "other stores may not be there")]
    fn memory() -> Option<Memory> {
        Some(Memory)
    }

    crate::store_conformance!(memory);

    #[tokio::test]
    async fn history_is_bounded_for_each_device_and_in_all() {
        use crate::conformance::make::{at, fix, keep, record, xs_of};
        for (store, left) in [
            (MemoryStore::new(3, 1_000, 10), vec![9.0, 8.0, 7.0]),
            (MemoryStore::new(1_000, 2, 10), vec![9.0, 8.0]),
        ] {
            let store: Arc<dyn Store> = Arc::new(store);
            keep(&store, (0..10).map(|n| record(fix("a", f64::from(n), at(n.into())))).collect()).await;
            assert_eq!(xs_of(&store, "a").await, left);
        }
    }
}
