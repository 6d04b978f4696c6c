//! The registry of connections: one entry for each socket, gone with its guard however the socket ends.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anita_auth::Principal;
use anita_model::{Identity, Now, RoomName, Timestamp};
use anita_wire::CloseCode;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::ids::ConnectionId;
use crate::shard::Shard;

/// Which door a connection came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/ws`: joins nothing by itself.
    Plain,
    /// `/ws/uwb`: joins the room `uwb` once it is authenticated.
    Uwb,
}

impl Endpoint {
    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Plain => "/ws",
            Self::Uwb => "/ws/uwb",
        }
    }
}

/// How many bytes of direct messages may wait for one connection.
const MAIL_BYTES_MAX: usize = 256 * 1024;

/// What a client says of itself when it comes; nobody checks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<&'static str>,
    /// Its `User-Agent`, without control characters and cut to a bounded length.
    pub user_agent: Option<Box<str>>,
    /// Whether its messages are compressed.
    pub is_compressed: bool,
}

/// One connection, as others see it.
#[derive(Debug)]
pub struct Peer {
    /// Its id.
    pub id: ConnectionId,
    /// Which door it came through.
    pub endpoint: Endpoint,
    /// The address of the other end, if it has one.
    pub address: Option<IpAddr>,
    /// Since when.
    pub since: Now,
    /// Where its views are.
    pub shard: Arc<Shard>,
    /// Its number there.
    pub seat: usize,
    /// Rung when there is something for it: events, positions, mail, or the end.
    pub bell: Notify,
    /// Messages it sent.
    pub received: AtomicU64,
    /// Frames it was sent.
    pub sent: AtomicU64,
    /// Bytes of these messages.
    pub received_bytes: AtomicU64,
    /// Bytes of the frames it was sent.
    pub sent_bytes: AtomicU64,
    /// Positions that were replaced before it read them.
    pub replaced: AtomicU64,
    /// What its client said of itself when it came, once that is known.
    pub introduction: OnceLock<Introduction>,
    /// Bytes that wait for it to read.
    pub queued_bytes: AtomicUsize,
    /// The rooms it is in: only these are looked through when it goes.
    pub(crate) rooms: Mutex<BTreeSet<RoomName>>,
    identity: RwLock<Option<Arc<Identity>>>,
    roles: RwLock<Arc<[String]>>,
    mail: Mutex<Mail>,
}

#[derive(Debug, Default)]
struct Mail {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// What it may do from now on, where the session of its page was renewed.
    renewed: Option<Box<Principal>>,
    closing: Option<CloseCode>,
    /// When to come back after that at the earliest, milliseconds; 0 where nothing is said.
    retry_after_ms: u32,
}

impl Peer {
    /// Who is at the other end, once that is known.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.read().clone()
    }

    /// The user's name, once it is known.
    pub fn user(&self) -> Option<String> {
        self.identity.read().as_ref().map(|identity| identity.user.subject.to_string())
    }

    /// The roles of whoever is at the other end, as the token names them; none before it has come.
    pub fn roles(&self) -> Arc<[String]> {
        Arc::clone(&self.roles.read())
    }

    /// Says who is at the other end, and with which roles.
    pub fn set_identity(&self, identity: &Arc<Identity>, roles: &[String]) {
        *self.roles.write() = roles.into();
        *self.identity.write() = Some(Arc::clone(identity));
    }

    /// Leaves a frame for it; past the limit of what may wait, it is closed as too slow.
    pub fn post(&self, frame: Bytes) {
        let mut mail = self.mail.lock();
        if mail.bytes + frame.len() > MAIL_BYTES_MAX {
            mail.closing.get_or_insert(CloseCode::OutOfMemory);
        } else {
            mail.bytes += frame.len();
            mail.frames.push_back(frame);
        }
        drop(mail);
        self.bell.notify_one();
    }

    /// The session of its page was renewed: this is whom it stands for now. The newest counts.
    pub fn renew(&self, principal: Principal) {
        self.mail.lock().renewed = Some(Box::new(principal));
        self.bell.notify_one();
    }

    /// Whom it stands for from now on, if that was said since it was asked last.
    pub fn take_renewed(&self) -> Option<Principal> {
        self.mail.lock().renewed.take().map(|principal| *principal)
    }

    /// Asks it to end.
    pub fn close(&self, code: CloseCode) {
        self.mail.lock().closing.get_or_insert(code);
        self.bell.notify_one();
    }

    /// The same, and says when to come back at the earliest.
    pub fn close_for(&self, code: CloseCode, retry_after: Duration) {
        let mut mail = self.mail.lock();
        if mail.closing.is_none() {
            mail.closing = Some(code);
            mail.retry_after_ms = u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX);
        }
        drop(mail);
        self.bell.notify_one();
    }

    /// When its client is to come back at the earliest, if that was said to [`Peer::close_for`].
    pub fn retry_after(&self) -> Option<Duration> {
        let retry_after_ms = self.mail.lock().retry_after_ms;
        (retry_after_ms > 0).then(|| Duration::from_millis(u64::from(retry_after_ms)))
    }

    /// What was left for it.
    pub fn take_mail(&self) -> VecDeque<Bytes> {
        let mut mail = self.mail.lock();
        mail.bytes = 0;
        std::mem::take(&mut mail.frames)
    }

    /// Whether it shall end, and with which code.
    pub fn ending(&self) -> Option<CloseCode> {
        self.mail.lock().closing
    }

    /// The rooms it is in.
    pub fn rooms(&self) -> Vec<RoomName> {
        self.rooms.lock().iter().cloned().collect()
    }

    fn info(&self) -> PeerInfo {
        PeerInfo {
            id: self.id.to_string(),
            user: self.user(),
            endpoint: self.endpoint.path(),
            address: self.address,
            since: self.since.wall,
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            replaced: self.replaced.load(Ordering::Relaxed),
        }
    }
}

