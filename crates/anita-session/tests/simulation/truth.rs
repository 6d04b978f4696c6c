//! The shadow: what happened, in the order in which the server heard of it, told by rules of its own.

mod again;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anita_hub::Rooms;
use anita_model::{DeviceId, Fix, Now, RoomName, Timestamp};

use crate::disk::Disk;
use crate::link::Millis;

/// How far ahead the clock of a device may be.
const FUTURE_MAX: Duration = Duration::from_secs(5);

/// How many arrivals of numbered fixes the server knows again.
const NUMBERED_MAX: usize = 16;

/// The rooms of the simulation.
pub(crate) const ROOMS: [&str; 4] = ["uwb", "floor-1", "floor-2", "staff"];

/// One fix that somebody measured, however often it is reported. It is told apart by its height.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) device: usize,
    pub(crate) x_mm: i64,
    pub(crate) y_mm: i64,
    /// The number that its source gave it.
    pub(crate) sequence: Option<u64>,
    /// Its own time, if its source gave it one.
    pub(crate) stamp: Option<Timestamp>,
    /// Which source is named: several may report a device.
    pub(crate) source: &'static str,
    arrivals: Vec<Arrival>,
    /// Whether it was acknowledged, and how often the device had been removed when it was taken.
    acked: Option<u64>,
}

impl Fact {
    /// Whether it was brought again under such circumstances that it may be kept twice, as docs/LIMITS.md says: after too
    /// many others of its device; or by another server, when the clock had jumped and what is newest on the disk is not
    /// what came last.
    fn is_beyond_limits(&self) -> bool {
        let (Some(first), Some(last)) = (self.arrivals.first(), self.arrivals.last()) else { return false };
        last.counted - first.counted >= NUMBERED_MAX || (first.run != last.run && last.jumps > 0)
    }
}

/// That a fix was taken by the hub.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    taken_at: Timestamp,
    removals: u64,
    /// How often the wall clock had jumped.
    jumps: u64,
    /// Which server took it.
    run: u32,
    /// How many numbered fixes of the device had come before.
    counted: usize,
}

/// The height that tells fixes apart, metres.
pub(crate) fn height_m(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap()) / 100.0
}

/// The number of the fix of a height.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
pub(crate) fn number_at(height: f64) -> usize {
    (height * 100.0).round() as usize
}

pub(crate) fn number_of(fix: &Fix) -> usize {
    number_at(fix.position.z_m())
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    number: usize,
    taken_at: Timestamp,
    version: u64,
}

/// What the registry says of a device: nothing, or that it is there, with the number of its name.
type Entry = Option<Option<u64>>;

/// A device as it has to be.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    live: Option<Newest>,
    /// Which fixes were live, in their order: version and number.
    lives: Vec<(u64, usize)>,
    /// When the live fix came, by the simulation's time.
    pub(crate) live_since_ms: Millis,
    /// The latest numbered fixes without a time of their own, newest first.
    numbered: VecDeque<(usize, Timestamp)>,
    /// How many numbered fixes without a time of their own came.
    counted: usize,
    removals: u64,
    /// What the registry said, change by change; up to `acked` of them may not be lost.
    log: Vec<Entry>,
    acked: usize,
}

impl Device {
    pub(crate) fn is_known(&self) -> bool {
        self.log.last().is_some_and(Option::is_some)
    }

    pub(crate) fn live(&self) -> Option<(u64, usize)> {
        self.live.map(|live| (live.version, live.number))
    }

    /// The first time that a fix was live, not before a version.
    pub(crate) fn version_of(&self, number: usize, not_before: u64) -> Option<u64> {
        let from = self.lives.partition_point(|(version, _number)| *version < not_before);
        self.lives[from..].iter().find(|(_version, it)| *it == number).map(|(version, _number)| *version)
    }
}

/// A message of a room.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) devices: Vec<String>,
    pub(crate) from: Option<String>,
    pub(crate) at_ms: Millis,
}

