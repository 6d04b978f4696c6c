//! The stage on which conversations are played: a hub, clients without sockets, and a clock that is moved by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use anita_auth::{Authority, Grant, Judgement, Key, Minter, Principal, Roles, TokenError, Verifier};
use anita_hub::{Endpoint, Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{
    DeviceId, Fix, Now, Position, Report, Revocation, RevocationId, Revoked, SiteName, SourceName, Timestamp,
};
use anita_session::{Context, Credentials, Delivery, Extensions, Session, SessionSettings};
use anita_store::MemoryStore;
use anita_views::ViewSettings;
use anita_world::{Nearness, Policy};
use futures_util::FutureExt;
use serde_json::Value;

const SECRET: &[u8] = b"the secret of the stage, long enough";

/// How far time moves at once, so that nothing that is due is stepped over.
const TICK: Duration = Duration::from_millis(50);

struct Client {
    session: Option<Session>,
    heard: VecDeque<String>,
    closed: Option<u16>,
    ignored: BTreeSet<String>,
    is_reading: bool,
}

impl Client {
    fn live(&mut self) -> Result<&mut Session, String> {
        self.session.as_mut().ok_or_else(|| "the client is closed".to_owned())
    }
}

pub struct Stage {
    context: Arc<Context>,
    minter: Minter,
    now: Now,
    clients: BTreeMap<String, Client>,
    /// The epoch that was heard last.
    epoch: String,
    keys: Arc<Keys>,
    /// Whether `domain.slow` answers.
    is_slow_done: Arc<AtomicBool>,
    revocations: usize,
}

/// Whether tokens have to wait for the keys of their issuer, and how that ended for those that did.
#[derive(Debug, Default)]
struct Keys {
    are_awaited: AtomicBool,
    /// One of the three below.
    ended: AtomicU8,
}

const NOT_YET: u8 = 0;
const CAME: u8 = 1;
const FAILED: u8 = 2;

impl Keys {
    fn ended(&self) -> Poll<Result<(), TokenError>> {
        match self.ended.load(Ordering::Relaxed) {
            NOT_YET => Poll::Pending,
            CAME => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(TokenError::KeysUnavailable { retry_after: Duration::from_secs(5) })),
        }
    }
}

#[derive(Debug)]
struct StageAuthority {
    verifier: Verifier,
    keys: Arc<Keys>,
}

impl Authority for StageAuthority {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        self.verifier.verify(token, now)
    }

    fn judge(&self, token: &str, now: Timestamp) -> Judgement {
        if !self.keys.are_awaited.load(Ordering::Relaxed) {
            return Judgement::Given(self.verify(token, now));
        }
        let keys = Arc::clone(&self.keys);
        Judgement::Awaited(Box::pin(std::future::poll_fn(move |_context| keys.ended())))
    }
}

/// What can be different about a stage.
#[derive(Default)]
struct Settings {
    nearness: Option<Nearness>,
    tail_fixes_max: Option<usize>,
}

/// Everything on the stage answers at once, so a future that waits is a fault.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing on the stage waits")
}

/// The message types of an application; `domain.slow` is answered when that is said.
fn extensions(is_slow_done: &Arc<AtomicBool>) -> Extensions {
    let mut extensions = Extensions::default();
    extensions
        .add("domain.echo", None, "domain.echoed", |_caller, payload: Value| async move { Ok(payload) })
        .unwrap();
    extensions
        .add("domain.panic", None, "domain.never", |_caller, _payload: Value| async move {
            if true {
                panic!("a handler of the application panics");
            }
            Ok(Value::Null)
        })
        .unwrap();
    extensions
        .add("domain.panic_at_once", None, "domain.never", |_caller, payload: Value| {
            assert!(payload == "never", "a handler of the application panics before it has a future");
            async move { Ok(Value::Null) }
        })
        .unwrap();
    let is_done = Arc::clone(is_slow_done);
    extensions
        .add("domain.slow", None, "domain.slowed", move |_caller, payload: Value| {
            let is_done = Arc::clone(&is_done);
            std::future::poll_fn(move |_context| {
                if is_done.load(Ordering::Relaxed) { Poll::Ready(Ok(payload.clone())) } else { Poll::Pending }
            })
        })
        .unwrap();
    extensions
}

