//! The world: every device, and what a report makes of it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, DeviceKind, DeviceStatus, Fix, Now, Position, Report, Sighting, SiteName};

use crate::device::{Device, Numbered, StatusPolicy};
use crate::proximity::{Near, Nearness, Proximity};

/// What the world believes and allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Whether a device that nobody registered becomes one by its first report.
    pub auto_register: bool,
    /// How far ahead of ours a device's clock may be.
    pub future_max: Duration,
    /// The most devices.
    pub devices_max: usize,
    /// The silences.
    pub status: StatusPolicy,
    /// When two tags are close; `None` where nobody wants to know.
    pub nearness: Option<Nearness>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            auto_register: true,
            future_max: Duration::from_secs(5),
            devices_max: 100_000,
            status: StatusPolicy::default(),
            nearness: None,
        }
    }
}

/// How many numbered fixes are remembered of a device: what a source may have under way of one.
pub const NUMBERED_MAX: usize = 16;

/// Why a report is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The device's time is too far ahead of ours.
    #[error(
        "the timestamp is {ahead_ms} ms ahead of the server's clock, more than the {ahead_ms_max} ms allowed"
    )]
    Future {
        /// How far ahead, milliseconds.
        ahead_ms: u64,
        /// How far it may be, milliseconds.
        ahead_ms_max: u64,
    },
    /// Nobody registered the device, and `auto_register` is off.
    #[error("the device is not registered")]
    UnknownDevice,
    /// There are as many devices as there may be.
    #[error("there are {devices_max} devices already, the most that are allowed")]
    TooManyDevices {
        /// The limit.
        devices_max: usize,
    },
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A fix that is the newest of its device now.
    Newest(Arc<Fix>),
    /// A fix older than the newest: kept for history, not live.
    Late(Arc<Fix>),
    /// A fix that is known already, and the one that it was known by. That one may still be on its way to the store.
    Duplicate(Arc<Fix>),
    /// A sign of life or a description.
    Sighted,
    /// A measurement without a position.
    NoPosition,
    /// Not taken.
    Refused(Refused),
}

/// What happened to a device. Each carries the device as it is then.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It is in the registry now.
    Registered(Device),
    /// Its status changed.
    StatusChanged(Device),
    /// Its name, kind, site or mounting changed.
    Updated(Device),
    /// It is out of the registry.
    Removed(DeviceId),
    /// Two tags came close.
    Near(Near),
}

/// What a client says of a device that it registers.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// Its id.
    pub device: DeviceId,
    /// What it is.
    pub kind: DeviceKind,
    /// What people call it.
    pub name: Option<String>,
    /// Its site.
    pub site: SiteName,
    /// Where it is, if that is known.
    pub position: Option<Position>,
    /// The floor of that.
    pub floor: Option<f64>,
}

/// What a client changes of a device; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The new name; an empty one takes it away.
    pub name: Option<String>,
    /// The new kind.
    pub kind: Option<DeviceKind>,
}

/// Every device.
#[derive(Debug)]
pub struct World {
    policy: Policy,
    devices: BTreeMap<DeviceId, Device>,
    proximity: Option<Proximity>,
}

impl World {
    /// An empty world.
    pub fn new(policy: Policy) -> Self {
        Self { policy, devices: BTreeMap::new(), proximity: policy.nearness.map(Proximity::new) }
    }

    /// Puts back a device that the store remembers, with the status that was told last. Its silence goes on from when it
    /// was last seen.
    pub fn restore(&mut self, mut device: Device, now: Now) {
        if let (Some(last_seen), true) = (device.last_seen, device.status != DeviceStatus::Disconnected) {
            device.heard_at = Some(now.uptime);
            device.silent_before = now.wall.since(last_seen);
        }
        device.numbered = device.live.as_deref().and_then(Numbered::of).into_iter().collect();
        device.is_unsaved = false;
        self.devices.insert(device.id.clone(), device);
    }

    /// The restored devices whose latest fixes a source may bring again after the restart, stamped with another arrival:
    /// those that were heard of within so long of the last sign of any.
    pub fn numbered_lately(&self, within: Duration) -> Vec<DeviceId> {
        let last_seen = self.devices.values().filter_map(|device| device.last_seen).max();
        let is_one = |device: &&Device| {
            let silence = last_seen.zip(device.last_seen).map(|(last, seen)| last.since(seen));
            !device.numbered.is_empty() && silence.is_some_and(|silence| silence <= within)
        };
        self.devices.values().filter(is_one).map(|device| device.id.clone()).collect()
    }

    /// Recalls the latest fixes of a restored device, newest first, so that they are known when they come again.
    pub fn recall(&mut self, id: &DeviceId, fixes: &[Arc<Fix>]) {
        if let Some(device) = self.devices.get_mut(id.as_str()) {
            device.numbered = fixes.iter().filter_map(|fix| Numbered::of(fix)).take(NUMBERED_MAX).collect();
        }
    }

