//! Who watches what: connections, and how their views begin, change and end.

use std::collections::{BTreeMap, HashSet};

use anita_auth::Patterns;
use anita_model::DeviceId;
use anita_model::Now;
use anita_wire::Time;
use anita_wire::view::{self, Lane, SubscriptionStats};
use bytes::Bytes;

use crate::ages::Ages;
use crate::class::wire_number;
use crate::encode::{Shown, Writer};
use crate::filter::Filter;
use crate::live::Live;
use crate::member::{Member, Start};
use crate::spec::{ClassKey, Form, Slot, ViewSpec};
use crate::tail::Reader;
use crate::views::{Connection, Place, Views};

/// Views slower than this are not shared, so that nobody who comes waits for the turn of others.
const SHARED_INTERVAL_MAX: std::time::Duration = std::time::Duration::from_secs(1);

/// How a connection is served.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectionFigures {
    /// Positions that it was sent.
    pub delivered: u64,
    /// Positions that newer ones replaced because it was slow.
    pub dropped: u64,
    /// Arrived → written, milliseconds, since the figures were last asked for.
    pub age: Option<view::Ages>,
    /// Due → written, milliseconds, since the figures were last asked for.
    pub added_age: Option<view::Ages>,
    /// Its subscriptions that are not paused.
    pub subscriptions: Vec<SubscriptionStats>,
}

impl Views {
    /// Enters a connection, with what it may see.
    pub fn connect(&mut self, rights: Patterns) -> usize {
        self.connections.insert(Connection {
            rights,
            views: BTreeMap::new(),
            readers: BTreeMap::new(),
            ages: None,
            past: (0, 0),
        })
    }

    /// Forgets a connection.
    pub fn disconnect(&mut self, connection: usize) {
        let Some(gone) = self.connections.try_remove(connection) else { return };
        self.recorders.remove(&connection);
        for place in gone.views.into_values() {
            self.leave_seat(&place);
        }
    }

    /// The connection may see something else from now on: each of its views is narrowed or widened at once.
    pub fn set_rights(&mut self, connection: usize, rights: Patterns, now: Now) {
        let Some(it) = self.connections.get_mut(connection) else { return };
        if it.rights == rights {
            return;
        }
        it.rights = rights;
        let views: Vec<(Slot, ViewSpec)> = it
            .views
            .iter()
            .filter_map(|(&slot, place)| Some((slot, self.classes.get(place.class)?.key.spec.clone())))
            .collect();
        for (slot, spec) in views {
            self.put(connection, slot, spec, (Start::Snapshot, true), now);
        }
    }

    /// Begins a view, or changes the one of that slot. A subscription that changes is told the difference; where that
    /// can't be said or is too much, it begins with a snapshot.
    pub fn watch(&mut self, connection: usize, slot: Slot, spec: ViewSpec, start: Start, now: Now) {
        self.put(connection, slot, spec, (start, slot.is_subscription()), now);
    }

    /// Puts a view into a slot: with a start, unless it goes on where the one before it was.
    fn put(
        &mut self,
        connection: usize,
        slot: Slot,
        spec: ViewSpec,
        (start, goes_on): (Start, bool),
        now: Now,
    ) {
        let Some(it) = self.connections.get(connection) else { return };
        let (rights, before) = (it.rights.clone(), it.views.get(&slot).cloned());
        let old = before.as_ref().and_then(|place| self.classes.get(place.class));
        if old.is_some_and(|class| class.key.spec == spec && class.key.rights == rights)
            && slot.is_subscription()
        {
            return;
        }
        let has_numbers = slot.is_subscription() && matches!(spec.form, Form::Columns(_));
        let is_shared = spec.pace.interval().is_none_or(|interval| interval <= SHARED_INTERVAL_MAX);
        let own = if is_shared {
            0
        } else {
            self.own_classes += 1;
            self.own_classes
        };
        let class_id = self.class_of(ClassKey { spec, rights, slot, own });
        let transition =
            before.as_ref().filter(|_place| goes_on).and_then(|place| self.transition(place, class_id, now));
        let Some(class) = self.classes.get(class_id) else { return };
        let mut member = match (transition, &before) {
            (Some(frames), _) => Member::moved_in(connection, class, self.devices.version, frames),
            (None, before) => {
                // Whoever does not know what the numbers of columns stand for needs a snapshot.
                let is_anew = has_numbers || (goes_on && before.is_some());
                let start = if is_anew { Start::Snapshot } else { start };
                Member::new(connection, class, start)
            }
        };
        member.is_measured = self.connections.get(connection).is_some_and(|it| it.ages.is_some());
        let place = Place { class: class_id, member: self.seat(class_id, member) };
        if let Some(it) = self.connections.get_mut(connection) {
            it.views.insert(slot, place);
        }
        if let Some(before) = before {
            self.leave_seat(&before);
        }
        self.count_siblings(connection);
    }

