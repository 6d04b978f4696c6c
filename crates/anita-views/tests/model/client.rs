//! A client: what it was told, and whether that may be so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anita_auth::Patterns;
use anita_views::{Form, Slot, Start};
use anita_wire::view::LengthUnit;
use serde_json::Value;

use crate::asked::Plan;
use crate::world::{World, height};

/// How frames came to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// With everybody's.
    Tick,
    /// Because it had something to catch up with.
    CatchUp,
}

/// A view of the lane newest, as the client knows it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) plan: Plan,
    /// The devices that it believes to be in the view.
    pub(crate) inside: BTreeSet<String>,
    /// Those of them that it only guesses, because it wanted no snapshot.
    guessed: BTreeSet<String>,
    /// The newest version of each device that it was told.
    pub(crate) told: BTreeMap<String, u64>,
    /// Up to this version nothing has to be told, because the client wanted no snapshot.
    pub(crate) silent_to: u64,
    /// Devices that it may be told of once more as they were, because the room or tracking began anew.
    again: BTreeSet<String>,
    refs: HashMap<u64, String>,
    /// When each was told of with a tick, by the uptime.
    ticked: HashMap<String, Duration>,
    next_page: Option<u64>,
    /// Whether it was another view before.
    pub(crate) is_changed: bool,
    /// It was told nothing since it changed: what it is told first is how things were then.
    pub(crate) is_changing: bool,
}

/// A view of the lane every.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) plan: Plan,
    pub(crate) seen: u64,
    /// It read a part: how far it looked beyond what it was told is not known.
    pub(crate) is_amid: bool,
    /// The rights or the filter changed then: what it was not told before may have been passed over.
    pub(crate) is_unsure: bool,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) seat: usize,
    pub(crate) rights: Patterns,
    pub(crate) rights_before: Vec<Patterns>,
    pub(crate) views: BTreeMap<Slot, Held>,
    pub(crate) readings: BTreeMap<Slot, Reading>,
    /// Its socket takes nothing.
    pub(crate) is_stalled: bool,
    /// Its session has a reason to ask what is new.
    pub(crate) is_called: bool,
    /// The last frames, for whoever reads why it failed.
    pub(crate) heard: Vec<String>,
    /// How many messages it got, by their type.
    pub(crate) count: BTreeMap<String, u64>,
}

/// What a client looks at while it judges frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) uptime: Duration,
    pub(crate) way: Way,
    /// By how much two positions may be closer than the rate says; `None` where ticks come at any time.
    pub(crate) slack: Option<Duration>,
}

/// Where a message says that a device is.
struct Sight {
    id: String,
    x: f64,
    y: f64,
    z: f64,
}

impl Sight {
    fn of(id: &str, place: &Value) -> Self {
        let number = |name: &str| place[name].as_f64().unwrap();
        Self { id: id.to_owned(), x: number("x"), y: number("y"), z: number("z") }
    }

    /// The version of the fix; 0 where it is none. The place has to be that of the fix.
    fn version(&self, world: &World) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let version = (self.z * 100.0).round() as u64;
        assert!((height(version) - self.z).abs() < 1e-6, "{}: no height of a fix: {}", self.id, self.z);
        if version > 0 {
            let fix = &world.fix(version).live.fix;
            assert_eq!(fix.device.as_str(), self.id, "the place of another device");
            let is_there =
                (fix.position.x_m() - self.x).abs() < 1e-6 && (fix.position.y_m() - self.y).abs() < 1e-6;
            assert!(is_there, "{}: fix {version} was elsewhere: {} {}", self.id, self.x, self.y);
        }
        version
    }
}

impl Held {
    pub(crate) fn new(plan: Plan, slot: Slot, rights: &Patterns, world: &World) -> Self {
        let silent_to = if plan.start == Start::Now { world.version() } else { 0 };
        let mut held = Self {
            plan,
            inside: BTreeSet::new(),
            guessed: BTreeSet::new(),
            told: BTreeMap::new(),
            silent_to,
            again: BTreeSet::new(),
            refs: HashMap::new(),
            ticked: HashMap::new(),
            next_page: None,
            is_changed: false,
            is_changing: false,
        };
        let has_refs = matches!(held.plan.form, Form::Columns(_));
        if held.plan.start == Start::Now && slot.subscription().is_some() && !has_refs {
            held.inside = held.shown(rights, world);
            held.guessed = held.inside.clone();
        }
        held
    }

