//! A hub with its clients, and a clock that is moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Grant, Key, Minter, Principal, Roles, Verifier};
use anita_hub::{Endpoint, Hub, HubSettings, Keeping, RoomLimits};
use anita_metrics::Metrics;
use anita_model::{DeviceId, Fix, Now, Position, Report, SiteName, SourceName, Timestamp};
use anita_session::{Context, Credentials, Delivery, Extensions, Session, SessionSettings};
use anita_store::MemoryStore;
use anita_views::ViewSettings;
use futures_util::FutureExt;
use serde_json::Value;

use super::ear::Ear;

const SECRET: &[u8] = b"a secret of the fuzz targets, 0123456789";

/// How many clients there are at most.
const CLIENTS_MAX: usize = 4;

/// The rooms that one client may be in: few, so that the limit is met.
pub(super) const ROOMS_PER_CLIENT_MAX: usize = 3;

/// How far time moves at once, and at most in one line.
const TICK: Duration = Duration::from_millis(50);
const WAIT_TICKS_MAX: u64 = 24;

/// What a letter stands for: roles, patterns of devices and of rooms, seconds that the token is good for.
type GrantOfLetter =
    (char, &'static [&'static str], Option<&'static [&'static str]>, Option<&'static [&'static str]>, u64);

/// The tokens there are.
const GRANTS: [GrantOfLetter; 9] = [
    ('v', &["viewer"], None, None, 3_600),
    ('n', &["viewer"], Some(&["tag-1", "a*"]), Some(&["uwb"]), 3_600),
    ('m', &["viewer"], Some(&[]), Some(&[]), 3_600),
    ('p', &["publisher"], None, None, 3_600),
    ('q', &["publisher"], Some(&["tag-*"]), None, 3_600),
    ('o', &["operator"], None, None, 3_600),
    ('w', &["operator"], Some(&["tag-?"]), Some(&["hall*"]), 60),
    ('a', &["admin"], None, None, 3_600),
    ('s', &["viewer"], None, None, 1),
];

struct Client {
    session: Session,
    ear: Ear,
    delivery: Delivery,
}

/// A hub with its clients.
pub(super) struct Stage {
    context: Arc<Context>,
    minter: Minter,
    now: Now,
    clients: BTreeMap<usize, Client>,
    /// How many requests got an id: they are numbered.
    request_count: u64,
}

/// Everything on the stage answers at once, so a future that waits is a fault.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing on the stage waits")
}

impl Stage {
    /// The one place where the parts are put together.
    pub(super) fn new() -> Self {
        let wall = Timestamp::parse("2026-03-01T12:00:00Z").expect("a time");
        let now = Now { wall, uptime: Duration::from_secs(1) };
        let rooms = RoomLimits {
            rooms_max: 8,
            rooms_per_connection_max: ROOMS_PER_CLIENT_MAX,
            members_max: 3,
            ring_messages_max: 6,
            ring_bytes_max: 4096,
            linger: Duration::from_secs(5),
        };
        // Time stands still between two lines: nothing is gathered.
        let (gather, gather_per_write) = (Duration::ZERO, Duration::ZERO);
        let views = ViewSettings { gather, gather_per_write, tail_fixes_max: 8, ..ViewSettings::default() };
        let settings = HubSettings { rooms, views, ..HubSettings::default() };
        let store = Keeping::in_memory(MemoryStore::new(50, 200, 200));
        let hub = at_once(Hub::open(settings, store, Arc::new(Metrics::default()), now)).expect("a hub");
        let key = Key::hs256(SECRET).expect("a key");
        let verifier = Arc::new(Verifier::new(key, "anita", "anita", Roles::default()));
        let mut extensions = Extensions::default();
        extensions
            .add("domain.echo", None, "domain.echoed", |_caller, payload: Value| async move { Ok(payload) })
            .expect("a type of an application");
        let settings =
            SessionSettings { viewer_requests_per_second: 20, rate_refusals_max: 5, ..Default::default() };
        let context = Context { hub, verifier, settings, extensions, playbacks: Arc::default() };
        let minter = Minter::hs256(SECRET, "anita", "anita").expect("a minter");
        Self { context: Arc::new(context), minter, now, clients: BTreeMap::new(), request_count: 0 }
    }

