//! One shard: the connections of one thread and their views.
//!
//! Everything that happens is put into the feed of each shard; the shard takes the feed as a whole, once a tick. So the
//! threads meet at one short lock a batch and one a tick, and never while anything is written to a socket.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anita_metrics::{AgeCounts, DeliveryLabels, Metrics};
use anita_model::{DeviceId, Now};
use anita_views::{Change, ConnectionFigures, Label, Outlets, Packet, Stamp, Views};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::connections::Peer;

/// How many changes wait for a shard that does not take them; then only the newest fix of each device is kept.
const FEED_CHANGES_MAX: usize = 262_144;

/// The socket of a connection, as far as delivery knows it.
pub trait Outlet: Send + Sync + std::fmt::Debug {
    /// Writes frames, all in one, if the socket takes any at once. If not, nothing of them is kept, and the connection
    /// wakes its session as soon as the socket takes bytes.
    fn offer(&self, packets: &[&Packet]) -> bool;

    /// The number of the socket at the operating system and the bytes for it, if a packet may be written to it by other
    /// means just now. Then [`Outlet::wrote`] is called before anything else.
    fn direct<'a>(&self, packet: &'a Packet) -> Option<(i32, &'a Bytes)>;

    /// What the operating system said to the bytes of [`Outlet::direct`]; else as [`Outlet::offer`].
    fn wrote(&self, packet: &Packet, written: std::io::Result<usize>) -> bool;
}

/// What a look at a connection's figures does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaze {
    /// Nothing.
    Passing,
    /// The ages of its positions are measured from then on, which costs a little with each of them.
    Measures,
}

/// Writes to many sockets at once, each as far as it takes bytes without waiting.
pub trait SendMany: std::fmt::Debug {
    /// One result for each, in order.
    fn send_all(&mut self, sends: &[(i32, &[u8])], results: &mut Vec<std::io::Result<usize>>);
}

/// What a shard wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTurn {
    /// Another turn at this moment, by the uptime; what comes before is gathered.
    At(Duration),
    /// Another turn when the bell rings, or at this moment, if there is one.
    OnBell(Option<Duration>),
}

#[derive(Debug, Default)]
struct Feed {
    changes: VecDeque<Change>,
}

impl Feed {
    fn push(&mut self, changes: &[Change]) {
        if self.changes.len() + changes.len() > FEED_CHANGES_MAX {
            self.keep_newest();
        }
        self.changes.extend(changes.iter().cloned());
    }

    /// Positions are replaced by newer ones, as they are for a slow client.
    fn keep_newest(&mut self) {
        let mut seen: HashSet<DeviceId> = HashSet::new();
        let mut lost = None;
        let mut kept: VecDeque<Change> = VecDeque::new();
        for change in self.changes.drain(..).rev() {
            let is_kept = match &change {
                Change::Fix(live) => {
                    let is_kept = live.is_newest && seen.insert(live.fix.device.clone());
                    lost = lost.max((!is_kept).then_some(live.version));
                    is_kept
                }
                Change::Device(_) | Change::Removed(_) => true,
                Change::Lost(version) => {
                    lost = lost.max(Some(*version));
                    false
                }
            };
            if is_kept {
                kept.push_front(change);
            }
        }
        if let Some(version) = lost {
            kept.push_front(Change::Lost(version));
        }
        self.changes = kept;
    }
}

/// A connection's end in the shard.
#[derive(Debug)]
struct End {
    peer: Arc<Peer>,
    outlet: Option<Arc<dyn Outlet>>,
}

#[derive(Debug)]
struct Inner {
    views: Views,
    ends: Vec<Option<End>>,
    /// How old positions were, since it was last told to the metrics.
    ages: [LabelAges; Label::ALL.len()],
}

/// How old the positions of one class were.
#[derive(Debug, Default)]
struct LabelAges {
    age: AgeCounts,
    added: AgeCounts,
    /// Writes of this class's frames.
    frames: u64,
}

