//! The simulator as a source.

use std::collections::BTreeSet;

use anita_model::{DeviceKind, Report};

use crate::bench::Bench;

#[tokio::test]
async fn a_simulated_site_shows_its_anchors_and_its_tags() {
    let bench = Bench::start("type = 'simulator'\nname = 'demo'\ndevices = 7\nseed = 3\n");
    let tags = |it: &Bench| it.sink.fixes().iter().map(|fix| fix.device.to_string()).collect::<BTreeSet<_>>();
    bench.until("every tag", |it| tags(it).len() == 7).await;
    let sink = bench.stop().await;
    let anchors = sink.reports().into_iter().filter(|report| {
        matches!(report, Report::Sighting(it) if it.kind == Some(DeviceKind::Anchor) && it.mounted_at.is_some())
    });
    assert_eq!(anchors.count(), 6);
    assert!(sink.fixes().iter().all(|fix| fix.battery_percent.is_some() && fix.accuracy_m.is_some()));
}
