//! What goes with time, and what there is.
//!
//! These checks happen in the present, since a store may arrange what is young in another way than what is old.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{Fix, Timestamp};

use super::make::{
    all, at, device, done, entry, event, fix, history_of, id, keep, numbered, record, state, tidy, xs,
};
use super::{ENDS, End, Fixture, again};
use crate::port::Store;
use crate::query::{AuditQuery, EventQuery, HistoryQuery, Order};
use crate::record::{DeviceState, Record};
use crate::retention::{KindLimits, Retention, Thinning, thinned};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The present, on a whole minute.
fn present() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_micros(now.as_micros() - now.as_micros().rem_euclid(60_000_000)).unwrap()
}

fn by_age(age_max: Duration) -> KindLimits {
    KindLimits { age_max: Some(age_max), bytes_max: None }
}

fn by_size(bytes_max: u64) -> KindLimits {
    KindLimits { age_max: None, bytes_max: Some(bytes_max) }
}

async fn history(store: &Arc<dyn Store>, device: &str) -> Vec<Arc<Fix>> {
    let query = HistoryQuery { order: Order::OldestFirst, limit: 1_000, ..history_of(device) };
    all(store, &query).await
}

/// Nothing that is young enough goes; what is too old goes; what was last heard of a device stays.
pub async fn fixes_go_by_age(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let slack = fixture.slack().age;
    let now = present();
    let aged = |device: &str, n: u32| Arc::new(fix(device, f64::from(n), now.minus(HOUR * 6 * n)));
    let mut kept: Vec<Arc<Fix>> = (0..160).flat_map(|n| [aged("a", n), aged("b", n)]).collect();
    let old = Arc::new(fix("old", 1.0, now.minus(DAY * 300)));
    kept.push(Arc::clone(&old));
    let heard =
        DeviceState { newest: Some(Arc::clone(&old)), last_seen: Some(old.received_at), ..state("old") };
    let mut records: Vec<Record> = kept.iter().cloned().map(Record::Fix).collect();
    records.push(Record::State(heard.clone()));
    keep(&store, records).await;
    let mut store = store;
    for (end, age_max) in ENDS.into_iter().zip([DAY * 20, DAY * 7]) {
        let retention = Retention { fixes: by_age(age_max), ..Retention::default() };
        let removed = tidy(&store, &retention, now).await.fixes_removed;
        for device in ["a", "b", "old"] {
            let found = history(&store, device).await;
            let young =
                kept.iter().filter(|it| it.device.as_str() == device && now.since(it.taken_at) <= age_max);
            let missing: Vec<_> = young.filter(|it| !found.contains(*it)).collect();
            assert_eq!(missing, [] as [&Arc<Fix>; 0], "young enough, and gone");
            let too_old = |it: &&Arc<Fix>| now.since(it.taken_at) > age_max + slack;
            assert_eq!(found.iter().find(too_old), None, "too old, and still there");
        }
        assert!(removed >= 2 * 4 * 11 || slack > DAY, "only {removed} went");
        assert_eq!(tidy(&store, &retention, now).await.fixes_removed, 0, "nothing is left to do");
        store = again(fixture, store, end).await;
    }
    let states = done(store.load(1).await).states;
    assert_eq!(states.iter().find(|it| it.id.as_str() == "old"), Some(&heard));
    // One that comes late, and is too old already.
    keep(&store, vec![Record::Fix(aged("a", 159))]).await;
    let retention = Retention { fixes: by_age(DAY * 7), ..Retention::default() };
    tidy(&store, &retention, now).await;
    assert!(history(&store, "a").await.iter().all(|it| now.since(it.taken_at) <= DAY * 7 + slack));
}