/// One shard.
#[derive(Debug)]
pub struct Shard {
    inner: Mutex<Inner>,
    feed: Mutex<Feed>,
    /// Rung when something happened, unless the shard gathers.
    bell: Notify,
    is_gathering: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Shard {
    pub(crate) fn new(views: Views, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner { views, ends: Vec::new(), ages: Default::default() }),
            feed: Mutex::default(),
            bell: Notify::new(),
            is_gathering: AtomicBool::new(false),
            metrics,
        })
    }

    /// Waits until something happened.
    pub async fn happened(&self) {
        self.bell.notified().await;
    }

    pub(crate) fn feed(&self, changes: &[Change]) {
        self.feed.lock().push(changes);
    }

    pub(crate) fn ring(&self) {
        if !self.is_gathering.load(Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    // --- connections

    /// Enters a connection that sees nothing yet. Says under which number.
    pub(crate) fn enter(&self, make: impl FnOnce(usize) -> Arc<Peer>) -> Arc<Peer> {
        let mut inner = self.inner.lock();
        let seat = inner.views.connect(anita_auth::Patterns::none());
        let peer = make(seat);
        if inner.ends.len() <= seat {
            inner.ends.resize_with(seat + 1, || None);
        }
        if let Some(end) = inner.ends.get_mut(seat) {
            *end = Some(End { peer: Arc::clone(&peer), outlet: None });
        }
        peer
    }

    pub(crate) fn forget(&self, peer: &Peer) {
        let mut inner = self.inner.lock();
        inner.views.disconnect(peer.seat);
        if let Some(end) = inner.ends.get_mut(peer.seat) {
            *end = None;
        }
    }

    /// From now on positions are written through an outlet, and not only when the session asks for them.
    pub fn attach(&self, peer: &Peer, outlet: Arc<dyn Outlet>) {
        let mut inner = self.inner.lock();
        if let Some(end) = inner.ends.get_mut(peer.seat).and_then(Option::as_mut) {
            end.outlet = Some(outlet);
        }
    }

    /// Looks at the views, or changes them, with everything applied that has happened so far.
    pub fn with<T>(&self, now: Now, act: impl FnOnce(&mut Views) -> T) -> T {
        let mut inner = self.inner.lock();
        self.apply(&mut inner.views, now);
        act(&mut inner.views)
    }

    fn apply(&self, views: &mut Views, now: Now) {
        let changes = std::mem::take(&mut self.feed.lock().changes);
        for change in changes {
            let change = match change {
                Change::Fix(live) => Change::Fix(Arc::new(live.own())),
                change @ (Change::Device(_) | Change::Removed(_) | Change::Lost(_)) => change,
            };
            views.apply(change, now.uptime);
        }
    }

    /// How a connection is served, for others; `None` when it is gone. See [`Gaze`].
    pub fn figures_of(&self, peer: &Peer, gaze: Gaze) -> Option<ConnectionFigures> {
        let mut inner = self.inner.lock();
        let end = inner.ends.get(peer.seat)?.as_ref()?;
        if end.peer.id != peer.id {
            return None;
        }
        if gaze == Gaze::Measures {
            inner.views.measure(peer.seat);
        }
        Some(inner.views.peek(peer.seat))
    }

    /// How many classes of views there are.
    pub(crate) fn class_count(&self) -> usize {
        self.inner.lock().views.class_count()
    }

    // --- turns

    /// Takes what has happened and tells what is due. The function says the uptime at the moment it is called; where
    /// there is a way to write to many sockets at once, it is used.
    pub fn turn(&self, now: Now, uptime: &dyn Fn() -> Duration, many: Option<&mut dyn SendMany>) -> NextTurn {
        let mut inner = self.inner.lock();
        let Inner { views, ends, ages } = &mut *inner;
        self.apply(views, now);
        if views.due_at().is_some_and(|due| due <= now.uptime) {
            views.tick(now, &mut Sockets { ends, ages, uptime, many });
            self.tell_metrics(ages);
            if !self.feed.lock().changes.is_empty() {
                views.crowd();
            }
        }
        match views.due_at() {
            Some(due) if due <= views.gathers_until() => {
                self.is_gathering.store(true, Ordering::SeqCst);
                NextTurn::At(due)
            }
            due => {
                self.is_gathering.store(false, Ordering::SeqCst);
                // Whoever put something in before that did not ring.
                if self.feed.lock().changes.is_empty() {
                    NextTurn::OnBell(due)
                } else {
                    NextTurn::At(now.uptime)
                }
            }
        }
    }
}

impl Shard {
    /// Adds up what one tick counted: once, and not for each position, because all shards count at the same place.
    fn tell_metrics(&self, ages: &mut [LabelAges; Label::ALL.len()]) {
        for (label, ages) in Label::ALL.iter().zip(ages).filter(|(_label, ages)| ages.frames > 0) {
            self.metrics.count_frames("position", std::mem::take(&mut ages.frames));
            let labels = DeliveryLabels { lane: "position", class: label.as_str() };
            self.metrics.delivery_age_seconds.get_or_create(&labels).add(&std::mem::take(&mut ages.age));
            self.metrics
                .delivery_added_age_seconds
                .get_or_create(&labels)
                .add(&std::mem::take(&mut ages.added));
        }
    }
}

/// The sockets of a shard.
struct Sockets<'a, 'm> {
    ends: &'a [Option<End>],
    ages: &'a mut [LabelAges; Label::ALL.len()],
    uptime: &'a dyn Fn() -> Duration,
    many: Option<&'m mut dyn SendMany>,
}

impl Sockets<'_, '_> {
    fn end(&self, connection: usize) -> Option<&End> {
        self.ends.get(connection).and_then(Option::as_ref)
    }
}

impl Outlets for Sockets<'_, '_> {
    fn offer(&mut self, connection: usize, packets: &[&Packet]) -> bool {
        let Some(end) = self.end(connection) else { return false };
        let is_taken = end.outlet.as_ref().is_some_and(|outlet| outlet.offer(packets));
        if !is_taken && end.outlet.is_none() {
            end.peer.bell.notify_one();
        }
        is_taken
    }

    fn offer_all(&mut self, offers: &[(usize, &Packet)], taken: &mut Vec<bool>) {
        taken.clear();
        taken.resize(offers.len(), false);
        let ends = self.ends;
        let outlet = |connection: usize| ends.get(connection).and_then(Option::as_ref)?.outlet.as_ref();
        let mut sends: Vec<(i32, &[u8])> = Vec::with_capacity(offers.len());
        let mut places = Vec::with_capacity(offers.len());
        for (place, (&(connection, packet), is_taken)) in offers.iter().zip(taken.iter_mut()).enumerate() {
            let direct =
                if self.many.is_some() { outlet(connection).and_then(|it| it.direct(packet)) } else { None };
            if let Some((socket, bytes)) = direct {
                sends.push((socket, bytes));
                places.push(place);
            } else {
                *is_taken = self.offer(connection, &[packet]);
            }
        }
        let Some(many) = self.many.as_deref_mut().filter(|_many| !sends.is_empty()) else { return };
        let mut results = Vec::with_capacity(sends.len());
        many.send_all(&sends, &mut results);
        for (place, written) in places.into_iter().zip(results) {
            let (Some(&(connection, packet)), Some(is_taken)) = (offers.get(place), taken.get_mut(place))
            else {
                continue;
            };
            *is_taken = outlet(connection).is_some_and(|outlet| outlet.wrote(packet, written));
        }
    }

    fn wake(&mut self, connection: usize) {
        if let Some(end) = self.end(connection) {
            end.peer.bell.notify_one();
        }
    }

    fn delivered(&mut self, label: Label, stamps: &[Stamp], connections: u64) {
        let uptime = self.uptime();
        let Some(ages) = self.ages.get_mut(label as usize) else { return };
        ages.frames += connections;
        for stamp in stamps {
            ages.age.observe(uptime.saturating_sub(stamp.arrived), connections);
            ages.added.observe(uptime.saturating_sub(stamp.due), connections);
        }
    }

    fn uptime(&mut self) -> Duration {
        (self.uptime)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::{Connections, Endpoint};
    use anita_model::{DeviceKind, Fix, Position, SiteName, SourceName, Timestamp};
    use anita_views::{Filter, Form, Live, Pace, Slot, Start, ViewSettings, ViewSpec};
    use anita_world::Device;

    fn fix(device: &str) -> Arc<Fix> {
        Arc::new(Fix {
            device: DeviceId::parse(device).unwrap(),
            site: SiteName::main(),
            position: Position::new(1.0, 2.0, 3.0).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            source: SourceName::parse("test").unwrap(),
            sequence: None,
        })
    }

    fn newest(device: &str, version: u64) -> Change {
        Change::Fix(Arc::new(Live::newest(fix(device), version, Duration::ZERO)))
    }

    fn late(device: &str, version: u64) -> Change {
        Change::Fix(Arc::new(Live::late(fix(device), version, Duration::ZERO)))
    }

    /// An outlet that takes everything.
    #[derive(Debug)]
    struct Open;

    impl Outlet for Open {
        fn offer(&self, _packets: &[&Packet]) -> bool {
            true
        }

        fn direct<'a>(&self, _packet: &'a Packet) -> Option<(i32, &'a Bytes)> {
            None
        }

        fn wrote(&self, _packet: &Packet, _written: std::io::Result<usize>) -> bool {
            true
        }
    }

    #[test]
    fn a_full_feed_keeps_the_newest_of_each_device_and_says_what_is_lost() {
        let mut feed = Feed::default();
        feed.push(&[newest("a", 1), newest("b", 2), late("a", 3), newest("a", 4)]);
        feed.push(&[Change::Removed(DeviceId::parse("c").unwrap())]);
        feed.keep_newest();
        let kept: Vec<String> = feed
            .changes
            .iter()
            .map(|change| match change {
                Change::Fix(live) => format!("{} {}", live.fix.device, live.version),
                Change::Lost(version) => format!("lost to {version}"),
                Change::Removed(id) => format!("{id} removed"),
                Change::Device(_) => "device".to_owned(),
            })
            .collect();
        assert_eq!(kept, ["lost to 3", "b 2", "a 4", "c removed"]);
    }

    #[test]
    fn frames_that_the_shard_writes_are_counted() {
        let metrics = Arc::new(Metrics::default());
        let shard = Shard::new(Views::new(ViewSettings::default(), "epoch".into()), Arc::clone(&metrics));
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::from_secs(1) };
        let peer = Connections::default().add(Endpoint::Plain, None, &shard, now);
        shard.attach(&peer, Arc::new(Open));
        let device = Device::new(DeviceId::parse("a").unwrap(), DeviceKind::Tag, SiteName::main());
        shard.feed(&[Change::Device(Arc::new(device))]);
        shard.with(now, |views| {
            views.set_rights(peer.seat, anita_auth::Patterns::all(), now);
            let spec = ViewSpec::new(Filter::all(), Form::Single, Pace::Unlimited);
            views.watch(peer.seat, Slot::Room, spec, Start::Now, now);
            views.catch_up(peer.seat, now);
        });
        shard.feed(&[newest("a", 1)]);
        shard.turn(now, &|| now.uptime, None);
        let page = metrics.page();
        assert!(page.contains("anita_frames_sent_total{lane=\"position\"} 1\n"), "{page}");
        let ages = "anita_delivery_age_seconds_count{lane=\"position\",class=\"room\"} 1\n";
        assert!(page.contains(ages), "{page}");
    }
}
