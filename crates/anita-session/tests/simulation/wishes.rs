//! What users report, change, look at and say.

use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use crate::client::Request;
use crate::simulation::Simulation;
use crate::truth::{Numbering, ROOMS, height_m};
use crate::users::some_of;
use crate::view::Asked;

impl Simulation {
    // --- reports

    pub(crate) fn measure_and_report(&mut self, user: usize) {
        let count = *[1, 1, 1, 2, 6].choose(&mut self.rng).unwrap();
        let own = self.users[user].devices.clone();
        let numbers: Vec<usize> = (0..count).map(|_| self.measure_any(&own, "websocket")).collect();
        if self.rng.random_bool(0.1) {
            // It was not sure whether that had gone.
            self.users[user].backlog.push_back(numbers.clone());
        }
        self.report(user, numbers);
    }

    /// Any of some devices is measured.
    pub(crate) fn measure_any(&mut self, devices: &[usize], source: &'static str) -> usize {
        let device = *devices.choose(&mut self.rng).unwrap();
        self.measure(device, source)
    }

    /// A device is measured: its source stamps and numbers fixes, or does not, by the device.
    pub(crate) fn measure(&mut self, device: usize, source: &'static str) -> usize {
        let (x_mm, y_mm) = (self.rng.random_range(0..40_000), self.rng.random_range(0..25_000));
        let is_stamped = device % 4 < 2;
        let numbering = if device.is_multiple_of(2) { Numbering::Counted } else { Numbering::Plain };
        let wall = self.wall();
        let stamp = match self.rng.random_range(0..20) {
            0 => wall.minus(Duration::from_millis(self.rng.random_range(100..9_000))),
            1 => wall.plus(Duration::from_millis(self.rng.random_range(100..4_000))),
            2 if self.rng.random_bool(0.3) => wall.plus(Duration::from_secs(30)),
            _ => wall,
        };
        self.truth.measure((device, x_mm, y_mm), is_stamped.then_some(stamp), numbering, source)
    }

    pub(crate) fn report(&mut self, user: usize, numbers: Vec<usize>) {
        let items: Vec<Value> = numbers.iter().map(|&number| self.item(number)).collect();
        let payload = match items.as_slice() {
            [one] if self.rng.random_bool(0.5) => one.clone(),
            _ => json!({ "locations": items }),
        };
        self.ask(user, "report_location", &payload, Request::Report(numbers));
    }

    fn item(&self, number: usize) -> Value {
        let fact = self.truth.fact(number);
        let metres = |millimetres: i64| f64::from(i32::try_from(millimetres).unwrap()) / 1_000.0;
        let location = json!({ "x": metres(fact.x_mm), "y": metres(fact.y_mm), "z": height_m(number) });
        let mut item =
            json!({ "device_id": self.truth.devices[fact.device].id.as_str(), "location": location });
        if let Some(sequence) = fact.sequence {
            item["sequence"] = json!(sequence);
        }
        if let Some(stamp) = fact.stamp {
            item["timestamp"] = json!(stamp.to_string());
        }
        item
    }

    // --- the registry

    pub(crate) fn operate(&mut self, user: usize) {
        let (device, id) = self.any_device();
        let name = self.now_ms * 100 + user as u64;
        let named = json!({ "device_id": id, "name": format!("name {name}") });
        match self.rng.random_range(0..10) {
            0..3 => self.ask(user, "register_device", &named, Request::Register { device, name }),
            3..7 => self.ask(user, "update_device", &named, Request::Rename { device, name }),
            7..9 => self.ask(user, "remove_device", &json!({ "device_id": id }), Request::Remove { device }),
            _ => self.talk(user),
        }
    }

    /// Says something in a room, once or very often.
    fn talk(&mut self, user: usize) {
        let room = *ROOMS.choose(&mut self.rng).unwrap();
        let most = if self.users[user].rights.writes() { 45 } else { 1 };
        let count = *[1, 1, 3, most].choose(&mut self.rng).unwrap();
        for part in 0..count {
            let payload =
                json!({ "room": room, "name": "note", "data": { "part": part, "at": self.now_ms } });
            self.ask(user, "send_to_room", &payload, Request::Plain("room.sent"));
        }
    }

    // --- views

    pub(crate) fn look(&mut self, user: usize, conn: u32) {
        match self.rng.random_range(0..5) {
            0 => {
                let some = ["a-1", "b-1", "b-2", "a-3"];
                let devices = self
                    .rng
                    .random_bool(0.5)
                    .then(|| some_of(&some, &mut self.rng))
                    .filter(|it| !it.is_empty());
                let seconds = *[0.1, 0.5, 2.0].choose(&mut self.rng).unwrap();
                let payload =
                    json!({ "device_ids": devices.clone().unwrap_or_default(), "update_frequency": seconds });
                let asked = Asked {
                    devices,
                    area: None,
                    mode: "batch",
                    rate_hz: Some(1.0 / seconds),
                    has_snapshot: true,
                };
                self.ask(user, "start_position_tracking", &payload, Request::Track(asked));
            }
            1 => self.ask(user, "stop_position_tracking", &json!({}), Request::StopTracking),
            2 => self.be_in_rooms(user, conn),
            _ => self.keep_views(user, conn),
        }
    }

