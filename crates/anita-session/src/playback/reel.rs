//! What was read ahead of a playback, and what is to be read next.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anita_hub::{HubFault, Past};
use anita_model::{DeviceId, Fix, Timestamp};
use anita_store::{NewestQuery, Window, WindowQuery};
use anita_wire::limits::PLAYBACK_LOOK_BACK_SECS;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// The most fixes of one read, as long as that is enough for one update; and as many may wait when another begins.
const FIXES_PER_READ_MAX: usize = 4_096;

/// How far is read ahead, in our time.
const AHEAD: Duration = Duration::from_secs(4);

/// The longest stretch of one read, in our time: where nothing happened, reads are few.
const STRETCH_MAX: Duration = Duration::from_secs(60);

/// When a read that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long the store may take, its retries included, before a playback is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The finest step of the devices' time.
const MOMENT: Duration = Duration::from_micros(1);

/// Where the past is read.
pub(super) trait Archive {
    fn newest(&self, query: NewestQuery) -> BoxFuture<'static, Result<Vec<Arc<Fix>>, HubFault>>;
    fn window(&self, query: WindowQuery) -> BoxFuture<'static, Result<Window, HubFault>>;
}

impl Archive for Past {
    fn newest(&self, query: NewestQuery) -> BoxFuture<'static, Result<Vec<Arc<Fix>>, HubFault>> {
        let past = self.clone();
        Box::pin(async move { past.newest(query).await })
    }

    fn window(&self, query: WindowQuery) -> BoxFuture<'static, Result<Window, HubFault>> {
        let past = self.clone();
        Box::pin(async move { past.window(query).await })
    }
}

/// What a read gave.
enum Read {
    /// Where everything was.
    Whereabouts(Vec<Arc<Fix>>),
    /// What moved.
    Window(Window),
    /// Nothing: not now.
    Failed,
}

/// A read: at most one of a playback at a time.
enum Reading {
    UnderWay(BoxFuture<'static, Read>),
    Done(Read),
}

/// The fixes of a playback that are read and not yet told.
pub(super) struct Reel {
    /// In the order of their ids.
    devices: Vec<DeviceId>,
    /// The last moment of the period.
    end: Timestamp,
    /// The stretch of the past between two updates.
    every: Duration,
    /// How many of these are read ahead.
    ahead: u32,
    /// How many of these the next read asks for, and the most that one may.
    stretches: u32,
    stretches_max: u32,
    /// Up to this moment nothing is missing.
    known_through: Timestamp,
    /// Whether it is still to be asked where everything was.
    wants_whereabouts: bool,
    fixes: VecDeque<Arc<Fix>>,
    reading: Option<Reading>,
    /// Since when the store is asked for what comes next, by the uptime.
    asked_at: Option<Duration>,
    /// Not before this is it asked again, by the uptime.
    retry_at: Duration,
}

impl std::fmt::Debug for Reel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reel")
            .field("devices", &self.devices.len())
            .field("fixes", &self.fixes.len())
            .field("known_through", &self.known_through)
            .finish_non_exhaustive()
    }
}

impl Reel {
    pub(super) fn new(
        devices: Vec<DeviceId>,
        start: Timestamp,
        end: Timestamp,
        interval: Duration,
        speed: f64,
    ) -> Self {
        let mut reel = Self {
            devices,
            end,
            every: Duration::ZERO,
            ahead: 0,
            stretches: 0,
            stretches_max: 0,
            known_through: start,
            wants_whereabouts: true,
            fixes: VecDeque::new(),
            reading: None,
            asked_at: None,
            retry_at: Duration::ZERO,
        };
        reel.respeed(start, interval, speed);
        reel
    }

    /// Up to this moment nothing is missing.
    pub(super) fn known_through(&self) -> Timestamp {
        self.known_through
    }

    /// Whether everything is read.
    pub(super) fn is_complete(&self) -> bool {
        self.known_through >= self.end && !self.wants_whereabouts
    }

    /// Goes on from another moment.
    pub(super) fn seek(&mut self, at: Timestamp) {
        self.wants_whereabouts = true;
        self.forget_after(at);
    }

    /// Reads for another speed, from this moment on.
    pub(super) fn respeed(&mut self, at: Timestamp, interval: Duration, speed: f64) {
        let stretch = Duration::try_from_secs_f64(interval.as_secs_f64() * speed).unwrap_or(Duration::MAX);
        // Whole microseconds, as the store counts them.
        self.every = Duration::from_micros(u64::try_from(stretch.as_micros()).unwrap_or(u64::MAX).max(1));
        self.ahead = stretches(AHEAD, interval);
        self.stretches = self.ahead;
        self.stretches_max = stretches(STRETCH_MAX, interval);
        self.forget_after(at);
    }

    fn forget_after(&mut self, at: Timestamp) {
        self.known_through = at;
        self.fixes.clear();
        self.reading = None;
        self.asked_at = None;
    }

    /// Forgets devices. Says whether any is left.
    pub(super) fn narrow(&mut self, may_see: impl Fn(&DeviceId) -> bool) -> bool {
        let before = self.devices.len();
        self.devices.retain(&may_see);
        if self.devices.len() < before {
            self.fixes.retain(|fix| may_see(&fix.device));
            // What is under way was asked for all of them; it is asked anew.
            self.reading = None;
        }
        !self.devices.is_empty() || before == 0
    }

