//! A client's views: what it asked for, what it was told, and whether it may have been told so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::rights::{Rights, fits_any};
use crate::truth::{Truth, number_at};

/// What a view asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) devices: Option<Vec<String>>,
    /// Least and most of x and y, metres.
    pub(crate) area: Option<[f64; 4]>,
    pub(crate) mode: &'static str,
    pub(crate) rate_hz: Option<f64>,
    pub(crate) has_snapshot: bool,
}

impl Asked {
    pub(crate) fn everything(mode: &'static str) -> Self {
        Self { devices: None, area: None, mode, rate_hz: None, has_snapshot: false }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.rate_hz == Some(0.0)
    }

    /// The payload of `subscribe`, or what it changes.
    pub(crate) fn payload(&self) -> Value {
        let mut view = json!({});
        if let Some(devices) = &self.devices {
            view["devices"] = json!(devices);
        }
        if let Some([min_x, max_x, min_y, max_y]) = self.area {
            view["area"] =
                json!({ "box": { "min_x": min_x, "min_y": min_y, "max_x": max_x, "max_y": max_y } });
        }
        json!({ "view": view, "mode": self.mode, "max_rate_hz": self.rate_hz })
    }

    fn has_place(&self, x_m: f64, y_m: f64) -> bool {
        self.area.is_none_or(|[min_x, max_x, min_y, max_y]| {
            (min_x..=max_x).contains(&x_m) && (min_y..=max_y).contains(&y_m)
        })
    }

    fn names(&self, id: &str) -> bool {
        fits_any(self.devices.as_ref(), id)
    }

    /// Whether it shows a device that is connected or stale, where it is now.
    pub(crate) fn shows(&self, device: usize, truth: &Truth) -> bool {
        let device = &truth.devices[device];
        let place = device.live().map(|(_version, number)| truth.fact(number));
        let is_inside = |fact: &crate::truth::Fact| self.has_place(metres(fact.x_mm), metres(fact.y_mm));
        self.names(device.id.as_str()) && (self.area.is_none() || place.is_some_and(is_inside))
    }
}

fn metres(millimetres: i64) -> f64 {
    f64::from(i32::try_from(millimetres).unwrap()) / 1_000.0
}

/// In which way a message says where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As it is, whether that is new or not.
    AsItIs,
    /// That it moved.
    Move,
}

/// A view as the client knows it.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) asked: Asked,
    /// Whether it has a name: then it says who is inside.
    is_named: bool,
    pub(crate) inside: BTreeSet<usize>,
    /// The version of the fix that was told last, of each device.
    pub(crate) told: BTreeMap<usize, u64>,
    /// Those of which the same may be told again.
    again: BTreeSet<usize>,
    refs: HashMap<u64, usize>,
    next_page: Option<u64>,
    /// Whether a snapshot is still to come, or not complete.
    pub(crate) is_loading: bool,
    /// What was live up to this version need not be told.
    pub(crate) silent_to: u64,
}

impl View {
    pub(crate) fn named(asked: Asked, silent_to: u64) -> Self {
        let is_loading = asked.has_snapshot && !asked.is_paused();
        Self { is_loading, is_named: true, ..Self::unnamed(asked, silent_to) }
    }

    pub(crate) fn unnamed(asked: Asked, silent_to: u64) -> Self {
        Self {
            asked,
            is_named: false,
            inside: BTreeSet::new(),
            told: BTreeMap::new(),
            again: BTreeSet::new(),
            refs: HashMap::new(),
            next_page: None,
            is_loading: false,
            silent_to,
        }
    }

    /// It is another from now on.
    pub(crate) fn change(&mut self, asked: Asked) {
        self.asked = asked;
        self.again = self.told.keys().copied().collect();
    }

    /// The rights are others from now on.
    pub(crate) fn narrow(&mut self, version: u64) {
        self.again = self.told.keys().copied().collect();
        if !self.is_named {
            self.silent_to = self.silent_to.max(version);
        }
    }