    fn token(&self, who: usize, letter: char) -> Option<String> {
        let (_, roles, devices, rooms, secs) = GRANTS.into_iter().find(|grant| grant.0 == letter)?;
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (devices, rooms) = (devices.map(owned), rooms.map(owned));
        let grant = Grant {
            subject: &format!("client-{who}"),
            roles: &owned(roles),
            devices: devices.as_deref(),
            rooms: rooms.as_deref(),
            token_id: None,
        };
        self.minter.mint(&grant, self.now.wall, Duration::from_secs(secs)).ok()
    }

    fn principal(&self, token: &str) -> Option<Principal> {
        self.context.verifier.verify(token, self.now.wall).ok()
    }

    /// A client comes; who was there under its number is gone.
    pub(super) fn connect(&mut self, who: usize, words: &str) {
        let who = who % CLIENTS_MAX;
        self.clients.remove(&who);
        let mut letters = words.chars();
        let endpoint = if letters.next() == Some('u') { Endpoint::Uwb } else { Endpoint::Plain };
        let mut ear = Ear::behind(endpoint);
        let credentials = match letters.next() {
            None => Credentials::None,
            Some('z') => Credentials::NoSuchEndpoint,
            Some('x') => Credentials::Token(letters.as_str().to_owned()),
            Some('S') => match self.token(who, 'o').and_then(|token| self.principal(&token)) {
                Some(principal) => {
                    ear.may_become(Some(principal.clone()));
                    Credentials::Session(Box::new(principal))
                }
                None => Credentials::None,
            },
            Some(letter) => match self.token(who, letter) {
                Some(token) => {
                    ear.may_become(self.principal(&token));
                    Credentials::Token(token)
                }
                None => Credentials::None,
            },
        };
        let hub = &self.context.hub;
        let Some(shard) = hub.shards().first() else { return };
        let registration = hub.connect(endpoint, None, shard, self.now);
        let context = Arc::clone(&self.context);
        let session = Session::open(context, registration, credentials, SourceName::websocket(), self.now);
        self.clients.insert(who, Client { session, ear, delivery: Delivery::Open });
    }