impl Stage {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(Settings { nearness, tail_fixes_max }: Settings) -> Self {
        let views = ViewSettings::default();
        let now =
            Now { wall: Timestamp::parse("2026-03-01T12:00:00Z").unwrap(), uptime: Duration::from_secs(1) };
        let hub = at_once(Hub::open(
            HubSettings {
                policy: Policy { nearness, ..Policy::default() },
                // Time stands still between two lines: nothing is gathered.
                views: ViewSettings {
                    gather: Duration::ZERO,
                    gather_per_write: Duration::ZERO,
                    tail_fixes_max: tail_fixes_max.unwrap_or(views.tail_fixes_max),
                    ..views
                },
                ..HubSettings::default()
            },
            Keeping::in_memory(MemoryStore::new(1_000, 10_000, 10_000)),
            Arc::new(Metrics::default()),
            now,
        ));
        let verifier = Verifier::new(Key::hs256(SECRET).unwrap(), "anita", "anita", Roles::default());
        let settings =
            SessionSettings { viewer_requests_per_second: 20, rate_refusals_max: 5, ..Default::default() };
        let is_slow_done = Arc::new(AtomicBool::new(false));
        let extensions = extensions(&is_slow_done);
        let keys = Arc::new(Keys::default());
        let authority = StageAuthority { verifier, keys: Arc::clone(&keys) };
        let (hub, verifier) = (hub.unwrap(), Arc::new(authority));
        let context = Context { hub, verifier, settings, extensions, playbacks: Arc::default() };
        let minter = Minter::hs256(SECRET, "anita", "anita").unwrap();
        Self {
            context: Arc::new(context),
            minter,
            now,
            clients: BTreeMap::new(),
            epoch: String::new(),
            keys,
            is_slow_done,
            revocations: 0,
        }
    }

    pub fn play(&mut self, line: &str) -> Result<(), String> {
        let (subject, rest) = line.split_once(' ').ok_or("a line has at least two words")?;
        match subject {
            "wait" => self.wait(seconds(rest)?),
            "source" => self.report(rest)?,
            "keys" => self.keys(rest)?,
            "slow" => self.is_slow_done.store(rest == "comes", Ordering::Relaxed),
            "revoke" => self.revoke(rest)?,
            "near" => {
                let metres = rest.parse().map_err(|_| format!("no distance: {rest}"))?;
                let nearness = Some(Nearness { enter_m: metres, leave_m: metres * 1.5 });
                *self = Self::with(Settings { nearness, ..Settings::default() });
            }
            "tail" => {
                let tail_fixes_max = Some(rest.parse().map_err(|_| format!("no number: {rest}"))?);
                *self = Self::with(Settings { tail_fixes_max, ..Settings::default() });
            }
            name => self.client(name, rest)?,
        }
        self.settle();
        Ok(())
    }

    /// At the end nobody may have left anything behind.
    pub fn end(mut self) -> Result<(), String> {
        self.clients.clear();
        let hub = &self.context.hub;
        if hub.connections().count() != 0 || !hub.rooms().occupied().is_empty() {
            return Err("a connection or a room was left behind".to_owned());
        }
        Ok(())
    }

    fn client(&mut self, name: &str, rest: &str) -> Result<(), String> {
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if verb == "connect" {
            return self.connect(name, rest);
        }
        if verb == ">" && rest.contains("TOKEN(") {
            let (before, after) = rest.split_once("TOKEN(").unwrap();
            let (words, after) = after.split_once(')').unwrap();
            let text = format!("{before}{}{after}", self.token(name, words));
            return self.client(name, &format!("> {text}"));
        }
        if verb == ">" && rest.contains("EPOCH") {
            return self.client(name, &format!("> {}", rest.replace("EPOCH", &self.epoch)));
        }
        let now = self.now;
        let client = self.clients.get_mut(name).ok_or("nobody of this name is connected")?;
        match verb {
            ">" => {
                let session = client.session.as_mut().ok_or("the client is closed")?;
                session.on_text(rest, now);
            }
            "binary" => client.session.as_mut().ok_or("the client is closed")?.on_binary(),
            "pong" => client.session.as_mut().ok_or("the client is closed")?.on_control(now),
            "drain" => client.drain((rest == "as the keys come").then_some(&self.keys))?,
            "warned" => client.live()?.on_drain_notice(Duration::from_millis(750)),
            "stops" => client.is_reading = false,
            "reads" => client.is_reading = true,
            "sleeps" => {
                let session = client.session.as_ref().ok_or("the client is closed")?;
                if session.wake_at() <= now.uptime {
                    return Err("it is to be woken at once, again and again".to_owned());
                }
            }
            "vanish" => client.session = None,
            "ignores" => client.ignored.extend(rest.split(' ').map(str::to_owned)),
            "<" => {
                let heard = client.heard.pop_front().ok_or("heard nothing")?;
                let pattern: Value =
                    serde_json::from_str(rest).map_err(|error| format!("the pattern: {error}"))?;
                let value: Value = serde_json::from_str(&heard).map_err(|_| format!("heard {heard}"))?;
                if !matches(&pattern, &value) {
                    return Err(format!("heard {heard}"));
                }
                if let Some(epoch) = value["payload"]["epoch"].as_str() {
                    epoch.clone_into(&mut self.epoch);
                }
            }
            "ping" => {
                let heard = client.heard.pop_front().ok_or("heard nothing")?;
                if heard != "ping" {
                    return Err(format!("heard {heard}"));
                }
            }
            "quiet" => match client.heard.front() {
                Some(heard) => return Err(format!("heard {heard}")),
                None if client.closed.is_some() => return Err(format!("closed {:?}", client.closed)),
                None => {}
            },
            "closed" => {
                if let Some(heard) = client.heard.front() {
                    return Err(format!("heard {heard}"));
                }
                if client.closed.map(|code| code.to_string()).as_deref() != Some(rest) {
                    return Err(format!("closed {:?}", client.closed));
                }
            }
            _ => return Err(format!("no such verb: {verb}")),
        }
        Ok(())
    }

