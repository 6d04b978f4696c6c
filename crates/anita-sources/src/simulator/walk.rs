//! People with tags: they walk to a place, stay a while, and go to the next. A pure function of the seed and the time that passed.

use std::time::Duration;

use anita_model::{DeviceId, Position};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Layout;

/// How fast people walk, metres a second.
const SPEED_MPS: std::ops::Range<f64> = 0.5..1.5;
/// How long they stay, seconds.
const STAY_SECS: std::ops::Range<f64> = 0.0..20.0;
/// How far from the walls they keep, metres.
const MARGIN_M: f64 = 0.5;
/// At which height a tag is worn, metres.
const HEIGHT_M: std::ops::Range<f64> = 0.9..1.4;
/// The standard deviation of each coordinate, metres.
const NOISE_M: f64 = 0.1;
/// How often tags report, hertz.
const RATE_HZ: std::ops::RangeInclusive<f64> = 1.0..=10.0;
/// How long a full battery lasts, seconds of reports at 1 Hz.
const BATTERY_SECS: f64 = 7.0 * 86_400.0;
/// Below this charge, percent, somebody puts in a new battery.
const BATTERY_PERCENT_MIN: f64 = 3.0;
/// One tag of so many loses its radio now and then.
const SILENT_ONE_IN: usize = 8;
/// How long it is heard, and how long it is not, seconds.
const HEARD_SECS: std::ops::Range<f64> = 40.0..240.0;
const SILENT_SECS: std::ops::Range<f64> = 30.0..120.0;

/// What one tag measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Which tag.
    pub device: DeviceId,
    /// Where it says it is.
    pub measured: Position,
    /// Where it is.
    pub truth: Position,
    /// Charge of its battery, percent.
    pub battery_percent: f64,
}

/// All tags of a site.
#[derive(Debug)]
pub struct Walk {
    rng: StdRng,
    width_m: f64,
    depth_m: f64,
    tags: Vec<Tag>,
}

#[derive(Debug)]
struct Tag {
    device: DeviceId,
    place_m: [f64; 2],
    goal_m: [f64; 2],
    height_m: f64,
    speed_mps: f64,
    stay_secs: f64,
    battery_percent: f64,
    rate_hz: f64,
    due_secs: f64,
    radio: Radio,
}

/// Whether a tag is heard, and for how much longer.
#[derive(Debug)]
enum Radio {
    Always,
    HeardFor(f64),
    SilentFor(f64),
}

// === impl Walk ===

impl Walk {
    /// `devices` tags, `tag-1`, `tag-2` and so on, somewhere in the place.
    pub fn new(layout: &Layout, devices: usize, seed: u64) -> Self {
        let mut walk = Self {
            rng: StdRng::seed_from_u64(seed),
            width_m: layout.width_m,
            depth_m: layout.depth_m,
            tags: Vec::new(),
        };
        walk.tags = (1..=devices).filter_map(|number| walk.tag(number)).collect();
        walk
    }

    /// Lets time pass and gives what the tags measured meanwhile: at most one sample a tag, so steps should be no longer than
    /// the fastest tag's interval, 100 ms.
    pub fn step(&mut self, passed: Duration) -> Vec<Sample> {
        let secs = passed.as_secs_f64();
        let mut tags = std::mem::take(&mut self.tags);
        let samples = tags.iter_mut().filter_map(|tag| self.step_tag(tag, secs)).collect();
        self.tags = tags;
        samples
    }

    fn tag(&mut self, number: usize) -> Option<Tag> {
        let rate_hz = self.rng.random_range(RATE_HZ);
        Some(Tag {
            device: DeviceId::parse(&format!("tag-{number}")).ok()?,
            place_m: self.place(),
            goal_m: self.place(),
            height_m: self.rng.random_range(HEIGHT_M),
            speed_mps: self.rng.random_range(SPEED_MPS),
            stay_secs: 0.0,
            battery_percent: self.rng.random_range(15.0..100.0),
            rate_hz,
            due_secs: self.rng.random_range(0.0..1.0 / rate_hz),
            radio: match number % SILENT_ONE_IN {
                0 => Radio::HeardFor(self.rng.random_range(HEARD_SECS)),
                _ => Radio::Always,
            },
        })
    }

    fn step_tag(&mut self, tag: &mut Tag, secs: f64) -> Option<Sample> {
        self.walk(tag, secs);
        let is_heard = self.is_heard(tag, secs);
        tag.due_secs -= secs;
        if tag.due_secs > 0.0 {
            return None;
        }
        tag.due_secs = (tag.due_secs + 1.0 / tag.rate_hz).max(0.0);
        tag.battery_percent -= 100.0 / BATTERY_SECS;
        if tag.battery_percent < BATTERY_PERCENT_MIN {
            tag.battery_percent = 100.0;
        }
        is_heard.then(|| self.measure(tag)).flatten()
    }

    /// Moves a tag towards its goal; there it stays a while and chooses the next.
    fn walk(&mut self, tag: &mut Tag, secs: f64) {
        if tag.stay_secs > 0.0 {
            tag.stay_secs -= secs;
            return;
        }
        let [x_m, y_m] = tag.place_m;
        let [east_m, north_m] = [tag.goal_m[0] - x_m, tag.goal_m[1] - y_m];
        let left_m = east_m.hypot(north_m);
        let reach_m = tag.speed_mps * secs;
        if left_m > reach_m {
            let part = reach_m / left_m;
            tag.place_m = [x_m + east_m * part, y_m + north_m * part];
            return;
        }
        tag.place_m = tag.goal_m;
        tag.goal_m = self.place();
        tag.speed_mps = self.rng.random_range(SPEED_MPS);
        tag.stay_secs = self.rng.random_range(STAY_SECS);
    }

    fn is_heard(&mut self, tag: &mut Tag, secs: f64) -> bool {
        tag.radio = match tag.radio {
            Radio::Always => return true,
            Radio::HeardFor(left) if left > 0.0 => Radio::HeardFor(left - secs),
            Radio::SilentFor(left) if left > 0.0 => Radio::SilentFor(left - secs),
            Radio::HeardFor(_) => Radio::SilentFor(self.rng.random_range(SILENT_SECS)),
            Radio::SilentFor(_) => Radio::HeardFor(self.rng.random_range(HEARD_SECS)),
        };
        matches!(tag.radio, Radio::HeardFor(_))
    }

    fn measure(&mut self, tag: &Tag) -> Option<Sample> {
        let [x_m, y_m] = tag.place_m;
        let z_m = tag.height_m;
        let [east_m, north_m, up_m] = std::array::from_fn(|_| NOISE_M * self.normal());
        Some(Sample {
            device: tag.device.clone(),
            measured: Position::new(x_m + east_m, y_m + north_m, z_m + up_m).ok()?,
            truth: Position::new(x_m, y_m, z_m).ok()?,
            battery_percent: tag.battery_percent,
        })
    }

    /// Somewhere in the place, off the walls.
    fn place(&mut self) -> [f64; 2] {
        [
            self.rng.random_range(MARGIN_M..self.width_m - MARGIN_M),
            self.rng.random_range(MARGIN_M..self.depth_m - MARGIN_M),
        ]
    }

    /// A normally distributed number (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.rng.random_range(f64::MIN_POSITIVE..1.0).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.rng.random::<f64>()).cos()
    }
}
