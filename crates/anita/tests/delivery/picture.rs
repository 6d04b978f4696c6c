//! What a client knows of its views, by nothing but what it was told; and what no message may do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// Where a device is: centimetres, and in its height how often it was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) x_cm: i64,
    pub(crate) y_cm: i64,
    pub(crate) count: i64,
}

impl Place {
    /// What is reported of a device.
    pub(crate) fn item(self, device: &str) -> Value {
        let [x, y, z] = [self.x_cm, self.y_cm, self.count].map(metres);
        json!({ "device_id": device, "location": { "x": x, "y": y, "z": z }, "floor": 1.0, "battery": 50.0 })
    }

    fn read(location: &Value) -> Self {
        let [x_cm, y_cm, count] = ["x", "y", "z"].map(|axis| centimetres(location[axis].as_f64().unwrap()));
        Self { x_cm, y_cm, count }
    }

    pub(crate) fn distance_m(self, other: Self) -> f64 {
        let [dx, dy, dz] =
            [self.x_cm - other.x_cm, self.y_cm - other.y_cm, self.count - other.count].map(metres);
        dx.hypot(dy).hypot(dz)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few kilometres")]
pub(crate) fn metres(cm: i64) -> f64 {
    cm as f64 / 100.0
}

#[expect(clippy::cast_possible_truncation, reason = "a few kilometres")]
fn centimetres(metres: f64) -> i64 {
    (metres * 100.0).round() as i64
}

/// One view.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    /// The devices that it shows, and where they are; `None` for one that was never located.
    pub(crate) devices: BTreeMap<String, Option<Place>>,
    /// The devices by their numbers in columns.
    refs: BTreeMap<u64, String>,
    /// The latest that was ever told of each device.
    latest: BTreeMap<String, i64>,
    has_begun: bool,
}

/// A device that was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) subscription: String,
    pub(crate) device: String,
    pub(crate) place: Option<Place>,
    /// Whether it moved; else it was part of a snapshot or came in.
    pub(crate) has_moved: bool,
}

/// All views of one connection.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    pub(crate) views: BTreeMap<String, Picture>,
    /// Those that have ended.
    ended: BTreeSet<String>,
}

impl Pictures {
    /// Takes a message; says of which devices it told.
    pub(crate) fn hear(&mut self, message: &Value) -> Vec<Told> {
        let payload = &message["payload"];
        let name = |of: &Value| of["subscription"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str().unwrap() {
            "subscribed" => {
                self.ended.remove(&name(payload));
                let before = self.views.insert(name(payload), Picture::default());
                assert!(before.is_none(), "a name was given twice: {message}");
                Vec::new()
            }
            "unsubscribed" => {
                assert!(self.views.remove(&name(payload)).is_some(), "{message}");
                self.ended.insert(name(payload));
                Vec::new()
            }
            "view.snapshot" | "view.entered" | "view.left" => self.list(&name(payload), message),
            "uwb.location" | "uwb.position_update" | "uwb.position_columns" => {
                self.moves(&name(message), message)
            }
            "close" | "gone" => panic!("the server ended the connection: {message}"),
            _ => Vec::new(),
        }
    }

    fn view(&mut self, name: &str, message: &Value) -> &mut Picture {
        assert!(!self.ended.contains(name), "unsubscribed was not the last word of the view: {message}");
        self.views.get_mut(name).unwrap_or_else(|| panic!("a view that nobody asked for: {message}"))
    }

    fn list(&mut self, name: &str, message: &Value) -> Vec<Told> {
        let (kind, payload) = (message["type"].as_str().unwrap(), &message["payload"]);
        let view = self.view(name, message);
        if kind == "view.left" {
            for device in payload["device_ids"].as_array().unwrap() {
                let device = device.as_str().unwrap();
                view.devices.remove(device);
                view.refs.retain(|_number, it| it != device);
            }
            return Vec::new();
        }
        if kind == "view.snapshot" && payload["page"] == 1 {
            view.devices.clear();
            view.refs.clear();
            view.has_begun = true;
        }
        let mut told = Vec::new();
        let devices = payload["devices"].as_array().unwrap();
        for (place, shown) in devices.iter().enumerate() {
            let device = shown["id"].as_str().unwrap();
            if let Some(number) = payload["refs"].get(place) {
                view.refs.retain(|_number, it| it != device);
                view.refs.insert(number.as_u64().unwrap(), device.to_owned());
            }
            let place = shown.get("location").map(Place::read);
            if let Some(place) = place {
                let latest = view.latest.entry(device.to_owned()).or_insert(place.count);
                assert!(*latest <= place.count, "{device} was at {latest} before: {message}");
                *latest = place.count;
            }
            view.devices.insert(device.to_owned(), place);
            told.push(Told {
                subscription: name.to_owned(),
                device: device.to_owned(),
                place,
                has_moved: false,
            });
        }
        told
    }

    fn moves(&mut self, name: &str, message: &Value) -> Vec<Told> {
        let payload = &message["payload"];
        if message["type"] == "uwb.location" && message.get("id").is_some() {
            return Vec::new();
        }
        let view = self.view(name, message);
        assert!(view.has_begun, "a position before the snapshot: {message}");
        let moved: Vec<(String, Place)> = match message["type"].as_str().unwrap() {
            "uwb.location" => {
                let device = payload["device_id"].as_str().unwrap();
                vec![(device.to_owned(), Place::read(&payload["location"]))]
            }
            "uwb.position_update" => {
                let positions = payload["positions"].as_object().unwrap();
                positions.iter().map(|(device, location)| (device.clone(), Place::read(location))).collect()
            }
            _ => view.columns(payload),
        };
        let mut told = Vec::new();
        for (device, place) in moved {
            let known = view.devices.get_mut(&device);
            *known.unwrap_or_else(|| panic!("{device} moved and was never said to be there: {message}")) =
                Some(place);
            let latest = view.latest.insert(device.clone(), place.count);
            assert!(
                latest.is_none_or(|latest| latest < place.count),
                "{device} was at {latest:?} before: {message}"
            );
            told.push(Told { subscription: name.to_owned(), device, place: Some(place), has_moved: true });
        }
        told
    }
}

impl Picture {
    fn columns(&self, payload: &Value) -> Vec<(String, Place)> {
        let per_cm = if payload["unit"] == "mm" { 10 } else { 1 };
        let column = |name: &str| -> Vec<i64> {
            let column = payload[name].as_array().unwrap().iter();
            column.map(|number| number.as_i64().unwrap() / per_cm).collect()
        };
        let (x, y, z) = (column("x"), column("y"), column("z"));
        let refs = payload["refs"].as_array().unwrap().iter().enumerate();
        let read = |(place, number): (usize, &Value)| {
            let number = number.as_u64().unwrap();
            let device = self.refs.get(&number);
            let device = device.unwrap_or_else(|| panic!("nobody has the number {number}: {payload}"));
            (device.clone(), Place { x_cm: x[place], y_cm: y[place], count: z[place] })
        };
        refs.map(read).collect()
    }
}