    /// Some of the devices of which something was not saved, after an id, in the order of ids; they count as saved then.
    /// Looks at `devices_max` devices and returns them with the last one that was looked at, if there was one.
    pub fn take_unsaved(
        &mut self,
        after: Option<&DeviceId>,
        devices_max: usize,
    ) -> (Vec<Device>, Option<DeviceId>) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut unsaved, mut last) = (Vec::new(), None);
        for (id, device) in self.devices.range_mut::<DeviceId, _>((start, Bound::Unbounded)).take(devices_max)
        {
            last = Some(id.clone());
            if std::mem::take(&mut device.is_unsaved) {
                unsaved.push(device.clone());
            }
        }
        (unsaved, last)
    }

    /// Takes a report.
    pub fn report(&mut self, report: Report, now: Now, events: &mut Vec<Event>) -> Outcome {
        let outcome = match report {
            Report::Fix(fix) => self.fix(fix, now, events),
            Report::Sighting(sighting) => self.sighting(sighting, now, events),
            Report::NoPosition(failure) => {
                // The device was heard of all the same, if it is one of ours.
                if let Some(device) = failure.device.and_then(|id| self.devices.get_mut(&id)) {
                    hear(device, now, events);
                }
                Ok(Outcome::NoPosition)
            }
        };
        outcome.unwrap_or_else(Outcome::Refused)
    }

    fn fix(&mut self, mut fix: Fix, now: Now, events: &mut Vec<Event>) -> Result<Outcome, Refused> {
        let future_max = self.policy.future_max;
        let ahead = fix.taken_at.since(now.wall);
        if ahead > future_max {
            let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
            return Err(Refused::Future { ahead_ms: millis(ahead), ahead_ms_max: millis(future_max) });
        }
        let device = self.heard(&fix.device, DeviceKind::Tag, &fix.site, now, events)?;
        // One from further ahead was taken while the clock was wrong; newer ones would be late until it is right again.
        let live = device.live.as_ref().filter(|live| live.taken_at.since(now.wall) <= future_max);
        if let Some(live) = live {
            let is_same_number = fix.sequence.is_some() && fix.sequence == live.sequence;
            if fix.taken_at == live.taken_at && (fix.position == live.position || is_same_number) {
                return Ok(Outcome::Duplicate(Arc::clone(live)));
            }
            if !device.clock.goes(&fix) {
                fix.taken_at = fix.received_at;
            }
        }
        if let Some(numbered) = Numbered::of(&fix) {
            // Brought again after it was not acknowledged, by a source that stamps it with its arrival: that is asked first,
            // or it would be another one whenever our clock was set back meanwhile.
            let known = device.numbered.iter().find(|known| known.is_again(&numbered));
            let is_same_source = device.live.as_ref().is_some_and(|live| live.source == fix.source);
            if let Some(known) = known.filter(|_known| is_same_source) {
                let known = Fix { taken_at: known.taken_at, received_at: known.taken_at, ..fix };
                return Ok(Outcome::Duplicate(Arc::new(known)));
            }
            device.numbered.truncate(NUMBERED_MAX - 1);
            device.numbered.push_front(numbered);
        }
        if live.is_some_and(|live| fix.taken_at < live.taken_at) {
            return Ok(Outcome::Late(Arc::new(fix)));
        }
        if fix.battery_percent.is_some() {
            device.battery_percent = fix.battery_percent;
        }
        let moved_site = device.site != fix.site;
        device.site = fix.site.clone();
        let fix = Arc::new(fix);
        device.live = Some(Arc::clone(&fix));
        if moved_site {
            events.push(Event::Updated(device.clone()));
        }
        let is_tag = device.kind == DeviceKind::Tag;
        if let Some(proximity) = self.proximity.as_mut().filter(|_proximity| is_tag) {
            events.extend(proximity.moved(&fix).into_iter().map(Event::Near));
        }
        Ok(Outcome::Newest(fix))
    }

    fn sighting(
        &mut self,
        sighting: Sighting,
        now: Now,
        events: &mut Vec<Event>,
    ) -> Result<Outcome, Refused> {
        let kind = sighting.kind.unwrap_or(DeviceKind::Tag);
        let device = self.heard(&sighting.device, kind, &sighting.site, now, events)?;
        let before = (device.name.clone(), device.kind, device.mounted_at);
        if sighting.name.is_some() {
            device.name = sighting.name;
        }
        if let Some(kind) = sighting.kind {
            device.kind = kind;
        }
        if sighting.mounted_at.is_some() {
            device.mounted_at = sighting.mounted_at;
        }
        if sighting.battery_percent.is_some() {
            device.battery_percent = sighting.battery_percent;
        }
        if before != (device.name.clone(), device.kind, device.mounted_at) {
            events.push(Event::Updated(device.clone()));
        }
        if sighting.is_present == Some(false) {
            device.heard_at = None;
            become_status(device, DeviceStatus::Disconnected, events);
        }
        Ok(Outcome::Sighted)
    }

    /// The device of a report, which is a sign of life; makes it where that is allowed.
    fn heard(
        &mut self,
        id: &DeviceId,
        kind: DeviceKind,
        site: &SiteName,
        now: Now,
        events: &mut Vec<Event>,
    ) -> Result<&mut Device, Refused> {
        if !self.devices.contains_key(id) {
            if !self.policy.auto_register {
                return Err(Refused::UnknownDevice);
            }
            self.check_room_for_one()?;
            let device = Device::new(id.clone(), kind, site.clone());
            events.push(Event::Registered(device.clone()));
            self.devices.insert(id.clone(), device);
        }
        let device = self.devices.get_mut(id).ok_or(Refused::UnknownDevice)?;
        hear(device, now, events);
        Ok(device)
    }

    fn check_room_for_one(&self) -> Result<(), Refused> {
        let devices_max = self.policy.devices_max;
        if self.devices.len() >= devices_max { Err(Refused::TooManyDevices { devices_max }) } else { Ok(()) }
    }

    /// Adds a device, or says anew what an existing one is. Being registered counts as being heard of.
    ///
    /// # Errors
    /// [`Refused::TooManyDevices`].
    pub fn register(
        &mut self,
        registration: Registration,
        now: Now,
        events: &mut Vec<Event>,
    ) -> Result<Device, Refused> {
        if !self.devices.contains_key(&registration.device) {
            self.check_room_for_one()?;
        }
        let Registration { device: id, kind, name, site, position, floor } = registration;
        let device = self.devices.entry(id.clone()).or_insert_with(|| Device::new(id, kind, site.clone()));
        device.kind = kind;
        device.site = site;
        if name.is_some() {
            device.name = name;
        }
        if position.is_some() {
            device.mounted_at = position;
            device.floor = floor;
        }
        device.last_seen = Some(now.wall);
        device.heard_at = Some(now.uptime);
        device.silent_before = Duration::ZERO;
        device.is_unsaved = true;
        device.status = DeviceStatus::Connected;
        events.push(Event::Registered(device.clone()));
        // Said even when the status was the same: clients wait for it after a registration.
        events.push(Event::StatusChanged(device.clone()));
        Ok(device.clone())
    }

    /// Changes what is said of a device. `None` when there is no such device.
    pub fn update(&mut self, id: &DeviceId, changes: Changes, events: &mut Vec<Event>) -> Option<Device> {
        let device = self.devices.get_mut(id)?;
        if let Some(name) = changes.name {
            device.name = Some(name).filter(|it| !it.is_empty());
        }
        if let Some(kind) = changes.kind {
            device.kind = kind;
        }
        events.push(Event::Updated(device.clone()));
        Some(device.clone())
    }

    /// Takes a device away. `None` when there is no such device.
    pub fn remove(&mut self, id: &DeviceId, events: &mut Vec<Event>) -> Option<Device> {
        let device = self.devices.remove(id)?;
        if let Some(proximity) = &mut self.proximity {
            proximity.forget(id);
        }
        events.push(Event::Removed(device.id.clone()));
        Some(device)
    }

    /// Lets silence take its effect. Call it a few times a second.
    pub fn sweep(&mut self, now: Now, events: &mut Vec<Event>) {
        for device in self.devices.values_mut() {
            let Some(heard_at) = device.heard_at else { continue };
            let silence = now.uptime.saturating_sub(heard_at).saturating_add(device.silent_before);
            if let Some(status) = self.policy.status.after_silence(device.kind, silence) {
                become_status(device, status, events);
            }
            if let (DeviceStatus::Disconnected, Some(proximity)) = (device.status, &mut self.proximity) {
                proximity.forget(&device.id);
            }
        }
    }

    /// A device.
    pub fn get(&self, id: &str) -> Option<&Device> {
        self.devices.get(id)
    }

    /// The devices in the order of their ids, those after a given one.
    pub fn after<'a>(&'a self, id: Option<&'a str>) -> impl Iterator<Item = &'a Device> {
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.devices.range::<str, _>((start, Bound::Unbounded)).map(|(_id, device)| device)
    }

    /// How many devices have each status: connected, stale, disconnected.
    pub fn count_by_status(&self) -> [(DeviceStatus, usize); 3] {
        [DeviceStatus::Connected, DeviceStatus::Stale, DeviceStatus::Disconnected]
            .map(|status| (status, self.devices.values().filter(|it| it.status == status).count()))
    }
}

/// A sign of life.
fn hear(device: &mut Device, now: Now, events: &mut Vec<Event>) {
    device.last_seen = Some(now.wall);
    device.heard_at = Some(now.uptime);
    device.silent_before = Duration::ZERO;
    device.is_unsaved = true;
    become_status(device, DeviceStatus::Connected, events);
}

fn become_status(device: &mut Device, status: DeviceStatus, events: &mut Vec<Event>) {
    if device.status != status {
        device.status = status;
        device.is_unsaved = true;
        events.push(Event::StatusChanged(device.clone()));
    }
}

#[cfg(test)]
mod tests;
