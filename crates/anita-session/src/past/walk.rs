//! Through the fixes of many devices, page by page.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Principal, TokenError};
use anita_hub::{Hub, Past};
use anita_model::{DeviceId, Fix, Timestamp};
use anita_store::{Cursor, HistoryQuery, Order};

use super::{FIXES_AT_ONCE, Range, Selection};
use crate::authentication::token_refusal;
use crate::handlers::Refused;

/// A walk through the fixes of devices: device by device in the order of their ids, the oldest first. It holds one page
/// of ids and nothing else, however long it is.
#[derive(Debug)]
pub struct Walk {
    hub: Arc<Hub>,
    past: Past,
    principal: Principal,
    selection: Selection,
    range: Range,
    /// The devices that come next.
    ids: VecDeque<DeviceId>,
    /// The last device of the ids that were looked up.
    looked_up: Option<DeviceId>,
    /// The device that is under way, and where.
    present: Option<(DeviceId, Option<Cursor>)>,
    /// At least this is between two fixes of a device.
    spacing: Duration,
    /// When the last fix of the present device was that was not left out.
    kept_at: Option<Timestamp>,
}

impl Walk {
    /// At its beginning. The rights are those of the moment in which it began; it ends when the token is revoked.
    pub fn new(hub: Arc<Hub>, principal: Principal, selection: Selection, range: Range) -> Self {
        let past = hub.past();
        Self {
            hub,
            past,
            principal,
            selection,
            range,
            ids: VecDeque::new(),
            looked_up: None,
            present: None,
            spacing: Duration::ZERO,
            kept_at: None,
        }
    }

    /// Leaves out the fixes that are less than `spacing` after the one before of the same device that was not left out.
    #[must_use]
    pub fn thinned(self, spacing: Duration) -> Self {
        Self { spacing, ..self }
    }

    /// One step: the next page of fixes, all of one device; it can be empty. `None` at the end.
    ///
    /// # Errors
    /// When the store does not answer, and when the token was revoked meanwhile.
    pub async fn step(&mut self) -> Result<Option<Vec<Arc<Fix>>>, Refused> {
        // A walk may take minutes.
        if self.hub.is_revoked(&self.principal) {
            return Err(token_refusal(TokenError::Revoked).into());
        }
        let Some((device, after)) = self.present.take().or_else(|| self.next_device()) else {
            return Ok(None);
        };
        let query = HistoryQuery {
            device: device.clone(),
            start: self.range.start,
            end: self.range.end,
            order: Order::OldestFirst,
            limit: FIXES_AT_ONCE,
            after,
            within: None,
        };
        let page = self.past.page(query).await?;
        self.present = page.next.map(|next| (device, Some(next)));
        let mut fixes = page.fixes;
        if !self.spacing.is_zero() {
            fixes.retain(|fix| self.keeps(fix.taken_at));
        }
        Ok(Some(fixes))
    }

    /// Whether the next fix of the present device is far enough from the one before; it is that one from then on.
    fn keeps(&mut self, taken_at: Timestamp) -> bool {
        let is_kept = self.kept_at.is_none_or(|before| taken_at.since(before) >= self.spacing);
        if is_kept {
            self.kept_at = Some(taken_at);
        }
        is_kept
    }

    fn next_device(&mut self) -> Option<(DeviceId, Option<Cursor>)> {
        self.kept_at = None;
        if self.ids.is_empty() {
            self.ids = self.selection.after(&self.hub, &self.principal, self.looked_up.as_ref()).into();
            if let Some(last) = self.ids.back() {
                self.looked_up = Some(last.clone());
            }
        }
        self.ids.pop_front().map(|device| (device, None))
    }
}