    /// Takes the fixes up to a moment, oldest first.
    pub(super) fn take_through(&mut self, at: Timestamp) -> impl Iterator<Item = Arc<Fix>> + '_ {
        let due = self.fixes.partition_point(|fix| fix.taken_at <= at);
        self.fixes.drain(..due)
    }

    /// How many fixes wait.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.fixes.len()
    }

    /// When the next fix that is read is due, by the devices' time.
    pub(super) fn next_fix(&self) -> Option<Timestamp> {
        self.fixes.front().map(|fix| fix.taken_at)
    }

    /// When the next read begins, by the devices' time; `None` where something else has to happen first.
    pub(super) fn next_read(&self) -> Option<Timestamp> {
        let has_room = self.fixes.len() < FIXES_PER_READ_MAX;
        let is_waiting = self.reading.is_none() && self.asked_at.is_none() && has_room && !self.is_complete();
        let ahead = self.every.saturating_mul(self.ahead);
        // When the clock is there, so much less is known ahead that it is time.
        is_waiting.then(|| self.known_through.minus(ahead).plus(MOMENT))
    }

    /// When a read that failed is tried again, by the uptime.
    pub(super) fn retries_at(&self, uptime: Duration) -> Option<Duration> {
        let is_waiting = self.reading.is_none() && self.asked_at.is_some();
        is_waiting.then_some(self.retry_at.max(uptime))
    }

    /// When the store has taken too long, by the uptime.
    pub(super) fn gives_up_at(&self) -> Option<Duration> {
        self.asked_at.map(|asked| asked.saturating_add(PATIENCE))
    }

    /// Begins a read, if it is time for one.
    pub(super) fn read_ahead(&mut self, archive: &dyn Archive, at: Timestamp, uptime: Duration) {
        let is_time = match self.asked_at {
            Some(_asked) => uptime >= self.retry_at,
            None => self.next_read().is_some_and(|next| at >= next || self.wants_whereabouts),
        };
        if self.reading.is_some() || !is_time {
            return;
        }
        let asked =
            if self.wants_whereabouts { self.ask_whereabouts(archive) } else { self.ask_window(archive) };
        let caught = AssertUnwindSafe(asked).catch_unwind().map(|read| {
            read.unwrap_or_else(|_panic| {
                tracing::error!("reading the past panicked");
                Read::Failed
            })
        });
        self.reading = Some(Reading::UnderWay(caught.boxed()));
        self.asked_at.get_or_insert(uptime);
    }

    fn ask_whereabouts(&self, archive: &dyn Archive) -> BoxFuture<'static, Read> {
        let at = self.known_through;
        let look_back = Duration::from_secs(PLAYBACK_LOOK_BACK_SECS.into());
        let devices = self.devices.clone();
        let asked = archive.newest(NewestQuery { devices, at, not_before: Some(at.minus(look_back)) });
        asked.map(|told| told.map_or_else(|fault| failed(&fault), Read::Whereabouts)).boxed()
    }

    fn ask_window(&self, archive: &dyn Archive) -> BoxFuture<'static, Read> {
        let start = self.known_through.plus(MOMENT);
        let asked = archive.window(WindowQuery {
            devices: self.devices.clone(),
            start,
            end: start.plus(self.every.saturating_mul(self.stretches)).min(self.end.plus(MOMENT)),
            every: self.every,
            fixes_max: FIXES_PER_READ_MAX,
        });
        asked.map(|told| told.map_or_else(|fault| failed(&fault), Read::Window)).boxed()
    }

    /// Lets the read under way go on. Says whether it came to an end.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let Some(Reading::UnderWay(read)) = &mut self.reading else { return false };
        let Poll::Ready(read) = read.poll_unpin(context) else { return false };
        self.reading = Some(Reading::Done(read));
        true
    }

    /// Takes what a read gave: what moved waits here, where everything was is given.
    pub(super) fn take_read(&mut self, uptime: Duration) -> Vec<Arc<Fix>> {
        let Some(Reading::Done(read)) = self.reading.take_if(|it| matches!(it, Reading::Done(_))) else {
            return Vec::new();
        };
        if matches!(read, Read::Failed) {
            self.retry_at = uptime.saturating_add(RETRY_AFTER);
            return Vec::new();
        }
        self.asked_at = None;
        match read {
            Read::Whereabouts(fixes) => {
                self.wants_whereabouts = false;
                return fixes;
            }
            Read::Window(window) => self.take_window(window),
            Read::Failed => {}
        }
        Vec::new()
    }

    fn take_window(&mut self, window: Window) {
        // Short where much happened, long where nothing did.
        if window.fixes.len() > FIXES_PER_READ_MAX / 2 {
            self.stretches = (self.stretches / 2).max(1);
        } else if window.fixes.len() < FIXES_PER_READ_MAX / 4 {
            self.stretches = self.stretches.saturating_mul(2).min(self.stretches_max);
        }
        self.known_through = self.known_through.max(window.complete_to.minus(MOMENT));
        self.fixes.extend(window.fixes);
    }
}

/// How many intervals it takes to make up a time; at least one.
fn stretches(time: Duration, interval: Duration) -> u32 {
    u32::try_from(time.as_micros().div_ceil(interval.as_micros().max(1))).unwrap_or(u32::MAX).max(1)
}

/// How the store is, is said in the log when that changes.
fn failed(fault: &HubFault) -> Read {
    tracing::debug!(error = %fault, "the past could not be read");
    Read::Failed
}
