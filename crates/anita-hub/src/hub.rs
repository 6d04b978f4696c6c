//! The hub itself: reports in, answers and room messages out.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anita_auth::Principal;
use anita_metrics::{Metrics, StatusLabels};
use anita_model::{DeviceId, DeviceKind, DeviceStatus, Now, Report, RoomName, SourceName, Timestamp};
use anita_store::{DeviceChange, DeviceRecord, DeviceStore, History, HistoryPage, HistoryQuery, StoreError};
use anita_wire::message::{self, ServerPayload};
use anita_wire::{ErrorCode, Metres, Numbered, Outgoing, Percent, Refusal, Time};
use anita_world::{Changes, Device, Event, Near, Outcome, Policy, Refused, Registration as NewDevice, World};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::board::Board;
use crate::connections::{Connections, Endpoint, Peer, Registration};
use crate::ids::ConnectionId;
use crate::payload;
use crate::rooms::{RoomLimits, Rooms};
use crate::saving::{Saving, Ticket};

/// What a hub is made with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HubSettings {
    /// What the world believes and allows.
    pub policy: Policy,
    /// What rooms may hold.
    pub rooms: RoomLimits,
}

/// Why the hub did not do what it was asked, although the request was good.
#[derive(Debug, thiserror::Error)]
pub enum HubFault {
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

/// What became of one item of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum ReportOutcome {
    /// Taken: live, late, known already, or a sign of life.
    Accepted,
    /// Not taken, and why.
    Refused(Refusal),
}

/// Which devices a list is about. `None` lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// The kinds.
    pub kinds: Option<Vec<DeviceKind>>,
    /// The statuses.
    pub statuses: Option<Vec<DeviceStatus>>,
}

impl DeviceFilter {
    fn matches(&self, device: &Device) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&device.kind))
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&device.status))
    }
}

/// A page of a list of devices, in the order of their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePage {
    /// The devices.
    pub devices: Vec<message::Device>,
    /// How many there are on all pages.
    pub total: usize,
    /// The last id of this page, if there is another page.
    pub next: Option<String>,
}

/// Who is connected, who hears what, and the newest of every device.
#[derive(Debug)]
pub struct Hub {
    world: Mutex<World>,
    board: RwLock<Board>,
    rooms: Rooms,
    connections: Connections,
    saving: Saving,
    history: Arc<dyn History>,
    metrics: Arc<Metrics>,
    /// The latest uptime that anybody came with, microseconds: for what ends without a clock at hand.
    uptime_us: AtomicU64,
}

impl Hub {
    /// A hub whose world knows the devices of the store.
    ///
    /// # Errors
    /// [`HubFault::Store`] when the store can't be read.
    pub async fn open(
        settings: HubSettings,
        devices: Arc<dyn DeviceStore>,
        history: Arc<dyn History>,
        metrics: Arc<Metrics>,
        now: Now,
    ) -> Result<Arc<Self>, HubFault> {
        let mut world = World::new(settings.policy);
        for record in devices.load().await? {
            world.restore(restored(record));
        }
        Ok(Arc::new(Self {
            world: Mutex::new(world),
            board: RwLock::default(),
            rooms: Rooms::new(settings.rooms, now),
            connections: Connections::default(),
            saving: Saving::new(devices),
            history,
            metrics,
            uptime_us: AtomicU64::new(0),
        }))
    }

    /// The metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// The connections.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Looks at the newest of every device.
    pub fn with_board<T>(&self, look: impl FnOnce(&Board) -> T) -> T {
        look(&self.board.read())
    }

    // --- connections

    /// Enters a connection into the registry. It is out again when the guard is dropped.
    pub fn connect(self: &Arc<Self>, endpoint: Endpoint, address: Option<IpAddr>, now: Now) -> Registration {
        self.saw(now);
        let peer = self.connections.add(endpoint, address, now);
        self.metrics.connections.inc();
        self.metrics.connections_opened.inc();
        Registration { peer, hub: Arc::clone(self) }
    }

    pub(crate) fn forget(&self, peer: &Peer) {
        let uptime = Duration::from_micros(self.uptime_us.load(Ordering::Relaxed));
        self.rooms.leave_all(peer, uptime);
        self.connections.remove(&peer.id);
        self.metrics.connections.dec();
    }

