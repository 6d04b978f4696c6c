//! Playing the past back: what is asked is checked here, and played in `playback.rs`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use anita_auth::Principal;
use anita_hub::DeviceFilter;
use anita_model::{DeviceId, Now, Timestamp};
use anita_wire::limits::{
    PLAYBACK_DEVICES_MAX, PLAYBACK_PERIOD_SECS_MAX, PLAYBACK_SPEED_MAX, PLAYBACK_SPEED_MIN,
    PLAYBACK_UPDATE_DEFAULT_SECS, PLAYBACK_UPDATE_SECS_MAX, PLAYBACK_UPDATE_SECS_MIN,
};
use anita_wire::message::{PlaybackStarted, PlaybackStopped};
use anita_wire::playback::PlaybackEnd;
use anita_wire::request::{PlayHistory, UpdatePlayback};
use anita_wire::{ErrorCode, Refusal, RequestId, Time};
use bytes::Bytes;
use serde_json::json;

use crate::handlers::devices::no_such_device;
use crate::handlers::{Refused, answer};
use crate::playback::{Change, PLAYBACKS_MAX, Playback, Programme, Turn, frame_of};
use crate::session::Session;

const SPEED_RANGE: RangeInclusive<f64> = PLAYBACK_SPEED_MIN..=PLAYBACK_SPEED_MAX;

const UPDATE_RANGE_SECS: RangeInclusive<f64> = PLAYBACK_UPDATE_SECS_MIN..=PLAYBACK_UPDATE_SECS_MAX;

/// When to try again where too many play back, milliseconds.
const TURN_RETRY_AFTER_MS: u64 = 10_000;

/// A number within its limits.
fn within(path: &str, number: f64, range: &RangeInclusive<f64>) -> Result<f64, Refused> {
    if range.contains(&number) {
        return Ok(number);
    }
    let (least, most) = (range.start(), range.end());
    let details = json!({ "path": path, "min": least, "max": most });
    let message = format!("{path}: has to be {least} to {most}.");
    Err(Refusal::saying(ErrorCode::OutOfRange, message).with_details(details).into())
}

fn wrong_time(path: &str, reason: &str, details: serde_json::Value) -> Refused {
    let mut refusal = Refusal::saying(ErrorCode::OutOfRange, format!("{path}: {reason}."));
    refusal.details = Some(details);
    refusal.into()
}

/// Begin and end of what is asked for; what lies in the future is cut off.
fn period(payload: &PlayHistory, now: Now) -> Result<(Timestamp, Timestamp), Refused> {
    let (Time(start), Time(end)) = (payload.start_time, payload.end_time);
    if start >= end {
        let details = json!({ "path": "start_time" });
        return Err(wrong_time("start_time", "has to be before end_time", details));
    }
    if start >= now.wall {
        let details = json!({ "path": "start_time", "max": Time(now.wall) });
        return Err(wrong_time("start_time", "is in the future", details));
    }
    let end = end.min(now.wall);
    let longest = Duration::from_secs(PLAYBACK_PERIOD_SECS_MAX.into());
    if end.since(start) > longest {
        let reason = format!("the period is longer than {PLAYBACK_PERIOD_SECS_MAX} s");
        let details = json!({ "path": "end_time", "limit": PLAYBACK_PERIOD_SECS_MAX });
        return Err(wrong_time("end_time", &reason, details));
    }
    Ok((start, end))
}

fn too_many(count: usize) -> Refused {
    let message = format!("device_ids: {count} devices, at most {PLAYBACK_DEVICES_MAX} are allowed.");
    let details = json!({ "path": "device_ids", "limit": PLAYBACK_DEVICES_MAX });
    Refusal::saying(ErrorCode::TooLarge, message).with_details(details).into()
}

