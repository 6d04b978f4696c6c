//! The server's side: what `anita-server` does around conversations and shards, without sockets and threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_hub::{Endpoint, NextTurn, Outlet};
use anita_model::{Now, Report, SourceName, Timestamp};
use anita_session::{Credentials, Delivery, Session};
use anita_wire::CloseCode;
use bytes::BytesMut;
use futures_util::FutureExt;

use crate::client::{Client, Request, Taken};
use crate::conn::{Believed, Conn, Up, close_frame};
use crate::house::{self, House, LEEWAY, Minted};
use crate::link::{Millis, Socket, Way};
use crate::queue::Event;
use crate::simulation::{Phase, Simulation, Stage};
use crate::truth::{MaySkip, number_of};

/// What may wait to be written before the peer's messages are no longer read, bytes: as in the server.
const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// More than a slow client may ever have waiting, bytes: what is read at once of each of its rooms, and answers.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long a server that ends waits for the answers of one conversation.
const ANSWERS_WAIT_MS: Millis = 2_000;

/// How long after a revocation a connection may still be there.
const REVOKED_MS_MAX: Millis = 1_000;

/// How long somebody may take to say who it is, as the documents say.
const AUTH_DEADLINE: Duration = Duration::from_secs(10);

/// By how much something that is due may be late: the steps of the simulation.
const SLACK: Duration = Duration::from_millis(2);

impl Simulation {
    pub(crate) fn house(&self) -> &House {
        self.house.as_ref().expect("a server that runs")
    }

    /// The present as the server has it.
    pub(crate) fn now(&self) -> Now {
        let since_ms = self.house.as_ref().map_or(0, |house| house.since_ms);
        Now { wall: self.wall(), uptime: Duration::from_millis(self.now_ms - since_ms) }
    }