    /// The devices that it has to show.
    pub(crate) fn shown(&self, rights: &Patterns, world: &World) -> BTreeSet<String> {
        let is_shown = |id: &&String| rights.allow(id) && self.shows(id, world);
        world.known.keys().filter(is_shown).cloned().collect()
    }

    fn shows(&self, id: &str, world: &World) -> bool {
        let seen = world.known.get(id);
        seen.is_some_and(|seen| self.plan.which.shows(&seen.device, seen.position(), seen.floor()))
    }

    /// The view is another from now on.
    pub(crate) fn change(&mut self, plan: Plan) {
        if plan.spec() != self.plan.spec() {
            self.is_changed = true;
        }
        self.plan = plan;
        self.is_changing = true;
        self.again = self.told.keys().cloned().collect();
        self.ticked.clear();
    }

    /// Whether others may be in its class.
    pub(crate) fn is_shared(&self) -> bool {
        self.plan.interval().is_none_or(|interval| interval <= Duration::from_secs(1))
    }

    fn check_place(&self, id: &str, version: u64, world: &World) {
        if version == 0 || self.is_changing {
            return;
        }
        let (fix, device) = (&world.fix(version).live.fix, &world.known[id].device);
        let is_shown = self.plan.which.shows(device, Some(fix.position), fix.floor);
        assert!(is_shown, "{id}: fix {version} is outside the view");
    }

    /// A device as it is: of a snapshot or because it came in.
    fn take_device(&mut self, device: &Value, scene: Scene<'_>) {
        let id = device["id"].as_str().unwrap().to_owned();
        let is_fix = device.get("timestamp").is_some();
        let place = device.get("location").filter(|place| is_fix && !place.is_null());
        let version = place.map_or(0, |place| Sight::of(&id, place).version(scene.world));
        self.check_place(&id, version, scene.world);
        let before = self.told.get(&id).copied().unwrap_or(0);
        assert!(version == 0 || version >= before, "{id}: {version} after {before}");
        // It comes in when it does; the rate counts from then on.
        self.ticked.remove(&id);
        if version > 0 {
            self.note_tick(&id, scene);
            self.told.insert(id.clone(), version);
        }
        self.guessed.remove(&id);
        self.inside.insert(id);
    }

    /// What it can be sure of: what went before it was ever told is no news.
    pub(crate) fn is_inside(&self, shown: &BTreeSet<String>) -> bool {
        self.inside.difference(shown).all(|id| self.guessed.contains(id)) && self.inside.is_superset(shown)
    }

    /// A device moved.
    fn take_move(&mut self, sight: &Sight, slot: Slot, scene: Scene<'_>) {
        let (id, version) = (&sight.id, sight.version(scene.world));
        assert!(version > 0, "{id} moved without a fix");
        self.check_place(id, version, scene.world);
        if slot.subscription().is_some() {
            assert!(self.inside.contains(id), "{id} moved, and was never said to be inside");
        }
        let before = self.told.get(id).copied().unwrap_or(0);
        let is_again = slot.subscription().is_none() && self.again.remove(id) && version == before;
        assert!(version > before || is_again, "{id}: {version} after {before}");
        self.note_tick(id, scene);
        self.told.insert(id.clone(), version);
    }

    fn note_tick(&mut self, id: &str, scene: Scene<'_>) {
        if scene.way == Way::CatchUp {
            self.ticked.remove(id);
            return;
        }
        let before = self.ticked.insert(id.to_owned(), scene.uptime);
        if let (Some(before), Some(interval), Some(slack)) = (before, self.plan.interval(), scene.slack) {
            let gap = scene.uptime.saturating_sub(before);
            assert!(gap + slack >= interval, "{id}: told after {gap:?}, not {interval:?} ± {slack:?}");
        }
    }