/// A room as it has to be.
#[derive(Debug, Default, Clone)]
pub(crate) struct Room {
    pub(crate) epoch: String,
    /// The last number that was given, or is known to be skipped.
    pub(crate) seq: u64,
    /// What was said and is not lost by a crash.
    pub(crate) messages: BTreeMap<u64, Message>,
}

impl Room {
    /// Whether the ring has a message at this moment.
    pub(crate) fn has(&self, seq: u64, ring: usize) -> bool {
        self.messages.contains_key(&seq) && self.messages.range(seq + 1..).count() < ring
    }
}

/// What became of a fix by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Newest,
    Late,
    /// Known already, by this time.
    Again(Timestamp),
}

/// Whether numbers of a room may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaySkip {
    Yes,
    No,
}

/// Whether a source counts its fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    Counted,
    Plain,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) facts: Vec<Fact>,
    pub(crate) devices: Vec<Device>,
    pub(crate) rooms: BTreeMap<&'static str, Room>,
    /// Everything that was ever said: a number is never given twice.
    said: BTreeMap<(String, u64), String>,
    /// The number of the last fix of this server, and of which fix each is.
    pub(crate) version: u64,
    pub(crate) numbers: BTreeMap<u64, usize>,
    pub(crate) ring: usize,
    pub(crate) jumps: u64,
    /// Which server it is, counted from 1.
    pub(crate) run: u32,
    revocations: Vec<Revoked>,
}

/// That a user's tokens from before a moment are not accepted any more.
#[derive(Debug, Clone)]
struct Revoked {
    id: String,
    subject: String,
    issued_before: Timestamp,
    at_ms: Millis,
    /// Whether it was said to be kept.
    is_kept: bool,
}

impl Truth {
    pub(crate) fn revoke(&mut self, id: String, subject: String, issued_before: Timestamp, at_ms: Millis) {
        self.revocations.push(Revoked { id, subject, issued_before, at_ms, is_kept: false });
    }

    pub(crate) fn keep_revocation(&mut self, id: &str) {
        self.revocations.iter_mut().filter(|it| it.id == id).for_each(|it| it.is_kept = true);
    }

    /// All are taken back: their ids.
    pub(crate) fn take_revocations(&mut self) -> Vec<String> {
        self.revocations.drain(..).map(|it| it.id).collect()
    }

    pub(crate) fn is_revoked(&self, subject: &str, issued_at: Timestamp) -> bool {
        self.revocations.iter().any(|it| it.subject == subject && issued_at < it.issued_before)
    }

    /// Whether that is so for longer than so long.
    pub(crate) fn was_revoked_for(
        &self,
        subject: &str,
        issued_at: Timestamp,
        now_ms: Millis,
        millis: Millis,
    ) -> bool {
        let long_ago = self.revocations.iter().filter(|it| it.at_ms + millis < now_ms);
        long_ago.into_iter().any(|it| it.subject == subject && issued_at < it.issued_before)
    }
}

impl Truth {
    pub(crate) fn new(ids: impl Iterator<Item = String>, ring: usize) -> Self {
        let device = |id: String| Device {
            id: DeviceId::parse(&id).unwrap(),
            live: None,
            lives: Vec::new(),
            live_since_ms: 0,
            numbered: VecDeque::new(),
            counted: 0,
            removals: 0,
            log: vec![None],
            acked: 0,
        };
        Self {
            // No fix has the number 0: it is the height of a device without one.
            facts: Vec::new(),
            devices: ids.map(device).collect(),
            rooms: ROOMS.iter().map(|&room| (room, Room::default())).collect(),
            said: BTreeMap::new(),
            version: 0,
            numbers: BTreeMap::new(),
            ring,
            jumps: 0,
            run: 0,
            revocations: Vec::new(),
        }
    }

    pub(crate) fn device(&self, id: &str) -> usize {
        self.devices
            .iter()
            .position(|device| device.id.as_str() == id)
            .expect("a device that was never named")
    }

