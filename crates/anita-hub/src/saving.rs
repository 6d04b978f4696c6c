//! What of the registry still has to be kept. A change stays here until the store has it: a caller that gives up, or a
//! store that refuses, loses nothing; the next change, or the next sweep, tries again.

use std::collections::BTreeMap;
use std::sync::Arc;

use anita_model::DeviceId;
use anita_store::{BoxFuture, DeviceChange, DeviceStore, StoreError};
use parking_lot::Mutex;

/// The changes that the store does not have yet: the last one of each device.
#[derive(Debug)]
pub(crate) struct Saving {
    store: Arc<dyn DeviceStore>,
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    changes: BTreeMap<DeviceId, (u64, DeviceChange)>,
    /// Counts changes.
    last: u64,
    /// The changes up to this one are on their way to the store.
    sent: u64,
}

/// Changes on their way. Dropped before it is done, they will be sent again, which does no harm.
pub(crate) struct Ticket<'a> {
    saving: &'a Saving,
    up_to: u64,
    applied: Option<BoxFuture<'a, Result<(), StoreError>>>,
}

impl Saving {
    pub(crate) fn new(store: Arc<dyn DeviceStore>) -> Self {
        Self { store, pending: Mutex::default() }
    }

    /// Remembers changes and sends those that are not on their way. Call it while the order of the changes cannot
    /// change. `None` when there is nothing to send.
    pub(crate) fn send(
        &self,
        changes: impl IntoIterator<Item = (DeviceId, DeviceChange)>,
    ) -> Option<Ticket<'_>> {
        let mut pending = self.pending.lock();
        for (id, change) in changes {
            pending.last += 1;
            let number = pending.last;
            pending.changes.insert(id, (number, change));
        }
        let sent = pending.sent;
        let unsent = pending.changes.values().filter(|(number, _change)| *number > sent);
        let unsent: Vec<DeviceChange> = unsent.map(|(_number, change)| change.clone()).collect();
        if unsent.is_empty() {
            return None;
        }
        pending.sent = pending.last;
        let up_to = pending.last;
        Some(Ticket { saving: self, up_to, applied: Some(self.store.apply(unsent)) })
    }

    /// How many changes the store does not have yet.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.lock().changes.len()
    }
}

impl Ticket<'_> {
    /// Done when the store has the changes.
    pub(crate) async fn kept(mut self) -> Result<(), StoreError> {
        let Some(applied) = self.applied.as_mut() else { return Ok(()) };
        let result = applied.await;
        if result.is_ok() {
            self.applied = None;
            let up_to = self.up_to;
            self.saving.pending.lock().changes.retain(|_id, (number, _change)| *number > up_to);
        }
        result
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.applied.is_some() {
            self.saving.pending.lock().sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anita_model::{DeviceKind, SiteName};
    use anita_store::DeviceRecord;

    /// A store that refuses until it is told not to.
    #[derive(Debug, Default)]
    struct Moody {
        is_well: Mutex<bool>,
        kept: Mutex<Vec<DeviceChange>>,
    }

    impl DeviceStore for Moody {
        fn load(&self) -> BoxFuture<'_, Result<Vec<DeviceRecord>, StoreError>> {
            Box::pin(std::future::ready(Ok(Vec::new())))
        }

        fn apply(&self, changes: Vec<DeviceChange>) -> BoxFuture<'_, Result<(), StoreError>> {
            if !*self.is_well.lock() {
                return Box::pin(std::future::ready(Err(StoreError::Busy)));
            }
            self.kept.lock().extend(changes);
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn change(id: &str) -> (DeviceId, DeviceChange) {
        let id = DeviceId::parse(id).unwrap();
        let record = DeviceRecord {
            id: id.clone(),
            name: None,
            kind: DeviceKind::Tag,
            site: SiteName::main(),
            mounted_at: None,
            floor: None,
        };
        (id, DeviceChange::Save(record))
    }

    fn at_once<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(done) => done,
            std::task::Poll::Pending => panic!("the store of this test does not wait"),
        }
    }

    /// Once, a thousand devices of a report were acknowledged at the second try although the first, cut off in the
    /// middle, had kept five of them.
    #[test]
    fn what_was_refused_or_given_up_is_kept_with_the_next_change() {
        let store = Arc::new(Moody::default());
        let saving = Saving::new(Arc::clone(&store) as Arc<dyn DeviceStore>);
        assert!(at_once(saving.send([change("a"), change("b")]).unwrap().kept()).is_err());
        *store.is_well.lock() = true;
        drop(saving.send([change("c")]).unwrap());
        assert_eq!(saving.waiting(), 3);
        at_once(saving.send([]).unwrap().kept()).unwrap();
        assert_eq!(saving.waiting(), 0);
        assert!(saving.send([]).is_none());
        let kept = store.kept.lock();
        for (id, change) in [change("a"), change("b"), change("c")] {
            assert!(kept.contains(&change), "{id}");
        }
    }
}