/// Of each device the oldest go, until there is room enough.
pub async fn fixes_go_by_size_the_oldest_first(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let now = present();
    let mut all_fixes = Vec::new();
    for day in (0..20).rev() {
        let of = |device: &'static str| {
            (0..500_u32).map(move |n| {
                let ago = DAY * day + Duration::from_secs((500 - n).into());
                record(fix(device, f64::from(n), now.minus(ago)))
            })
        };
        all_fixes.extend(of("a").chain(of("b")));
    }
    for records in all_fixes.chunks(2_000) {
        keep(&store, records.to_vec()).await;
    }
    let (before_a, before_b) = (history(&store, "a").await, history(&store, "b").await);
    let bytes = done(store.usage().await).fixes.bytes;
    let large = Retention { fixes: by_size(bytes + fixture.slack().bytes), ..Retention::default() };
    assert_eq!(tidy(&store, &large, now).await.fixes_removed, 0, "there is room for all");
    let bytes_max = bytes / 2;
    let retention = Retention { fixes: by_size(bytes_max), ..Retention::default() };
    let removed = tidy(&store, &retention, now).await.fixes_removed;
    assert!(removed > 0, "nothing went");
    let mut store = store;
    for end in ENDS {
        let usage = done(store.usage().await).fixes;
        let most = bytes_max + fixture.slack().bytes;
        assert!(usage.bytes <= most, "{} bytes, at most {most}", usage.bytes);
        assert_eq!(usage.count + removed, 20_000);
        let (a, b) = (history(&store, "a").await, history(&store, "b").await);
        assert!(before_a.ends_with(&a) && before_b.ends_with(&b), "the oldest go first");
        assert!(!a.is_empty() && !b.is_empty(), "not everything goes");
        store = again(fixture, store, end).await;
    }
}