    /// Where a message says that a device is: has to be the place of a fix, not older than what was told.
    fn take_place(&mut self, device: usize, place: [f64; 3], way: Way, truth: &Truth) {
        let number = number_at(place[2]);
        let fact = truth.fact(number);
        let id = &truth.devices[device].id;
        assert_eq!(fact.device, device, "{id:?} is said to be where another device was");
        let far = (metres(fact.x_mm) - place[0]).hypot(metres(fact.y_mm) - place[1]);
        assert!(far < 0.011, "{id:?} is said to be {far} m from where it was");
        let is_inside = self.asked.has_place(metres(fact.x_mm), metres(fact.y_mm));
        assert!(is_inside, "{id:?} is told at a place outside the view");
        let before = self.told.get(&device).copied();
        let may_be_same = way == Way::AsItIs || self.again.remove(&device);
        let not_before = before.map_or(0, |before| if may_be_same { before } else { before + 1 });
        let Some(version) = truth.devices[device].version_of(number, not_before) else {
            panic!(
                "{id:?}: the fix {number} is not newer than what was told before ({before:?}), or was never live"
            );
        };
        self.told.insert(device, version);
    }

    fn take_device(&mut self, told: &Value, rights: &Rights, truth: &Truth) {
        let id = told["id"].as_str().unwrap();
        assert!(rights.sees(id), "{id} may not be seen");
        assert!(self.asked.names(id), "{id} is not in the view");
        let device = truth.device(id);
        if told.get("timestamp").is_some() {
            let place = ["x", "y", "z"].map(|axis| told["location"][axis].as_f64().unwrap());
            self.take_place(device, place, Way::AsItIs, truth);
        }
        self.inside.insert(device);
    }

    fn take_refs(&mut self, payload: &Value, truth: &Truth) {
        assert_eq!(
            payload.get("refs").is_some(),
            self.asked.mode == "columns",
            "numbers where there are columns"
        );
        let Some(refs) = payload["refs"].as_array() else { return };
        for (number, device) in refs.iter().zip(payload["devices"].as_array().unwrap()) {
            self.refs.insert(number.as_u64().unwrap(), truth.device(device["id"].as_str().unwrap()));
        }
    }

    fn take_snapshot(&mut self, payload: &Value) {
        let page = payload["page"].as_u64().unwrap();
        if page == 1 {
            self.inside.clear();
            self.refs.clear();
        } else {
            assert_eq!(self.next_page, Some(page), "the pages of a snapshot come in order");
        }
        let is_complete = payload["complete"].as_bool().unwrap();
        self.next_page = (!is_complete).then_some(page + 1);
        self.is_loading = !is_complete;
    }

    /// Takes a message of the view.
    pub(crate) fn take(&mut self, kind: &str, payload: &Value, rights: &Rights, truth: &Truth) {
        assert!(!self.asked.is_paused(), "a paused view says nothing: {kind} {payload}");
        match kind {
            "view.snapshot" | "view.entered" => {
                if kind == "view.snapshot" {
                    self.take_snapshot(payload);
                }
                self.take_refs(payload, truth);
                for device in payload["devices"].as_array().unwrap() {
                    self.take_device(device, rights, truth);
                }
            }
            "view.left" => {
                for id in payload["device_ids"].as_array().unwrap() {
                    self.inside.remove(&truth.device(id.as_str().unwrap()));
                }
            }
            _ => {
                for (device, place) in self.moves(kind, payload, truth) {
                    let id = truth.devices[device].id.as_str();
                    assert!(rights.sees(id), "{id} may not be seen");
                    assert!(self.asked.names(id), "{id} is not in the view");
                    if self.is_named && self.asked.has_snapshot {
                        assert!(self.inside.contains(&device), "{id} moves and was never said to be inside");
                    }
                    self.take_place(device, place, Way::Move, truth);
                }
            }
        }
    }

    /// Which devices moved, and where to.
    fn moves(&self, kind: &str, payload: &Value, truth: &Truth) -> Vec<(usize, [f64; 3])> {
        let place = |place: &Value| ["x", "y", "z"].map(|axis| place[axis].as_f64().unwrap());
        let expected = match self.asked.mode {
            "single" => "uwb.location",
            "batch" => "uwb.position_update",
            _ => "uwb.position_columns",
        };
        assert_eq!(kind, expected, "the form that was asked for");
        match kind {
            "uwb.location" => {
                vec![(truth.device(payload["device_id"].as_str().unwrap()), place(&payload["location"]))]
            }
            "uwb.position_update" => {
                let positions = payload["positions"].as_object().unwrap();
                positions.iter().map(|(id, it)| (truth.device(id), place(it))).collect()
            }
            _ => {
                assert_eq!(payload["unit"], "mm");
                let refs = payload["refs"].as_array().unwrap();
                let at = |index: usize, axis: &str| payload[axis][index].as_f64().unwrap() / 1_000.0;
                let one = |(index, number): (usize, &Value)| {
                    let device =
                        self.refs.get(&number.as_u64().unwrap()).expect("a number that was never given");
                    (*device, ["x", "y", "z"].map(|axis| at(index, axis)))
                };
                refs.iter().enumerate().map(one).collect()
            }
        }
    }