/// A connection at one moment, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerInfo {
    /// Its id.
    pub id: String,
    /// Its user, once known.
    pub user: Option<String>,
    /// The path it came through.
    pub endpoint: &'static str,
    /// The address of the other end.
    pub address: Option<IpAddr>,
    /// Since when.
    pub since: Timestamp,
    /// Messages it sent.
    pub received: u64,
    /// Frames it was sent.
    pub sent: u64,
    /// Positions that were replaced before it read them.
    pub replaced: u64,
}

/// Every connection.
#[derive(Debug, Default)]
pub struct Connections {
    peers: RwLock<HashMap<ConnectionId, Arc<Peer>>>,
}

impl Connections {
    pub(crate) fn add(
        &self,
        endpoint: Endpoint,
        address: Option<IpAddr>,
        shard: &Arc<Shard>,
        now: Now,
    ) -> Arc<Peer> {
        let make = |seat| {
            Arc::new(Peer {
                id: ConnectionId::random(),
                endpoint,
                address,
                since: now,
                shard: Arc::clone(shard),
                seat,
                bell: Notify::new(),
                received: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                received_bytes: AtomicU64::new(0),
                sent_bytes: AtomicU64::new(0),
                introduction: OnceLock::new(),
                replaced: AtomicU64::new(0),
                queued_bytes: AtomicUsize::new(0),
                rooms: Mutex::default(),
                identity: RwLock::new(None),
                roles: RwLock::new([].into()),
                mail: Mutex::default(),
            })
        };
        let peer = shard.enter(make);
        self.peers.write().insert(peer.id.clone(), Arc::clone(&peer));
        peer
    }

    pub(crate) fn remove(&self, id: &ConnectionId) {
        self.peers.write().remove(id);
    }

    /// A connection.
    pub fn get(&self, id: &str) -> Option<Arc<Peer>> {
        self.peers.read().get(id).cloned()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.peers.read().len()
    }

    /// All of them, at this moment.
    pub fn list(&self) -> Vec<PeerInfo> {
        self.peers.read().values().map(|peer| peer.info()).collect()
    }

    /// Those after an id, in the order of the ids, at most so many; and how many there are in all.
    pub fn page(&self, after: Option<&str>, limit: usize) -> (Vec<Arc<Peer>>, usize) {
        let peers = self.peers.read();
        // The smallest of those that are left, without sorting all of them.
        let mut page: BTreeMap<&str, &Arc<Peer>> = BTreeMap::new();
        for (id, peer) in peers.iter().filter(|(id, _peer)| after.is_none_or(|after| id.as_str() > after)) {
            if page.len() < limit {
                page.insert(id.as_str(), peer);
            } else if page.last_key_value().is_some_and(|(last, _peer)| id.as_str() < *last) {
                page.pop_last();
                page.insert(id.as_str(), peer);
            }
        }
        (page.into_values().cloned().collect(), peers.len())
    }

    /// Ends those with an identity of which this is true; their clients are told with this code whether to come back.
    /// Returns how many there were.
    pub fn close_where(&self, code: CloseCode, is_meant: impl Fn(&Identity) -> bool) -> usize {
        let mut count = 0;
        self.for_each(|peer| {
            if peer.identity.read().as_ref().is_some_and(|identity| is_meant(identity)) {
                peer.close(code);
                count += 1;
            }
        });
        count
    }

    /// The connections that came last, at most so many, without those that shall end anyway.
    pub fn newest(&self, count: usize) -> Vec<Arc<Peer>> {
        let mut peers: Vec<Arc<Peer>> =
            self.peers.read().values().filter(|peer| peer.ending().is_none()).cloned().collect();
        peers.sort_unstable_by_key(|peer| std::cmp::Reverse(peer.since.uptime));
        peers.truncate(count);
        peers
    }

    /// Calls a function for each.
    pub fn for_each(&self, mut call: impl FnMut(&Peer)) {
        self.peers.read().values().for_each(|peer| call(peer));
    }
}

/// Holds a connection's place in the hub. Dropping it takes the connection out of the registry and of every room,
/// however its task ends: at its end, by an error, or by a panic.
#[derive(Debug)]
pub struct Registration {
    pub(crate) peer: Arc<Peer>,
    pub(crate) hub: Arc<crate::Hub>,
}

impl Registration {
    /// The connection.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.forget(&self.peer);
    }
}
