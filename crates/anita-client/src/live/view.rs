//! What a view shows: the devices of a subscription, whatever the form in which they are told. No socket, no clock.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// Where something is, metres in the frame of its site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// East of the origin.
    pub x: f64,
    /// North of the origin.
    pub y: f64,
    /// Above the origin.
    pub z: f64,
}

/// A device of a view, as it was told last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewDevice {
    /// Its name for programs.
    pub id: String,
    /// Where it is, as far as it is known.
    #[serde(default)]
    pub location: Option<Location>,
    /// The radius of its uncertainty, metres.
    #[serde(default)]
    pub accuracy: Option<f64>,
    /// Its floor.
    #[serde(default)]
    pub floor: Option<f64>,
    /// Its battery, percent.
    #[serde(default)]
    pub battery: Option<f64>,
    /// All else that was told when it came into the view: kind, name, status, …
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// What a view shows now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ViewContents {
    /// The devices by their ids; none in the lane `every`.
    pub devices: BTreeMap<String, ViewDevice>,
    /// Whether that is what the server has: not before the snapshot, and not between two connections.
    pub is_live: bool,
    /// What the server calls the subscription on this connection.
    pub subscription: Option<String>,
    /// Devices by the numbers that columns use.
    refs: HashMap<u32, String>,
}

#[derive(Deserialize)]
struct Told {
    devices: Vec<ViewDevice>,
    #[serde(default)]
    refs: Vec<u32>,
    #[serde(default)]
    page: u32,
    #[serde(default)]
    complete: bool,
}

#[derive(Deserialize)]
struct Left {
    device_ids: Vec<String>,
}

#[derive(Deserialize)]
struct One {
    device_id: String,
    location: Location,
    #[serde(flatten)]
    more: More,
}

#[derive(Deserialize)]
struct Many {
    positions: HashMap<String, Position>,
}

#[derive(Deserialize)]
struct Position {
    #[serde(flatten)]
    location: Location,
    #[serde(flatten)]
    more: More,
}

#[derive(Default, Deserialize)]
struct More {
    #[serde(default)]
    accuracy: Option<f64>,
    #[serde(default)]
    floor: Option<f64>,
    #[serde(default)]
    battery: Option<f64>,
}

#[derive(Deserialize)]
struct Columns {
    unit: String,
    refs: Vec<u32>,
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    #[serde(default)]
    accuracy: Vec<Option<f64>>,
    #[serde(default)]
    floor: Vec<Option<f64>>,
    #[serde(default)]
    battery: Vec<Option<f64>>,
}

// === impl ViewContents ===

