//! What has to be so when the server goes on after a stop.

use std::collections::BTreeMap;
use std::time::Duration;

use anita_hub::Hub;
use anita_model::RoomName;

use super::{Entry, MaySkip, NUMBERED_MAX, Newest, Room, Truth, number_of};
use crate::disk::Disk;
use crate::link::Millis;

/// How long before the last sign of any device one was heard of whose fixes may come again after a restart.
const UNDER_WAY: Duration = Duration::from_secs(300);

impl Truth {
    /// The server goes on after a stop: nothing that was acknowledged may be lost.
    pub(crate) async fn reopened(&mut self, hub: &Hub, disk: &Disk, now_ms: Millis) {
        let admin = crate::house::admin();
        self.run += 1;
        (self.version, self.numbers) = (0, BTreeMap::new());
        for (index, device) in self.devices.iter_mut().enumerate() {
            let found = hub.device(&admin, &device.id);
            let entry: Entry = found.as_ref().map(|found| {
                found.name.as_ref().map(|name| name.strip_prefix("name ").unwrap().parse().unwrap())
            });
            let is_kept = device.log[device.acked..].contains(&entry);
            assert!(
                is_kept,
                "{:?}: {entry:?} after a restart, not one of {:?}",
                device.id,
                &device.log[device.acked..]
            );
            device.log = vec![entry];
            device.acked = 0;
            let live = found.and_then(|found| found.live);
            let track = disk.track(&device.id, NUMBERED_MAX).await;
            if let Some(newest) = track.first().filter(|_newest| entry.is_some()) {
                let live = live.as_ref().expect("a device whose history is there is somewhere");
                assert!(
                    live.taken_at >= newest.taken_at,
                    "{:?}: older than its history after a restart",
                    device.id
                );
            }
            device.lives.clear();
            device.live = None;
            device.numbered.clear();
            let Some(live) = live else { continue };
            let of = self.facts[number_of(&live) - 1].device;
            assert_eq!(of, index, "a device is back where another one was");
        }
        self.recall(hub, disk, now_ms).await;
        self.reopen_revocations(hub);
        self.reopen_rooms(hub, disk, now_ms);
    }

    async fn recall(&mut self, hub: &Hub, disk: &Disk, now_ms: Millis) {
        let admin = crate::house::admin();
        self.version = 0;
        let seen = self
            .devices
            .iter()
            .filter_map(|it| hub.device(&admin, &it.id).and_then(|device| device.last_seen));
        let last_seen = seen.max();
        for index in self.in_order() {
            let id = self.devices[index].id.clone();
            let Some(found) = hub.device(&admin, &id) else { continue };
            let silence = last_seen.zip(found.last_seen).map(|(last, seen)| last.since(seen));
            let Some(live) = found.live else { continue };
            self.version += 1;
            let number = number_of(&live);
            let device = &mut self.devices[index];
            device.live = Some(Newest { number, taken_at: live.taken_at, version: self.version });
            device.lives.push((self.version, number));
            self.numbers.insert(self.version, number);
            device.live_since_ms = now_ms;
            let is_counted = live.sequence.is_some() && live.taken_at == live.received_at;
            device.numbered.extend(is_counted.then_some((number, live.taken_at)));
            if is_counted && silence.is_some_and(|silence| silence <= UNDER_WAY) {
                let counted = disk.track(&id, NUMBERED_MAX).await;
                let counted =
                    counted.iter().filter(|fix| fix.sequence.is_some() && fix.taken_at == fix.received_at);
                device.numbered = counted.map(|fix| (number_of(fix), fix.taken_at)).collect();
            }
        }
    }

    /// The devices in the order of their ids.
    fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.devices.len()).collect();
        order.sort_by(|&a, &b| self.devices[a].id.cmp(&self.devices[b].id));
        order
    }

    fn reopen_rooms(&mut self, hub: &Hub, disk: &Disk, now_ms: Millis) {
        for (&name, room) in &mut self.rooms {
            let heard = hub.rooms().heard_after(&RoomName::parse(name).unwrap(), 0, usize::MAX);
            let had_any = room.messages.keys().any(|&seq| disk.has_event(name, &room.epoch, seq));
            if *heard.epoch == *room.epoch {
                room.messages.retain(|&seq, _message| disk.has_event(name, &room.epoch, seq));
            } else {
                assert!(!had_any || name != "uwb", "the numbering of uwb outlives the server");
                *room = Room { epoch: heard.epoch.to_string(), ..Room::default() };
            }
        }
        self.listen(hub.rooms(), now_ms, MaySkip::Yes);
    }

    /// Those that were kept are in force after a restart; of others, those that the hub has.
    fn reopen_revocations(&mut self, hub: &Hub) {
        let found: Vec<String> = hub.revocations().iter().map(|it| it.id.to_string()).collect();
        for it in &self.revocations {
            assert!(!it.is_kept || found.contains(&it.id), "{it:?} is forgotten after a restart");
        }
        self.revocations.retain(|it| found.contains(&it.id));
    }
}