    /// Somebody measured something: its number.
    pub(crate) fn measure(
        &mut self,
        fact: (usize, i64, i64),
        stamp: Option<Timestamp>,
        numbering: Numbering,
        source: &'static str,
    ) -> usize {
        let (device, x_mm, y_mm) = fact;
        let number = self.facts.len() + 1;
        let sequence = (numbering == Numbering::Counted).then_some(number as u64);
        self.facts.push(Fact {
            device,
            x_mm,
            y_mm,
            sequence,
            stamp,
            source,
            arrivals: Vec::new(),
            acked: None,
        });
        number
    }

    pub(crate) fn fact(&self, number: usize) -> &Fact {
        number.checked_sub(1).and_then(|it| self.facts.get(it)).expect("a fix that nobody measured")
    }

    // --- what the server is told

    /// A fix comes in. Says whether it is to be taken.
    pub(crate) fn report(&mut self, number: usize, now: Now, now_ms: Millis) -> bool {
        let fact = &self.facts[number - 1];
        let stamp = fact.stamp.unwrap_or(now.wall);
        if stamp.since(now.wall) > FUTURE_MAX {
            return false;
        }
        let device = &self.devices[fact.device];
        let is_counted = fact.sequence.is_some() && stamp == now.wall;
        let is_same_source =
            device.live.is_some_and(|live| self.facts[live.number - 1].source == fact.source);
        let known = device.numbered.iter().find(|(it, _at)| is_counted && is_same_source && *it == number);
        let live = device.live.filter(|live| live.taken_at.since(now.wall) <= FUTURE_MAX);
        let verdict = match (live, known) {
            (Some(live), _) if stamp == live.taken_at && live.number == number => Verdict::Again(stamp),
            (_, Some((_number, at))) => Verdict::Again(*at),
            (Some(live), None) if stamp < live.taken_at => Verdict::Late,
            _ => Verdict::Newest,
        };
        let taken_at = if let Verdict::Again(at) = verdict { at } else { stamp };
        let device = &mut self.devices[fact.device];
        if !device.is_known() {
            device.log.push(Some(None));
        }
        let (jumps, run) = (self.jumps, self.run);
        let arrival = Arrival { taken_at, removals: device.removals, jumps, run, counted: device.counted };
        self.facts[number - 1].arrivals.push(arrival);
        if verdict == Verdict::Late || verdict == Verdict::Newest {
            self.version += 1;
            self.numbers.insert(self.version, number);
        }
        if is_counted && !matches!(verdict, Verdict::Again(_)) {
            device.counted += 1;
            device.numbered.truncate(NUMBERED_MAX - 1);
            device.numbered.push_front((number, stamp));
        }
        if verdict == Verdict::Newest {
            device.live = Some(Newest { number, taken_at, version: self.version });
            device.lives.push((self.version, number));
            device.live_since_ms = now_ms;
        }
        true
    }

    /// A device is registered or updated, with a name of this number. Says the place of the change in its log.
    pub(crate) fn name(&mut self, device: usize, name: u64) -> usize {
        let log = &mut self.devices[device].log;
        log.push(Some(Some(name)));
        log.len() - 1
    }

    pub(crate) fn remove(&mut self, device: usize) -> usize {
        let device = &mut self.devices[device];
        device.live = None;
        device.numbered.clear();
        device.removals += 1;
        device.log.push(None);
        device.log.len() - 1
    }

    // --- what the server says

    /// A fix was acknowledged: then it is on the disk.
    pub(crate) fn ack(&mut self, number: usize, disk: &Disk) {
        assert!(disk.has_fix(number), "the fix {number} was acknowledged and is not on the disk");
        let fact = &mut self.facts[number - 1];
        let arrival = fact.arrivals.last().expect("a fix that was acknowledged and never came");
        fact.acked = Some(arrival.removals);
    }

    /// A change of the registry was acknowledged.
    pub(crate) fn ack_change(&mut self, device: usize, place: usize, run: u32) {
        if run == self.run {
            let device = &mut self.devices[device];
            device.acked = device.acked.max(place);
        }
    }

