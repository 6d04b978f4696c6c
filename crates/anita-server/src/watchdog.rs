//! The watchdog: a thread that sees whether the others make progress.
//!
//! Each part that is watched has a pulse, which a task on that very thread beats. The watchdog asks nobody and takes no
//! lock that a part holds while it works: it reads counters, and whatever hangs can't hang it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anita_metrics::Metrics;
use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::clock::Clock;

/// The settings of the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchdogSettings {
    /// How long a part may make no progress before it counts as stuck.
    pub stuck_after: Duration,
    /// Whether the process is aborted then, so that whoever supervises it starts it again.
    pub aborts: bool,
}

impl Default for WatchdogSettings {
    fn default() -> Self {
        Self { stuck_after: Duration::from_secs(10), aborts: false }
    }
}

impl WatchdogSettings {
    /// How often pulses beat and are looked at.
    pub(crate) fn every(&self) -> Duration {
        (self.stuck_after / 5).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }
}

/// The sign of life of one part.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Everything that is watched, and what of it is stuck.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pulses: Mutex<Vec<(String, Pulse, Role)>>,
    /// Which vital parts are stuck just now; read by `/healthz`.
    stuck: ArcSwap<Vec<String>>,
}

impl Watched {
    /// A new part without which the server is none: while it is stuck, `/healthz` says so.
    pub(crate) fn add(&self, name: impl Into<String>) -> Pulse {
        self.add_as(name.into(), Role::Vital)
    }

    /// A new part that the server lives without for a while, and that another start would not mend.
    pub(crate) fn add_helper(&self, name: impl Into<String>) -> Pulse {
        self.add_as(name.into(), Role::Helper)
    }

    fn add_as(&self, name: String, role: Role) -> Pulse {
        let pulse = Pulse::default();
        self.pulses.lock().push((name, pulse.clone(), role));
        pulse
    }

    /// What is stuck just now.
    pub(crate) fn stuck(&self) -> Arc<Vec<String>> {
        self.stuck.load_full()
    }
}

/// What a part is to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Without it the server is none.
    Vital,
    /// The server lives without it for a while.
    Helper,
}

/// What the watchdog knows of one part.
#[derive(Debug)]
struct Known {
    name: String,
    pulse: Pulse,
    role: Role,
    beats: u64,
    /// When it last beat, by the watchdog's own looks.
    moved_at: Duration,
    is_stuck: bool,
}

/// What is new of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    /// It has made no progress for so long.
    Stuck(String, Duration, Role),
    /// It makes progress again, after so long.
    Well(String, Duration),
}

/// Judges pulses. No clock of its own.
#[derive(Debug)]
struct Judge {
    known: Vec<Known>,
    stuck_after: Duration,
    looked_at: Duration,
    every: Duration,
}

impl Judge {
    fn new(settings: WatchdogSettings, uptime: Duration) -> Self {
        Self {
            known: Vec::new(),
            stuck_after: settings.stuck_after,
            looked_at: uptime,
            every: settings.every(),
        }
    }

    /// Takes in parts that came since the last look.
    fn meet(&mut self, pulses: &[(String, Pulse, Role)]) {
        let met = self.known.len();
        let uptime = self.looked_at;
        self.known.extend(pulses.iter().skip(met).map(|(name, pulse, role)| Known {
            name: name.clone(),
            beats: pulse.0.load(Ordering::Relaxed),
            pulse: pulse.clone(),
            role: *role,
            moved_at: uptime,
            is_stuck: false,
        }));
    }

    /// Looks at all pulses. A pause of the watchdog itself is one of the whole process, or of the machine: it is nobody's
    /// fault.
    fn look(&mut self, uptime: Duration) -> Vec<News> {
        let away = uptime.saturating_sub(self.looked_at).saturating_sub(self.every * 2);
        self.looked_at = uptime;
        let mut news = Vec::new();
        for part in &mut self.known {
            part.moved_at = part.moved_at.saturating_add(away);
            let still = uptime.saturating_sub(part.moved_at);
            let beats = part.pulse.0.load(Ordering::Relaxed);
            if beats != part.beats {
                part.beats = beats;
                part.moved_at = uptime;
                if std::mem::take(&mut part.is_stuck) {
                    news.push(News::Well(part.name.clone(), still));
                }
            } else if still > self.stuck_after && !part.is_stuck {
                part.is_stuck = true;
                news.push(News::Stuck(part.name.clone(), still, part.role));
            }
        }
        news
    }