    fn choose_view(&mut self) -> Asked {
        let rng = &mut self.rng;
        let devices = rng.random_bool(0.3).then(|| some_of(&["a-*", "b-*", "a-1", "b-2"], rng));
        let area = rng.random_bool(0.5).then(|| {
            let (x, y) = (rng.random_range(0.0..25.0_f64).round(), rng.random_range(0.0..15.0_f64).round());
            [x, x + 15.0, y, y + 10.0]
        });
        let rate_hz = *[None, None, Some(2.0), Some(10.0), Some(0.0)].choose(rng).unwrap();
        let mode = *["batch", "single", "columns"].choose(rng).unwrap();
        Asked { devices, area, mode, rate_hz, has_snapshot: true }
    }

    pub(crate) fn keep_views(&mut self, user: usize, conn: u32) {
        let names: Vec<String> =
            self.conns[&conn].client.views.keys().filter(|name| name.starts_with('s')).cloned().collect();
        // One that is being changed or ended is left alone until that is done.
        let is_busy = self.conns[&conn].client.requests.values().any(|sent| {
            matches!(sent.request, Request::Update { .. } | Request::Unsubscribe(_) | Request::Subscribe(_))
        });
        if is_busy {
            return;
        }
        match (names.choose(&mut self.rng).cloned(), self.rng.random_range(0..10)) {
            (Some(name), 0..2) => {
                let payload = json!({ "subscription": name });
                self.ask(user, "unsubscribe", &payload, Request::Unsubscribe(name));
            }
            (Some(name), 2..6) => {
                let asked = self.choose_view();
                let mut payload = asked.payload();
                payload["subscription"] = json!(name);
                self.ask(user, "update_subscription", &payload, Request::Update { name, asked });
            }
            _ if names.len() < 3 => {
                let mut asked = self.choose_view();
                // Numbers of columns come with the snapshot.
                asked.has_snapshot = asked.mode == "columns" || self.rng.random_bool(0.85);
                let mut payload = asked.payload();
                payload["snapshot"] = json!(asked.has_snapshot);
                self.ask(user, "subscribe", &payload, Request::Subscribe(asked));
            }
            _ => {}
        }
    }

    pub(crate) fn record(&mut self, user: usize, conn: u32) {
        let client = &self.conns[&conn].client;
        let is_asking = client.requests.values().any(|sent| matches!(sent.request, Request::Read { .. }));
        if !client.readers.is_empty() || is_asking {
            return self.ask_plainly(user);
        }
        let devices = self.rng.random_bool(0.4).then(|| some_of(&["a-*", "b-*"], &mut self.rng));
        let since = self.users[user].read.clone().filter(|_it| self.rng.random_bool(0.8));
        let mut payload = json!({ "lane": "every" });
        if let Some(devices) = &devices {
            payload["view"] = json!({ "devices": devices, "status": ["connected", "stale", "disconnected"] });
        } else {
            payload["view"] = json!({ "status": ["connected", "stale", "disconnected"] });
        }
        if let Some((epoch, seq)) = &since {
            payload["since"] = json!({ "epoch": epoch, "seq": seq });
        }
        self.ask(user, "subscribe", &payload, Request::Read { devices, since });
    }

    // --- rooms

    pub(crate) fn be_in_rooms(&mut self, user: usize, conn: u32) {
        let room = (*ROOMS.choose(&mut self.rng).unwrap()).to_owned();
        let client = &self.conns[&conn].client;
        let is_busy = client.requests.values().any(|sent| {
            matches!(sent.request, Request::Join { .. } | Request::Leave(_) | Request::Authenticate(_))
        });
        let is_in = client.rooms.contains_key(&room);
        match self.rng.random_range(0..10) {
            _ if is_busy => self.ask_plainly(user),
            0..2 if is_in => {
                let hearing = &self.conns[&conn].client.rooms[&room];
                let heard = (hearing.epoch.clone(), hearing.told);
                self.users[user].heard.insert(room.clone(), heard);
                self.ask(user, "leave_room", &json!({ "room": room }), Request::Leave(room));
            }
            2..4 => {
                self.ask(user, "get_room_members", &json!({ "room": room }), Request::Plain("room.members"));
            }
            4..6 => self.talk(user),
            _ if !is_in => {
                let since =
                    self.users[user].heard.get(&room).cloned().filter(|_it| self.rng.random_bool(0.85));
                let mut payload = json!({ "room": room });
                if let Some((epoch, seq)) = &since {
                    payload["since"] = json!({ "epoch": epoch, "seq": seq });
                }
                self.ask(user, "join_room", &payload, Request::Join { room, since });
            }
            _ => {}
        }
    }
}
