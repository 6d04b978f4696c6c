//! A period of the past, played back beside what is live.
//!
//! Nothing runs by itself: on each wake, [`Playback::tick`] sees how far its clock is, tells what is due, reads ahead in the
//! store, and says when it is to be woken next. Where the store is slower than the clock, the clock waits for it.

mod clock;
mod reel;
mod turn;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use anita_auth::{Permission, Principal};
use anita_model::{DeviceId, Fix, Now, Timestamp};
use anita_wire::limits::VIEW_DEVICES_PER_MESSAGE_MAX;
use anita_wire::message::{
    PlaybackEnded, PlaybackPosition, PlaybackUpdated, PositionUpdate, ServerPayload, Whereabouts,
};
use anita_wire::playback::{PlaybackEnd, PlaybackState};
use anita_wire::{Outgoing, Place, RequestId, Time};
use bytes::Bytes;

use crate::session::{Delivery, Session};
use clock::Clock;
use reel::{Archive, Reel};

pub(crate) use turn::Turn;
pub use turn::{PLAYBACKS_MAX, Playbacks};

/// How often a client is told where its playback is.
const POSITION_INTERVAL: Duration = Duration::from_secs(1);

/// How often a playback whose client takes nothing looks after itself.
const HELD_INTERVAL: Duration = Duration::from_secs(1);

/// How long a client that changed something is not told that the store has to be waited for: it mostly need not.
const WAITING_UNTOLD: Duration = Duration::from_millis(500);

/// A playback never asks to be woken again sooner: no rounding of times keeps a core busy.
const WAKE_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// What is to be played, checked already.
#[derive(Debug, Clone)]
pub(crate) struct Programme {
    /// Where it begins, by the devices' time.
    pub(crate) start: Timestamp,
    /// Where it ends; this moment is part of it.
    pub(crate) end: Timestamp,
    /// Whose past.
    pub(crate) devices: Vec<DeviceId>,
    /// How much faster than it was.
    pub(crate) speed: f64,
    /// The time between two updates.
    pub(crate) interval: Duration,
}

/// What is changed of a playback under way, checked already.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) paused: Option<bool>,
    pub(crate) at: Option<Timestamp>,
    pub(crate) speed: Option<f64>,
}

/// Whether a playback goes on after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoesOn,
    Ends(PlaybackEnd),
}

/// The playback of one connection.
#[derive(Debug)]
pub(crate) struct Playback {
    id: String,
    start: Timestamp,
    end: Timestamp,
    interval: Duration,
    clock: Clock,
    reel: Reel,
    /// What is to be told: of each device the newest.
    due: BTreeMap<DeviceId, Arc<Fix>>,
    /// Not before this is the next update told, by the uptime.
    update_at: Duration,
    /// When the client is told where the playback is; nothing while it stands still.
    position_at: Option<Duration>,
    wake_at: Duration,
    /// Its place among all playbacks of the server.
    turn: Turn,
}