impl Session {
    /// Those that are asked for, or all that the principal may see; each once, in the order of their ids.
    fn devices_to_play(&self, asked: Option<Vec<DeviceId>>) -> Result<Vec<DeviceId>, Refused> {
        let (hub, principal) = (&self.context.hub, self.principal()?);
        let asked: BTreeSet<DeviceId> = asked.unwrap_or_default().into_iter().collect();
        if asked.is_empty() {
            return self.all_devices(principal);
        }
        if asked.len() > PLAYBACK_DEVICES_MAX {
            return Err(too_many(asked.len()));
        }
        match asked.iter().find(|device| hub.device(principal, device).is_none()) {
            Some(unknown) => Err(no_such_device(unknown)),
            None => Ok(asked.into_iter().collect()),
        }
    }

    fn all_devices(&self, principal: &Principal) -> Result<Vec<DeviceId>, Refused> {
        let page = self.context.hub.devices(principal, &DeviceFilter::default(), None, PLAYBACK_DEVICES_MAX);
        if page.total > PLAYBACK_DEVICES_MAX {
            return Err(too_many(page.total));
        }
        // Each of these is an id already.
        Ok(page.devices.iter().filter_map(|device| DeviceId::parse(&device.id).ok()).collect())
    }

    pub(crate) fn play_history(
        &mut self,
        payload: PlayHistory,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let (start, end) = period(&payload, now)?;
        let speed = within("speed", payload.speed.unwrap_or(1.0), &SPEED_RANGE)?;
        let update_frequency = payload.update_frequency.unwrap_or(PLAYBACK_UPDATE_DEFAULT_SECS);
        let update_frequency = within("update_frequency", update_frequency, &UPDATE_RANGE_SECS)?;
        let devices = self.devices_to_play(payload.device_ids)?;
        // Whoever plays back already has a turn.
        let turn = match self.end_playback(PlaybackEnd::Replaced, now) {
            Some((_replaced, turn)) => Some(turn),
            None => Turn::take(&self.context.playbacks),
        };
        let turn = turn.ok_or_else(|| {
            let message =
                format!("The server plays back for {PLAYBACKS_MAX} clients, the most that it does.");
            Refusal::saying(ErrorCode::Unavailable, message)
                .with_retry_after_ms(TURN_RETRY_AFTER_MS)
                .with_details(json!({ "limit": PLAYBACKS_MAX }))
        })?;
        self.playbacks_begun = self.playbacks_begun.wrapping_add(1);
        let playback = format!("p{}", self.playbacks_begun);
        let started = PlaybackStarted {
            playback: playback.clone(),
            start_time: Time(start),
            end_time: Time(end),
            speed,
            update_frequency,
            devices: devices.len(),
        };
        let interval = Duration::from_secs_f64(update_frequency);
        let programme = Programme { start, end, devices, speed, interval };
        let frame = frame_of(&started, &playback, id);
        self.playback = Some(Box::new(Playback::new(playback, programme, turn, now.uptime)));
        Ok(frame)
    }

    pub(crate) fn update_playback(
        &mut self,
        payload: &UpdatePlayback,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let Some(playback) = &mut self.playback else {
            let message = "This connection plays nothing back.";
            return Err(Refusal::saying(ErrorCode::NotFound, message).into());
        };
        let speed = payload.speed.map(|speed| within("speed", speed, &SPEED_RANGE)).transpose()?;
        let at = payload.at.map(|Time(at)| at);
        let (start, end) = playback.period();
        if at.is_some_and(|at| at < start || at > end) {
            let details = json!({ "path": "at", "min": Time(start), "max": Time(end) });
            return Err(wrong_time("at", "is outside the period that is played", details));
        }
        playback.change(Change { paused: payload.paused, at, speed }, now.uptime);
        Ok(frame_of(&playback.updated(now.uptime), playback.id(), id))
    }

    pub(crate) fn stop_playback(&mut self, id: Option<&RequestId>, now: Now) -> Bytes {
        match self.end_playback(PlaybackEnd::Stopped, now) {
            Some((playback, _turn)) => {
                frame_of(&PlaybackStopped { playback: Some(playback.clone()) }, &playback, id)
            }
            None => answer(&PlaybackStopped { playback: None }, id),
        }
    }
}
