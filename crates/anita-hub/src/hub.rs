//! The hub itself: reports in, answers and room messages out.

mod audit;
mod identities;
mod plans;
mod reports;
mod store;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anita_auth::{Principal, Revocations};
use anita_metrics::{Metrics, StatusLabels};
use anita_model::{DeviceId, DeviceKind, DeviceStatus, Now, RoomName, Timestamp};
use anita_store::{AuditHead, Begun, DeviceState, Store, StoreError, Writer};
use anita_views::{Change, Live, ViewSettings, Views, device as device_payload};
use anita_wire::message::{self, ServerPayload};
use anita_wire::{ErrorCode, Metres, Numbered, Outgoing, Percent, Refusal, Time};
use anita_world::{Changes, Device, Event, Near, Policy, Refused, Registration as NewDevice, World};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::connections::{Connections, Endpoint, Peer, Registration};
use crate::ids::{ConnectionId, random_token};
use crate::keeping::{Durability, EventLog, Keeping, records, restored};
use crate::rooms::{RoomLimits, Rooms};
use crate::shard::Shard;
use audit::{Lines, Trail};

pub use audit::AuditLimits;
pub use reports::Reported;
pub use store::{Kept, Past};

/// What a hub is made with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HubSettings {
    /// What the world believes and allows.
    pub policy: Policy,
    /// What rooms may hold.
    pub rooms: RoomLimits,
    /// How views gather.
    pub views: ViewSettings,
    /// How many refusals get an entry of their own in the audit trail.
    pub audit: AuditLimits,
    /// How many shards there are: threads that serve connections. At least one.
    pub shards: usize,
}

