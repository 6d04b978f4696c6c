//! The latest fixes of all devices, one by one, for those who want each of them: the lane `every`.

use std::collections::VecDeque;
use std::sync::Arc;

use anita_auth::Patterns;
use anita_wire::message::ViewGap;
use anita_wire::{OfView, Outgoing};
use anita_world::Device;

use crate::ages::Stamp;
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

#[cfg(test)]
mod tests {
    use super::*;
    use anita_model::{DeviceId, DeviceKind, Fix, Position, SiteName, SourceName, Timestamp};
    use std::time::Duration;

    fn live(version: u64) -> Arc<Live> {
        let at = Timestamp::from_micros(0).unwrap();
        let fix = Fix {
            device: DeviceId::parse("t1").unwrap(),
            site: SiteName::main(),
            position: Position::new(0.0, 0.0, 0.0).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: at,
            received_at: at,
            source: SourceName::parse("test").unwrap(),
            sequence: None,
        };
        Arc::new(Live::newest(Arc::new(fix), version, Duration::ZERO))
    }

    fn tail(fixes_max: usize, versions: std::ops::RangeInclusive<u64>) -> Tail {
        let device = Device::new(DeviceId::parse("t1").unwrap(), DeviceKind::Tag, SiteName::main());
        let device = Arc::new(device);
        let mut tail = Tail::new(fixes_max);
        versions.for_each(|version| tail.push(live(version), Some(Arc::clone(&device))));
        tail
    }

    /// The numbers that a reader is told, and the gap before them.
    fn told(tail: &Tail, reader: &mut Reader, portions: Portions) -> (Vec<u64>, Option<(u64, u64)>, bool) {
        let mut out = CaughtUp::default();
        tail.read(reader, (&Patterns::all(), portions), ("s1", "e"), &mut out);
        let (mut numbers, mut gap) = (Vec::new(), None);
        for frame in &out.frames {
            let start = frame.iter().position(|&byte| byte == b'{').unwrap();
            let message: serde_json::Value = serde_json::from_slice(&frame[start..]).unwrap();
            let number = |value: &serde_json::Value| value.as_u64().unwrap();
            if message["type"] == "view.gap" {
                let payload = &message["payload"];
                gap = Some((number(&payload["from_seq"]), number(&payload["to_seq"])));
            } else {
                numbers.push(number(&message["seq"]));
            }
        }
        (numbers, gap, out.has_more)
    }

    fn reader(seen: u64) -> Reader {
        Reader { filter: Filter::all(), seen, delivered: 0, lost: 0 }
    }

    #[test]
    fn a_reader_hears_each_fix_or_the_gap_before_it() {
        let cases = [
            (0, vec![8, 9, 10], Some((1, 7)), 7),
            (6, vec![8, 9, 10], Some((7, 7)), 1),
            (7, vec![8, 9, 10], None, 0),
            (9, vec![10], None, 0),
            (10, vec![], None, 0),
        ];
        let tail = tail(3, 1..=10);
        for (seen, numbers, gap, lost) in cases {
            let mut reader = reader(seen);
            assert_eq!(told(&tail, &mut reader, Portions::default()), (numbers, gap, false), "after {seen}");
            assert_eq!((reader.seen, reader.lost), (10, lost));
            assert_eq!(tail.reaches(seen), gap.is_none());
        }
        assert!(!tail.reaches(11), "what was not yet is of another numbering");
    }

    #[test]
    fn what_was_lost_before_it_came_is_a_gap() {
        let mut tail = tail(10, 1..=4);
        tail.begin_after(6);
        assert_eq!(tail.head(), 6);
        tail.push(live(5), None);
        tail.push(live(7), None);
        let mut reader = reader(3);
        assert_eq!(told(&tail, &mut reader, Portions::default()), (vec![], Some((4, 6)), false));
        assert_eq!(reader.seen, 7, "a fix of a device that is not known is for nobody");
    }

    #[test]
    fn a_reader_that_has_much_to_read_reads_in_parts() {
        let tail = tail(10, 1..=7);
        let portions = Portions { fixes: 3, fixes_looked_at: 5, ..Portions::default() };
        let mut reader = reader(0);
        let parts: Vec<_> = (0..3).map(|_| told(&tail, &mut reader, portions)).collect();
        let parts: Vec<(&[u64], bool)> =
            parts.iter().map(|(numbers, _, more)| (&numbers[..], *more)).collect();
        assert_eq!(parts, [(&[1, 2, 3][..], true), (&[4, 5, 6][..], true), (&[7][..], false)]);
    }
}
