//! Past locations in memory: a ring for each device, bounded by entries for each and for all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use anita_model::{DeviceId, Fix};
use parking_lot::Mutex;

use crate::port::{BoxFuture, Cursor, History, HistoryPage, HistoryQuery, StoreError};

/// Past locations in memory. When a device has as many as it may, or all have, the oldest of that device go.
#[derive(Debug)]
pub struct MemoryHistory {
    fixes_per_device_max: usize,
    fixes_max: usize,
    rings: Mutex<Rings>,
}

#[derive(Debug, Default)]
struct Rings {
    /// Of each device, oldest first by the device's time; those with the same time in the order of their arrival.
    by_device: HashMap<DeviceId, VecDeque<Arc<Fix>>>,
    count: usize,
}

impl MemoryHistory {
    /// An empty history that keeps at most so many fixes of a device, and of all.
    pub fn new(fixes_per_device_max: usize, fixes_max: usize) -> Self {
        Self { fixes_per_device_max, fixes_max, rings: Mutex::default() }
    }

    fn keep(&self, rings: &mut Rings, fix: Arc<Fix>) {
        let ring = rings.by_device.entry(fix.device.clone()).or_default();
        // Late ones are few and not far from the end, so the search from the back is short.
        let place = ring.iter().rposition(|it| it.taken_at <= fix.taken_at).map_or(0, |index| index + 1);
        let is_known = ring
            .iter()
            .take(place)
            .rev()
            .take_while(|it| it.taken_at == fix.taken_at)
            .any(|it| it.position == fix.position && it.source == fix.source);
        if is_known {
            return;
        }
        ring.insert(place, fix);
        rings.count += 1;
        if ring.len() > self.fixes_per_device_max || rings.count > self.fixes_max {
            ring.pop_front();
            rings.count -= 1;
        }
    }
}

impl Rings {
    fn page(&self, query: &HistoryQuery) -> HistoryPage {
        let Some(ring) = self.by_device.get(&query.device) else { return HistoryPage::default() };
        let mut page = HistoryPage::default();
        let mut ordinal = 0;
        let mut previous = None;
        for fix in ring.iter().rev() {
            ordinal = if previous == Some(fix.taken_at) { ordinal + 1 } else { 0 };
            previous = Some(fix.taken_at);
            let is_in_range = query.start.is_none_or(|start| fix.taken_at >= start)
                && query.end.is_none_or(|end| fix.taken_at <= end)
                && query.after.is_none_or(|after| {
                    fix.taken_at < after.taken_at
                        || (fix.taken_at == after.taken_at && ordinal > after.ordinal)
                });
            if !is_in_range {
                continue;
            }
            if page.fixes.len() == query.limit {
                return page;
            }
            page.fixes.push(Arc::clone(fix));
            page.next = Some(Cursor { taken_at: fix.taken_at, ordinal });
        }
        page.next = None;
        page
    }
}

impl History for MemoryHistory {
    fn append(&self, fixes: Vec<Arc<Fix>>) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut rings = self.rings.lock();
        for fix in fixes {
            self.keep(&mut rings, fix);
        }
        drop(rings);
        Box::pin(std::future::ready(Ok(())))
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        let page = self.rings.lock().page(&query);
        Box::pin(std::future::ready(Ok(page)))
    }

    fn forget(&self, device: DeviceId) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut rings = self.rings.lock();
        let forgotten = rings.by_device.remove(&device).map_or(0, |ring| ring.len());
        rings.count -= forgotten;
        drop(rings);
        Box::pin(std::future::ready(Ok(())))
    }
}
