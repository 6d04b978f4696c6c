//! What the hub keeps, and where.

use std::sync::Arc;

use anita_model::{DeviceId, RoomName, Timestamp};
use anita_store::audit::AuditFile;
use anita_store::{
    DeviceRecord, DeviceState, EventRecord, MemoryStore, Record, Store, Told, Writer, WriterSettings,
};
use anita_world::{Device, Event};

/// When a report counts as acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is stored.
    #[default]
    Commit,
    /// When it is taken: it is stored a moment later, or never. Whoever is answered is told so.
    None,
}

/// What is known at a start of the last server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// What it kept.
    Kept,
    /// Nothing: the store is gone with the process.
    Forgotten,
}

/// The store, the way into it, and how far events were told.
#[derive(Debug)]
pub struct Keeping {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) told: Option<Told>,
    pub(crate) durability: Durability,
    pub(crate) past: Past,
    pub(crate) audit_file: Option<AuditFile>,
}

impl Keeping {
    /// In a store. Starts the task that writes. `told` is the file that says how far events were told; without it,
    /// numbering goes on after what the store has.
    pub fn new(
        store: Arc<dyn Store>,
        settings: WriterSettings,
        told: Option<Told>,
        durability: Durability,
    ) -> Self {
        let writer = Arc::new(Writer::start(Arc::clone(&store), settings));
        Self { store, writer, told, durability, past: Past::Kept, audit_file: None }
    }

    /// In memory, at once.
    pub fn in_memory(store: MemoryStore) -> Self {
        let store = Arc::new(store);
        let writer = Arc::new(Writer::immediate(Arc::clone(&store)));
        let (durability, past) = (Durability::Commit, Past::Forgotten);
        Self { store, writer, told: None, durability, past, audit_file: None }
    }

    /// The audit trail also goes into a file of JSON lines.
    #[must_use]
    pub fn with_audit_file(self, file: AuditFile) -> Self {
        Self { audit_file: Some(file), ..self }
    }
}

/// Gives events their ordinals, and keeps them.
#[derive(Debug)]
pub(crate) struct EventLog {
    writer: Arc<Writer>,
    told: Option<Told>,
    ordinal: u64,
}

/// An event that is about to be told.
pub(crate) struct Telling<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) epoch: &'a Arc<str>,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) devices: &'a [DeviceId],
    pub(crate) from: Option<Arc<str>>,
    pub(crate) text: &'a str,
}

impl EventLog {
    /// Goes on after an ordinal.
    pub(crate) fn new(writer: Arc<Writer>, told: Option<Told>, ordinal: u64) -> Self {
        Self { writer, told, ordinal }
    }

    /// Notes that an event is told, and keeps it. Nobody waits for that.
    pub(crate) fn keep(&mut self, event: Telling<'_>) {
        self.ordinal += 1;
        if let Some(told) = &self.told {
            told.note(self.ordinal);
        }
        let record = EventRecord {
            ordinal: self.ordinal,
            room: event.room.clone(),
            epoch: Arc::clone(event.epoch),
            seq: event.seq,
            at: event.at,
            devices: event.devices.to_vec(),
            from: event.from,
            text: event.text.into(),
        };
        drop(self.writer.entrust(vec![Record::Event(record)]));
    }

    /// Notes that everything that was told is kept.
    pub(crate) fn close(&self) {
        if let Some(told) = &self.told {
            told.close(self.ordinal);
        }
    }
}

/// What the store has to remember of events.
pub(crate) fn records(events: &[Event]) -> Vec<Record> {
    let mut records = Vec::new();
    for event in events {
        match event {
            Event::Registered(device) | Event::Updated(device) => records.push(Record::Save(record(device))),
            Event::StatusChanged(device) => records.push(Record::State(state(device))),
            Event::Removed(id) => records.push(Record::Remove(id.clone())),
            Event::Near(_) => {}
        }
    }
    records
}

pub(crate) fn state(device: &Device) -> DeviceState {
    DeviceState {
        id: device.id.clone(),
        status: device.status,
        last_seen: device.last_seen,
        battery_percent: device.battery_percent,
        newest: device.live.clone(),
    }
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

/// A device as the store remembers it.
pub(crate) fn restored(record: DeviceRecord, state: Option<DeviceState>) -> Device {
    let mut device = Device::new(record.id, record.kind, record.site);
    device.name = record.name;
    device.mounted_at = record.mounted_at;
    device.floor = record.floor;
    if let Some(state) = state {
        device.status = state.status;
        device.last_seen = state.last_seen;
        device.battery_percent = state.battery_percent;
        device.live = state.newest;
    }
    device
}