    /// How many parts are stuck.
    fn count(&self) -> usize {
        self.known.iter().filter(|part| part.is_stuck).count()
    }

    /// Which vital parts are stuck.
    fn stuck(&self) -> Vec<String> {
        let vital = self.known.iter().filter(|part| part.is_stuck && part.role == Role::Vital);
        vital.map(|part| part.name.clone()).collect()
    }
}

/// The watchdog's thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Watchdog {
    _stop: Sender<()>,
}

/// Called after each look at which nothing was stuck.
pub type OnWell = Box<dyn Fn() + Send>;

impl Watchdog {
    pub(crate) fn start(
        watched: Arc<Watched>,
        settings: WatchdogSettings,
        clock: Clock,
        metrics: Arc<Metrics>,
        on_well: OnWell,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let mut judge = Judge::new(settings, clock.now().uptime);
            while stopped.recv_timeout(settings.every()) == Err(RecvTimeoutError::Timeout) {
                // Whoever adds a part holds this for no longer than that takes.
                judge.meet(&watched.pulses.lock());
                let news = judge.look(clock.now().uptime);
                let stuck = judge.stuck();
                if stuck.is_empty() {
                    on_well();
                }
                metrics.stuck_tasks.set(i64::try_from(judge.count()).unwrap_or(i64::MAX));
                if !news.is_empty() {
                    watched.stuck.store(Arc::new(stuck));
                }
                news.iter().for_each(say);
                if settings.aborts && news.iter().any(|news| matches!(news, News::Stuck(_, _, Role::Vital))) {
                    tracing::error!("the process is aborted, as watchdog.abort asks");
                    std::process::abort();
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

fn say(news: &News) {
    match news {
        News::Stuck(what, still, _role) => {
            tracing::error!(what, secs = still.as_secs_f64(), "a part of the server makes no progress");
        }
        News::Well(what, still) => {
            tracing::warn!(what, secs = still.as_secs_f64(), "a part of the server makes progress again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn judge(pulses: &[(&str, &Pulse)]) -> Judge {
        let mut judge = Judge::new(WatchdogSettings::default(), secs(100));
        let pulses: Vec<_> =
            pulses.iter().map(|(name, pulse)| ((*name).to_owned(), (*pulse).clone(), Role::Vital)).collect();
        judge.meet(&pulses);
        judge
    }

    #[test]
    fn what_stops_is_said_once_and_so_is_that_it_goes_on() {
        let (first, second) = (Pulse::default(), Pulse::default());
        let mut judge = judge(&[("first", &first), ("second", &second)]);
        for at in 101..=110 {
            second.beat();
            assert_eq!(judge.look(secs(at)), [], "{at}");
        }
        second.beat();
        assert_eq!(judge.look(secs(111)), [News::Stuck("first".to_owned(), secs(11), Role::Vital)]);
        assert_eq!(judge.stuck(), ["first"]);
        second.beat();
        assert_eq!(judge.look(secs(112)), [], "once");
        first.beat();
        assert_eq!(judge.look(secs(113)), [News::Well("first".to_owned(), secs(13))]);
        assert_eq!(judge.stuck(), [""; 0]);
    }

    #[test]
    fn a_helper_that_is_stuck_is_counted_and_does_not_fail_the_health() {
        let mut judge = Judge::new(WatchdogSettings::default(), secs(0));
        judge.meet(&[("store".to_owned(), Pulse::default(), Role::Helper)]);
        let found: Vec<News> = (1..20).flat_map(|at| judge.look(secs(at))).collect();
        assert_eq!(found, [News::Stuck("store".to_owned(), secs(11), Role::Helper)]);
        assert_eq!((judge.count(), judge.stuck()), (1, Vec::new()));
    }

    #[test]
    fn a_process_that_was_stopped_as_a_whole_has_no_stuck_parts() {
        let pulse = Pulse::default();
        let mut judge = judge(&[("only", &pulse)]);
        assert_eq!(judge.look(secs(101)), []);
        assert_eq!(judge.look(secs(5_000)), [], "the watchdog was stopped as well");
        let found: Vec<News> = (5_001..5_020).flat_map(|at| judge.look(secs(at))).collect();
        assert_eq!(found.len(), 1, "but it is seen when it does not go on afterwards");
    }
}