    fn connect(&mut self, name: &str, rest: &str) -> Result<(), String> {
        let (path, words) = rest.split_once(' ').unwrap_or((rest, ""));
        let endpoint = match path {
            "/ws" => Endpoint::Plain,
            "/ws/uwb" => Endpoint::Uwb,
            _ => return Err(format!("no such endpoint: {path}")),
        };
        let credentials = match words {
            "" => Credentials::None,
            words if words.starts_with("token=") => {
                Credentials::Token(words.trim_start_matches("token=").to_owned())
            }
            words => Credentials::Token(self.token(name, words)),
        };
        let registration = self.context.hub.connect(endpoint, None, &self.context.hub.shards()[0], self.now);
        let context = Arc::clone(&self.context);
        let session = Session::open(context, registration, credentials, SourceName::websocket(), self.now);
        let client = Client {
            session: Some(session),
            heard: VecDeque::new(),
            closed: None,
            ignored: BTreeSet::new(),
            is_reading: true,
        };
        self.clients.insert(name.to_owned(), client);
        Ok(())
    }

    /// A token made from words: `role=viewer devices=tag-* rooms=uwb ttl=60 sub=alice`.
    fn token(&self, name: &str, words: &str) -> String {
        let (mut roles, mut devices, mut rooms, mut id) = (Vec::new(), None, None, None);
        let (mut subject, mut ttl) = (name.to_owned(), 3_600);
        for word in words.split_whitespace() {
            let (key, value) = word.split_once('=').expect("key=value");
            let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
            match key {
                "role" => roles = list(),
                "devices" => devices = Some(list()),
                "rooms" => rooms = Some(list()),
                "id" => id = Some(value.to_owned()),
                "sub" => value.clone_into(&mut subject),
                "ttl" => ttl = value.parse().expect("seconds"),
                _ => panic!("no such word of a token: {key}"),
            }
        }
        let grant = Grant {
            subject: &subject,
            roles: &roles,
            devices: devices.as_deref(),
            rooms: rooms.as_deref(),
            token_id: id.as_deref(),
        };
        self.minter.mint(&grant, self.now.wall, Duration::from_secs(ttl)).unwrap()
    }

    /// The keys of the issuer: `keys wait`, and then `keys come` or `keys fail`.
    fn keys(&self, rest: &str) -> Result<(), String> {
        let ended = match rest {
            "wait" => NOT_YET,
            "come" => CAME,
            "fail" => FAILED,
            _ => return Err("keys wait | come | fail".to_owned()),
        };
        self.keys.are_awaited.store(ended == NOT_YET, Ordering::Relaxed);
        self.keys.ended.store(ended, Ordering::Relaxed);
        Ok(())
    }

    /// `revoke jti=t1`, `revoke sub=alice [before]` or `revoke before`: tokens that were issued before this moment.
    fn revoke(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split(' ').collect();
        let issued_before = words.contains(&"before").then_some(self.now.wall);
        let revoked = match (words[0].split_once('='), issued_before) {
            (Some(("jti", id)), None) => Revoked::Token(id.into()),
            (Some(("sub", subject)), issued_before) => {
                Revoked::Subject { subject: subject.into(), issued_before }
            }
            (None, Some(moment)) => Revoked::IssuedBefore(moment),
            _ => return Err("revoke jti=… | sub=… [before] | before".to_owned()),
        };
        self.revocations += 1;
        let revocation = Revocation {
            id: RevocationId::parse(&format!("r{}", self.revocations)).unwrap(),
            revoked,
            issuer: None,
            made_at: self.now.wall,
            until: None,
            made_by: "stage".into(),
            reason: "".into(),
        };
        let (_closed, kept) = self.context.hub.revoke(&revocation).map_err(|refusal| refusal.message)?;
        at_once(kept).map_err(|error| error.to_string())
    }

