//! The bytes of pictures that are being told, each once, however many read them; and whose turn it is to change plans.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use anita_hub::Hub;
use anita_model::PlanId;
use anita_session::Refused;
use anita_store::{Picture, PictureBytes};
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use crate::problem::Problem;

/// How many pictures may come at a time: so many times the largest one is what they take.
const UPLOADS_MAX: usize = 4;

/// A picture, and its bytes while somebody has them.
type Lent = (Picture, Weak<[u8]>);

/// The shelf.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// What somebody is reading at the moment; at most one entry for each plan that there is, or was a moment ago.
    lent: Mutex<HashMap<PlanId, Lent>>,
    /// Held by who changes plans: each change follows from what is there.
    turn: Mutex<()>,
    uploads: Semaphore,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { lent: Mutex::default(), turn: Mutex::default(), uploads: Semaphore::new(UPLOADS_MAX) }
    }
}

impl Shelf {
    /// The turn of one change.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// A place for a picture that comes, if there is one.
    pub(super) fn upload(&self) -> Option<SemaphorePermit<'_>> {
        self.uploads.try_acquire().ok()
    }

    /// The bytes of a picture. They are read from the store by one after the other, and by nobody while somebody else has
    /// them.
    pub(super) async fn bytes(
        &self,
        hub: &Hub,
        id: &PlanId,
        listed: &Picture,
    ) -> Result<Option<(Picture, PictureBytes)>, Problem> {
        let mut lent = self.lent.lock().await;
        if let Some((picture, bytes)) = lent.get(id)
            && picture == listed
            && let Some(bytes) = bytes.upgrade()
        {
            return Ok(Some((*picture, bytes)));
        }
        lent.retain(|_id, (_picture, bytes)| bytes.strong_count() > 0);
        let found = hub.plan_picture(id.clone()).await.map_err(Refused::from)?;
        if let Some((picture, bytes)) = &found {
            lent.insert(id.clone(), (*picture, Arc::downgrade(bytes)));
        }
        Ok(found)
    }
}
