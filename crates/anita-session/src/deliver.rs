//! What a session hears without having asked: numbered messages of its rooms, then positions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anita_auth::{Permission, Principal};
use anita_hub::{Live, Pace, RoomEvent, View, ViewFilter};
use anita_metrics::LaneLabels;
use anita_model::{Now, RoomName};
use anita_wire::message::{PositionUpdate, RoomAdvanced, RoomGap};
use anita_wire::{Outgoing, Place, Time};

use crate::session::{Heard, Session};

/// How many messages of one room are taken at once; the rest follows when these are written.
const EVENTS_AT_ONCE: usize = 256;

/// How many single locations are taken at once; the rest follows, by then perhaps replaced by newer ones.
const LOCATIONS_AT_ONCE: usize = 128;

/// How many positions one `uwb.position_update` holds at most; more go into the next one.
const POSITIONS_PER_UPDATE: usize = 1_000;

impl Session {
    /// Takes what is new since the watermarks, as much as is good at once. Events go before positions.
    pub(crate) fn deliver(&mut self, now: Now) {
        self.has_more = false;
        let rooms: Vec<RoomName> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.deliver_events(&room, now);
        }
        if let Some(mut view) = self.locations.take() {
            self.deliver_locations(&mut view, now);
            self.locations = Some(view);
        }
        if let Some(mut view) = self.tracking.take() {
            self.deliver_updates(&mut view, now);
            self.tracking = Some(view);
        }
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
            self.observe_age("event", now.wall.since(event.at));
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

    /// The room `uwb`: each newest fix as one `uwb.location`, its frame shared by all who hear it.
    fn deliver_locations(&mut self, view: &mut View, now: Now) {
        let due = self.take_due(view, now, LOCATIONS_AT_ONCE);
        if due.len() == LOCATIONS_AT_ONCE {
            self.has_more = true;
        } else {
            self.pace = Pace::Every;
        }
        for live in due {
            self.observe_age("position", now.wall.since(live.fix.received_at));
            self.out.push(live.frame());
        }
    }

    /// Tracking: what changed since the last update, in one message or a few.
    fn deliver_updates(&mut self, view: &mut View, now: Now) {
        let due = self.take_due(view, now, usize::MAX);
        for chunk in due.chunks(POSITIONS_PER_UPDATE) {
            let positions: BTreeMap<String, Place> =
                chunk.iter().map(|live| (live.fix.device.to_string(), live.fix.position.into())).collect();
            self.say(&PositionUpdate { positions, timestamp: Time(now.wall) });
        }
    }

    fn take_due(&self, view: &mut View, now: Now, fixes_max: usize) -> Vec<Arc<Live>> {
        let Ok(principal) = self.principal() else { return Vec::new() };
        let (due, replaced) = self
            .context
            .hub
            .with_board(|board| view.take_due(board, principal, now.uptime, self.pace, fixes_max));
        if replaced > 0 {
            self.context.hub.metrics().positions_replaced.inc_by(replaced);
            self.peer().replaced.fetch_add(replaced, Ordering::Relaxed);
        }
        due
    }

    fn observe_age(&self, lane: &'static str, age: std::time::Duration) {
        let metrics = self.context.hub.metrics();
        metrics.count_frame(lane);
        metrics.delivery_age_seconds.get_or_create(&LaneLabels { lane }).observe(age.as_secs_f64());
    }

    /// Says something that nobody asked for.
    pub(crate) fn say<P: anita_wire::message::ServerPayload>(&mut self, payload: &P) {
        self.out.push(anita_ws::frame::text(&Outgoing::push(payload).to_text()));
    }

    /// From now on every newest fix is heard, by those who may read devices.
    pub(crate) fn hear_locations(&mut self) {
        let may_hear = self.principal().is_ok_and(|principal| principal.may(Permission::DevicesRead));
        if may_hear && self.locations.is_none() {
            let version = self.context.hub.with_board(anita_hub::Board::version);
            self.locations = Some(View::immediate(ViewFilter::All, version));
            self.peer().wants_positions.store(true, Ordering::Relaxed);
        }
    }

    /// And from now on no more.
    pub(crate) fn stop_hearing_locations(&mut self) {
        self.locations = None;
        self.peer().wants_positions.store(false, Ordering::Relaxed);
    }
}
