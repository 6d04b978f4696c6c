//! Where devices were at a moment, and what happened in a stretch of time.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{Fix, Timestamp};

use super::make::{at, at_ms, fix, id, keep, newest, numbered, record, window, xs};
use super::{ENDS, Fixture, again};
use crate::query::{Window, WindowQuery};
use crate::record::{FixKey, Record};

/// At the moment itself counts, in the order of the devices asked for; unknown ones and too old ones are left out.
pub async fn the_newest_at_a_moment_is_found(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    keep(
        &store,
        vec![
            record(fix("a", 1.0, at(10))),
            record(fix("a", 3.0, at(30))),
            record(fix("a", 2.0, at(20))),
            record(numbered("b", 12.0, at(20), 2)),
            record(numbered("b", 11.0, at(20), 1)),
            record(fix("b", 10.0, at(20))),
            record(fix("c", 21.0, at(-100_000))),
        ],
    )
    .await;
    let named = |found: &[(&str, f64)]| -> Vec<(String, f64)> {
        found.iter().map(|&(text, x_m)| (text.to_owned(), x_m)).collect()
    };
    for end in ENDS {
        let everyone = ["c", "nobody", "b", "a"];
        let found = newest(&store, &everyone, at(100), None).await;
        assert_eq!(found, named(&[("c", 21.0), ("b", 12.0), ("a", 3.0)]));
        let found = newest(&store, &everyone, at(20), None).await;
        assert_eq!(found, named(&[("c", 21.0), ("b", 12.0), ("a", 2.0)]));
        let found = newest(&store, &["a", "b", "c"], at_ms(19_999), None).await;
        assert_eq!(found, named(&[("a", 1.0), ("c", 21.0)]));
        let found = newest(&store, &["a", "b", "c"], at(25), Some(at(20))).await;
        assert_eq!(found, named(&[("a", 2.0), ("b", 12.0)]));
        let found = newest(&store, &["a", "b", "c"], at(40), Some(at_ms(20_001))).await;
        assert_eq!(found, named(&[("a", 3.0)]));
        assert_eq!(newest(&store, &["nobody"], at(40), None).await, []);
        assert_eq!(newest(&store, &[], at(40), None).await, []);
        assert_eq!(newest(&store, &everyone, at(-200_000), None).await, []);
        store = again(fixture, store, end).await;
    }
}

fn query(devices: &[&str], start: Timestamp, end: Timestamp) -> WindowQuery {
    let devices = devices.iter().map(|text| id(text)).collect();
    WindowQuery { devices, start, end, every: Duration::ZERO, fixes_max: 1_000 }
}

/// From the start on, until before the end, oldest first, and by the devices' ids at the same time.
pub async fn a_window_has_everything_of_its_time(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    keep(
        &store,
        vec![
            record(fix("b", 3.0, at(2))),
            record(numbered("a", 2.0, at(2), 9)),
            record(fix("a", 1.0, at(2))),
            record(fix("c", 4.0, at(2))),
            record(fix("a", 0.0, at(1))),
            record(fix("a", 5.0, at_ms(2_999))),
            record(fix("a", 6.0, at(3))),
            record(fix("d", 7.0, at(2))),
        ],
    )
    .await;
    for end in ENDS {
        let asked = query(&["c", "b", "a", "nobody"], at(2), at(3));
        let found = window(&store, &asked).await;
        assert_eq!(xs(&found.fixes), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(found.complete_to, at(3));
        let found = window(&store, &query(&["a"], at(0), at(10))).await;
        assert_eq!(xs(&found.fixes), [0.0, 1.0, 2.0, 5.0, 6.0]);
        let found = window(&store, &query(&["a"], at(10), at(20))).await;
        assert_eq!(found, Window { fixes: vec![], complete_to: at(20) });
        assert_eq!(window(&store, &query(&[], at(0), at(20))).await.fixes, []);
        store = again(fixture, store, end).await;
    }
}

/// Fixes of three devices at different rates, from ten seconds before noon on.
fn traffic() -> Vec<Arc<Fix>> {
    let rates = [("a", 70_i64), ("b", 110), ("c", 1_300)];
    let of = |(device, every_ms): (&'static str, i64)| {
        (0..20_000 / every_ms).map(move |n| {
            let x_m = f64::from(i32::try_from(n).unwrap());
            Arc::new(fix(device, x_m, at_ms(n * every_ms - 10_000)))
        })
    };
    rates.into_iter().flat_map(of).collect()
}

/// What the answer is by the plain rule.
fn expected(traffic: &[Arc<Fix>], query: &WindowQuery) -> Window {
    let mut fixes = Vec::new();
    for device in &query.devices {
        let is_in =
            |fix: &&Arc<Fix>| fix.device == *device && (query.start..query.end).contains(&fix.taken_at);
        let mut own: Vec<Arc<Fix>> = traffic.iter().filter(is_in).cloned().collect();
        own.sort_by_key(|fix| FixKey::of(fix));
        fixes.extend(query.thinned(&own));
    }
    Window::of(fixes, query)
}

/// Of each device and stretch the newest.
pub async fn a_window_is_thinned_out_by_stretches_from_its_start(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let traffic = traffic();
    keep(&store, traffic.iter().cloned().map(Record::Fix).collect()).await;
    for every_ms in [1, 69, 100, 1_000, 1_234, 60_000] {
        for start_ms in [-10_000, -9_999, -5_005, 3, 20_000] {
            let asked = WindowQuery {
                every: Duration::from_millis(every_ms),
                fixes_max: 100_000,
                ..query(&["a", "b", "c"], at_ms(start_ms), at_ms(7_777))
            };
            if asked.start < asked.end {
                assert_eq!(window(&store, &asked).await, expected(&traffic, &asked), "{asked:?}");
            }
        }
    }
}

/// What fits is told whole up to a border, and asking on from there finds the rest, nothing twice.
pub async fn a_window_that_is_too_full_ends_on_a_border(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let mut traffic = traffic();
    // More at one time than fits.
    traffic.extend((0..30_u32).map(|n| Arc::new(numbered("b", 1_000.0 + f64::from(n), at(1), n.into()))));
    keep(&store, traffic.iter().cloned().map(Record::Fix).collect()).await;
    for every_ms in [0, 150, 1_000] {
        for fixes_max in [1, 2, 20, 77, 10_000] {
            let whole = WindowQuery {
                every: Duration::from_millis(every_ms),
                fixes_max,
                ..query(&["a", "b", "c"], at_ms(-10_000), at_ms(5_000))
            };
            let mut found = Vec::new();
            let mut start = whole.start;
            while start < whole.end {
                let asked = WindowQuery { start, ..whole.clone() };
                let part = window(&store, &asked).await;
                assert_eq!(part, expected(&traffic, &asked), "{asked:?}");
                assert!(part.complete_to > start && part.complete_to <= whole.end);
                found.extend(part.fixes);
                start = part.complete_to;
            }
            let all = expected(&traffic, &WindowQuery { fixes_max: usize::MAX, ..whole.clone() });
            assert_eq!(found, all.fixes, "{whole:?}");
        }
    }
}
