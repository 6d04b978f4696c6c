//! Fixes, and a device's history in pages.

use std::sync::Arc;

use anita_model::{Fix, Position, SiteName, SourceName};

use super::make::{all, at, at_ms, done, fix, history_of, keep, numbered, pages, record, xs, xs_of};
use super::{ENDS, Fixture, again};
use crate::query::{Extent, HistoryQuery, Order};
use crate::record::{FixKey, Record};

/// Every field of a fix is kept.
pub async fn fixes_come_back_whole(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let full = |n: i32| Fix {
        site: SiteName::parse(if n % 2 == 0 { "north" } else { "south" }).unwrap(),
        position: Position::new(f64::from(n) + 0.001, f64::from(-n) - 0.999, 0.5).unwrap(),
        accuracy_m: (n % 3 == 0).then_some(0.125),
        floor: (n % 4 != 0).then_some(f64::from(n) / 4.0),
        battery_percent: (n % 5 == 0).then_some(f64::from(n) + 0.5),
        received_at: at_ms(i64::from(n) * 10 + 7),
        source: SourceName::parse(&format!("source-{}", n % 3)).unwrap(),
        sequence: (n % 2 == 0).then_some(1_000 + u64::from(n.unsigned_abs())),
        ..fix("a", 0.0, at_ms(i64::from(n) * 10))
    };
    let fixes: Vec<Arc<Fix>> = (0..60).map(|n| Arc::new(full(n))).collect();
    keep(&store, fixes.iter().cloned().map(Record::Fix).collect()).await;
    let query = HistoryQuery { order: Order::OldestFirst, ..history_of("a") };
    for end in ENDS {
        assert_eq!(all(&store, &query).await, fixes);
        store = again(fixture, store, end).await;
    }
    assert_eq!(all(&store, &query).await, fixes);
}

/// By time, then by number or place; whatever the order in which they came.
pub async fn fixes_are_in_order_and_late_ones_find_their_place(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let same_time: Vec<Fix> = (0..5).map(|n| fix("a", f64::from(n), at(3))).collect();
    let mut fixes = vec![
        fix("a", 101.0, at(1)),
        fix("a", 105.0, at(5)),
        numbered("a", 203.0, at(3), 3),
        numbered("a", 202.0, at(3), 2),
        numbered("a", 210.0, at(3), 10),
        numbered("a", 200.0, at(3), 0),
        fix("a", 99.0, at(-3_600)),
        fix("a", 102.0, at_ms(2_999)),
        fix("a", 104.0, at_ms(3_001)),
    ];
    fixes.extend(same_time);
    for fix in &fixes {
        keep(&store, vec![record(fix.clone())]).await;
    }
    fixes.sort_by_key(FixKey::of);
    let oldest_first: Vec<f64> = fixes.iter().map(|fix| fix.position.x_m()).collect();
    let newest_first: Vec<f64> = oldest_first.iter().rev().copied().collect();
    for end in ENDS {
        store = again(fixture, store, end).await;
        assert_eq!(xs_of(&store, "a").await, newest_first);
        for limit in [1, 2, 3, 7] {
            let query = HistoryQuery { limit, ..history_of("a") };
            assert_eq!(xs(&all(&store, &query).await), newest_first, "pages of {limit}");
            let query = HistoryQuery { order: Order::OldestFirst, ..query };
            assert_eq!(xs(&all(&store, &query).await), oldest_first, "pages of {limit}");
        }
    }
}

/// The same time and number is the same fix; without a number the place decides, to the millimetre. The first counts.
pub async fn the_same_fix_is_kept_once(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    // Twice in one commit, again in the next, and again after a restart.
    let first = vec![
        record(numbered("a", 1.0, at(1), 7)),
        record(numbered("a", 2.0, at(1), 7)),
        record(numbered("a", 3.0, at(1), 8)),
        record(fix("a", 4.0, at(2))),
        record(fix("a", 4.0004, at(2))),
        record(Fix { battery_percent: Some(5.0), ..fix("a", 4.0, at(2)) }),
        record(fix("a", 4.001, at(2))),
        record(numbered("b", 5.0, at(1), 7)),
    ];
    keep(&store, first.clone()).await;
    let again_and_more = vec![
        record(numbered("a", 6.0, at(1), 8)),
        record(fix("a", 4.0, at(2))),
        record(fix("a", 7.0, at(3))),
    ];
    keep(&store, again_and_more.clone()).await;
    let mut store = store;
    for end in ENDS {
        let found = all(&store, &HistoryQuery { end: Some(at(1)), ..history_of("a") }).await;
        assert_eq!(xs(&found), [3.0, 1.0]);
        let found = all(&store, &HistoryQuery { start: Some(at(2)), ..history_of("a") }).await;
        let mut at_two = xs(&found);
        at_two.sort_by(f64::total_cmp);
        assert_eq!(at_two, [4.0, 4.001, 7.0]);
        assert!(found.iter().all(|fix| fix.battery_percent.is_none()), "the first counts");
        assert_eq!(xs_of(&store, "b").await, [5.0]);
        assert_eq!(done(store.usage().await).fixes.count, 6);
        store = again(fixture, store, end).await;
        keep(&store, first.clone()).await;
        keep(&store, again_and_more.clone()).await;
    }
}