    /// Ends a view, or a reader of the lane `every`. Says whether there was one.
    pub fn unwatch(&mut self, connection: usize, slot: Slot) -> bool {
        let Some(it) = self.connections.get_mut(connection) else { return false };
        let had_reader = it.readers.remove(&slot).is_some();
        if it.readers.is_empty() {
            self.recorders.remove(&connection);
        }
        let Some(place) = it.views.remove(&slot) else { return had_reader };
        self.leave_seat(&place);
        self.count_siblings(connection);
        true
    }

    /// Begins to read every fix, from a number on or from now on; a reader that is there already goes on where it was.
    /// Says whether everything from there on is here.
    pub fn read_every(&mut self, connection: usize, slot: Slot, filter: Filter, since: Option<u64>) -> bool {
        let is_whole = since.is_none_or(|number| self.tail.reaches(number));
        let Some(it) = self.connections.get_mut(connection) else { return false };
        let version = self.devices.version;
        let (read, delivered, lost) =
            it.readers.get(&slot).map_or((version, 0, 0), |it| (it.seen, it.delivered, it.lost));
        let seen = since.filter(|&number| number <= version).unwrap_or(read);
        it.readers.insert(slot, Reader { filter, seen, delivered, lost });
        self.recorders.insert(connection);
        is_whole
    }

    /// How a connection is served, for itself: its ages begin anew. The first call begins to measure them.
    pub fn figures(&mut self, connection: usize) -> ConnectionFigures {
        self.measure(connection);
        let figures = self.peek(connection);
        if let Some(ages) = self.connections.get_mut(connection).and_then(|it| it.ages.as_mut()) {
            ages.take();
        }
        figures
    }

    /// Begins to measure how old a connection's positions are.
    pub fn measure(&mut self, connection: usize) {
        let Some(it) = self.connections.get_mut(connection) else { return };
        it.ages.get_or_insert_with(|| Box::new(Ages::new()));
        for place in it.views.values() {
            let class = self.classes.get_mut(place.class);
            if let Some(member) = class.and_then(|class| class.members.get_mut(place.member)) {
                member.is_measured = true;
            }
        }
    }

    /// How a connection is served, for others: nothing changes by it. Ages are there only where they are measured.
    pub fn peek(&self, connection: usize) -> ConnectionFigures {
        let Some(it) = self.connections.get(connection) else { return ConnectionFigures::default() };
        let (delivered, dropped) = it.past;
        let (age, added_age) = it.ages.as_ref().map(|ages| ages.peek()).unwrap_or_default();
        let mut figures = ConnectionFigures { delivered, dropped, age, added_age, subscriptions: Vec::new() };
        for (slot, place) in &it.views {
            let Some(class) = self.classes.get(place.class) else { continue };
            let devices = class.entries.len();
            let (mode, interval) = (class.key.spec.mode(), class.key.spec.pace.interval());
            let max_rate_hz = interval.map(|interval| interval.as_secs_f64().recip());
            let Some(member) = class.members.get(place.member) else { continue };
            figures.delivered += member.delivered;
            figures.dropped += member.dropped;
            let Some(subscription) = slot.subscription() else { continue };
            figures.subscriptions.push(SubscriptionStats {
                subscription,
                mode,
                lane: Lane::Newest,
                max_rate_hz,
                devices: Some(devices),
                is_behind: member.is_behind,
            });
        }
        for (slot, reader) in &it.readers {
            figures.delivered += reader.delivered;
            figures.dropped += reader.lost;
            figures.subscriptions.push(SubscriptionStats {
                subscription: slot.subscription().unwrap_or_default(),
                mode: view::Mode::Single,
                lane: Lane::Every,
                max_rate_hz: None,
                devices: None,
                is_behind: reader.seen < self.tail.head(),
            });
        }
        figures
    }

