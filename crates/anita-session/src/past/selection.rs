//! Which devices a question is about.

use std::collections::BTreeSet;

use anita_auth::{Patterns, Principal};
use anita_hub::{DeviceFilter, Hub};
use anita_model::DeviceId;
use anita_wire::limits::DEVICES_PER_PAGE_MAX;

use super::{field, no_such_device, too_much};
use crate::handlers::Refused;

/// The most ids that a question names.
pub const SELECTED_IDS_MAX: usize = 1_000;

/// What makes a text a pattern.
const PATTERN_CHARACTERS: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Which devices a question is about, in the order of their ids.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Those named; they are there and may be seen.
    ids: BTreeSet<DeviceId>,
    /// Those that match; `None` for none beside those named.
    patterns: Option<Patterns>,
}

impl Selection {
    /// All that may be seen.
    pub fn all() -> Self {
        Self { ids: BTreeSet::new(), patterns: Some(Patterns::all()) }
    }

    /// One device.
    ///
    /// # Errors
    /// `not_found` when there is no such device that the principal may see.
    pub fn one(hub: &Hub, principal: &Principal, device: &str) -> Result<Self, Refused> {
        Self::of(hub, principal, &[device.to_owned()], &[])
    }

    /// Ids, and patterns with `*`, `?`, `[ab]`, `{a,b}`. A text that is the id of a device is that, whatever it looks
    /// like.
    ///
    /// # Errors
    /// `not_found` for an id that is not there, or not for this principal; `invalid_payload` for what is neither an id
    /// nor a pattern; `too_large`.
    pub fn parse(hub: &Hub, principal: &Principal, texts: &[String]) -> Result<Self, Refused> {
        let (mut ids, mut patterns) = (Vec::new(), Vec::new());
        for text in texts {
            let is_id = || {
                let id = DeviceId::parse(text);
                id.is_ok_and(|id| hub.device(principal, &id).is_some())
            };
            if text.contains(PATTERN_CHARACTERS) && !is_id() {
                patterns.push(text.clone());
            } else {
                ids.push(text.clone());
            }
        }
        Self::of(hub, principal, &ids, &patterns)
    }

    fn of(hub: &Hub, principal: &Principal, ids: &[String], patterns: &[String]) -> Result<Self, Refused> {
        if ids.len() > SELECTED_IDS_MAX {
            let message = format!(
                "{} device ids, at most {SELECTED_IDS_MAX} are allowed: use patterns, or ask several times.",
                ids.len()
            );
            return Err(too_much(message, SELECTED_IDS_MAX));
        }
        let found = ids.iter().map(|text| {
            let id = DeviceId::parse(text).map_err(|invalid| field("devices", invalid))?;
            hub.device(principal, &id).map(|_device| id.clone()).ok_or_else(|| no_such_device(&id))
        });
        let ids = found.collect::<Result<BTreeSet<DeviceId>, Refused>>()?;
        let patterns = match patterns {
            [] => None,
            some => Some(Patterns::parse(some).map_err(|invalid| field("devices", invalid))?),
        };
        Ok(Self { ids, patterns })
    }

    /// The next devices in the order of their ids, after this one; at most a thousand. None when there are no more.
    pub(super) fn after(&self, hub: &Hub, principal: &Principal, after: Option<&DeviceId>) -> Vec<DeviceId> {
        let Some(patterns) = &self.patterns else {
            let rest = self.ids.iter().filter(|id| after.is_none_or(|after| *id > after));
            return rest.take(DEVICES_PER_PAGE_MAX).cloned().collect();
        };
        let mut after = after.map(|id| id.as_str().to_owned());
        loop {
            let filter = DeviceFilter::default();
            let page = hub.devices(principal, &filter, after.as_deref(), DEVICES_PER_PAGE_MAX);
            let ids = page.devices.iter().filter_map(|device| DeviceId::parse(&device.id).ok());
            let found: Vec<DeviceId> =
                ids.filter(|id| patterns.allow(id.as_str()) || self.ids.contains(id)).collect();
            if !found.is_empty() || page.next.is_none() {
                return found;
            }
            after = page.next;
        }
    }
}