    fn take_refs(&mut self, payload: &Value, devices: &[Value]) {
        let has_refs = matches!(self.plan.form, Form::Columns(_));
        assert_eq!(payload.get("refs").is_some(), has_refs, "numbers where there are columns");
        let Some(refs) = payload["refs"].as_array() else { return };
        assert_eq!(refs.len(), devices.len());
        for (number, device) in refs.iter().zip(devices) {
            self.refs.insert(number.as_u64().unwrap(), device["id"].as_str().unwrap().to_owned());
        }
    }

    fn take_snapshot(&mut self, payload: &Value, scene: Scene<'_>) {
        let page = payload["page"].as_u64().unwrap();
        if page == 1 {
            self.inside.clear();
            self.guessed.clear();
            self.refs.clear();
        } else {
            assert_eq!(self.next_page, Some(page), "the pages of a snapshot come in order");
        }
        let is_last = payload["complete"].as_bool().unwrap();
        self.next_page = (!is_last).then_some(page + 1);
        let devices = payload["devices"].as_array().unwrap();
        self.take_refs(payload, devices);
        for device in devices {
            self.take_device(device, scene);
        }
    }

    fn sights(&self, kind: &str, payload: &Value) -> Vec<Sight> {
        match kind {
            "uwb.location" => {
                vec![Sight::of(payload["device_id"].as_str().unwrap(), &payload["location"])]
            }
            "uwb.position_update" => {
                let positions = payload["positions"].as_object().unwrap();
                positions.iter().map(|(id, place)| Sight::of(id, place)).collect()
            }
            _ => {
                let Form::Columns(unit) = self.plan.form else { panic!("columns were not asked for") };
                let per_metre = if unit == LengthUnit::Mm { 1_000.0 } else { 100.0 };
                let refs = payload["refs"].as_array().unwrap();
                let metres = |name: &str, at: usize| payload[name][at].as_f64().unwrap() / per_metre;
                let sight = |(at, number): (usize, &Value)| {
                    let id = self.refs.get(&number.as_u64().unwrap()).expect("a number that was never given");
                    Sight { id: id.clone(), x: metres("x", at), y: metres("y", at), z: metres("z", at) }
                };
                refs.iter().enumerate().map(sight).collect()
            }
        }
    }
}

impl Client {
    pub(crate) fn new(seat: usize, rights: Patterns) -> Self {
        Self {
            seat,
            rights,
            rights_before: Vec::new(),
            views: BTreeMap::new(),
            readings: BTreeMap::new(),
            is_stalled: false,
            is_called: true,
            heard: Vec::new(),
            count: BTreeMap::new(),
        }
    }

    /// Frames came.
    pub(crate) fn take(&mut self, frames: &[u8], scene: Scene<'_>) {
        let mut rest = frames;
        while !rest.is_empty() {
            let (text, after) = split_frame(rest);
            rest = after;
            self.heard.push(format!("{:?} {:?} {text}", scene.uptime, scene.way));
            let message: Value = serde_json::from_str(text).unwrap();
            self.take_message(&message, scene);
        }
    }