    /// What somebody has to be told who goes from one class to another. `None` where a snapshot is better.
    fn transition(&self, place: &Place, class_id: usize, now: Now) -> Option<Bytes> {
        let (old, new) = (self.classes.get(place.class)?, self.classes.get(class_id)?);
        let member = old.members.get(place.member)?;
        let needs_numbers = matches!(new.key.spec.form, Form::Columns(_));
        if needs_numbers && !matches!(old.key.spec.form, Form::Columns(_)) {
            return None;
        }
        let (known, gone) = old.known_to(member)?;
        let announces = new.announces();
        let shown: HashSet<usize> = new
            .entries
            .iter()
            .filter(|(_, entry)| entry.entered > 0 || !announces)
            .map(|(_, entry)| entry.device)
            .collect();
        let is_gone = |id: &DeviceId| self.devices.index_of(id).is_none_or(|index| !shown.contains(&index));
        let mut left: Vec<DeviceId> = gone.into_iter().filter(is_gone).collect();
        let hidden = known.keys().filter(|device| !shown.contains(device));
        left.extend(
            hidden.filter_map(|&device| self.devices.get(device)).map(|known| known.device.id.clone()),
        );
        left.sort_unstable();
        let (mut entered, mut moved): (Vec<Shown<'_>>, Vec<(u32, &Live)>) = (Vec::new(), Vec::new());
        let mut shown: Vec<usize> = shown.into_iter().collect();
        shown.sort_unstable();
        for device in shown {
            let newest = self.devices.newest(device).map(|live| &**live);
            match (known.get(&device), newest) {
                (None, newest) if announces => entered.extend(self.devices.shown(device, newest)),
                (None, newest) => moved.extend(newest.map(|live| (wire_number(device), live))),
                (Some(&version), Some(live)) if live.version > version.max(member.fresh_version) => {
                    moved.push((wire_number(device), live));
                }
                (Some(_), _) => {}
            }
        }
        if left.len() + entered.len() > self.portions.page_devices {
            return None;
        }
        let mut writer = Writer::new(&new.key);
        if announces && !left.is_empty() {
            writer.left(&left);
        }
        if !entered.is_empty() {
            writer.entered(&entered);
        }
        if !moved.is_empty() {
            writer.moved(&moved, Time(now.wall));
        }
        Some(writer.finish())
    }

    /// Takes a member out of its class.
    fn leave_seat(&mut self, place: &Place) {
        let Some(class) = self.classes.get_mut(place.class) else { return };
        if place.member >= class.members.len() {
            return;
        }
        let gone = class.members.swap_remove(place.member);
        let moved = class.members.get(place.member).map(|member| member.connection);
        if class.members.is_empty() {
            self.drop_class(place.class);
        } else {
            class.forget_tombs();
        }
        if let Some(it) = self.connections.get_mut(gone.connection) {
            it.past.0 += gone.delivered;
            it.past.1 += gone.dropped;
        }
        // Whoever sat at the end has the seat now. A connection is in a class once: its slot is part of the class.
        let places =
            moved.and_then(|connection| self.connections.get_mut(connection)).map(|it| &mut it.views);
        if let Some(seat) = places.and_then(|views| views.values_mut().find(|seat| seat.class == place.class))
        {
            seat.member = place.member;
        }
    }

    fn count_siblings(&mut self, connection: usize) {
        let Some(it) = self.connections.get(connection) else { return };
        let has_siblings = it.views.len() > 1;
        for place in it.views.values() {
            let member =
                self.classes.get_mut(place.class).and_then(|class| class.members.get_mut(place.member));
            if let Some(member) = member {
                member.has_siblings = has_siblings;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Pace;
    use crate::views::ViewSettings;
    use anita_model::{SiteName, Timestamp};
    use anita_wire::view::ViewFilter;
    use std::time::Duration;

    #[test]
    fn a_view_that_wanders_through_sites_leaves_nothing_behind() {
        let mut views = Views::new(ViewSettings::default(), "e".into());
        let now = Now { wall: Timestamp::from_micros(0).unwrap(), uptime: Duration::ZERO };
        let connection = views.connect(Patterns::all());
        for number in 0..20 {
            let area = serde_json::json!({ "area": { "circle": { "x": number, "y": 0, "radius_m": 1 } } });
            let wire: ViewFilter = serde_json::from_value(area).unwrap();
            let site = Some(SiteName::parse(&format!("site-{number}")).unwrap());
            let filter = Filter::from_wire(&ViewFilter { site, ..wire }).unwrap();
            let spec = ViewSpec::new(filter, Form::Batch, Pace::Unlimited);
            views.watch(connection, Slot::Subscription(1), spec, Start::Snapshot, now);
            assert_eq!((views.class_count(), views.site_count()), (1, 1));
        }
        views.disconnect(connection);
        assert_eq!((views.class_count(), views.site_count()), (0, 0));
    }
}
