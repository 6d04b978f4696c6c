use anita_model::{DeviceId, SiteName, SourceName};
use anita_store::FixKey;
use proptest::prelude::*;

use super::*;
use crate::point::Key;

const SECOND_US: i64 = 1_000_000;

/// Whatever a fix can have, the extremes included.
pub(crate) fn any_point() -> impl Strategy<Value = Point> {
    let times = prop_oneof![0..20_i64, 0..SECOND_US, -62_135_596_800_000_000..=253_402_207_199_999_999_i64];
    let mm = || prop_oneof![-50_000..50_000_i64, -10_000_000_000..=10_000_000_000_i64];
    let number = || prop::option::of(prop_oneof![Just(0.0), Just(-0.0), any::<f64>()]);
    let sequence = prop::option::of(prop_oneof![0..1_000_u64, any::<u64>()]);
    let place = (times, 0..SECOND_US, mm(), mm(), mm());
    let accuracy_mm = prop::option::of(prop_oneof![0..5_000_i64, any::<i64>()]);
    (place, accuracy_mm, number(), number(), sequence, 0..3_u32).prop_map(
        |((taken_us, delay_us, x_mm, y_mm, z_mm), accuracy_mm, floor, battery_percent, sequence, origin)| {
            let received_us = (taken_us + delay_us).min(253_402_207_199_999_999);
            let place = Place { taken_us, received_us, mm: [x_mm, y_mm, z_mm] };
            Point::new(origin, place, Extras { accuracy_mm, floor, battery_percent, sequence }).unwrap()
        },
    )
}

/// Fixes of a device in their order, many of them at the same times.
pub(crate) fn any_track(max: usize) -> impl Strategy<Value = Vec<Point>> {
    prop::collection::vec(any_point(), 1..max).prop_map(|mut points| {
        points.sort_by_key(Point::key);
        points.dedup_by_key(|point| point.key());
        points
    })
}

fn keys(points: &[Point]) -> Vec<Key> {
    points.iter().map(Point::key).collect()
}

proptest! {
    #[test]
    fn a_journal_comes_back_as_it_was(points in prop::collection::vec((any::<i64>(), any_point()), 0..100)) {
        let body = journal(&points);
        prop_assert!(same(&read_journal(&body).unwrap(), &points));
    }

    #[test]
    fn blocks_come_back_as_they_were_and_times_are_never_divided(
        points in any_track(300), bytes_max in 50..2_000_usize, fixes_max in 1..200_usize
    ) {
        let mut rest = points.as_slice();
        let mut read = Vec::new();
        while !rest.is_empty() {
            let (body, taken) = block(rest, bytes_max, fixes_max);
            let found = read_block(&body).unwrap();
            prop_assert_eq!(found.len(), taken);
            let (now, later) = rest.split_at(taken);
            if let (Some(last), Some(next)) = (now.last(), later.first()) {
                prop_assert!(last.taken_us < next.taken_us);
            }
            let is_one_time = now.first().unwrap().taken_us == now.last().unwrap().taken_us;
            prop_assert!(is_one_time || (body.len() <= bytes_max + 11 && taken <= fixes_max));
            read.extend(found);
            rest = later;
        }
        prop_assert!(same(&read, &points));
    }

    #[test]
    fn a_key_is_that_of_the_port(point in any_point()) {
        let names = (SiteName::main(), SourceName::parse("hall").unwrap());
        let fix = point.fix(&DeviceId::parse("a").unwrap(), &names).unwrap();
        let key = FixKey::of(&fix);
        prop_assert_eq!((key.taken_at.as_micros(), key.discriminator), point.key());
        let again = Point::of(&fix, point.origin);
        prop_assert_eq!(again.key(), point.key());
        prop_assert_eq!(again.extras().sequence, point.extras().sequence);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_fixes(
        points in any_track(50), at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()
    ) {
        let (mut body, _taken) = block(&points, 10_000, 1_000);
        prop_assert!(read_block(&body[..cut.index(body.len())]).is_err());
        let at = at.index(body.len());
        body[at] = byte;
        fuzz(&body);
    }
}

#[test]
fn a_count_that_the_bytes_cannot_hold_takes_no_memory() {
    let mut body = vec![FORMAT];
    put_unsigned(u64::MAX >> 1, &mut body);
    assert_eq!(read_block(&body), Err(Damaged));
    assert_eq!(read_journal(&body), Err(Damaged));
    assert!(crate::records::read(&body).is_err());
}

#[test]
fn fixes_of_a_walk_take_few_bytes() {
    let extras = |n: u64| Extras {
        accuracy_mm: Some(100),
        floor: Some(1.0),
        battery_percent: Some(90.0),
        sequence: Some(n),
    };
    let points: Vec<Point> = (0..200_u32)
        .map(|n| {
            let taken_us = 1_760_000_000_000_000 + i64::from(n) * 100_000;
            let place =
                Place { taken_us, received_us: taken_us + 4_000, mm: [i64::from(n) * 90, 7_000, 1_000] };
            Point::new(1, place, extras(n.into())).unwrap()
        })
        .collect();
    let (body, taken) = block(&points, 4_000, 512);
    assert_eq!(taken, 200);
    assert!(body.len() < 200 * 11, "{} bytes", body.len());
    assert!(keys(&read_block(&body).unwrap()) == keys(&points));
    // A reader of this version has to read what this version wrote: these bytes must not change.
    let (body, _taken) = block(&points[..2], 4_000, 512);
    let first = [31, 128, 128, 240, 236, 189, 173, 160, 6, 192, 62, 0, 176, 109, 208, 15, 1, 200, 1];
    let floor_and_battery = [0, 0, 0, 0, 0, 0, 240, 63, 0, 0, 0, 0, 0, 128, 86, 64];
    let second = [0, 16, 192, 154, 12, 0, 180, 1, 0, 0, 2];
    assert_eq!(body, [&[1, 2][..], &first, &floor_and_battery, &second].concat());
}
