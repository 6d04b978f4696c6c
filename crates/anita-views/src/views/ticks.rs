//! What is due: when the next tick is, and what it tells whom.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use anita_model::Now;

use super::{Outlets, ViewSettings, Views};
use crate::class::Emission;
use crate::packet::Packet;
use crate::spec::{Label, Pace};

/// How long news are told one by one where gathering did not pay, before it is tried again.
const ALONE: Duration = Duration::from_secs(1);

/// How many connections are written to at once; after them the time is looked at again, so that each delivery's age is
/// right.
const WRITES_AT_ONCE: usize = 128;

/// What a class tells in this tick.
#[derive(Debug)]
struct Told {
    class: usize,
    label: Label,
    packet: Packet,
    emission: Emission,
}

/// A member that is to get what its class tells.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// Its place in the list of what is told.
    told: usize,
    connection: usize,
    /// Its place in the class.
    member: usize,
}

impl Views {
    /// The class has something to tell, with the next tick or with its beat.
    pub(super) fn soil(&mut self, class_id: usize, uptime: Duration) {
        let Some(class) = self.classes.get(class_id) else { return };
        if matches!(class.key.spec.pace, Pace::Beat(_)) {
            self.settle(class_id, uptime);
        } else {
            self.mark_dirty(class_id);
        }
    }

    fn mark_dirty(&mut self, class_id: usize) {
        if let Some(mark) = self.marks.get_mut(class_id).filter(|mark| !mark.is_dirty) {
            mark.is_dirty = true;
            self.dirty.push(class_id);
        }
    }

    /// The class may have something to tell later: its timer is set for that.
    pub(super) fn settle(&mut self, class_id: usize, uptime: Duration) {
        let Some(class) = self.classes.get_mut(class_id) else { return };
        let Some(due) = class.next_due(uptime) else { return };
        if class.timer_at.is_none_or(|at| due < at) {
            class.timer_at = Some(due);
            self.timers.push(Reverse((due, class_id)));
        }
    }

    /// When [`Views::tick`] has something to do, by the uptime; `None` while there is nothing.
    pub fn due_at(&self) -> Option<Duration> {
        let has_news = !self.dirty.is_empty() || self.has_tail_news();
        let timer = self.timers.peek().map(|Reverse((at, _class))| *at);
        let due = if has_news { Some(Duration::ZERO) } else { timer };
        due.map(|due| due.max(self.next_tick_at))
    }

    /// Until when the next tick gathers, by the uptime.
    pub fn gathers_until(&self) -> Duration {
        self.next_tick_at
    }

    /// Something came while the last tick wrote: there is something to gather.
    pub fn crowd(&mut self) {
        self.alone_until = Duration::ZERO;
        self.next_tick_at = self.window_end;
    }

    /// When the next tick is due at the earliest. Gathering is tried, and goes on while it pays: where a window brought
    /// no more than one piece of news, what comes in the next second goes at once.
    fn plan(&mut self, uptime: Duration, writes: usize) {
        let ViewSettings { gather, gather_max, gather_per_write, .. } = self.settings;
        let writes = u32::try_from(writes).unwrap_or(u32::MAX);
        let has_gathered = self.next_tick_at > Duration::ZERO;
        if has_gathered && self.news <= 1 {
            self.alone_until = uptime.saturating_add(ALONE);
        }
        self.news = 0;
        self.window_end =
            uptime.saturating_add(gather_per_write.saturating_mul(writes).clamp(gather, gather_max));
        self.next_tick_at = if uptime < self.alone_until { Duration::ZERO } else { self.window_end };
    }

    fn has_tail_news(&self) -> bool {
        !self.recorders.is_empty() && self.tail_told_to < self.tail.head()
    }

    /// Tells everybody what is due, one frame a class.
    pub fn tick(&mut self, now: Now, outlets: &mut impl Outlets) {
        let now = Now { uptime: self.not_before(now.uptime), ..now };
        self.fire(now.uptime);
        let mut told = Vec::new();
        let mut due = Vec::new();
        let mut several: BTreeMap<usize, Vec<Due>> = BTreeMap::new();
        for class_id in std::mem::take(&mut self.dirty) {
            let Some(class) = self.classes.get_mut(class_id) else { continue };
            if let Some(mark) = self.marks.get_mut(class_id) {
                mark.is_dirty = false;
                if mark.is_pulled {
                    class.pull(&self.devices);
                }
            }
            if let Some(emission) = class.emit(&self.devices, now) {
                let (frames, emission) = emission;
                let (label, packet) = (class.key.label(), Packet::new(frames));
                told.push(Told { class: class_id, label, packet, emission });
                self.find_due(&told, &mut due, &mut several, outlets);
            }
            if let Some(class) = self.classes.get_mut(class_id) {
                class.forget_tombs();
            }
            self.settle(class_id, now.uptime);
        }
        for due in due.chunks(WRITES_AT_ONCE) {
            self.write(due, &told, now, outlets);
        }
        for due in several.values() {
            self.write_several(due, &told, now, outlets);
        }
        if self.has_tail_news() {
            self.tail_told_to = self.tail.head();
            self.recorders.iter().for_each(|&connection| outlets.wake(connection));
        }
        self.plan(now.uptime, due.len() + several.len());
    }