    fn saw(&self, now: Now) {
        self.uptime_us
            .fetch_max(u64::try_from(now.uptime.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    // --- reports

    /// Takes what a source reports. Live delivery comes first; then what has to be kept is kept, and only then is
    /// anything acknowledged. One outcome for each report, in order.
    ///
    /// # Errors
    /// [`HubFault::Store`] when the fixes could not be kept: then none of them counts as acknowledged.
    pub async fn report(&self, reports: Vec<Report>, now: Now) -> Result<Vec<ReportOutcome>, HubFault> {
        let mut kept = Vec::with_capacity(reports.len());
        let mut outcomes = Vec::with_capacity(reports.len());
        let mut counted = Vec::with_capacity(reports.len());
        let mut has_newest = false;
        // Everything that has an order gets it while the world is locked: events in their room, writes in the store.
        let (saved, appended) = {
            let mut events = Vec::new();
            let mut world = self.world.lock();
            let mut board = self.board.write();
            for report in reports {
                let source = source_of(&report);
                let outcome = world.report(report, now, &mut events);
                counted.push((source, outcome_word(&outcome)));
                outcomes.push(match outcome {
                    Outcome::Newest(fix) => {
                        board.set(Arc::clone(&fix));
                        has_newest = true;
                        kept.push(fix);
                        ReportOutcome::Accepted
                    }
                    Outcome::Late(fix) => {
                        kept.push(fix);
                        ReportOutcome::Accepted
                    }
                    Outcome::Duplicate | Outcome::Sighted | Outcome::NoPosition => ReportOutcome::Accepted,
                    Outcome::Refused(refused) => ReportOutcome::Refused(refusal(refused)),
                });
            }
            drop(board);
            self.tell(&events, now);
            (self.saving.send(changes(&events)), (!kept.is_empty()).then(|| self.history.append(kept)))
        };
        if has_newest {
            self.connections.ring_for_positions();
        }
        for (source, outcome) in counted {
            self.metrics.count_fix(source.as_str(), outcome);
        }
        if let Some(appended) = appended {
            appended.await?;
        }
        self.wait_for(saved).await?;
        Ok(outcomes)
    }

    /// Lets time pass: silences, rooms that nobody uses. Call it a few times a second.
    pub fn sweep(&self, now: Now) {
        self.saw(now);
        {
            let mut events = Vec::new();
            let mut world = self.world.lock();
            world.sweep(now, &mut events);
            self.tell(&events, now);
        }
        self.rooms.sweep(now.uptime);
    }

    /// Sends what the store refused once more. Call it every few seconds.
    pub async fn catch_up(&self) {
        let saved = self.saving.send([]);
        if let Err(fault) = self.wait_for(saved).await {
            tracing::warn!(error = %fault, waiting = self.saving.waiting(), "the registry is behind");
        }
    }

    /// Brings the gauges up to date; called before the metrics are shown.
    pub fn refresh_gauges(&self) {
        self.metrics.rooms.set(i64::try_from(self.rooms.occupied().len()).unwrap_or(i64::MAX));
        for (status, count) in self.world.lock().count_by_status() {
            let status = match status {
                DeviceStatus::Connected => "connected",
                DeviceStatus::Stale => "stale",
                DeviceStatus::Disconnected => "disconnected",
            };
            let gauge = self.metrics.devices.get_or_create(&StatusLabels { status });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    // --- devices

    /// A page of devices that a principal may see.
    pub fn devices(
        &self,
        principal: &Principal,
        filter: &DeviceFilter,
        after: Option<&str>,
        limit: usize,
    ) -> DevicePage {
        let world = self.world.lock();
        let is_shown = |device: &&Device| filter.matches(device) && principal.may_see(device.id.as_str());
        let total = world.after(None).filter(is_shown).count();
        let mut shown = world.after(after).filter(is_shown);
        let devices: Vec<message::Device> = shown.by_ref().take(limit).map(payload::device).collect();
        let next = shown.next().and(devices.last()).map(|last| last.id.clone());
        DevicePage { devices, total, next }
    }

    /// A device, if there is one that the principal may see.
    pub fn device(&self, principal: &Principal, id: &DeviceId) -> Option<Device> {
        self.world.lock().get(id.as_str()).filter(|_device| principal.may_see(id.as_str())).cloned()
    }

    /// Adds a device or says anew what it is; done when it is kept.
    ///
    /// # Errors
    /// The refusal for the client, or a fault of the store.
    pub async fn register(&self, device: NewDevice, now: Now) -> Result<Result<Device, Refusal>, HubFault> {
        let (registered, saved) = {
            let mut events = Vec::new();
            let mut world = self.world.lock();
            let registered = match world.register(device, now, &mut events) {
                Ok(device) => device,
                Err(refused) => return Ok(Err(refusal(refused))),
            };
            self.tell(&events, now);
            (registered, self.saving.send(changes(&events)))
        };
        self.wait_for(saved).await?;
        Ok(Ok(registered))
    }

    /// Changes what is said of a device; done when it is kept. `None` when there is no such device.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn update(&self, id: &DeviceId, wanted: Changes, now: Now) -> Result<Option<Device>, HubFault> {
        let (device, saved) = {
            let mut events = Vec::new();
            let mut world = self.world.lock();
            let device = world.update(id, wanted, &mut events);
            self.tell(&events, now);
            (device, self.saving.send(changes(&events)))
        };
        self.wait_for(saved).await?;
        Ok(device)
    }

    /// Takes a device away with its history; done when that is kept. Says whether there was one.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn remove(&self, id: &DeviceId, now: Now) -> Result<bool, HubFault> {
        let (was_there, forgotten, saved) = {
            let mut events = Vec::new();
            let mut world = self.world.lock();
            self.board.write().remove(id.as_str());
            let was_there = world.remove(id, &mut events).is_some();
            self.tell(&events, now);
            (was_there, self.history.forget(id.clone()), self.saving.send(changes(&events)))
        };
        forgotten.await?;
        self.wait_for(saved).await?;
        Ok(was_there)
    }

    /// A page of a device's past locations.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, HubFault> {
        Ok(self.history.page(query).await?)
    }

    // --- rooms

    /// Says a numbered message in a room. Returns the epoch and the number, or `None` when nobody is in such a room.
    pub fn publish<P: ServerPayload>(
        &self,
        room: &RoomName,
        payload: &P,
        devices: &[&DeviceId],
        from: Option<&ConnectionId>,
        at: Timestamp,
    ) -> Option<(Arc<str>, u64)> {
        let devices = devices.iter().map(|&device| device.clone()).collect();
        self.rooms.publish(room, devices, from, at, |epoch, seq| {
            let numbered = Numbered { room: room.as_str(), epoch, seq };
            anita_ws::frame::text(&Outgoing::numbered(payload, numbered).to_text())
        })
    }

    /// Says a frame of an application's own type in a room.
    pub(crate) fn publish_custom(
        &self,
        room: &RoomName,
        name: &str,
        payload: &serde_json::Value,
        at: Timestamp,
    ) -> Option<(Arc<str>, u64)> {
        self.rooms.publish(room, Vec::new(), None, at, |epoch, seq| -> Bytes {
            let numbered = Numbered { room: room.as_str(), epoch, seq };
            anita_ws::frame::text(&anita_wire::encode(name, payload, None, Some(numbered)))
        })
    }

    /// Says in the room `uwb` what happened to devices.
    fn tell(&self, events: &[Event], now: Now) {
        let uwb = RoomName::uwb();
        for event in events {
            match event {
                // A registration is heard of by the status that comes with it.
                Event::Registered(_device) => {}
                Event::StatusChanged(device) => {
                    let status = message::DeviceStatus {
                        device_id: device.id.to_string(),
                        status: device.status.into(),
                        last_seen: device.last_seen.map(Time),
                        battery: device.battery_percent.map(Percent),
                    };
                    self.publish(&uwb, &status, &[&device.id], None, now.wall);
                }
                Event::Updated(device) => {
                    let updated = message::DeviceUpdated { device: payload::device(device) };
                    self.publish(&uwb, &updated, &[&device.id], None, now.wall);
                }
                Event::Removed(id) => {
                    let removed = message::DeviceRemoved { device_id: id.to_string() };
                    self.publish(&uwb, &removed, &[id], None, now.wall);
                }
                Event::Near(Near { first, second, distance_m }) => {
                    let proximity = message::Proximity {
                        device1: first.to_string(),
                        device2: second.to_string(),
                        distance: Metres(*distance_m),
                    };
                    self.publish(&uwb, &proximity, &[first, second], None, now.wall);
                }
            }
        }
    }

    /// Waits until the store has what was sent to it.
    async fn wait_for(&self, saved: Option<Ticket<'_>>) -> Result<(), HubFault> {
        let Some(saved) = saved else { return Ok(()) };
        saved.kept().await.map_err(|error| {
            self.metrics.store_errors.inc();
            error.into()
        })
    }
}

/// What the registry has to remember of events.
fn changes(events: &[Event]) -> impl Iterator<Item = (DeviceId, DeviceChange)> {
    events.iter().filter_map(|event| match event {
        Event::Registered(device) | Event::Updated(device) => {
            Some((device.id.clone(), DeviceChange::Save(record(device))))
        }
        Event::Removed(id) => Some((id.clone(), DeviceChange::Remove(id.clone()))),
        Event::StatusChanged(_) | Event::Near(_) => None,
    })
}

fn source_of(report: &Report) -> SourceName {
    match report {
        Report::Fix(fix) => fix.source.clone(),
        Report::Sighting(sighting) => sighting.source.clone(),
        Report::NoPosition(failure) => failure.source.clone(),
    }
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Newest(_) => "newest",
        Outcome::Late(_) => "late",
        Outcome::Duplicate => "duplicate",
        Outcome::Sighted => "sighted",
        Outcome::NoPosition => "no_position",
        Outcome::Refused(Refused::Future { .. }) => "refused_future",
        Outcome::Refused(Refused::UnknownDevice) => "refused_unknown_device",
        Outcome::Refused(Refused::TooManyDevices { .. }) => "refused_too_many_devices",
    }
}

fn refusal(refused: Refused) -> Refusal {
    let code = match refused {
        Refused::Future { .. } => ErrorCode::OutOfRange,
        Refused::UnknownDevice => ErrorCode::NotFound,
        Refused::TooManyDevices { .. } => ErrorCode::LimitReached,
    };
    Refusal::saying(code, format!("{refused}."))
}

fn record(device: &Device) -> DeviceRecord {
    DeviceRecord {
        id: device.id.clone(),
        name: device.name.clone(),
        kind: device.kind,
        site: device.site.clone(),
        mounted_at: device.mounted_at,
        floor: device.floor,
    }
}

fn restored(record: DeviceRecord) -> Device {
    let mut device = Device::new(record.id, record.kind, record.site);
    device.name = record.name;
    device.mounted_at = record.mounted_at;
    device.floor = record.floor;
    device
}
