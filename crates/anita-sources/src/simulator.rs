//! A site that does not exist: anchors that stand and tags that walk, the same from the same seed.
//!
//! [`Layout`] is the place, [`Walk`] the people in it, both pure; [`SimulatorSource`] lets time pass.

mod config;
mod layout;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceKind, Fix, Position, Report, Sighting, SiteName, SourceName, Timestamp};
use futures_util::future::BoxFuture;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{Description, Fault, Health, Intake, Source};

pub use config::{DEVICES_MAX, SimulatorConfig};
pub use layout::{Anchor, Layout, Zone};
pub use walk::{Sample, Walk};

/// How far time moves at once.
pub const STEP: Duration = Duration::from_millis(50);
/// How often the anchors say that they are there.
const ANCHORS_EVERY: Duration = Duration::from_secs(10);
/// The radius that holds 95 of 100 positions, metres: two sigmas of the noise.
const ACCURACY_M: f64 = 0.2;

/// Tags that walk about.
#[derive(Debug)]
pub struct SimulatorSource {
    name: SourceName,
    site: SiteName,
    layout: Layout,
    walk: Walk,
}

// === impl SimulatorSource ===

impl SimulatorSource {
    /// A source of its own, without a configuration.
    pub fn new(name: SourceName, site: SiteName, devices: usize, seed: u64) -> Self {
        let layout = Layout::hall();
        let walk = Walk::new(&layout, devices, seed);
        Self { name, site, layout, walk }
    }

    /// The place, for whoever draws a floor plan of it.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn walk(
        &mut self,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> Result<(), Fault> {
        health.connected(intake.now());
        let mut steps = tokio::time::interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut anchors = tokio::time::interval(ANCHORS_EVERY);
        loop {
            // Both ticks are cancel safe.
            let reports = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = anchors.tick() => self.anchors(intake.now()),
                _ = steps.tick() => self.step(intake.now()),
            };
            if reports.is_empty() {
                continue;
            }
            health.count_message();
            let count = reports.len();
            if intake.submit(reports).await.is_err() {
                health.count_dropped(count);
            }
        }
    }

    fn step(&mut self, now: Timestamp) -> Vec<Report> {
        let samples = self.walk.step(STEP);
        samples.into_iter().map(|sample| Report::Fix(self.fix(sample, now))).collect()
    }

    fn fix(&self, sample: Sample, now: Timestamp) -> Fix {
        Fix {
            device: sample.device,
            site: self.site.clone(),
            position: sample.measured,
            accuracy_m: Some(ACCURACY_M),
            floor: None,
            battery_percent: Some(sample.battery_percent),
            taken_at: now,
            received_at: now,
            source: self.name.clone(),
            sequence: None,
        }
    }

    /// What the anchors say of themselves, and the gateway of its tags' names.
    fn anchors(&self, now: Timestamp) -> Vec<Report> {
        let sighting = |device: &anita_model::DeviceId, kind, name: &str, mounted_at: Option<Position>| {
            Report::Sighting(Sighting {
                device: device.clone(),
                site: self.site.clone(),
                kind: Some(kind),
                name: Some(name.to_owned()),
                battery_percent: None,
                mounted_at,
                is_present: None,
                received_at: now,
                source: self.name.clone(),
            })
        };
        let anchors = self.layout.anchors.iter();
        anchors.map(|it| sighting(&it.device, DeviceKind::Anchor, &it.name, Some(it.position))).collect()
    }
}

impl Source for SimulatorSource {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn description(&self) -> Description {
        Description::of("simulator")
    }

    fn run(
        &mut self,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.walk(intake, health, stop))
    }
}

#[cfg(test)]
mod tests;
