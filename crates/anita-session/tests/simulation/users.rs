//! What users do: they connect, ask, report, change their minds, and come back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anita_hub::Endpoint;
use anita_model::Timestamp;
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use crate::client::{News, Request, Sent};
use crate::conn::Up;
use crate::house::{self, Minted};
use crate::link::{Millis, Quality};
use crate::queue::Event;
use crate::rights::Rights;
use crate::simulation::{Phase, Simulation};

/// What somebody is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Opens `/ws/uwb` and looks.
    Screen,
    /// Keeps views of its own.
    Board,
    /// Reads each fix.
    Recorder,
    /// Is in rooms, and says something.
    Member,
    /// Reports locations.
    Gateway,
    /// Changes the registry.
    Operator,
}

/// Somebody, over all of its connections.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) rights: Rights,
    pub(crate) quality: Quality,
    /// Whether its link never has any trouble.
    pub(crate) is_steady: bool,
    pub(crate) conn: Option<u32>,
    pub(crate) next_id: u64,
    /// When its token runs out.
    pub(crate) expires_at: Timestamp,
    /// How far it has heard rooms, on earlier connections too.
    pub(crate) heard: BTreeMap<String, (String, u64)>,
    pub(crate) read: Option<(String, u64)>,
    /// The devices that it reports.
    pub(crate) devices: Vec<usize>,
    /// What has to be reported again.
    pub(crate) backlog: VecDeque<Vec<usize>>,
    pub(crate) attempts: u32,
}

pub(crate) fn some_of(all: &[&str], rng: &mut impl Rng) -> Vec<String> {
    let count = rng.random_range(0..=2);
    all.choose_multiple(rng, count).map(|it| (*it).to_owned()).collect()
}

impl Simulation {
    // --- tokens

    /// What its next token allows.
    fn choose_rights(&mut self, user: usize) -> Rights {
        let role = match self.users[user].kind {
            Kind::Gateway => "publisher",
            Kind::Operator => "operator",
            Kind::Member => *["viewer", "operator"].choose(&mut self.rng).unwrap(),
            Kind::Screen | Kind::Board | Kind::Recorder => "viewer",
        };
        let rng = &mut self.rng;
        let is_free = rng.random_bool(0.5) || matches!(self.users[user].kind, Kind::Gateway);
        let devices = (!is_free).then(|| some_of(&["a-*", "b-*", "a-1", "b-2", "b-3", "*"], rng));
        let rooms = rng.random_bool(0.25).then(|| some_of(&["uwb", "floor-*", "staff", "floor-1"], rng));
        Rights { role, devices, rooms }
    }

    /// A token for somebody, and what it allows.
    fn token(&mut self, user: usize) -> Minted {
        if self.rng.random_bool(0.5) {
            self.users[user].rights = self.choose_rights(user);
        }
        let is_calm = self.phase == Phase::Calm;
        let secs = if !is_calm && self.rng.random_bool(0.3) { self.rng.random_range(3..12) } else { 300 };
        let wall = self.wall();
        let it = &mut self.users[user];
        let minted = house::mint(&it.name, &it.rights, wall, Duration::from_secs(secs));
        it.expires_at = minted.expires_at;
        minted
    }

    fn refresh(&mut self, user: usize) {
        let token = self.token(user);
        self.ask(user, "authenticate", &json!({ "token": token.text }), Request::Authenticate(token));
    }

    // --- connections

    pub(crate) fn connect(&mut self, user: usize) {
        if self.users[user].conn.is_some() || self.phase == Phase::End {
            return;
        }
        if !self.is_open() {
            self.come_back(user);
            return;
        }
        let endpoint = match self.users[user].kind {
            Kind::Screen => Endpoint::Uwb,
            Kind::Member if self.rng.random_bool(0.5) => Endpoint::Uwb,
            _ => Endpoint::Plain,
        };
        let token = self.token(user);
        let asks_first = self.rng.random_bool(0.25);
        let text = json!({ "type": "authenticate", "payload": { "token": token.text } }).to_string();
        let conn = self.accept(user, endpoint, (!asks_first).then(|| token.text.clone()), token);
        self.users[user].conn = Some(conn);
        self.watch(conn);
        if asks_first {
            self.send(conn, Up::Text(None, text));
        }
    }

    /// Tries again after a growing, random pause.
    pub(crate) fn come_back(&mut self, user: usize) {
        let attempts = self.users[user].attempts.min(4);
        self.users[user].attempts += 1;
        let pause = if self.phase == Phase::Calm { 300 } else { 200 << attempts };
        let at_ms = self.now_ms + self.rng.random_range(1..=pause);
        self.push(at_ms, Event::Connect(user));
    }

    /// What a client does with what it heard.
    pub(crate) fn take_news(&mut self, conn: u32) {
        let Some(it) = self.conns.get_mut(&conn) else { return };
        let (user, news) = (it.user, std::mem::take(&mut it.client.news));
        for news in news {
            match news {
                News::Hello => {
                    self.users[user].attempts = 0;
                    let at_ms = self.now_ms + self.rng.random_range(1..200);
                    self.push(at_ms, Event::Act(user));
                }
                News::Done(_numbers) => {}
                News::Undone(numbers) => self.users[user].backlog.push_back(numbers),
            }
        }
    }