/// `next` is there exactly while there is more.
pub async fn pages_end_where_the_history_ends(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    keep(&store, (1..=6).map(|n| record(fix("a", f64::from(n), at(n.into())))).collect()).await;
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for (limit, lengths) in [
            (1, vec![1; 6]),
            (2, vec![2, 2, 2]),
            (3, vec![3, 3]),
            (4, vec![4, 2]),
            (5, vec![5, 1]),
            (6, vec![6]),
            (7, vec![6]),
            (1_000, vec![6]),
        ] {
            let pages = pages(&store, &HistoryQuery { order, limit, ..history_of("a") }).await;
            assert_eq!(
                pages.iter().map(Vec::len).collect::<Vec<_>>(),
                lengths,
                "pages of {limit}, {order:?}"
            );
        }
    }
    assert_eq!(pages(&store, &history_of("nobody")).await, [vec![]]);
    let empty = HistoryQuery { start: Some(at(4)), end: Some(at(3)), ..history_of("a") };
    assert_eq!(pages(&store, &empty).await, [vec![]]);
}

/// What comes between two pages neither repeats nor hides what was there before.
pub async fn pages_do_not_shift_when_late_fixes_come_between(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    keep(&store, (1..=9).map(|n| record(fix("a", f64::from(n), at(n.into())))).collect()).await;
    let query = HistoryQuery { limit: 3, ..history_of("a") };
    let first = done(store.page(query.clone()).await);
    assert_eq!(xs(&first.fixes), [9.0, 8.0, 7.0]);
    // One that belongs to the page that was read, one right after it, one newer than all, one at the end.
    let late = [(8.5, 8_500), (6.5, 6_500), (10.0, 10_000), (0.5, 500)];
    keep(&store, late.iter().map(|&(x_m, ms)| record(fix("a", x_m, at_ms(ms)))).collect()).await;
    for end in ENDS {
        let second = done(store.page(HistoryQuery { after: first.next, ..query.clone() }).await);
        assert_eq!(xs(&second.fixes), [6.5, 6.0, 5.0]);
        let rest = all(&store, &HistoryQuery { after: second.next, ..query.clone() }).await;
        assert_eq!(xs(&rest), [4.0, 3.0, 2.0, 1.0, 0.5]);
        // The other way round from the same place.
        let back = HistoryQuery { after: first.next, order: Order::OldestFirst, ..query.clone() };
        assert_eq!(xs(&all(&store, &back).await), [8.0, 8.5, 9.0, 10.0]);
        store = again(fixture, store, end).await;
    }
}

/// A fix at the very start or end belongs to the range.
pub async fn ranges_include_their_ends(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    keep(&store, (1..=5).map(|n| record(fix("a", f64::from(n), at(n.into())))).collect()).await;
    let of = |start: Option<i64>, end: Option<i64>| HistoryQuery {
        start: start.map(at_ms),
        end: end.map(at_ms),
        limit: 2,
        ..history_of("a")
    };
    for (query, found) in [
        (of(Some(2_000), Some(4_000)), vec![4.0, 3.0, 2.0]),
        (of(Some(2_001), Some(3_999)), vec![3.0]),
        (of(Some(4_000), None), vec![5.0, 4.0]),
        (of(None, Some(1_000)), vec![1.0]),
        (of(None, Some(999)), vec![]),
        (of(Some(3_000), Some(3_000)), vec![3.0]),
        (of(Some(5_001), None), vec![]),
    ] {
        assert_eq!(xs(&all(&store, &query).await), found, "{query:?}");
        let forward = HistoryQuery { order: Order::OldestFirst, ..query };
        let reversed: Vec<f64> = found.into_iter().rev().collect();
        assert_eq!(xs(&all(&store, &forward).await), reversed, "{forward:?}");
    }
    // A cursor and a range together: the narrower one holds.
    let page = done(store.page(of(None, None)).await);
    let ranged = HistoryQuery { after: page.next, ..of(Some(2_000), Some(3_000)) };
    assert_eq!(xs(&all(&store, &ranged).await), [3.0, 2.0]);
}