impl Playback {
    pub(crate) fn new(id: String, programme: Programme, turn: Turn, uptime: Duration) -> Self {
        let Programme { start, end, devices, speed, interval } = programme;
        Self {
            id,
            start,
            end,
            interval,
            clock: Clock::new(start, speed, uptime),
            reel: Reel::new(devices, start, end, interval, speed),
            due: BTreeMap::new(),
            update_at: uptime,
            position_at: Some(uptime),
            wake_at: uptime,
            turn,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The first and the last moment of its period.
    pub(crate) fn period(&self) -> (Timestamp, Timestamp) {
        (self.start, self.end)
    }

    /// When [`Playback::tick`] is due even if nothing happens, by the uptime.
    pub(crate) fn wake_at(&self) -> Duration {
        self.wake_at
    }

    /// Lets the store do its part. Says whether something came of it, for [`Playback::tick`] to take.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        self.reel.poll(context)
    }

    /// Changes it from this moment on.
    pub(crate) fn change(&mut self, change: Change, uptime: Duration) {
        self.advance(uptime);
        if let Some(at) = change.at {
            self.clock.set(at, uptime);
            self.due.clear();
            self.reel.seek(at);
        }
        if let Some(speed) = change.speed.filter(|speed| !self.clock.has_speed(*speed)) {
            self.clock.set_speed(speed, uptime);
            // What was read ahead is thinned out for another speed.
            self.reel.respeed(self.clock.at(uptime), self.interval, speed);
        }
        match change.paused {
            Some(true) => self.clock.pause(uptime),
            Some(false) => self.clock.resume(uptime),
            None => {}
        }
        self.position_at = Some(uptime);
        self.wake_at = uptime;
    }

    /// Forgets the devices that the principal may not see. Says whether any is left.
    fn narrow(&mut self, principal: &Principal) -> bool {
        let may_see = |device: &DeviceId| principal.may_see(device.as_str());
        self.due.retain(|device, _fix| may_see(device));
        self.reel.narrow(may_see)
    }

    /// What the answer to a change says: what is wanted from now on, also where the store has to be waited for.
    pub(crate) fn updated(&self, uptime: Duration) -> PlaybackUpdated {
        let state = if self.clock.is_paused() { PlaybackState::Paused } else { PlaybackState::Playing };
        let (at, speed) = (Time(self.at(uptime)), self.clock.speed());
        PlaybackUpdated { playback: self.id.clone(), at, speed, state }
    }

    /// What is told of its end.
    fn ended(&self, reason: PlaybackEnd, uptime: Duration) -> PlaybackEnded {
        PlaybackEnded { playback: self.id.clone(), reason, at: Time(self.at(uptime)) }
    }

    fn position(&self, uptime: Duration) -> PlaybackPosition {
        let state = if self.clock.is_paused() {
            PlaybackState::Paused
        } else if self.is_waiting(uptime) {
            PlaybackState::Waiting
        } else {
            PlaybackState::Playing
        };
        PlaybackPosition {
            playback: self.id.clone(),
            at: Time(self.at(uptime)),
            speed: self.clock.speed(),
            state,
        }
    }

    /// The moment of the past: never beyond what is known.
    fn at(&self, uptime: Duration) -> Timestamp {
        self.clock.at(uptime).min(self.reel.known_through())
    }

    fn is_waiting(&self, uptime: Duration) -> bool {
        let known = self.reel.known_through();
        self.clock.at(uptime) >= known && !self.reel.is_complete()
    }

    /// Lets time pass: takes what the clock has reached.
    fn advance(&mut self, uptime: Duration) -> Timestamp {
        let known = self.reel.known_through();
        if self.clock.at(uptime) > known {
            self.clock.set(known, uptime);
        }
        let at = self.clock.at(uptime);
        for fix in self.reel.take_through(at) {
            self.due.insert(fix.device.clone(), fix);
        }
        at
    }

    /// Lets time pass, and tells what is due where the socket takes it.
    fn tick(
        &mut self,
        archive: &dyn Archive,
        uptime: Duration,
        delivery: Delivery,
        frames: &mut Vec<Bytes>,
    ) -> Next {
        for fix in self.reel.take_read(uptime) {
            self.due.insert(fix.device.clone(), fix);
        }
        let at = self.advance(uptime);
        self.reel.read_ahead(archive, at, uptime);
        if self.reel.gives_up_at().is_some_and(|deadline| uptime >= deadline) {
            return Next::Ends(PlaybackEnd::Failed);
        }
        if delivery == Delivery::Held {
            self.wake_at = uptime.saturating_add(HELD_INTERVAL);
            return Next::GoesOn;
        }
        if !self.due.is_empty() && uptime >= self.update_at {
            self.update_at = self.next_update(uptime);
            self.tell_positions(at, frames);
        }
        let is_over = at >= self.end && self.reel.is_complete() && self.due.is_empty();
        if is_over && !self.clock.is_paused() {
            return Next::Ends(PlaybackEnd::End);
        }
        if self.position_due(uptime).is_some_and(|due| uptime >= due) {
            frames.push(self.frame(&self.position(uptime)));
            self.position_at =
                Some(uptime.saturating_add(POSITION_INTERVAL)).filter(|_next| !self.clock.is_paused());
        }
        self.wake_at = self.next_wake(uptime).max(uptime.saturating_add(WAKE_INTERVAL_MIN));
        Next::GoesOn
    }

    /// When the next update may be told. One that was told a little late does not delay the ones after it, or steps as far
    /// apart as updates would be left out.
    fn next_update(&self, uptime: Duration) -> Duration {
        let is_in_time = uptime.saturating_sub(self.update_at) < self.interval / 10;
        if is_in_time { self.update_at } else { uptime }.saturating_add(self.interval)
    }

    /// One update: one message, or several where it is about very many devices.
    fn tell_positions(&mut self, at: Timestamp, frames: &mut Vec<Bytes>) {
        let due = std::mem::take(&mut self.due);
        let mut due = due.into_iter().peekable();
        while due.peek().is_some() {
            let told = due.by_ref().take(VIEW_DEVICES_PER_MESSAGE_MAX);
            let positions = told
                .map(|(device, fix)| (device.to_string(), Whereabouts::from(Place::from(fix.position))))
                .collect();
            let update = PositionUpdate { positions, timestamp: Time(at), playback: Some(self.id.clone()) };
            frames.push(self.frame(&update));
        }
    }

    fn position_due(&self, uptime: Duration) -> Option<Duration> {
        let grace = if self.is_waiting(uptime) { WAITING_UNTOLD } else { Duration::ZERO };
        self.position_at.map(|due| due.saturating_add(grace))
    }

    /// When something is to be done next, by the uptime.
    fn next_wake(&self, uptime: Duration) -> Duration {
        let mut wake = self.position_due(uptime).unwrap_or(Duration::MAX);
        let mut or_at = |due: Option<Duration>| wake = wake.min(due.unwrap_or(Duration::MAX));
        or_at((!self.due.is_empty()).then_some(self.update_at));
        or_at(self.reel.next_read().and_then(|at| self.clock.reaches(at)));
        or_at(self.reel.retries_at(uptime));
        or_at(self.reel.gives_up_at());
        if let Some(next) = self.reel.next_fix() {
            or_at(self.clock.reaches(next).map(|reached| reached.max(self.update_at)));
        }
        if self.reel.is_complete() {
            let not_before = if self.due.is_empty() { uptime } else { self.update_at };
            or_at(self.clock.reaches(self.end).map(|reached| reached.max(not_before)));
        }
        wake
    }

    fn frame<P: ServerPayload>(&self, payload: &P) -> Bytes {
        frame_of(payload, &self.id, None)
    }
}

/// The frame of a message of a playback: it names the playback beside type and payload too.
pub(crate) fn frame_of<P: ServerPayload>(payload: &P, playback: &str, id: Option<&RequestId>) -> Bytes {
    anita_ws::frame::text(&Outgoing::of_playback(payload, playback, id).to_text())
}

impl Session {
    /// Lets the playback, if there is one, do what is due.
    pub(crate) fn play(&mut self, now: Now, delivery: Delivery) {
        let Some(playback) = &mut self.playback else { return };
        let before = self.out.len();
        let past = self.context.hub.past();
        let next = playback.tick(&past, now.uptime, delivery, &mut self.out);
        let told = self.out.len().saturating_sub(before);
        if told > 0 {
            self.context.hub.metrics().count_frames("playback", told as u64);
        }
        if let Next::Ends(reason) = next {
            if reason == PlaybackEnd::Failed {
                tracing::warn!(client = self.client_id(), "the store did not answer; a playback ends");
            }
            self.end_playback(reason, now);
        }
    }

    /// Ends the playback, if there is one, and says why. Gives its turn back to whom it may concern.
    pub(crate) fn end_playback(&mut self, reason: PlaybackEnd, now: Now) -> Option<(String, Turn)> {
        let playback = *self.playback.take()?;
        let ended = playback.ended(reason, now.uptime);
        self.out.push(playback.frame(&ended));
        self.context.hub.metrics().count_frame("playback");
        Some((playback.id, playback.turn))
    }

    /// What a principal may not see is not played any more, from this moment on.
    pub(crate) fn narrow_playback(&mut self, principal: &Principal, now: Now) {
        let Some(playback) = &mut self.playback else { return };
        let may_go_on = principal.may(Permission::HistoryRead) && playback.narrow(principal);
        if !may_go_on {
            self.end_playback(PlaybackEnd::Forbidden, now);
        }
    }
}