    /// The moment of an uptime.
    fn at_ms(&self, uptime: Duration) -> Millis {
        let millis = uptime.as_nanos().div_ceil(1_000_000);
        self.house().since_ms.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX / 2))
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    // --- connections

    /// A connection is made, with a token or without.
    pub(crate) fn accept(
        &mut self,
        user: usize,
        endpoint: Endpoint,
        token: Option<String>,
        brought: Minted,
    ) -> u32 {
        let now = self.now();
        self.next_conn += 1;
        let id = self.next_conn;
        let house = self.house();
        let shard = Arc::clone(&house.hub.shards()[0]);
        let registration = house.hub.connect(endpoint, None, &shard, now);
        let credentials = token.map_or(Credentials::None, Credentials::Token);
        let context = Arc::clone(&house.context);
        let session = Session::open(context, registration, credentials, SourceName::websocket(), now);
        let peer = Arc::clone(session.peer());
        let quality = self.users[user].quality;
        let socket = Socket::new(Arc::clone(&peer), quality.kernel_bytes_max);
        shard.attach(&peer, Arc::clone(&socket) as Arc<dyn Outlet>);
        let name = self.users[user].name.clone();
        let rights = brought.rights.clone();
        self.note(|| format!("c{id}: {name} connects, {rights:?}"));
        let conn = Conn {
            user,
            run: self.truth.run,
            quality,
            session: Some(Box::new(session)),
            peer,
            socket,
            arrived: VecDeque::new(),
            believed: None,
            brought: Some(brought),
            heard_at: now.uptime,
            wake_ms: None,
            is_touched: true,
            up: Way::new(),
            down: Way::new(),
            drain_ms: None,
            is_through: true,
            client: Client::new(rights, self.truth.run),
            is_client_there: true,
            inbox: BytesMut::new(),
            client_heard_ms: self.now_ms,
            fine_since_ms: self.now_ms,
        };
        self.conns.insert(id, conn);
        self.believe(id, now);
        self.after(id);
        id
    }

    /// The first token of a connection was looked at, perhaps: what follows from it.
    fn believe(&mut self, id: u32, now: Now) {
        let Self { conns, truth, house, users, now_ms, .. } = self;
        let conn = conns.get_mut(&id).unwrap();
        let session = conn.session.as_ref().unwrap();
        if !session.is_live() || conn.believed.is_some() {
            return;
        }
        let minted = conn.brought.take().expect("a token that was brought");
        let issued_at = minted.issued_as_judged(now.wall);
        let Minted { rights, expires_at, .. } = minted;
        let is_uwb = conn.peer.endpoint == Endpoint::Uwb;
        let is_revoked = truth.is_revoked(&users[conn.user].name, issued_at) && session.closing().is_none();
        if is_uwb && rights.joins("uwb") && session.closing().is_none() {
            truth.listen(house.as_ref().unwrap().hub.rooms(), *now_ms, MaySkip::No);
            conn.client.joins = Some(taken_now(truth, "uwb"));
        }
        assert!(!is_revoked, "c{id}: a token that was revoked is accepted");
        conn.believed = Some(Believed { rights, issued_at, expires_at: expiry(expires_at, now) });
    }

    /// A conversation goes on, if there is a reason. Says whether there was one.
    fn serve(&mut self, id: u32) -> bool {
        let now = self.now();
        let is_due = self.conns[&id].wake_ms.is_some_and(|wake_ms| wake_ms <= self.now_ms);
        let conn = self.conns.get_mut(&id).unwrap();
        let Some(session) = conn.session.as_mut() else { return false };
        if is_due {
            conn.wake_ms = None;
        }
        conn.is_touched = false;
        let is_rung = conn.peer.bell.notified().now_or_never().is_some();
        let is_flushed = conn.socket.take_flushed();
        let is_answered = session.answered().now_or_never().is_some();
        let is_due = session.wake_at() <= now.uptime;
        let may_read = conn.socket.queued_bytes() < QUEUE_BYTES_MAX && !session.is_full();
        let heard = if may_read { conn.arrived.pop_front() } else { None };
        let mut is_awake = is_rung || is_flushed || is_answered || is_due;
        match heard {
            None => {}
            Some(Up::Pong) => {
                conn.heard_at = now.uptime;
                session.on_control(now);
                self.after(id);
            }
            Some(Up::Close) => {
                self.is_rung = true;
                conn.session = None;
                conn.socket.end(close_frame(1000, ""));
                return true;
            }
            Some(Up::Text(request, text)) => {
                conn.heard_at = now.uptime;
                self.hear(id, request, &text, now);
                is_awake = true;
            }
        }
        self.drain_one(id);
        if is_awake {
            let conn = self.conns.get_mut(&id).unwrap();
            if let Some(session) = conn.session.as_mut() {
                let delivery = if conn.socket.is_busy() { Delivery::Held } else { Delivery::Open };
                session.on_wake(now, delivery);
                conn.is_touched = true;
                self.after(id);
            }
        } else if is_due {
            self.after(id);
        }
        is_awake
    }

    /// Whether there may be a reason to look after a conversation.
    fn may_go_on(&self, conn: &Conn) -> bool {
        let is_due = conn.wake_ms.is_some_and(|wake_ms| wake_ms <= self.now_ms);
        let is_concerned = is_due || conn.is_touched || !conn.arrived.is_empty();
        conn.session.is_some() && (is_concerned || matches!(self.stage, Stage::Draining { .. }))
    }

    /// A server that ends says so to each, when its answers are given.
    fn drain_one(&mut self, id: u32) {
        let Stage::Draining { since_ms } = self.stage else { return };
        let conn = self.conns.get_mut(&id).unwrap();
        let Some(session) = conn.session.as_mut() else { return };
        let is_answered = session.all_answered().now_or_never().is_some();
        if is_answered || self.now_ms >= since_ms + ANSWERS_WAIT_MS {
            session.on_drain(Duration::from_millis(100));
            self.after(id);
        }
    }

    /// What a conversation has to say is queued; its end is judged.
    fn after(&mut self, id: u32) {
        let Now { wall, uptime } = self.now();
        let conn = self.conns.get_mut(&id).unwrap();
        let Some(session) = conn.session.as_mut() else { return };
        let frames = session.take_frames();
        conn.socket.queue(frames);
        conn.peer.queued_bytes.store(conn.socket.queued_bytes(), Ordering::Relaxed);
        assert!(conn.socket.queued_bytes() < WAITING_BYTES_MAX, "c{id}: too much waits for a slow client");
        let Some(closing) = session.closing() else {
            let wake_at = session.wake_at();
            self.wake_later(id, wake_at);
            return;
        };
        let silence = uptime.saturating_sub(conn.heard_at);
        match closing.code {
            CloseCode::Silence => {
                assert!(silence > house::HEARTBEAT * 2, "c{id}: closed after a silence of {silence:?}");
            }
            CloseCode::TokenExpired => {
                let expires_at = conn.believed.as_ref().map(|it| it.expires_at);
                let is_time = expires_at.is_none_or(|expires_at| uptime >= expires_at);
                assert!(is_time, "c{id}: its token runs out at {expires_at:?}, not at {uptime:?}");
            }
            CloseCode::Restart => {
                assert!(matches!(self.stage, Stage::Draining { .. }), "c{id}: the server does not restart");
            }
            CloseCode::LoggedOut => {
                let subject = &self.users[conn.user].name;
                let issued_at = conn.believed.as_ref().map(|it| it.issued_at);
                let brought = conn.brought.as_ref().map(|it| it.issued_as_judged(wall));
                let issued_at = issued_at.or(brought);
                let is_revoked = issued_at.is_some_and(|it| self.truth.is_revoked(subject, it));
                assert!(is_revoked, "c{id}: logged out, and nothing was revoked");
            }
            CloseCode::Forbidden | CloseCode::AuthenticationDeadline => {}
            other => panic!("c{id}: closed with {other:?}"),
        }
        let (code, reason) = (closing.code.number(), closing.reason.to_text());
        conn.session = None;
        conn.socket.end(close_frame(code, &reason));
        self.note(|| format!("c{id}: the server closes with {code}"));
    }

    fn wake_later(&mut self, id: u32, wake_at: Duration) {
        let at_ms = self.at_ms(wake_at);
        let conn = self.conns.get_mut(&id).unwrap();
        if conn.wake_ms.is_none_or(|scheduled| at_ms < scheduled || scheduled <= self.now_ms)
            && at_ms > self.now_ms
        {
            conn.wake_ms = Some(at_ms);
            self.push(at_ms, Event::Wake(id));
        }
    }

    /// Who is still there has no reason to be closed.
    pub(crate) fn check_conversations(&self) {
        let uptime = self.now().uptime;
        for (id, conn) in &self.conns {
            if conn.session.is_none() {
                continue;
            }
            let silence = uptime.saturating_sub(conn.heard_at);
            // Who has not said who it is has a deadline of its own.
            let silence_max = if conn.believed.is_some() { house::HEARTBEAT * 2 } else { AUTH_DEADLINE };
            assert!(silence <= silence_max + SLACK, "c{id}: not closed after a silence of {silence:?}");
            if let Some(believed) = &conn.believed {
                let subject = &self.users[conn.user].name;
                let is_revoked =
                    self.truth.was_revoked_for(subject, believed.issued_at, self.now_ms, REVOKED_MS_MAX);
                assert!(!is_revoked, "c{id}: still there, and revoked long ago");
                let expires_at = believed.expires_at;
                assert!(
                    uptime <= expires_at.saturating_add(SLACK),
                    "c{id}: its token ran out at {expires_at:?}"
                );
            }
        }
    }

    // --- requests

    /// A text arrives: the server takes it, and the shadow does.
    fn hear(&mut self, id: u32, request: Option<u64>, text: &str, now: Now) {
        let conn = self.conns.get_mut(&id).unwrap();
        let session = conn.session.as_mut().unwrap();
        let is_heard = session.closing().is_none();
        session.on_text(text, now);
        self.is_rung = true;
        self.note(|| format!("c{id} > {text}"));
        if is_heard {
            self.believe(id, now);
            if let Some(request) = request {
                self.take_request(id, request, now);
            }
        }
        let Self { truth, house, now_ms, .. } = self;
        truth.listen(house.as_ref().unwrap().hub.rooms(), *now_ms, MaySkip::No);
        self.after(id);
    }

    /// What a request changes.
    fn take_request(&mut self, id: u32, number: u64, now: Now) {
        let now_ms = self.now_ms;
        let conn = self.conns.get_mut(&id).unwrap();
        let Some(sent) = conn.client.requests.get_mut(&number) else { return };
        let Some(believed) = &mut conn.believed else { return };
        let truth = &mut self.truth;
        let mut taken = taken_now(truth, "");
        let mut touched = Vec::new();
        match &sent.request {
            Request::Authenticate(minted) => {
                let issued_at = minted.issued_as_judged(now.wall);
                let is_revoked = truth.is_revoked(&self.users[conn.user].name, issued_at);
                if minted.expires_at.plus(LEEWAY) > now.wall && !is_revoked {
                    let rights = minted.rights.clone();
                    *believed = Believed { rights, issued_at, expires_at: expiry(minted.expires_at, now) };
                }
            }
            Request::Join { room, .. } => {
                // Joining can begin a room: what was there is asked of it after it was joined.
                truth.listen(self.house.as_ref().unwrap().hub.rooms(), now_ms, MaySkip::No);
                taken = taken_now(truth, room);
            }
            Request::Report(numbers) if believed.rights.reports() => {
                for &number in numbers {
                    let device = truth.fact(number).device;
                    let is_named = believed.rights.names(truth.devices[device].id.as_str());
                    taken.verdicts.push(is_named && truth.report(number, now, now_ms));
                    touched.push(device);
                }
            }
            Request::Register { device, name } | Request::Rename { device, name }
                if believed.rights.writes() =>
            {
                let is_new = matches!(sent.request, Request::Register { .. });
                let (id, is_known) = (&truth.devices[*device].id, truth.devices[*device].is_known());
                if believed.rights.names(id.as_str()) && (is_new || is_known) {
                    taken.place = Some(truth.name(*device, *name));
                }
            }
            Request::Remove { device } if believed.rights.writes() => {
                let (id, is_known) = (&truth.devices[*device].id, truth.devices[*device].is_known());
                if believed.rights.names(id.as_str()) && is_known {
                    taken.place = Some(truth.remove(*device));
                }
                touched.push(*device);
            }
            _ => {}
        }
        sent.taken = Some(taken);
        for device in touched {
            self.check_live(device);
        }
    }

    /// The hub's newest fix of a device is the shadow's.
    pub(crate) fn check_live(&self, device: usize) {
        let device = &self.truth.devices[device];
        let found = self.house().hub.device(&house::admin(), &device.id);
        let live = found.as_ref().and_then(|found| found.live.as_ref()).map(|fix| number_of(fix));
        let expected = device.live().map(|(_version, number)| number);
        assert_eq!(live, expected, "the newest fix of {:?}", device.id);
        assert_eq!(found.is_some(), device.is_known(), "whether {:?} is there", device.id);
    }

    // --- sources

    /// A source hands reports to the hub.
    pub(crate) fn take_reports(&mut self, numbers: &[usize]) -> (Vec<bool>, anita_hub::Kept) {
        let now = self.now();
        let reports = numbers.iter().map(|&number| Report::Fix(self.truth.fix(number, now))).collect();
        let reported = self.house().hub.report(reports, now);
        self.is_rung = true;
        let now_ms = self.now_ms;
        let taken: Vec<bool> = numbers.iter().map(|&number| self.truth.report(number, now, now_ms)).collect();
        let outcomes: Vec<bool> =
            reported.outcomes.iter().map(|outcome| *outcome == anita_hub::ReportOutcome::Accepted).collect();
        assert_eq!(outcomes, taken, "which fixes are taken of {numbers:?}");
        for &number in numbers {
            self.check_live(self.truth.fact(number).device);
        }
        let Self { truth, house, .. } = self;
        truth.listen(house.as_ref().unwrap().hub.rooms(), now_ms, MaySkip::No);
        (taken, reported.kept)
    }

    // --- turns

    /// Turns the shard, if there is a reason.
    fn turn(&mut self) -> bool {
        let now = self.now();
        let Some(house) = &self.house else { return false };
        let shard = Arc::clone(&house.hub.shards()[0]);
        let is_due = match self.next_turn {
            NextTurn::At(at) => at <= now.uptime,
            NextTurn::OnBell(at) => {
                at.is_some_and(|at| at <= now.uptime) || shard.happened().now_or_never().is_some()
            }
        };
        if !is_due {
            return false;
        }
        self.next_turn = shard.turn(now, &|| now.uptime, None);
        if let NextTurn::At(at) | NextTurn::OnBell(Some(at)) = self.next_turn {
            let at_ms = self.at_ms(at);
            if at_ms > self.now_ms {
                self.push(at_ms, Event::Turn);
            }
        }
        true
    }

    /// Everything that can be done at this moment is done.
    pub(crate) fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 5_000, "woken again and again");
            let mut is_any = self.turn();
            if self.house.is_some() {
                let is_rung = std::mem::take(&mut self.is_rung) || is_any;
                let conns = self
                    .conns
                    .iter()
                    .filter(|(_id, conn)| (is_rung && conn.session.is_some()) || self.may_go_on(conn));
                for id in conns.map(|(id, _conn)| *id).collect::<Vec<_>>() {
                    is_any |= self.serve(id);
                }
            }
            is_any |= self.take_kept();
            if !is_any {
                break;
            }
        }
        self.move_bytes();
    }

    /// All fixes and events that anybody was told to be kept are, and nothing of anybody is left.
    pub(crate) fn check_nothing_left(&self) {
        let hub = &self.house().hub;
        assert_eq!(hub.connections().count(), 0, "connections were left behind");
        assert_eq!(hub.rooms().occupied(), Vec::new(), "members were left behind");
        hub.refresh_gauges();
        assert_eq!(hub.metrics().view_classes.get(), 0, "views were left behind");
        assert_eq!(hub.metrics().connections.get(), 0, "connections are counted that are gone");
        let health = hub.store_health();
        assert_eq!(
            (health.waiting_fixes, health.backlog),
            (0, 0),
            "something waits for the store: {health:?}"
        );
        assert!(self.phase == Phase::End);
    }
}

fn expiry(exp: Timestamp, now: Now) -> Duration {
    now.uptime + exp.plus(LEEWAY).since(now.wall)
}

fn taken_now(truth: &crate::truth::Truth, room: &str) -> Taken {
    let room = truth.rooms.get(room).map(|room| {
        let kept = room.messages.keys().rev().take(truth.ring).copied().collect();
        (room.clone(), kept)
    });
    let seqs = truth.rooms.iter().map(|(name, room)| (*name, room.seq)).collect();
    Taken { version: truth.version, room, verdicts: Vec::new(), place: None, seqs, run: truth.run }
}