    /// A client gives its connection up, or knows that it is gone.
    pub(crate) fn leave(&mut self, conn: u32) {
        let Some(it) = self.conns.get_mut(&conn).filter(|it| it.is_client_there) else { return };
        it.is_client_there = false;
        let user = it.user;
        let undone = it.client.requests.values().filter_map(|sent| match &sent.request {
            Request::Report(numbers) => Some(numbers.clone()),
            _ => None,
        });
        let undone: Vec<Vec<usize>> = undone.collect();
        let heard = it.client.rooms.iter().map(|(room, it)| (room.clone(), (it.epoch.clone(), it.told)));
        let heard: Vec<_> = heard.collect();
        let read = it.client.readers.values().next().map(|reader| (reader.epoch.clone(), reader.seen));
        self.users[user].heard.extend(heard);
        if read.is_some() {
            self.users[user].read = read;
        }
        // What is not answered is reported again: by another connection, and not always in the same order.
        for numbers in undone {
            if self.rng.random_bool(0.3) {
                self.users[user].backlog.push_front(numbers);
            } else {
                self.users[user].backlog.push_back(numbers);
            }
        }
        if self.users[user].conn == Some(conn) {
            self.users[user].conn = None;
            if self.phase != Phase::End {
                self.come_back(user);
            }
        }
    }

    // --- asking

    /// Sends a request with an id.
    pub(crate) fn ask(&mut self, user: usize, kind: &str, payload: &Value, request: Request) {
        let Some(conn) = self.users[user].conn else { return };
        let id = self.users[user].next_id;
        self.users[user].next_id += 1;
        let text = json!({ "type": kind, "id": id, "payload": payload }).to_string();
        let sent = Sent { request, taken: None };
        self.conns.get_mut(&conn).unwrap().client.requests.insert(id, sent);
        self.send(conn, Up::Text(Some(id), text));
    }

    /// Somebody does something, and will again.
    pub(crate) fn act(&mut self, user: usize) {
        let Some(conn) = self.users[user].conn else { return };
        if self.conns[&conn].client.id.is_none() || self.phase == Phase::End {
            return;
        }
        while let Some(numbers) = self.users[user].backlog.pop_front() {
            self.report(user, numbers);
            if self.phase == Phase::Chaos {
                break;
            }
        }
        let is_short = self.users[user].expires_at.since(self.wall()) < Duration::from_secs(4);
        // In the calm everybody knows when it is time, whatever the clocks said when the token was made.
        let ends =
            self.conns[&conn].believed.as_ref().map(|it| it.expires_at.saturating_sub(self.now().uptime));
        let is_ending = self.phase == Phase::Calm && ends.is_some_and(|left| left < Duration::from_secs(60));
        if is_ending || (is_short && self.rng.random_bool(0.5)) {
            self.refresh(user);
        } else if self.phase == Phase::Chaos {
            self.do_something(user, conn);
        }
        let pause = match self.users[user].kind {
            Kind::Gateway => self.rng.random_range(100..700),
            _ => self.rng.random_range(150..1_500),
        };
        self.push(self.now_ms + pause, Event::Act(user));
    }

    fn do_something(&mut self, user: usize, conn: u32) {
        match self.rng.random_range(0..100) {
            0..6 => return self.refresh(user),
            6..8 => {
                self.send(conn, Up::Close);
                return self.leave(conn);
            }
            8..14 => return self.ask_plainly(user),
            _ => {}
        }
        match self.users[user].kind {
            Kind::Gateway => self.measure_and_report(user),
            Kind::Operator => self.operate(user),
            Kind::Screen => self.look(user, conn),
            Kind::Board => self.keep_views(user, conn),
            Kind::Recorder => self.record(user, conn),
            Kind::Member => self.be_in_rooms(user, conn),
        }
    }

    pub(crate) fn any_device(&mut self) -> (usize, String) {
        let device = self.rng.random_range(0..self.truth.devices.len());
        (device, self.truth.devices[device].id.to_string())
    }

    pub(crate) fn ask_plainly(&mut self, user: usize) {
        let (_device, id) = self.any_device();
        match self.rng.random_range(0..6) {
            0 => self.ask(user, "ping", &json!({}), Request::Plain("system.pong")),
            1 => self.ask(
                user,
                "get_active_devices",
                &json!({ "limit": 3 }),
                Request::Plain("uwb.device_list"),
            ),
            2 => self.ask(
                user,
                "get_device_location",
                &json!({ "device_id": id }),
                Request::Plain("uwb.location"),
            ),
            3 => {
                let payload = json!({ "device_id": id, "limit": 5 });
                self.ask(user, "get_location_history", &payload, Request::Plain("uwb.location_history"));
            }
            4 => {
                self.ask(user, "get_connection_stats", &json!({}), Request::Plain("system.connection_stats"));
            }
            _ => self.play(user),
        }
    }

    fn play(&mut self, user: usize) {
        let end = self.wall();
        let start = end.minus(Duration::from_secs(self.rng.random_range(1..20)));
        let payload = json!({ "start_time": start.to_string(), "end_time": end.to_string(), "speed": 10 });
        self.ask(user, "play_history", &payload, Request::Plain("playback.started"));
    }

    // --- the client's clock

    /// A client that hears nothing for two and a half intervals gives up.
    pub(crate) fn watch(&mut self, conn: u32) {
        let Some(it) = self.conns.get(&conn).filter(|it| it.is_client_there) else { return };
        let patience = Millis::try_from(house::HEARTBEAT.as_millis()).unwrap() * 5 / 2;
        let due_ms = it.client_heard_ms + patience;
        if self.now_ms >= due_ms {
            self.note(|| format!("c{conn}: heard nothing for too long, and gives up"));
            self.cut(conn);
        } else {
            self.push(due_ms, Event::Watch(conn));
        }
    }
}
