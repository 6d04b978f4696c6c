//! Position tracking: this client's own view, at its own rate.

use std::time::Duration;

use anita_model::{DeviceId, Now};
use anita_views::{Filter, Form, Pace, Slot, Start, ViewSpec};
use anita_wire::limits::{TRACKED_DEVICES_MAX, UPDATE_FREQUENCY_DEFAULT_SECS, UPDATE_FREQUENCY_RANGE_SECS};
use anita_wire::message::{TrackingStarted, TrackingStopped};
use anita_wire::request::StartPositionTracking;
use anita_wire::{ErrorCode, Refusal, RequestId};
use bytes::Bytes;
use serde_json::json;

use crate::handlers::{Refused, answer};
use crate::session::Session;

impl Session {
    pub(crate) fn start_tracking(
        &mut self,
        payload: StartPositionTracking,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let count = payload.device_ids.len();
        if count > TRACKED_DEVICES_MAX {
            let message = format!("device_ids: {count} devices, at most {TRACKED_DEVICES_MAX} are allowed.");
            let details = json!({ "path": "device_ids", "limit": TRACKED_DEVICES_MAX });
            return Err(Refusal::saying(ErrorCode::TooLarge, message).with_details(details).into());
        }
        let update_frequency = payload.update_frequency.unwrap_or(UPDATE_FREQUENCY_DEFAULT_SECS);
        if !UPDATE_FREQUENCY_RANGE_SECS.contains(&update_frequency) {
            let (least, most) = (UPDATE_FREQUENCY_RANGE_SECS.start(), UPDATE_FREQUENCY_RANGE_SECS.end());
            let message =
                format!("update_frequency: has to be {least} to {most}, the seconds between two updates.");
            let details = json!({ "path": "update_frequency" });
            return Err(Refusal::saying(ErrorCode::OutOfRange, message).with_details(details).into());
        }
        let started = TrackingStarted {
            device_ids: payload.device_ids.iter().map(DeviceId::to_string).collect(),
            update_frequency,
        };
        let filter =
            if payload.device_ids.is_empty() { Filter::all() } else { Filter::devices(payload.device_ids) };
        let interval = Duration::from_secs_f64(update_frequency);
        let spec = ViewSpec::new(filter, Form::Batch, Pace::Beat(interval));
        let seat = self.peer().seat;
        self.peer().shard.with(now, |views| views.watch(seat, Slot::Tracking, spec, Start::Snapshot, now));
        Ok(answer(&started, id))
    }

    pub(crate) fn stop_tracking(&mut self, id: Option<&RequestId>, now: Now) -> Bytes {
        let seat = self.peer().seat;
        self.peer().shard.with(now, |views| views.unwatch(seat, Slot::Tracking));
        answer(&TrackingStopped {}, id)
    }
}
