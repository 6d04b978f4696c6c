//! What a session hears without having asked: numbered messages of its rooms, then positions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_auth::{Patterns, Permission, Principal};
use anita_hub::RoomEvent;
use anita_metrics::DeliveryLabels;
use anita_model::{Now, RoomName};
use anita_views::{Filter, Form, Label, Pace, Slot, Start, ViewSpec};
use anita_wire::Outgoing;
use anita_wire::message::{self, RoomAdvanced, RoomGap};
use anita_wire::view::Fields;

use crate::session::{Heard, Session};

/// How many messages of one room are taken at once; the rest follows when these are written.
const EVENTS_AT_ONCE: usize = 256;

impl Session {
    /// Takes what is new since the watermarks, as much as is good at once. Events go before positions.
    pub(crate) fn deliver(&mut self, now: Now) {
        self.has_more = false;
        let rooms: Vec<RoomName> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.deliver_events(&room, now);
        }
        self.deliver_positions(now);
    }

    fn deliver_events(&mut self, room: &RoomName, now: Now) {
        let Some(mut heard) = self.rooms.get(room).copied() else { return };
        let new = self.context.hub.rooms().heard_after(room, heard.seq, EVENTS_AT_ONCE);
        self.has_more |= new.events.len() == EVENTS_AT_ONCE;
        if let Some((from_seq, to_seq)) = new.gap {
            self.context.hub.metrics().events_lost.inc_by(to_seq - from_seq + 1);
            self.say(&RoomGap { room: room.to_string(), epoch: new.epoch.to_string(), from_seq, to_seq });
            heard = Heard::up_to(to_seq);
        }
        for event in new.events {
            heard.seq = event.seq;
            if !self.may_hear(&event) {
                continue;
            }
            if event.seq > heard.told_seq + 1 {
                let seq = event.seq - 1;
                self.say(&RoomAdvanced { room: room.to_string(), epoch: new.epoch.to_string(), seq });
            }
            heard.told_seq = event.seq;
            self.observe_event(now.wall.since(event.at));
            self.out.push(event.frame.clone());
        }
        self.rooms.insert(room.clone(), heard);
    }

    fn may_hear(&self, event: &RoomEvent) -> bool {
        let is_own = event.from.as_ref() == Some(&self.peer().id);
        let may_see = |principal: &Principal| {
            principal.may(Permission::DevicesRead)
                && event.devices.iter().all(|device| principal.may_see(device.as_str()))
        };
        let is_visible = event.devices.is_empty() || self.principal().is_ok_and(may_see);
        !is_own && is_visible
    }

    /// What is newer in its views than what its socket took. While it keeps up there is nothing: the shard writes to the
    /// socket by itself.
    fn deliver_positions(&mut self, now: Now) {
        let seat = self.peer().seat;
        let caught_up =
            self.peer().shard.with(now, |views| views.is_behind(seat).then(|| views.catch_up(seat, now)));
        let Some(caught_up) = caught_up else { return };
        self.has_more |= caught_up.has_more;
        let metrics = self.context.hub.metrics();
        for (label, stamps) in &caught_up.told {
            let lane = if *label == Label::Every { "every" } else { "position" };
            let labels = DeliveryLabels { lane, class: label.as_str() };
            let age = metrics.delivery_age_seconds.get_or_create(&labels);
            let added = metrics.delivery_added_age_seconds.get_or_create(&labels);
            for stamp in stamps {
                age.observe(now.uptime.saturating_sub(stamp.arrived), 1);
                added.observe(now.uptime.saturating_sub(stamp.due), 1);
            }
            metrics.count_frame(lane);
        }
        metrics.events_lost.inc_by(caught_up.lost);
        if caught_up.dropped > 0 {
            metrics.positions_replaced.inc_by(caught_up.dropped);
            self.peer().replaced.fetch_add(caught_up.dropped, Ordering::Relaxed);
            self.pace.add(caught_up.dropped, caught_up.waited);
        }
        self.out.extend(caught_up.frames);
    }

    fn observe_event(&self, age: Duration) {
        let metrics = self.context.hub.metrics();
        metrics.count_frame("event");
        let labels = DeliveryLabels { lane: "event", class: "room" };
        metrics.delivery_age_seconds.get_or_create(&labels).observe(age, 1);
    }

    /// Says something that nobody asked for.
    pub(crate) fn say<P: anita_wire::message::ServerPayload>(&mut self, payload: &P) {
        self.out.push(anita_ws::frame::text(&Outgoing::push(payload).to_text()));
    }

    /// From now on every newest fix is heard, by those who may read devices; the newest of each device first, if it was
    /// heard before.
    pub(crate) fn hear_locations(&mut self, start: Start, now: Now) {
        let spec = ViewSpec::new(Filter::all(), Form::Single, Pace::Unlimited).with_fields(Fields::All);
        let seat = self.peer().seat;
        self.peer().shard.with(now, |views| views.watch(seat, Slot::Room, spec, start, now));
    }

    /// And from now on no more.
    pub(crate) fn stop_hearing_locations(&mut self, now: Now) {
        let seat = self.peer().seat;
        self.peer().shard.with(now, |views| views.unwatch(seat, Slot::Room));
    }

    /// What the principal may see, in each of its views, from now on.
    pub(crate) fn see(&mut self, principal: &Principal, now: Now) {
        self.narrow_playback(principal, now);
        let may_see = principal.may(Permission::DevicesRead);
        let rights = if may_see { principal.devices.clone() } else { Patterns::none() };
        let seat = self.peer().seat;
        self.peer().shard.with(now, |views| views.set_rights(seat, rights, now));
    }
}

/// The shortest time between two notices to a client that it is slow.
const PACE_INTERVAL: Duration = Duration::from_secs(1);

/// What a client is to be told of its own slowness.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PaceNotice {
    dropped: u64,
    waited: Duration,
    not_before: Duration,
}

impl PaceNotice {
    fn add(&mut self, dropped: u64, waited: Duration) {
        self.dropped += dropped;
        self.waited = self.waited.max(waited);
    }

    /// When it is due, by the uptime, if there is anything to tell.
    pub(crate) fn due_at(&self) -> Option<Duration> {
        (self.dropped > 0).then_some(self.not_before)
    }

    /// What is due now.
    pub(crate) fn take_due(&mut self, uptime: Duration) -> Option<message::Pace> {
        self.due_at().filter(|due| *due <= uptime)?;
        let age_ms = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        let notice = message::Pace { dropped: self.dropped, age_ms };
        *self = Self { not_before: uptime.saturating_add(PACE_INTERVAL), ..Self::default() };
        Some(notice)
    }
}