impl ViewContents {
    /// Takes a message of the view; false where it has none of the forms that tell of devices.
    ///
    /// # Errors
    /// That of the parser, where a payload does not have the shape of its type.
    pub(super) fn take(&mut self, kind: &str, payload: &str) -> Result<bool, serde_json::Error> {
        match kind {
            "view.snapshot" => {
                let told: Told = serde_json::from_str(payload)?;
                if told.page == 1 {
                    self.devices.clear();
                    self.refs.clear();
                }
                self.is_live |= told.complete;
                self.enter(told);
            }
            "view.entered" => self.enter(serde_json::from_str(payload)?),
            "view.left" => self.leave(&serde_json::from_str::<Left>(payload)?.device_ids),
            "uwb.location" => {
                let One { device_id, location, more } = serde_json::from_str(payload)?;
                self.put(&device_id, location, &more);
            }
            "uwb.position_update" => {
                for (id, Position { location, more }) in serde_json::from_str::<Many>(payload)?.positions {
                    self.put(&id, location, &more);
                }
            }
            "uwb.position_columns" => self.put_columns(&serde_json::from_str(payload)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The connection is gone: the devices stay, as they were.
    pub(super) fn lose(&mut self) {
        self.is_live = false;
        self.subscription = None;
        self.refs.clear();
    }

    fn enter(&mut self, told: Told) {
        for (index, device) in told.devices.into_iter().enumerate() {
            if let Some(number) = told.refs.get(index) {
                self.refs.insert(*number, device.id.clone());
            }
            self.devices.insert(device.id.clone(), device);
        }
    }

    fn leave(&mut self, ids: &[String]) {
        for id in ids {
            self.devices.remove(id);
        }
        // A number holds until its device leaves.
        let devices = &self.devices;
        self.refs.retain(|_number, id| devices.contains_key(id));
    }

    fn put(&mut self, id: &str, location: Location, more: &More) {
        let Some(device) = self.devices.get_mut(id) else { return };
        device.location = Some(location);
        device.accuracy = more.accuracy.or(device.accuracy);
        device.floor = more.floor.or(device.floor);
        device.battery = more.battery.or(device.battery);
    }

    fn put_columns(&mut self, columns: &Columns) {
        let per_metre = if columns.unit == "cm" { 100.0 } else { 1_000.0 };
        let metres = |column: &[f64], index| column.get(index).map(|length: &f64| length / per_metre);
        let some = |column: &[Option<f64>], index| column.get(index).copied().flatten();
        for (index, number) in columns.refs.iter().enumerate() {
            let Some(id) = self.refs.get(number).cloned() else { continue };
            let place = (metres(&columns.x, index), metres(&columns.y, index), metres(&columns.z, index));
            let (Some(x), Some(y), Some(z)) = place else { continue };
            let more = More {
                accuracy: some(&columns.accuracy, index).map(|length| length / per_metre),
                floor: some(&columns.floor, index),
                battery: some(&columns.battery, index),
            };
            self.put(&id, Location { x, y, z }, &more);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The devices that a view has after some messages: id, x, y, z, floor.
    fn shown(view: &mut ViewContents, told: &[(&str, Value)]) -> Vec<(String, [f64; 3], Option<f64>)> {
        for (kind, payload) in told {
            assert!(view.take(kind, &payload.to_string()).unwrap(), "{kind}");
        }
        let place = |it: &ViewDevice| it.location.map_or([f64::NAN; 3], |at| [at.x, at.y, at.z]);
        view.devices.values().map(|it| (it.id.clone(), place(it), it.floor)).collect()
    }

    fn device(id: &str, x: f64) -> Value {
        json!({ "id": id, "kind": "tag", "status": "online", "last_seen": null, "location": { "x": x, "y": 0.0, "z": 0.0 } })
    }

    fn row(id: &str, place: [f64; 3], floor: Option<f64>) -> (String, [f64; 3], Option<f64>) {
        (id.to_owned(), place, floor)
    }

    #[test]
    fn devices_come_move_and_go_in_each_form() {
        let mut view = ViewContents::default();
        let first = json!({ "devices": [device("a", 1.0)], "refs": [7], "page": 1, "complete": false });
        let found = shown(&mut view, &[("view.snapshot", first)]);
        assert_eq!((found, view.is_live), (vec![row("a", [1.0, 0.0, 0.0], None)], false));
        let second = json!({ "devices": [device("b", 2.0)], "refs": [8], "page": 2, "complete": true });
        shown(&mut view, &[("view.snapshot", second)]);
        assert_eq!((view.devices.len(), view.is_live), (2, true));
        assert_eq!(view.devices["a"].more["kind"], "tag");
        let batch = json!({ "positions": { "a": { "x": 3.0, "y": 1.0, "z": 0.5, "floor": 2 }, "nobody": { "x": 0, "y": 0, "z": 0 } }, "timestamp": "…" });
        let single =
            json!({ "device_id": "b", "location": { "x": 4.0, "y": 1.0, "z": 0.5 }, "timestamp": "…" });
        let found = shown(&mut view, &[("uwb.position_update", batch), ("uwb.location", single)]);
        assert_eq!(found, [row("a", [3.0, 1.0, 0.5], Some(2.0)), row("b", [4.0, 1.0, 0.5], None)]);
        let left = json!({ "device_ids": ["a"] });
        assert_eq!(shown(&mut view, &[("view.left", left)]), [row("b", [4.0, 1.0, 0.5], None)]);
        let anew = json!({ "devices": [device("c", 9.0)], "page": 1, "complete": true });
        assert_eq!(shown(&mut view, &[("view.snapshot", anew)]), [row("c", [9.0, 0.0, 0.0], None)]);
    }

    #[test]
    fn columns_are_of_millimetres_or_centimetres_and_of_devices_that_are_there() {
        let entered = json!({ "devices": [device("a", 1.0), device("b", 1.0)], "refs": [7, 8] });
        let columns = |unit: &str| {
            json!({ "unit": unit, "timestamp": "…", "refs": [8, 9, 7], "x": [1234, 1, 5], "y": [-250, 1, 0], "z": [50, 1, 0],
                "floor": [null, 3, 1.0], "accuracy": [100, null, null] })
        };
        for (unit, b, a) in
            [("cm", [12.34, -2.5, 0.5], [0.05, 0.0, 0.0]), ("mm", [1.234, -0.25, 0.05], [0.005, 0.0, 0.0])]
        {
            let mut view = ViewContents::default();
            let told = [("view.entered", entered.clone()), ("uwb.position_columns", columns(unit))];
            assert_eq!(shown(&mut view, &told), [row("a", a, Some(1.0)), row("b", b, None)], "{unit}");
            let accuracy = if unit == "cm" { 1.0 } else { 0.1 };
            assert_eq!(view.devices["b"].accuracy, Some(accuracy));
        }
    }

    #[test]
    fn a_number_goes_with_its_device_and_devices_stay_when_the_connection_is_lost() {
        let column = |number: u32| json!({ "unit": "mm", "timestamp": "…", "refs": [number], "x": [5000], "y": [0], "z": [0] });
        let entered = |id: &str| json!({ "devices": [device(id, 1.0)], "refs": [7] });
        let mut view =
            ViewContents { is_live: true, subscription: Some("s1".to_owned()), ..ViewContents::default() };
        shown(&mut view, &[("view.entered", entered("a")), ("view.left", json!({ "device_ids": ["a"] }))]);
        assert!(view.refs.is_empty());
        shown(&mut view, &[("view.entered", entered("b"))]);
        view.lose();
        assert_eq!((view.is_live, &view.subscription), (false, &None));
        let found = shown(&mut view, &[("uwb.position_columns", column(7))]);
        assert_eq!(
            found,
            [row("b", [1.0, 0.0, 0.0], None)],
            "kept, and the numbers of the old connection mean nothing"
        );
    }

    #[test]
    fn a_snapshot_replaces_the_numbers_too() {
        let told = |number: u32| json!({ "devices": [device("a", 1.0)], "refs": [number], "page": 1, "complete": true });
        let column = |number: u32| json!({ "unit": "mm", "timestamp": "…", "refs": [number], "x": [number * 1000], "y": [0], "z": [0] });
        let mut view = ViewContents::default();
        shown(&mut view, &[("view.snapshot", told(7)), ("view.snapshot", told(8))]);
        let found =
            shown(&mut view, &[("uwb.position_columns", column(8)), ("uwb.position_columns", column(7))]);
        assert_eq!(found, [row("a", [8.0, 0.0, 0.0], None)]);
    }

    #[test]
    fn what_has_no_known_form_changes_nothing() {
        let mut view = ViewContents::default();
        assert!(!view.take("view.other", "{}").unwrap());
        for (kind, payload) in
            [("view.snapshot", "{}"), ("uwb.location", "[]"), ("uwb.position_columns", "{}")]
        {
            assert!(view.take(kind, payload).is_err(), "{kind}");
        }
        assert_eq!(view, ViewContents::default());
    }
}
