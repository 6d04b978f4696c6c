//! A view: which devices a connection wants to hear of, and how often. The room `uwb` is one, and so is
//! position tracking. A view holds a watermark, the version of the board up to which it has seen everything.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anita_auth::Principal;
use anita_model::DeviceId;

use crate::board::{Board, Live};

/// Which devices a view is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewFilter {
    /// All that the principal may see.
    All,
    /// These, as far as the principal may see them.
    Devices(HashSet<DeviceId>),
}

/// How a reader keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It reads as fast as fixes come: it gets every one.
    Every,
    /// It fell behind: it gets the newest of each device.
    Newest,
}

/// Which devices a connection wants to hear of, and how often.
#[derive(Debug, Clone)]
pub struct View {
    filter: ViewFilter,
    /// The time between two updates; `None` delivers at once.
    interval: Option<Duration>,
    /// When the next update is due, by the uptime.
    due_at: Duration,
    watermark: u64,
}

impl View {
    /// A view that delivers each newest fix at once, from a version on.
    pub fn immediate(filter: ViewFilter, since_version: u64) -> Self {
        Self { filter, interval: None, due_at: Duration::ZERO, watermark: since_version }
    }

    /// A view that delivers what changed once an interval; its first update holds all that is known.
    pub fn periodic(filter: ViewFilter, interval: Duration, uptime: Duration) -> Self {
        Self { filter, interval: Some(interval), due_at: uptime, watermark: 0 }
    }

    /// When something may be due: `None` for a view that is woken by what happens.
    pub fn due_at(&self) -> Option<Duration> {
        self.interval.map(|_interval| self.due_at)
    }

    /// What is due now for a principal: at most so many fixes, the oldest first. The watermark moves past them; what
    /// is left over comes with the next call, unless it is replaced by something newer until then.
    ///
    /// The second value is how many fixes were replaced unseen since the last call: of a view that delivers at once,
    /// for one who sees everything. A view with a rate skips by design, and that is not counted.
    pub fn take_due(
        &mut self,
        board: &Board,
        principal: &Principal,
        uptime: Duration,
        pace: Pace,
        fixes_max: usize,
    ) -> (Vec<Arc<Live>>, u64) {
        if let Some(interval) = self.interval {
            if uptime < self.due_at {
                return (Vec::new(), 0);
            }
            // The next one keeps the beat, unless that is past already: what was missed is not made up for.
            let on_beat = self.due_at.saturating_add(interval);
            self.due_at = if on_beat > uptime { on_beat } else { uptime.saturating_add(interval) };
        }
        let before = self.watermark;
        let every =
            if pace == Pace::Every && self.interval.is_none() { board.every_after(before) } else { None };
        let (due, walked) = match every {
            Some(lives) => self.walk(lives, principal, fixes_max),
            None => self.walk(board.newer_than(before), principal, fixes_max),
        };
        let sees_all =
            self.interval.is_none() && self.filter == ViewFilter::All && principal.devices.allow_all();
        let replaced = if sees_all { (self.watermark - before).saturating_sub(walked) } else { 0 };
        (due, replaced)
    }

    /// Takes what the view shows, and moves the watermark; says how many it passed.
    fn walk<'a>(
        &mut self,
        lives: impl Iterator<Item = &'a Arc<Live>>,
        principal: &Principal,
        fixes_max: usize,
    ) -> (Vec<Arc<Live>>, u64) {
        let (mut due, mut walked) = (Vec::new(), 0);
        for live in lives {
            if due.len() == fixes_max {
                break;
            }
            walked += 1;
            self.watermark = live.version;
            if self.shows(&live.fix.device, principal) {
                due.push(Arc::clone(live));
            }
        }
        (due, walked)
    }

    fn shows(&self, device: &DeviceId, principal: &Principal) -> bool {
        let is_wanted = match &self.filter {
            ViewFilter::All => true,
            ViewFilter::Devices(devices) => devices.contains(device),
        };
        is_wanted && principal.may_see(device.as_str())
    }
}
