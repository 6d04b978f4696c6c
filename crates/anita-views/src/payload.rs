//! What the world knows, as payloads of the wire.

use anita_model::{Fix, SiteName};
use anita_wire::message::{Device, HistoryEntry, Location};
use anita_wire::{Metres, Percent, Place, Time};

/// A site as messages say it: absent while it is the default.
fn site_text(site: &SiteName) -> Option<String> {
    Some(site).filter(|&site| *site != SiteName::main()).map(ToString::to_string)
}

/// The `uwb.location` of a fix.
pub fn location(fix: &Fix) -> Location {
    Location {
        device_id: fix.device.to_string(),
        location: fix.position.into(),
        accuracy: fix.accuracy_m.map(Metres),
        floor: fix.floor,
        battery: fix.battery_percent.map(Percent),
        site: site_text(&fix.site),
        timestamp: Time(fix.taken_at),
        received_at: Time(fix.received_at),
    }
}

/// A device as `uwb.device_list` shows it.
pub fn device(device: &anita_world::Device) -> Device {
    device_at(device, device.live.as_deref())
}

/// A device with a fix that a view told of.
pub(crate) fn device_at(device: &anita_world::Device, live: Option<&Fix>) -> Device {
    Device {
        id: device.id.to_string(),
        name: device.name.clone(),
        kind: device.kind.into(),
        status: device.status.into(),
        last_seen: device.last_seen.max(live.map(|fix| fix.received_at)).map(Time),
        location: live.map(|fix| fix.position).or(device.mounted_at).map(Place::from),
        accuracy: live.and_then(|fix| fix.accuracy_m).map(Metres),
        floor: live.map_or(device.floor, |fix| fix.floor),
        battery: live.and_then(|fix| fix.battery_percent).or(device.battery_percent).map(Percent),
        site: site_text(&device.site),
        source: live.map(|fix| fix.source.to_string()),
        timestamp: live.map(|fix| Time(fix.taken_at)),
        received_at: live.map(|fix| Time(fix.received_at)),
    }
}

/// A past fix as `uwb.location_history` shows it.
pub fn history_entry(fix: &Fix) -> HistoryEntry {
    HistoryEntry {
        timestamp: Time(fix.taken_at),
        received_at: Time(fix.received_at),
        location: fix.position.into(),
        accuracy: fix.accuracy_m.map(Metres),
        floor: fix.floor,
        source: Some(fix.source.to_string()),
    }
}