    fn take_message(&mut self, message: &Value, scene: Scene<'_>) {
        let (kind, payload) = (message["type"].as_str().unwrap(), &message["payload"]);
        *self.count.entry(kind.to_owned()).or_default() += 1;
        let name = message.get("subscription").or_else(|| payload.get("subscription"));
        let slot = match (name, kind) {
            (Some(name), _) => Slot::from_subscription(name.as_str().unwrap()).unwrap(),
            (None, "uwb.location") => Slot::Room,
            (None, _) => Slot::Tracking,
        };
        if let Some(reading) = self.readings.get_mut(&slot) {
            return take_every(reading, &self.rights, message, scene);
        }
        let Some(held) = self.views.get_mut(&slot) else { panic!("a message of no view: {message}") };
        let mut ids: Vec<String> = Vec::new();
        match kind {
            "view.snapshot" | "view.entered" => {
                let devices = payload["devices"].as_array().unwrap();
                ids.extend(devices.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
                if kind == "view.snapshot" {
                    held.take_snapshot(payload, scene);
                } else {
                    held.take_refs(payload, devices);
                    for device in devices {
                        held.take_device(device, scene);
                    }
                }
            }
            "view.left" => {
                for id in payload["device_ids"].as_array().unwrap() {
                    let id = id.as_str().unwrap();
                    let was_inside = held.inside.remove(id);
                    let might = self.rights_before.iter().any(|rights| rights.allow(id));
                    assert!(was_inside || might || self.rights.allow(id), "{id} left, and may not be seen");
                }
            }
            "uwb.location" | "uwb.position_update" | "uwb.position_columns" => {
                check_form(held, kind, payload, slot);
                let sights = held.sights(kind, payload);
                for sight in &sights {
                    held.take_move(sight, slot, scene);
                }
                ids.extend(sights.into_iter().map(|sight| sight.id));
            }
            other => panic!("an unknown message: {other}"),
        }
        for id in ids {
            assert!(self.rights.allow(&id), "{id} may not be seen");
            assert!(held.is_changing || held.shows(&id, scene.world), "{id} is not in the view");
        }
    }
}

fn check_form(held: &Held, kind: &str, payload: &Value, slot: Slot) {
    use anita_wire::view::Fields;
    let asked = match held.plan.form {
        Form::Single => "uwb.location",
        Form::Batch => "uwb.position_update",
        Form::Columns(_) => "uwb.position_columns",
    };
    assert_eq!(kind, asked, "the form that was asked for");
    if kind == "uwb.location" {
        let is_bare = payload.get("battery").is_none();
        assert_eq!(is_bare, held.plan.fields == Fields::Position, "the fields that were asked for, {slot:?}");
    }
}

/// A message of the lane every: the next fix that the view shows, or a gap before it.
fn take_every(reading: &mut Reading, rights: &Patterns, message: &Value, scene: Scene<'_>) {
    let (world, payload) = (scene.world, &message["payload"]);
    if message["type"] == "view.gap" {
        let from = payload["from_seq"].as_u64().unwrap();
        let missed = (reading.seen + 1..from).find(|&version| is_for(reading, rights, world, version));
        assert!(from > reading.seen, "a gap begins after what was read");
        assert!(missed.is_none() || reading.is_unsure, "{missed:?} was not told before the gap");
        assert!(world.tail_since >= from, "a gap where nothing is lost");
        assert_eq!(payload["to_seq"].as_u64().unwrap(), world.tail_since, "a gap ends where the tail begins");
        reading.seen = world.tail_since;
        return;
    }
    assert_eq!(message["type"], "uwb.location");
    let seq = message["seq"].as_u64().unwrap();
    assert!(seq > reading.seen && is_for(reading, rights, world, seq), "{seq} is for this reader");
    let missed = (reading.seen + 1..seq).find(|&version| is_for(reading, rights, world, version));
    assert!(missed.is_none() || reading.is_unsure, "{missed:?} was not told");
    let sight = Sight::of(payload["device_id"].as_str().unwrap(), &payload["location"]);
    assert_eq!(sight.version(world), seq, "the fix of that number");
    reading.seen = seq;
}

fn is_for(reading: &Reading, rights: &Patterns, world: &World, version: u64) -> bool {
    let past = world.fix(version);
    let fix = &past.live.fix;
    rights.allow(fix.device.as_str()) && reading.plan.which.shows(&past.device, Some(fix.position), fix.floor)
}

/// The number of the next fix for a reader.
pub(crate) fn next_for(reading: &Reading, rights: &Patterns, world: &World) -> Option<u64> {
    let from = reading.seen.max(world.tail_since);
    (from + 1..=world.version()).find(|&version| is_for(reading, rights, world, version))
}

/// The text of the first frame, and the frames after it.
fn split_frame(bytes: &[u8]) -> (&str, &[u8]) {
    assert_eq!(bytes[0], 0x81, "a whole text");
    let (start, length) = match bytes[1] {
        126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes[2..10].try_into().unwrap())).unwrap()),
        length => (2, usize::from(length)),
    };
    let (frame, after) = bytes.split_at(start + length);
    (std::str::from_utf8(&frame[start..]).unwrap(), after)
}