/// Three clusters of a device's fixes, ten a second, that begin half a day, three days and twenty days ago.
fn clusters(device: &'static str, now: Timestamp) -> [Vec<Arc<Fix>>; 3] {
    [DAY / 2, DAY * 3, DAY * 20].map(|ago| {
        let of = |n: u32| {
            fix(device, f64::from(n), now.minus(ago).plus(Duration::from_millis(u64::from(n) * 100)))
        };
        let mut fixes: Vec<Arc<Fix>> = (0..1_300).map(|n| Arc::new(of(n))).collect();
        // Two of the same time: the one with the number is the newer one.
        let last = &fixes[9];
        fixes.insert(10, Arc::new(numbered(device, 5_000.0, last.taken_at, 3)));
        fixes
    })
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn in_steps() -> Retention {
    let thinning = vec![Thinning { after: DAY, every: SECOND }, Thinning { after: DAY * 7, every: MINUTE }];
    Retention { thinning, ..Retention::default() }
}

async fn keep_clusters(store: &Arc<dyn Store>, device: &'static str, now: Timestamp) -> [Vec<Arc<Fix>>; 3] {
    let clusters = clusters(device, now);
    for cluster in &clusters {
        keep(store, cluster.iter().cloned().map(Record::Fix).collect()).await;
    }
    clusters
}

/// Of each stretch of the Unix time the newest stays, by steps that follow one another.
pub async fn fixes_are_thinned_out_in_steps(fixture: &mut dyn Fixture) {
    assert!(fixture.slack().age < DAY * 2, "with so much slack nothing is known");
    let store = fixture.open().await;
    let now = present();
    let [young, middle, old] = keep_clusters(&store, "a", now).await;
    keep_clusters(&store, "b", now).await;
    let by_second = thinned(&middle, SECOND);
    let by_minute = thinned(&old, MINUTE);
    let expected = [by_minute.clone(), by_second.clone(), young.clone()].concat();
    let gone = 2 * (old.len() + middle.len() - by_minute.len() - by_second.len());
    assert_eq!(tidy(&store, &in_steps(), now).await.fixes_thinned, gone as u64);
    let mut store = store;
    for end in ENDS {
        for device in ["a", "b"] {
            assert!(xs(&history(&store, device).await) == xs(&expected), "of {device}");
        }
        store = again(fixture, store, end).await;
    }
    // Six days and a half later: what was one a second becomes one a minute, and what was raw one a second.
    tidy(&store, &in_steps(), now.plus(DAY * 13 / 2)).await;
    let expected = [by_minute, thinned(&middle, MINUTE), thinned(&young, SECOND)].concat();
    for end in ENDS {
        assert!(history(&store, "a").await == expected);
        store = again(fixture, store, end).await;
    }
}

/// Once is enough.
pub async fn thinning_again_changes_nothing(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let now = present();
    keep_clusters(&store, "a", now).await;
    assert!(tidy(&store, &in_steps(), now).await.fixes_thinned > 0);
    let once = history(&store, "a").await;
    let mut store = store;
    for end in ENDS {
        assert_eq!(tidy(&store, &in_steps(), now).await.fixes_thinned, 0);
        assert!(history(&store, "a").await == once);
        store = again(fixture, store, end).await;
    }
}

/// A stretch that was thinned out is not closed for ever.
pub async fn late_fixes_into_what_was_thinned_out_are_thinned_out_too(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let now = present();
    let [young, middle, old] = keep_clusters(&store, "a", now).await;
    tidy(&store, &in_steps(), now).await;
    let begin = middle[0].taken_at;
    let earlier = Arc::new(fix("a", 7_001.0, begin.plus(Duration::from_millis(550))));
    let later = Arc::new(fix("a", 7_002.0, begin.plus(Duration::from_millis(1_950))));
    let store = again(fixture, store, End::Dropped).await;
    keep(&store, vec![Record::Fix(earlier), Record::Fix(Arc::clone(&later))]).await;
    tidy(&store, &in_steps(), now).await;
    let mut by_second = thinned(&middle, SECOND);
    by_second[1] = later;
    let expected = [thinned(&old, MINUTE), by_second, young].concat();
    assert!(xs(&history(&store, "a").await) == xs(&expected));
}

/// The ordinals of all events, newest first.
async fn ordinals(store: &Arc<dyn Store>) -> Vec<u64> {
    let page = done(store.events(EventQuery { limit: 10_000, ..EventQuery::default() }).await);
    page.events.iter().map(|event| event.ordinal).collect()
}

/// The actions of the whole audit trail, newest first.
async fn actions(store: &Arc<dyn Store>) -> Vec<String> {
    let page = done(store.audit(AuditQuery { limit: 10_000, ..AuditQuery::default() }).await);
    page.entries.into_iter().map(|(_ordinal, entry)| entry.record.action).collect()
}

/// Each kind by its own age.
pub async fn events_and_audit_go_by_age(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let now = present();
    let aged = |n: u32| now.minus(HOUR * (100 - n));
    let events = (1..=100).map(|n| Record::Event(event(n.into(), "uwb", "e", n.into(), aged(n))));
    let audit = (1..=100).map(|n| Record::Audit(entry("bob", &n.to_string(), aged(n))));
    keep(&store, events.chain(audit).collect()).await;
    // At the limit itself something is still young enough.
    let retention = Retention { events: by_age(HOUR * 9), audit: by_age(HOUR * 19), ..Retention::default() };
    let tidied = tidy(&store, &retention, now).await;
    assert_eq!((tidied.events_removed, tidied.audit_removed, tidied.fixes_removed), (90, 80, 0));
    let mut store = store;
    for end in ENDS {
        assert_eq!(ordinals(&store).await, (91..=100).rev().collect::<Vec<u64>>());
        assert_eq!(actions(&store).await, (81..=100).rev().map(|n| n.to_string()).collect::<Vec<_>>());
        store = again(fixture, store, end).await;
    }
}

/// Each kind by its own size, the oldest first.
pub async fn events_and_audit_go_by_size(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let slack = fixture.slack().bytes;
    let events = (1..=2_000).map(|n| Record::Event(event(n, "uwb", "e", n, at(n.cast_signed()))));
    let audit = (1..=2_000).map(|n| Record::Audit(entry("bob", &format!("{n:0>200}"), at(n))));
    keep(&store, events.chain(audit).collect()).await;
    let before = done(store.usage().await);
    let retention = Retention {
        events: by_size(before.events.bytes / 2),
        audit: by_size(before.audit.bytes / 4),
        ..Retention::default()
    };
    let tidied = tidy(&store, &retention, at(10_000)).await;
    assert!(tidied.events_removed > 0 && tidied.audit_removed > 0, "{tidied:?}");
    for end in ENDS {
        let usage = done(store.usage().await);
        assert!(usage.events.bytes <= before.events.bytes / 2 + slack, "{usage:?}");
        assert!(usage.audit.bytes <= before.audit.bytes / 4 + slack, "{usage:?}");
        assert_eq!(usage.events.count, 2_000 - tidied.events_removed);
        assert_eq!(usage.audit.count, 2_000 - tidied.audit_removed);
        let kept: Vec<u64> = (1..=2_000).rev().take(usize::try_from(usage.events.count).unwrap()).collect();
        assert!(ordinals(&store).await == kept && !kept.is_empty(), "the newest stay");
        let kept = actions(&store).await;
        assert!(!kept.is_empty() && kept[0] == format!("{:0>200}", 2_000), "the newest stay");
        assert_eq!(kept.len() as u64, usage.audit.count);
        store = again(fixture, store, end).await;
    }
}

/// As it says.
pub async fn without_limits_nothing_goes(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let long_ago = Timestamp::parse("0001-01-01T00:00:00Z").unwrap();
    keep(
        &store,
        vec![
            record(fix("a", 1.0, long_ago)),
            record(fix("a", 2.0, at(1))),
            Record::Event(event(1, "uwb", "e", 1, long_ago)),
            Record::Audit(entry("bob", "look", long_ago)),
        ],
    )
    .await;
    // And a limit longer than the calendar is none.
    let whole_calendar = by_age(Duration::from_secs(u64::MAX));
    let wide =
        Retention { fixes: whole_calendar, events: whole_calendar, audit: whole_calendar, thinning: vec![] };
    for retention in [Retention::default(), wide] {
        let tidied = tidy(&store, &retention, present()).await;
        assert_eq!(tidied, crate::retention::Tidied::default());
    }
    assert_eq!(xs(&history(&store, "a").await), [1.0, 2.0]);
    assert_eq!((ordinals(&store).await, actions(&store).await), (vec![1], vec!["look".to_owned()]));
}

/// How many, exactly while there are few, and some room.
pub async fn usage_counts_what_is_kept(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let empty = done(store.usage().await);
    assert_eq!((empty.fixes.count, empty.events.count, empty.audit.count), (0, 0, 0));
    let fixes = (0..300_i32)
        .zip(["a", "b", "c"].into_iter().cycle())
        .map(|(n, text)| record(fix(text, f64::from(n), at(n.into()))));
    let others = [
        Record::Event(event(1, "uwb", "e", 1, at(1))),
        Record::Event(event(2, "uwb", "e", 2, at(1))),
        Record::Audit(entry("bob", "look", at(1))),
        Record::Save(device("a")),
    ];
    keep(&store, fixes.chain(others).collect()).await;
    for end in ENDS {
        let usage = done(store.usage().await);
        assert_eq!((usage.fixes.count, usage.events.count, usage.audit.count), (300, 2, 1));
        assert!(usage.fixes.bytes > 0 && usage.events.bytes > 0 && usage.audit.bytes > 0, "{usage:?}");
        assert!(usage.disk_bytes > 0 || !fixture.survives());
        store = again(fixture, store, end).await;
    }
    keep(&store, vec![Record::Remove(id("c"))]).await;
    assert_eq!(done(store.usage().await).fixes.count, 200);
}