/// Edges to the millimetre belong to it. Pages may be short, but nothing is missed.
pub async fn pages_within_an_extent_miss_nothing(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    // A walk along a line and back, far outside most of the time.
    let walk = |n: i32| if n <= 1_500 { n } else { 3_000 - n };
    let records = (0..3_000).map(|n| {
        let position = Position::new(f64::from(walk(n)) / 1_000.0, 5.0, 0.0).unwrap();
        record(Fix { position, ..fix("a", 0.0, at_ms(i64::from(n) * 100)) })
    });
    keep(&store, records.collect()).await;
    let line = Extent { min_x_m: 0.0, min_y_m: 5.0, max_x_m: 0.0, max_y_m: 5.0 };
    let extent = |min_x_m, max_x_m| Extent { min_x_m, max_x_m, ..line };
    let inside = |min: i32, max: i32| (0..3_000).filter(|&n| (min..=max).contains(&walk(n))).count();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for limit in [1, 10, 100] {
            let of = |within| HistoryQuery { limit, order, within: Some(within), ..history_of("a") };
            let found = all(&store, &of(extent(0.1, 0.12))).await;
            assert_eq!(found.len(), inside(100, 120), "{order:?}, pages of {limit}");
            assert!(found.iter().all(|fix| extent(0.1, 0.12).contains(fix)));
            let keys: Vec<FixKey> = found.iter().map(|fix| FixKey::of(fix)).collect();
            assert!(keys.is_sorted() == (order == Order::OldestFirst) && keys.len() > 1);
            assert_eq!(all(&store, &of(extent(1.5, 1.5))).await.len(), 1, "the very edge");
            assert_eq!(all(&store, &of(extent(7.0, 8.0))).await.len(), 0);
        }
    }
    let above = Extent { min_y_m: 5.001, max_y_m: 9.0, ..extent(0.0, 2.0) };
    assert_eq!(all(&store, &HistoryQuery { within: Some(above), ..history_of("a") }).await.len(), 0);
}

/// Over several days, in many commits, with pages across every border that a store may have inside.
pub async fn a_long_history_is_read_in_pages_both_ways(fixture: &mut dyn Fixture) {
    const FIXES: i32 = 6_000;
    let store = fixture.open().await;
    // Every other minute first, then the minutes between, late.
    let records = |parity: i32| {
        let ns = (0..FIXES).filter(move |n| n % 2 == parity);
        ns.map(|n| record(fix("a", f64::from(n), at(i64::from(n) * 60)))).collect::<Vec<_>>()
    };
    for chunk in records(0).chunks(700).chain(records(1).chunks(700)) {
        keep(&store, chunk.to_vec()).await;
    }
    let store = again(fixture, store, super::End::Dropped).await;
    let forward: Vec<f64> = (0..FIXES).map(f64::from).collect();
    let backward: Vec<f64> = forward.iter().rev().copied().collect();
    let query = HistoryQuery { limit: 250, ..history_of("a") };
    assert!(xs(&all(&store, &query).await) == backward);
    let query = HistoryQuery { order: Order::OldestFirst, ..query };
    assert!(xs(&all(&store, &query).await) == forward);
    let middle = HistoryQuery { start: Some(at(1_000 * 60)), end: Some(at(4_000 * 60)), ..query };
    assert!(xs(&all(&store, &middle).await) == forward[1_000..=4_000]);
}

/// Times and numbers are a device's own.
pub async fn devices_do_not_see_each_others_history(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    // Ids that a careless comparison of texts takes for one another.
    let ids = ["a", "A", "a ", "á", "a\u{301}", "a%", "a_", "%", "aa", "'; --"];
    for (n, text) in (0_i32..).zip(ids) {
        keep(&store, vec![record(numbered(text, f64::from(n), at(1), 1))]).await;
    }
    for (n, text) in (0_i32..).zip(ids) {
        assert_eq!(xs_of(&store, text).await, [f64::from(n)], "{text:?}");
    }
}