    /// A text as it is, or a request made of its type and its payload.
    pub(super) fn say(&mut self, who: usize, words: &str) {
        let who = who % CLIENTS_MAX;
        let mut text = if words.starts_with('{') {
            words.to_owned()
        } else {
            self.request_count += 1;
            let (kind, payload) = words.split_once(' ').unwrap_or((words, "{}"));
            format!(r#"{{"type":"{kind}","id":{},"payload":{payload}}}"#, self.request_count)
        };
        let mut becomes = None;
        if let Some((before, after)) = text.split_once('$')
            && let Some(letter) = after.chars().next()
            && let Some(token) = self.token(who, letter)
        {
            becomes = self.principal(&token);
            text = format!("{before}{token}{}", after.get(letter.len_utf8()..).unwrap_or_default());
        }
        let now = self.now;
        let Some(client) = self.clients.get_mut(&who) else { return };
        if client.session.closing().is_some() || client.session.is_full() {
            return;
        }
        client.ear.may_become(becomes);
        client.ear.asks(&text);
        client.session.on_text(&text, now);
        // The socket would write it, however much is asked in a row.
        client.listen();
    }

    pub(super) fn with(&mut self, who: usize, act: impl FnOnce(&mut Session, Now)) {
        if let Some(client) = self.clients.get_mut(&(who % CLIENTS_MAX))
            && client.session.closing().is_none()
        {
            act(&mut client.session, self.now);
        }
    }

    pub(super) fn vanish(&mut self, who: usize) {
        self.clients.remove(&(who % CLIENTS_MAX));
    }

    pub(super) fn reads(&mut self, who: usize, delivery: Delivery) {
        if let Some(client) = self.clients.get_mut(&(who % CLIENTS_MAX)) {
            client.delivery = delivery;
        }
    }

    /// A source reports `device x y`.
    pub(super) fn report(&mut self, words: &str) {
        let mut words = words.split_whitespace();
        let device = DeviceId::parse(words.next().unwrap_or_default());
        let mut metres = || words.next().and_then(|word| word.parse::<f64>().ok()).unwrap_or_default();
        let (Ok(device), Ok(position)) = (device, Position::new(metres(), metres(), 0.0)) else { return };
        let Ok(source) = SourceName::parse("fuzz") else { return };
        let fix = Fix {
            device,
            site: SiteName::main(),
            position,
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: self.now.wall,
            received_at: self.now.wall,
            source,
            sequence: None,
        };
        let _kept = at_once(self.context.hub.report(vec![Report::Fix(fix)], self.now).kept);
    }

    /// Time passes; a long time in larger steps.
    pub(super) fn wait(&mut self, millis: u64) {
        let ticks = (millis.min(200_000) / 50).clamp(1, WAIT_TICKS_MAX);
        let step = TICK.max(Duration::from_millis(millis.min(200_000) / ticks));
        for _ in 0..ticks {
            self.now = self.now.plus(step);
            self.context.hub.sweep(self.now);
            self.settle();
        }
    }

    /// The wall clock jumps; the uptime does not.
    pub(super) fn jump(&mut self, secs: i32) {
        let by = Duration::from_secs(u64::from(secs.unsigned_abs() % 100_000));
        self.now.wall = if secs < 0 { self.now.wall.minus(by) } else { self.now.wall.plus(by) };
    }

    /// Lets every session do what is due, and listens to what it says.
    pub(super) fn settle(&mut self) {
        // What one session says in a room is heard by others in the next round.
        for _round in 0..2 {
            let uptime = self.now.uptime;
            if let Some(shard) = self.context.hub.shards().first() {
                shard.turn(self.now, &|| uptime, None);
            }
            for client in self.clients.values_mut() {
                client.settle(self.now);
            }
        }
        self.clients.retain(|_who, client| client.session.closing().is_none());
        self.check_rooms();
    }

    /// What clients were told of rooms is what the hub knows of them.
    fn check_rooms(&self) {
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for room in self.clients.values().flat_map(|client| &client.ear.rooms) {
            *told.entry(room.clone()).or_default() += 1;
        }
        let occupied = self.context.hub.rooms().occupied().into_iter();
        let known: BTreeMap<String, usize> =
            occupied.map(|(name, count)| (name.to_string(), count)).collect();
        assert_eq!(told, known, "rooms as clients were told, and as the hub has them");
        assert_eq!(self.context.hub.connections().count(), self.clients.len(), "connections");
    }

    /// Everybody goes: nothing may be left.
    pub(super) fn end(mut self) {
        self.clients.clear();
        let hub = &self.context.hub;
        assert_eq!(hub.connections().count(), 0, "a connection was left behind");
        assert!(hub.rooms().occupied().is_empty(), "a room was left behind");
    }
}

impl Client {
    /// Does what is due, until there is nothing left to do.
    fn settle(&mut self, now: Now) {
        for _ in 0..1_000 {
            self.session.on_wake(now, self.delivery);
            // What is asked of the store is answered at once, and may lead to another question.
            while self.session.answered().now_or_never().is_some() {
                self.session.on_wake(now, self.delivery);
            }
            self.listen();
            if self.session.closing().is_some() {
                self.check_silence(now);
                return;
            }
            if self.session.wake_at() > now.uptime {
                self.ear.check_answered();
                return;
            }
        }
        panic!("it is to be woken at once, again and again: {:?}", self.session);
    }

    fn listen(&mut self) {
        for frame in self.session.take_frames() {
            self.ear.hear(&frame);
        }
    }

    /// After the end nothing more is said, whatever happens.
    fn check_silence(&mut self, now: Now) {
        let closing = self.session.closing().cloned();
        self.session.on_text(r#"{"type":"ping","id":0}"#, now);
        self.session.on_control(now);
        self.session.on_binary();
        self.session.on_drain(Duration::from_secs(1));
        self.session.on_wake(now.plus(Duration::from_secs(3_600)), Delivery::Open);
        assert!(self.session.take_frames().is_empty(), "something is said after {closing:?}");
        assert_eq!(self.session.closing().cloned(), closing, "the end is what it was");
        assert!(closing.is_some_and(|it| it.reason.to_text().len() <= 123), "the reason fits into its frame");
    }
}
