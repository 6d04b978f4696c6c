//! Fixes of tags that walk: ten a second each, with jitter.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Fix, Position, SiteName, SourceName, Timestamp};
use anita_store::Record;

use crate::fault::{Outcome, While as _};

/// How many devices there are.
pub(super) const DEVICES: usize = 1_000;

/// How many fixes share a commit: 20 ms of 100,000 a second.
pub(super) const GROUP: usize = 2_000;

/// When they begin to walk, microseconds since the Unix epoch.
pub(super) const BEGIN_US: i64 = 1_760_000_000_000_000;

/// Between two fixes of a device, microseconds.
pub(super) const INTERVAL_US: i64 = 100_000;

/// Numbers that look random, the same each time (a linear congruential generator).
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// One of the numbers below `end`.
    pub(super) fn below(&mut self, end: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end.max(1)).cast_signed()
    }
}

/// The devices, and how far they are.
#[derive(Debug)]
pub(super) struct Traffic {
    dice: Dice,
    walkers: Vec<Walker>,
    site: SiteName,
    source: SourceName,
    begin_us: i64,
    count: usize,
}

#[derive(Debug)]
struct Walker {
    id: DeviceId,
    place_mm: [i64; 3],
}

impl Traffic {
    pub(super) fn new() -> Outcome<Self> {
        let walker = |number: usize| {
            let id = DeviceId::parse(&format!("tag-{number:04}")).to("name a tag")?;
            Ok(Walker { id, place_mm: [20_000, 15_000, 1_200] })
        };
        Ok(Self {
            dice: Dice(1),
            walkers: (0..DEVICES).map(walker).collect::<Outcome<_>>()?,
            site: SiteName::main(),
            source: SourceName::parse("hall").to("name the source")?,
            begin_us: BEGIN_US,
            count: 0,
        })
    }

    /// Those that begin to walk half an hour ago.
    pub(super) fn from_now() -> Outcome<Self> {
        let begin_us = Timestamp::now().minus(Duration::from_secs(1_800)).as_micros();
        Ok(Self { begin_us, ..Self::new()? })
    }

    /// The ids of the devices.
    pub(super) fn ids(&self) -> Vec<DeviceId> {
        self.walkers.iter().map(|walker| walker.id.clone()).collect()
    }

    /// The fixes of one commit.
    pub(super) fn group(&mut self) -> Outcome<Vec<Arc<Fix>>> {
        (0..GROUP).map(|_| self.fix().map(Arc::new)).collect()
    }

    /// The same as records.
    pub(super) fn records(&mut self) -> Outcome<Arc<Vec<Record>>> {
        Ok(Arc::new(self.group()?.into_iter().map(Record::Fix).collect()))
    }

    fn fix(&mut self) -> Outcome<Fix> {
        let device = self.count % DEVICES;
        let turn = (self.count / DEVICES) as u64;
        self.count += 1;
        let dice = &mut self.dice;
        let walkers = &mut self.walkers;
        let walker =
            walkers.get_mut(device).ok_or_else(|| crate::fault::Fault::new("there is no such tag"))?;
        for mm in &mut walker.place_mm {
            *mm += dice.below(241) - 120;
        }
        let [x_m, y_m, z_m] = walker.place_mm.map(|mm| mm as f64 / 1_000.0);
        let taken_us = self.begin_us
            + turn.cast_signed() * INTERVAL_US
            + (device as u64).cast_signed() * 97
            + dice.below(9_000);
        let at = |micros| Timestamp::from_micros(micros).to("read a time");
        Ok(Fix {
            device: walker.id.clone(),
            site: self.site.clone(),
            position: Position::new(x_m, y_m, z_m).to("place a tag")?,
            accuracy_m: Some((80 + dice.below(60)) as f64 / 1_000.0),
            floor: None,
            battery_percent: Some(87.0),
            taken_at: at(taken_us)?,
            received_at: at(taken_us + 2_000 + dice.below(6_000))?,
            source: self.source.clone(),
            sequence: Some(turn),
        })
    }
}