    fn report(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [device, x, y, more @ ..] = words.as_slice() else { return Err("source DEVICE X Y".to_owned()) };
        let (mut taken_at, mut floor) = (self.now.wall, None);
        match more {
            [] => {}
            ["taken", ago] => taken_at = taken_at.minus(seconds(ago.trim_start_matches('-'))?),
            ["floor", number] => floor = Some(number.parse().map_err(|_| format!("no floor: {number}"))?),
            _ => return Err("source DEVICE X Y [taken -3s | floor 1]".to_owned()),
        }
        let metres = |text: &str| text.parse::<f64>().map_err(|error| error.to_string());
        let fix = Fix {
            device: DeviceId::parse(device).map_err(|error| error.to_string())?,
            site: SiteName::main(),
            position: Position::new(metres(x)?, metres(y)?, 0.0).map_err(|error| error.to_string())?,
            accuracy_m: None,
            floor,
            battery_percent: None,
            taken_at,
            received_at: self.now.wall,
            source: SourceName::parse("stage").unwrap(),
            sequence: None,
        };
        at_once(self.context.hub.report(vec![Report::Fix(fix)], self.now).kept)
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now.uptime + time;
        while self.now.uptime < end {
            self.now = self.now.plus(TICK.min(end - self.now.uptime));
            self.context.hub.sweep(self.now);
            self.settle();
        }
    }

    /// Lets every session do what is due, and hands over what it says.
    fn settle(&mut self) {
        // What one session says in a room is heard by others in the next round.
        for _round in 0..3 {
            let uptime = self.now.uptime;
            self.context.hub.shards()[0].turn(self.now, &|| uptime, None);
            for client in self.clients.values_mut() {
                client.settle(self.now);
            }
        }
    }
}

impl Client {
    /// As the owner of the socket does it; keys that are given come at this moment.
    fn drain(&mut self, keys: Option<&Keys>) -> Result<(), String> {
        if let Some(keys) = keys {
            keys.ended.store(CAME, Ordering::Relaxed);
        }
        let session = self.live()?;
        // The owner gives up after a while: so this must not go on by itself.
        session.all_answered().now_or_never();
        session.on_drain(Duration::from_millis(250));
        Ok(())
    }

    fn settle(&mut self, now: Now) {
        let Some(session) = self.session.as_mut() else { return };
        let delivery = if self.is_reading { Delivery::Open } else { Delivery::Held };
        session.on_wake(now, delivery);
        // What is asked of the store is answered at once, and may lead to another question.
        while session.answered().now_or_never().is_some() {
            session.on_wake(now, delivery);
        }
        for text in session.take_frames().iter().flat_map(|frames| unframed(frames)) {
            let kind = serde_json::from_str::<Value>(&text)
                .ok()
                .and_then(|it| it["type"].as_str().map(str::to_owned));
            if !kind.is_some_and(|kind| self.ignored.contains(&kind)) {
                self.heard.push_back(text);
            }
        }
        if let Some(closing) = session.closing() {
            self.closed = Some(closing.code.number());
            self.session = None;
        }
    }
}

/// The texts of a server's frames; `ping` for a ping.
fn unframed(mut frames: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [first, length, rest @ ..] = frames {
        let (bytes, rest) = match length {
            127 => {
                let (length, rest) = rest.split_first_chunk().unwrap();
                (usize::try_from(u64::from_be_bytes(*length)).unwrap(), rest)
            }
            126 => {
                let (length, rest) = rest.split_first_chunk().unwrap();
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            short => (usize::from(*short), rest),
        };
        let (payload, rest) = rest.split_at(bytes);
        texts.push(match first {
            0x89 => "ping".to_owned(),
            0x81 => String::from_utf8(payload.to_vec()).unwrap(),
            _ => panic!("a frame that is neither text nor ping: {frames:?}"),
        });
        frames = rest;
    }
    texts
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').ok_or("a time is like 10s or 0.5s")?;
    number.parse().map(Duration::from_secs_f64).map_err(|_| format!("no time: {text}"))
}

/// Whether a value fits a pattern: objects need only the written fields, `"*"` is anything, `"ABSENT"` may not be there.
fn matches(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(pattern), Value::Object(value)) => {
            pattern.iter().all(|(key, pattern)| match value.get(key) {
                Some(value) => matches(pattern, value),
                None => pattern == "ABSENT",
            })
        }
        (Value::Array(pattern), Value::Array(value)) => {
            pattern.len() == value.len()
                && pattern.iter().zip(value).all(|(pattern, value)| matches(pattern, value))
        }
        (Value::Number(pattern), Value::Number(value)) => pattern.as_f64() == value.as_f64(),
        (pattern, value) => pattern == value,
    }
}
