use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn samples(seed: u64, devices: usize, secs: u64) -> Vec<Vec<Sample>> {
    let mut walk = Walk::new(&Layout::hall(), devices, seed);
    (0..secs * 20).map(|_| walk.step(STEP)).collect()
}

#[test]
fn the_same_seed_gives_the_same_walk_and_another_one_another() {
    assert_eq!(samples(7, 12, 20), samples(7, 12, 20));
    assert_ne!(samples(7, 12, 20), samples(8, 12, 20));
}

#[test]
fn tags_walk_as_people_do_and_report_at_rates_of_their_own() {
    let mut last: BTreeMap<_, (usize, Position)> = BTreeMap::new();
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for (index, samples) in samples(1, 50, 60).into_iter().enumerate() {
        for sample in samples {
            let truth = sample.truth;
            assert!((0.5..=39.5).contains(&truth.x_m()) && (0.5..=24.5).contains(&truth.y_m()), "{truth:?}");
            if let Some((before, place)) = last.insert(sample.device.clone(), (index, truth)) {
                let secs = f64::from(u32::try_from(index - before).unwrap()) * STEP.as_secs_f64();
                let moved_m = (truth.x_m() - place.x_m()).hypot(truth.y_m() - place.y_m());
                assert!(moved_m <= 1.5 * secs + 1e-9, "{moved_m} m in {secs} s");
            }
            *counts.entry(sample.device).or_default() += 1;
        }
    }
    assert_eq!(counts.len(), 50);
    let always_heard = |device: &anita_model::DeviceId| {
        device.as_str().trim_start_matches("tag-").parse::<usize>().unwrap() % 8 != 0
    };
    let rates: Vec<_> =
        counts.iter().filter(|(device, _)| always_heard(device)).map(|(_, count)| count / 60).collect();
    assert!(rates.iter().all(|rate| (0..=10).contains(rate)), "{rates:?}");
    assert!(rates.iter().any(|&rate| rate <= 2) && rates.iter().any(|&rate| rate >= 8), "{rates:?}");
}

#[test]
fn the_noise_is_a_decimetre() {
    let samples: Vec<_> = samples(3, 50, 60).into_iter().flatten().collect();
    let squares: f64 = samples.iter().map(|it| (it.measured.x_m() - it.truth.x_m()).powi(2)).sum();
    let sigma_m = (squares / f64::from(u32::try_from(samples.len()).unwrap())).sqrt();
    assert!((0.09..0.11).contains(&sigma_m), "{sigma_m}");
}

#[test]
fn some_tags_fall_silent_and_come_back_and_batteries_drain() {
    let mut heard: BTreeMap<anita_model::DeviceId, Vec<usize>> = BTreeMap::new();
    let mut batteries: BTreeMap<anita_model::DeviceId, Vec<f64>> = BTreeMap::new();
    for (index, samples) in samples(5, 16, 900).into_iter().enumerate() {
        for sample in samples {
            heard.entry(sample.device.clone()).or_default().push(index);
            batteries.entry(sample.device).or_default().push(sample.battery_percent);
        }
    }
    let fell_silent: BTreeSet<_> = heard
        .iter()
        .filter(|(_, at)| at.windows(2).any(|pair| pair[1] - pair[0] > 20 * 25))
        .map(|(device, _)| device.as_str())
        .collect();
    assert_eq!(fell_silent, BTreeSet::from(["tag-16", "tag-8"]));
    for charges in batteries.values() {
        assert!(charges.last() < charges.first(), "{charges:?}");
    }
}

#[test]
fn the_hall_is_a_plan_that_can_be_drawn() {
    let layout = Layout::hall();
    let inside =
        |[x_m, y_m]: [f64; 2]| (0.0..=layout.width_m).contains(&x_m) && (0.0..=layout.depth_m).contains(&y_m);
    assert_eq!((layout.width_m, layout.depth_m, layout.anchors.len()), (40.0, 25.0, 6));
    for zone in &layout.zones {
        assert!(zone.polygon_m.iter().copied().all(inside), "{zone:?}");
        let next = zone.polygon_m.iter().cycle().skip(1);
        let doubled_area: f64 = zone.polygon_m.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum();
        assert!(doubled_area > 0.0, "anticlockwise: {zone:?}");
    }
}

proptest! {
    #[test]
    fn a_step_of_any_length_is_survived(seed in any::<u64>(), millis in 0_u64..1_000_000) {
        let mut walk = Walk::new(&Layout::hall(), 9, seed);
        prop_assert!(walk.step(Duration::from_millis(millis)).len() <= 9);
    }
}
