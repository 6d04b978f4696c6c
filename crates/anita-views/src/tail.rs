//! The latest fixes of all devices, one by one, for those who want each of them: the lane `every`.

use std::collections::VecDeque;
use std::sync::Arc;

use anita_auth::Patterns;
use anita_wire::message::ViewGap;
use anita_wire::{OfView, Outgoing};
use anita_world::Device;

use crate::class::Stamp;
use crate::filter::Filter;
use crate::live::Live;
use crate::member::CaughtUp;
use crate::payload;
use crate::portions::Portions;
use crate::spec::Label;

/// A fix, and what its device was when it came: whether a view shows it does not change by being late.
#[derive(Debug)]
struct Kept {
    live: Arc<Live>,
    device: Option<Arc<Device>>,
}

/// The latest fixes in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Tail {
    fixes: VecDeque<Kept>,
    fixes_max: usize,
    /// The number after which the tail is whole.
    since: u64,
}

/// One who wants every fix.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) filter: Filter,
    /// The number up to which it was told.
    pub(crate) seen: u64,
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
}

impl Tail {
    pub(crate) fn new(fixes_max: usize) -> Self {
        Self { fixes: VecDeque::new(), fixes_max, since: 0 }
    }

    pub(crate) fn push(&mut self, live: Arc<Live>, device: Option<Arc<Device>>) {
        if live.version <= self.since {
            return;
        }
        self.fixes.push_back(Kept { live, device });
        if self.fixes.len() > self.fixes_max {
            self.since = self.fixes.pop_front().map_or(self.since, |oldest| oldest.live.version);
        }
    }

    /// The last number.
    pub(crate) fn head(&self) -> u64 {
        self.fixes.back().map_or(self.since, |newest| newest.live.version)
    }

    /// Forgets what is not whole: everything up to a number.
    pub(crate) fn begin_after(&mut self, version: u64) {
        self.since = self.since.max(version);
        while self.fixes.front().is_some_and(|oldest| oldest.live.version <= self.since) {
            self.fixes.pop_front();
        }
    }

    /// Whether everything after a number is still here.
    pub(crate) fn reaches(&self, number: u64) -> bool {
        number >= self.since && number <= self.head()
    }

    /// Tells a reader what comes next for it.
    pub(crate) fn read(
        &self,
        reader: &mut Reader,
        (rights, portions): (&Patterns, Portions),
        (subscription, epoch): (&str, &str),
        out: &mut CaughtUp,
    ) {
        if reader.seen < self.since {
            let gap = ViewGap {
                subscription: subscription.to_owned(),
                epoch: epoch.to_owned(),
                from_seq: reader.seen + 1,
                to_seq: self.since,
            };
            out.frames.push(anita_ws::frame::text(&Outgoing::push(&gap).to_text()));
            let lost = self.since - reader.seen;
            reader.lost += lost;
            out.lost += lost;
            reader.seen = self.since;
        }
        let first = self.fixes.partition_point(|kept| kept.live.version <= reader.seen);
        let mut stamps = Vec::new();
        for kept in self.fixes.range(first..).take(portions.fixes_looked_at) {
            if stamps.len() == portions.fixes {
                break;
            }
            let live = &kept.live;
            reader.seen = live.version;
            if !is_for(&reader.filter, rights, kept) {
                continue;
            }
            let view = OfView { subscription: Some(subscription), place: Some((epoch, live.version)) };
            let text = Outgoing::of_view(&payload::location(&live.fix), view).to_text();
            out.frames.push(anita_ws::frame::text(&text));
            stamps.push(Stamp { arrived: live.arrived, due: live.arrived });
        }
        reader.delivered += stamps.len() as u64;
        if !stamps.is_empty() {
            out.told.push((Label::Every, stamps));
        }
        out.has_more |= reader.seen < self.head();
    }
}

fn is_for(filter: &Filter, rights: &Patterns, kept: &Kept) -> bool {
    let fix = &kept.live.fix;
    rights.allow(fix.device.as_str())
        && filter.lets_place(Some(fix.position), fix.floor)
        && kept.device.as_ref().is_some_and(|device| filter.lets_device(device))
}