/// Why the hub did not do what it was asked, although the request was good.
#[derive(Debug, thiserror::Error)]
pub enum HubFault {
    /// The store does not take or give anything now.
    #[error("the store did not do it")]
    Store {
        /// Why.
        #[source]
        cause: StoreError,
        /// When to try again.
        retry_after: Duration,
    },
    /// How far events were told can't be read or noted.
    #[error("cannot note how far events are told")]
    Told(#[source] std::io::Error),
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

/// What has one order: the devices, and the numbers of fixes.
#[derive(Debug)]
struct Core {
    world: World,
    /// The number of the last fix.
    version: u64,
}

/// How many devices a page looks at at once; reports have their turn in between.
const DEVICES_AT_ONCE: usize = 256;

/// Who is connected, who hears what, and the newest of every device.
#[derive(Debug)]
pub struct Hub {
    core: Mutex<Core>,
    shards: Vec<Arc<Shard>>,
    rooms: Rooms,
    connections: Connections,
    /// The tokens that are not accepted any more.
    revocations: RwLock<Revocations>,
    store: Arc<dyn Store>,
    writer: Arc<Writer>,
    durability: Durability,
    trail: Trail,
    /// How far the audit trail is in the store.
    audit_kept: watch::Receiver<Option<AuditHead>>,
    metrics: Arc<Metrics>,
    /// The latest uptime that anybody came with, microseconds: for what ends without a clock at hand.
    uptime_us: AtomicU64,
}

impl Hub {
    /// A hub that goes on where the last one stopped: with its devices, their newest fixes, and its rooms.
    ///
    /// # Errors
    /// [`HubFault`] when the store can't be read.
    pub async fn open(
        settings: HubSettings,
        keeping: Keeping,
        metrics: Arc<Metrics>,
        now: Now,
    ) -> Result<Arc<Self>, HubFault> {
        let Keeping { store, writer, told, durability, past, audit_file } = keeping;
        let failed = |cause| HubFault::Store { cause, retry_after: writer.retry_after() };
        let remembered = store.load(settings.rooms.ring_messages_max).await.map_err(failed)?;
        let kept = remembered.last_ordinal;
        let from_store = || Ok(Begun::after(kept, kept));
        let begun = told.as_ref().map_or_else(from_store, |told| told.begin(kept)).map_err(HubFault::Told)?;
        if begun.told > kept {
            tracing::warn!(
                events = begun.told - kept,
                "events may have been told that the store does not have, so many at the most; rooms tell of a gap"
            );
        }
        let mut world = World::new(settings.policy);
        let (mut changes, mut version) = (Vec::new(), 0);
        let mut states: HashMap<DeviceId, DeviceState> =
            remembered.states.into_iter().map(|state| (state.id.clone(), state)).collect();
        for record in remembered.devices {
            let state = states.remove(&record.id);
            let device = restored(record, state);
            let live = device.live.clone();
            changes.push(Change::Device(Arc::new(device.clone())));
            world.restore(device, now);
            if let Some(fix) = live {
                version += 1;
                changes.push(Change::Fix(Arc::new(Live::newest(fix, version, now.uptime))));
            }
        }
        store::recall(&store, &mut world).await;
        let epoch: Arc<str> = random_token(6).into();
        let views = || Views::new(settings.views, Arc::clone(&epoch));
        let shards = (0..settings.shards.max(1)).map(|_| Shard::new(views(), Arc::clone(&metrics)));
        let shards: Vec<Arc<Shard>> = shards.collect();
        for shard in &shards {
            shard.feed(&changes);
        }
        let head = remembered.audit_head;
        let mut unsaid = audit::unsaid(&store, head, remembered.audit_removed).await;
        let lines = match audit_file {
            Some(file) => {
                let kept = writer.audit_kept();
                Some(Lines::start(file, &store, head, kept, Arc::clone(&metrics), &mut unsaid.found).await)
            }
            None => None,
        };
        unsaid.told(past, &metrics);
        let log = EventLog::new(Arc::clone(&writer), told, begun.told);
        Ok(Arc::new(Self {
            core: Mutex::new(Core { world, version }),
            shards,
            rooms: Rooms::new(settings.rooms, remembered.rooms, &begun, log, now),
            connections: Connections::default(),
            revocations: RwLock::new(identities::restored(remembered.revocations, now)),
            trail: Trail::new(settings.audit, head, unsaid, lines, now),
            audit_kept: writer.audit_kept(),
            store,
            writer,
            durability,
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

    /// The shards.
    pub fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    // --- connections

    /// Enters a connection of a shard into the registry. It is out again when the guard is dropped.
    pub fn connect(
        self: &Arc<Self>,
        endpoint: Endpoint,
        address: Option<IpAddr>,
        shard: &Arc<Shard>,
        now: Now,
    ) -> Registration {
        self.saw(now);
        let peer = self.connections.add(endpoint, address, shard, now);
        self.metrics.connections.inc();
        self.metrics.connections_opened.inc();
        Registration { peer, hub: Arc::clone(self) }
    }

    pub(crate) fn forget(&self, peer: &Peer) {
        let uptime = Duration::from_micros(self.uptime_us.load(Ordering::Relaxed));
        self.rooms.leave_all(peer, uptime);
        self.connections.remove(&peer.id);
        peer.shard.forget(peer);
        self.metrics.connections.dec();
    }

    fn saw(&self, now: Now) {
        self.uptime_us
            .fetch_max(u64::try_from(now.uptime.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    // --- what happens

    /// Takes events of the world to the views and into the room; within the lock that gives them their order.
    fn spread(&self, events: &[Event], now: Now) {
        let changes: Vec<Change> = events.iter().filter_map(change).collect();
        if !changes.is_empty() {
            self.shards.iter().for_each(|shard| shard.feed(&changes));
            self.shards.iter().for_each(|shard| shard.ring());
        }
        self.tell(events, now);
    }

    /// Lets time pass: silences, rooms that nobody uses. Call it a few times a second.
    pub fn sweep(&self, now: Now) {
        self.saw(now);
        {
            let mut events = Vec::new();
            let mut core = self.core.lock();
            core.world.sweep(now, &mut events);
            self.spread(&events, now);
            let entrusted = records(&events);
            if !entrusted.is_empty() {
                drop(self.writer.entrust(entrusted));
            }
        }
        self.rooms.sweep(now.uptime);
        self.forget_revocations(now);
        self.sweep_trail(now);
    }

    /// Brings the gauges up to date; called before the metrics are shown.
    pub fn refresh_gauges(&self) {
        let classes = self.shards.iter().map(|shard| shard.class_count()).sum::<usize>();
        self.metrics.view_classes.set(i64::try_from(classes).unwrap_or(i64::MAX));
        self.refresh_store_gauges();
        self.metrics.rooms.set(i64::try_from(self.rooms.occupied().len()).unwrap_or(i64::MAX));
        for (status, count) in self.core.lock().world.count_by_status() {
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
        let is_shown = |device: &Device| filter.matches(device) && principal.may_see(device.id.as_str());
        let (mut devices, mut total, mut has_more) = (Vec::new(), 0, false);
        let mut looked_at: Option<DeviceId> = None;
        loop {
            let core = self.core.lock();
            let from = looked_at.as_ref().map(DeviceId::as_str);
            let mut last = None;
            for device in core.world.after(from).take(DEVICES_AT_ONCE) {
                last = Some(device.id.clone());
                if !is_shown(device) {
                    continue;
                }
                total += 1;
                if after.is_some_and(|after| device.id.as_str() <= after) {
                    continue;
                }
                if devices.len() < limit {
                    devices.push(device_payload(device));
                } else {
                    has_more = true;
                }
            }
            drop(core);
            match last {
                Some(last) => looked_at = Some(last),
                None => break,
            }
        }
        let next = devices.last().filter(|_last| has_more).map(|last: &message::Device| last.id.clone());
        DevicePage { devices, total, next }
    }

    /// A device, if there is one that the principal may see.
    pub fn device(&self, principal: &Principal, id: &DeviceId) -> Option<Device> {
        self.core.lock().world.get(id.as_str()).filter(|_device| principal.may_see(id.as_str())).cloned()
    }

    /// Adds a device or says anew what it is.
    ///
    /// # Errors
    /// The refusal for the client.
    pub fn register(&self, device: NewDevice, now: Now) -> Result<(Device, Kept), Refusal> {
        let mut events = Vec::new();
        let mut core = self.core.lock();
        let registered = core.world.register(device, now, &mut events).map_err(refusal)?;
        self.spread(&events, now);
        Ok((registered, self.kept([self.writer.entrust(records(&events))])))
    }

    /// Changes what is said of a device. `None` when there is no such device.
    pub fn update(&self, id: &DeviceId, wanted: Changes, now: Now) -> Option<(Device, Kept)> {
        let mut events = Vec::new();
        let mut core = self.core.lock();
        let device = core.world.update(id, wanted, &mut events)?;
        self.spread(&events, now);
        Some((device, self.kept([self.writer.entrust(records(&events))])))
    }

    /// Takes a device away with its history. `None` when there is no such device.
    pub fn remove(&self, id: &DeviceId, now: Now) -> Option<Kept> {
        let mut events = Vec::new();
        let mut core = self.core.lock();
        core.world.remove(id, &mut events)?;
        self.spread(&events, now);
        Some(self.kept([self.writer.entrust(records(&events))]))
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
            Outgoing::numbered(payload, numbered).to_text()
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
        self.rooms.publish(room, Vec::new(), None, at, |epoch, seq| {
            let numbered = Numbered { room: room.as_str(), epoch, seq };
            anita_wire::encode(name, payload, None, Some(numbered))
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
                    let updated = message::DeviceUpdated { device: device_payload(device) };
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
}

/// What views have to know of an event.
fn change(event: &Event) -> Option<Change> {
    match event {
        Event::Registered(device) | Event::StatusChanged(device) | Event::Updated(device) => {
            Some(Change::Device(Arc::new(device.clone())))
        }
        Event::Removed(id) => Some(Change::Removed(id.clone())),
        Event::Near(_) => None,
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