    /// Takes note of what was said in the rooms. Numbers may be left out only where a server begins.
    pub(crate) fn listen(&mut self, rooms: &Rooms, now_ms: Millis, may_skip: MaySkip) {
        for (&name, room) in &mut self.rooms {
            let room_name = RoomName::parse(name).unwrap();
            loop {
                let heard = rooms.heard_after(&room_name, room.seq, usize::MAX);
                if heard.epoch.is_empty() {
                    break;
                }
                if *heard.epoch != *room.epoch {
                    // It was forgotten, and begins anew.
                    *room = Room { epoch: heard.epoch.to_string(), ..Room::default() };
                    continue;
                }
                if heard.gap.is_none() && heard.events.is_empty() {
                    break;
                }
                assert!(
                    heard.gap.is_none() || may_skip == MaySkip::Yes,
                    "{name}: numbers were left out: {:?}",
                    heard.gap
                );
                take_messages(name, room, &mut self.said, heard, now_ms);
            }
        }
    }

    // --- at the end

    /// What is on the disk is what was reported: nothing else, nothing that was acknowledged missing, and what is
    /// numbered only once.
    pub(crate) async fn check_history(&self, disk: &Disk) {
        let mut found: BTreeMap<usize, u32> = BTreeMap::new();
        for (index, device) in self.devices.iter().enumerate() {
            for fix in disk.track(&device.id, usize::MAX - 1).await {
                let number = number_of(&fix);
                let fact = self.fact(number);
                assert_eq!(fact.device, index, "the fix {number} is kept of another device");
                let is_so = fact.arrivals.iter().any(|arrival| arrival.taken_at == fix.taken_at);
                assert!(is_so, "the fix {number} is kept with a time that it never had");
                *found.entry(number).or_default() += 1;
            }
        }
        for (index, fact) in self.facts.iter().enumerate() {
            let number = index + 1;
            let count = found.get(&number).copied().unwrap_or(0);
            let device = &self.devices[fact.device];
            if fact.acked.is_some_and(|removals| removals == device.removals) {
                assert!(count > 0, "the fix {number} of {:?} was acknowledged and is lost", device.id);
            }
            let may_be_twice = fact.stamp.is_none() && (fact.sequence.is_none() || fact.is_beyond_limits());
            assert!(
                count <= 1 || may_be_twice,
                "the fix {number} of {:?} is kept {count} times: {fact:?}",
                device.id
            );
        }
    }
}

fn take_messages(
    name: &'static str,
    room: &mut Room,
    said: &mut BTreeMap<(String, u64), String>,
    heard: anita_hub::Heard,
    now_ms: Millis,
) {
    if let Some((_from, to)) = heard.gap {
        room.seq = to;
    }
    for event in heard.events {
        assert_eq!(event.seq, room.seq + 1, "{name}: numbers count up by one");
        room.seq = event.seq;
        let mut frame = bytes::BytesMut::from(&event.frame[..]);
        let (_first, text) = crate::link::take_frame(&mut frame).unwrap();
        let text = std::str::from_utf8(&text).unwrap().to_owned();
        let before = said.insert((room.epoch.clone(), event.seq), text.clone());
        let is_same = before.as_ref().is_none_or(|before| *before == text);
        assert!(
            is_same,
            "{name}: the number {} was given before, to {before:?}, and now to {text}",
            event.seq
        );
        let devices = event.devices.iter().map(ToString::to_string).collect();
        let from = event.from.as_ref().map(ToString::to_string);
        room.messages.insert(event.seq, Message { text, devices, from, at_ms: now_ms });
    }
}

impl Truth {
    /// A fix as a source reports it, that arrives now.
    pub(crate) fn fix(&self, number: usize, now: Now) -> Fix {
        let fact = self.fact(number);
        let metres = |millimetres: i64| f64::from(i32::try_from(millimetres).unwrap()) / 1_000.0;
        Fix {
            device: self.devices[fact.device].id.clone(),
            site: anita_model::SiteName::main(),
            position: anita_model::Position::new(metres(fact.x_mm), metres(fact.y_mm), height_m(number))
                .unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: fact.stamp.unwrap_or(now.wall),
            received_at: now.wall,
            source: anita_model::SourceName::parse(fact.source).unwrap(),
            sequence: fact.sequence,
        }
    }
}