    /// When everybody has read and nothing happens: it is where the devices are.
    pub(crate) fn check(&self, name: &str, rights: &Rights, truth: &Truth, active: &BTreeSet<usize>) {
        if self.asked.is_paused() {
            return;
        }
        assert!(!self.is_loading, "{name}: the snapshot is not complete");
        for (index, device) in truth.devices.iter().enumerate() {
            let id = device.id.as_str();
            let is_shown = rights.sees(id)
                && device.is_known()
                && self.asked.shows(index, truth)
                && (!self.is_named || active.contains(&index));
            if self.is_named && self.asked.has_snapshot {
                assert_eq!(self.inside.contains(&index), is_shown, "{name}: whether {id} is inside");
            }
            let Some((newest, number)) = device.live().filter(|_live| is_shown) else { continue };
            let told = self.told.get(&index).copied().unwrap_or(0);
            let is_needed = self.asked.has_snapshot || newest > self.silent_to;
            let is_newest = truth.numbers.get(&told) == Some(&number);
            assert!(
                is_newest || (!is_needed && told == 0),
                "{name}: of {id} the version {told} was told, the newest is {newest}, fix {number}"
            );
        }
    }

    /// What has to be told by now to a client that keeps up: everything without a rate that is older than `to_ms`.
    pub(crate) fn check_fresh(&self, name: &str, rights: &Rights, truth: &Truth, to_ms: u64) {
        if self.asked.rate_hz.is_some() || self.asked.area.is_some() || self.is_loading {
            return;
        }
        for (index, device) in truth.devices.iter().enumerate() {
            let Some((newest, number)) = device.live().filter(|_live| device.live_since_ms <= to_ms) else {
                continue;
            };
            let is_told =
                self.told.get(&index).is_some_and(|told| *told >= newest || truth.numbers[told] == number);
            let is_for_it = rights.sees(device.id.as_str())
                && self.asked.names(device.id.as_str())
                && newest > self.silent_to
                && (!self.is_named || self.inside.contains(&index));
            assert!(
                !is_for_it || is_told,
                "{name}: keeps up, and was not told of the fix {number} of {:?}",
                device.id
            );
        }
    }
}

/// A reader of the lane `every`.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) devices: Option<Vec<String>>,
    pub(crate) epoch: String,
    /// The number of the last fix that was told or looked at.
    pub(crate) seen: u64,
    /// Whether the rights changed since the last message.
    pub(crate) is_unsure: bool,
}

impl Reader {
    fn is_for_it(&self, version: u64, rights: &Rights, truth: &Truth) -> bool {
        let Some(&number) = truth.numbers.get(&version) else { return false };
        let id = truth.devices[truth.fact(number).device].id.as_str();
        rights.sees(id) && fits_any(self.devices.as_ref(), id)
    }

    /// The first number in a range that is for it.
    pub(crate) fn first_missed(&self, to: u64, rights: &Rights, truth: &Truth) -> Option<u64> {
        (self.seen + 1..to).find(|&version| self.is_for_it(version, rights, truth))
    }

    pub(crate) fn take(&mut self, message: &Value, rights: &Rights, truth: &Truth) {
        let payload = &message["payload"];
        let is_gap = message["type"] == "view.gap";
        let first = if is_gap { payload["from_seq"].as_u64() } else { message["seq"].as_u64() }.unwrap();
        assert!(first > self.seen, "numbers of fixes grow: {first} after {}", self.seen);
        let missed = self.first_missed(first, rights, truth);
        assert!(missed.is_none() || self.is_unsure, "the fix of the number {missed:?} was not told");
        self.is_unsure = false;
        if is_gap {
            self.seen = payload["to_seq"].as_u64().unwrap();
            return;
        }
        assert!(self.is_for_it(first, rights, truth), "the number {first} is not for this reader");
        let number = number_at(payload["location"]["z"].as_f64().unwrap());
        assert_eq!(truth.numbers[&first], number, "the fix of the number {first}");
        self.seen = first;
    }
}