    /// Makes ready what is due by now.
    fn fire(&mut self, uptime: Duration) {
        while self.timers.peek().is_some_and(|Reverse((at, _class))| *at <= uptime) {
            let Some(Reverse((at, class_id))) = self.timers.pop() else { return };
            let Some(class) = self.classes.get_mut(class_id) else { continue };
            if class.timer_at == Some(at) {
                class.timer_at = None;
                self.news += 1;
                class.wake(uptime);
                self.mark_dirty(class_id);
            }
        }
    }

    /// Finds the members that are up to date, to get what their class tells last in the list; those with several views
    /// by themselves, for one write.
    fn find_due(
        &mut self,
        told: &[Told],
        due: &mut Vec<Due>,
        several: &mut BTreeMap<usize, Vec<Due>>,
        outlets: &mut impl Outlets,
    ) {
        let Some((Told { class, emission, .. }, before)) = told.split_last() else { return };
        let Some(class) = self.classes.get_mut(*class) else { return };
        for (place, member) in class.members.iter_mut().enumerate() {
            if member.is_behind || member.seen != emission.after {
                continue;
            }
            let connection = member.connection;
            let its = Due { told: before.len(), connection, member: place };
            if member.fresh_version >= emission.least_version {
                // It knows some of these by other means: it gets a frame of its own.
                member.is_behind = true;
                outlets.wake(connection);
            } else if member.has_siblings {
                several.entry(connection).or_default().push(its);
            } else {
                due.push(its);
            }
        }
    }

    /// Hands frames to members, each its own.
    fn write(&mut self, due: &[Due], told: &[Told], now: Now, outlets: &mut impl Outlets) {
        let packet = |due: &Due| told.get(due.told).map(|told| (due.connection, &told.packet));
        let offers: Vec<(usize, &Packet)> = due.iter().filter_map(packet).collect();
        let mut taken = Vec::with_capacity(offers.len());
        outlets.offer_all(&offers, &mut taken);
        // Those of one class stand together: their positions are counted at once.
        let (mut group, mut counted) = (0, None);
        for (due, is_taken) in due.iter().zip(taken) {
            if counted != Some(due.told) {
                count_delivered(counted, told, std::mem::take(&mut group), outlets);
                counted = Some(due.told);
            }
            if is_taken {
                group += u64::from(self.note_taken(*due, told, outlets));
            } else {
                self.note_stalled(*due, told, now);
            }
        }
        count_delivered(counted, told, group, outlets);
    }

    /// Hands a connection the frames of several classes in one write.
    fn write_several(&mut self, due: &[Due], told: &[Told], now: Now, outlets: &mut impl Outlets) {
        let Some(connection) = due.first().map(|due| due.connection) else { return };
        let packets: Vec<&Packet> =
            due.iter().filter_map(|due| told.get(due.told)).map(|told| &told.packet).collect();
        let is_taken = outlets.offer(connection, &packets);
        for due in due {
            if !is_taken {
                self.note_stalled(*due, told, now);
            } else if self.note_taken(*due, told, outlets) {
                count_delivered(Some(due.told), told, 1, outlets);
            }
        }
    }

    /// A member's socket took nothing.
    fn note_stalled(&mut self, due: Due, told: &[Told], now: Now) {
        let class = told.get(due.told).and_then(|told| self.classes.get_mut(told.class));
        if let Some(member) = class.and_then(|class| class.members.get_mut(due.member)) {
            member.stall(now.uptime);
        }
    }

    /// A member got its frame. Says whether it is still there.
    fn note_taken(&mut self, due: Due, told: &[Told], outlets: &mut impl Outlets) -> bool {
        let Some(Told { class, emission, .. }) = told.get(due.told) else { return false };
        let Some(class) = self.classes.get_mut(*class) else { return false };
        let head = class.head;
        let Some(member) = class.members.get_mut(due.member) else { return false };
        member.seen = head;
        member.delivered += emission.stamps.len() as u64;
        if member.is_measured
            && let Some(ages) = self.connections.get_mut(due.connection).and_then(|it| it.ages.as_mut())
        {
            ages.observe(&emission.stamps, outlets.uptime());
        }
        true
    }
}

/// Counts the positions of a class that so many connections were written.
fn count_delivered(told_index: Option<usize>, told: &[Told], connections: u64, outlets: &mut impl Outlets) {
    if let Some(Told { label, emission, .. }) = told_index.and_then(|index| told.get(index))
        && connections > 0
    {
        outlets.delivered(*label, &emission.stamps, connections);
    }
}
