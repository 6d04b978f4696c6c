//! Floor plans in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use anita_model::PlanId;
use parking_lot::Mutex;

use crate::plan::{Picture, PictureBytes, PictureChange, Plan, PlanStore};
use crate::port::{BoxFuture, StoreError};
use crate::retention::Amount;

/// A plan with the bytes of its picture.
type Kept = (Plan, Option<PictureBytes>);

/// The plans.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<BTreeMap<PlanId, Kept>>);

impl Plans {
    pub(super) fn amount(&self) -> Amount {
        let kept = self.0.lock();
        let bytes = kept.values().map(|(_plan, bytes)| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
        Amount { count: kept.len() as u64, bytes: bytes.sum() }
    }

    fn put(&self, plan: Plan, picture: PictureChange) {
        let mut kept = self.0.lock();
        let before = kept.remove(&plan.id).and_then(|(_plan, bytes)| bytes);
        let bytes = match picture {
            PictureChange::Stays => before,
            PictureChange::Replaced(bytes) => Some(bytes),
        };
        let bytes = bytes.filter(|_bytes| plan.picture.is_some());
        kept.insert(plan.id.clone(), (plan, bytes));
    }
}

impl PlanStore for Plans {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Plan>, StoreError>> {
        let plans = self.0.lock().values().map(|(plan, _bytes)| plan.clone()).collect();
        Box::pin(std::future::ready(Ok(plans)))
    }

    fn picture(&self, id: PlanId) -> BoxFuture<'_, Result<Option<(Picture, PictureBytes)>, StoreError>> {
        let kept = self.0.lock();
        let found =
            kept.get(&id).and_then(|(plan, bytes)| Some((plan.picture?, Arc::clone(bytes.as_ref()?))));
        Box::pin(std::future::ready(Ok(found)))
    }

    fn save(&self, plan: Plan, picture: PictureChange) -> BoxFuture<'_, Result<(), StoreError>> {
        self.put(plan, picture);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove(&self, id: PlanId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.lock().remove(&id);
        Box::pin(std::future::ready(Ok(())))
    }
}
