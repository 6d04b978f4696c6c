use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Patterns, Permissions, Principal};
use anita_hub::{Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{
    DeviceId, DeviceKind, Fix, Identity, Now, Position, RoomName, SiteName, SourceName, Timestamp, UserId,
};
use anita_store::{DeviceRecord, EventRecord, MemoryStore, Record, Store, WriterSettings};
use anita_wire::view::{Area, BoxArea, ViewFilter};
use geo::{Distance, Euclidean, Line, Point};
use proptest::prelude::*;
use serde_json::json;

use super::track::{SIMPLIFIED_AT_ONCE, Simplifier};
use super::*;

const NOW: Now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };

fn at(secs: f64) -> Timestamp {
    Timestamp::from_secs_f64(secs).unwrap()
}

fn fix(device: &str, secs: f64, x_m: f64, y_m: f64, floor: Option<f64>) -> Arc<Fix> {
    Arc::new(Fix {
        device: DeviceId::parse(device).unwrap(),
        site: SiteName::main(),
        position: Position::new(x_m, y_m, 1.0).unwrap(),
        accuracy_m: None,
        floor,
        battery_percent: None,
        taken_at: at(secs),
        received_at: at(secs),
        source: SourceName::parse("test").unwrap(),
        sequence: None,
    })
}

fn principal(devices: Patterns, rooms: Patterns) -> Principal {
    Principal {
        identity: Arc::new(Identity {
            user: UserId { issuer: "anita".into(), subject: "alice".into() },
            token_id: None,
            issued_at: None,
        }),
        roles: Vec::new(),
        permissions: Permissions::all(),
        devices,
        rooms,
        expires_at: at(1e9),
    }
}

fn everybody() -> Principal {
    principal(Patterns::all(), Patterns::all())
}

fn only(pattern: &str) -> Principal {
    principal(Patterns::parse(&[pattern.to_owned()]).unwrap(), Patterns::all())
}

/// A hub whose store holds these fixes, and their devices.
async fn hub(fixes: &[Arc<Fix>], more: Vec<Record>) -> Arc<Hub> {
    let store = Arc::new(MemoryStore::new(1_000_000, 2_000_000, 10_000));
    let mut records: Vec<Record> = Vec::new();
    for fix in fixes {
        records.push(Record::Save(DeviceRecord {
            id: fix.device.clone(),
            name: None,
            kind: DeviceKind::Tag,
            site: SiteName::main(),
            mounted_at: None,
            floor: None,
        }));
        records.push(Record::Fix(Arc::clone(fix)));
    }
    records.extend(more);
    store.commit(Arc::new(records)).await.unwrap();
    let keeping = Keeping::new(store, WriterSettings::default(), None, anita_hub::Durability::Commit);
    Hub::open(HubSettings::default(), keeping, Arc::new(Metrics::default()), NOW).await.unwrap()
}

async fn walked(hub: &Arc<Hub>, principal: &Principal, selection: Selection, range: Range) -> Vec<String> {
    let mut walk = Walk::new(Arc::clone(hub), principal.clone(), selection, range);
    let mut told = Vec::new();
    while let Some(fixes) = walk.step().await.unwrap() {
        told.extend(fixes.iter().map(|fix| format!("{}@{}", fix.device, fix.taken_at.as_secs())));
    }
    told
}

#[tokio::test]
async fn a_thinned_walk_leaves_out_what_is_too_near_to_the_fix_before_of_the_same_device() {
    // More than one page of one device; of another one, a pause between its fixes.
    let mut fixes: Vec<Arc<Fix>> =
        (0..4_500).map(|i| fix("b", f64::from(i) / 10.0, 0.0, 0.0, None)).collect();
    fixes.extend([0.5, 1.0, 10.4, 10.5, 30.0].map(|secs| fix("a", secs, 0.0, 0.0, None)));
    let hub = hub(&fixes, Vec::new()).await;
    let mut walk = Walk::new(Arc::clone(&hub), everybody(), Selection::all(), Range::default())
        .thinned(Duration::from_secs(10));
    let mut told: Vec<(String, f64)> = Vec::new();
    while let Some(fixes) = walk.step().await.unwrap() {
        told.extend(
            fixes.iter().map(|fix| (fix.device.to_string(), fix.taken_at.since(at(0.0)).as_secs_f64())),
        );
    }
    let expected = [0.5, 10.5, 30.0].into_iter().map(|secs| ("a".to_owned(), secs));
    let expected = expected.chain((0..45).map(|i| ("b".to_owned(), f64::from(i) * 10.0)));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_walk_goes_through_the_devices_of_its_principal_in_order_and_misses_nothing() {
    let mut fixes: Vec<Arc<Fix>> = (0..4_500).map(|i| fix("b", f64::from(i), 0.0, 0.0, None)).collect();
    fixes.extend([
        fix("c", 5.0, 0.0, 0.0, None),
        fix("a", 7.0, 0.0, 0.0, None),
        fix("a", 3.0, 0.0, 0.0, None),
    ]);
    let hub = hub(&fixes, Vec::new()).await;
    let all = walked(&hub, &everybody(), Selection::all(), Range::default()).await;
    assert_eq!(all.len(), 4_503);
    assert_eq!(all[..3], ["a@3", "a@7", "b@0"]);
    assert_eq!(all.last().unwrap(), "c@5");
    let range = Range::new(Some(at(4.0)), Some(at(5.0))).unwrap();
    assert_eq!(walked(&hub, &everybody(), Selection::all(), range).await, ["b@4", "b@5", "c@5"]);
    assert_eq!(walked(&hub, &only("c"), Selection::all(), range).await, ["c@5"]);
    let patterns = |principal: &Principal, texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        Selection::parse(&hub, principal, &texts)
    };
    let some = patterns(&everybody(), &["[ac]", "b"]).unwrap();
    assert_eq!(walked(&hub, &everybody(), some, range).await, ["b@4", "b@5", "c@5"]);
    let some = patterns(&only("c"), &["*"]).unwrap();
    assert_eq!(walked(&hub, &only("c"), some, range).await, ["c@5"]);
    for (texts, code) in [(["b"], "not_found"), (["nobody"], "not_found"), (["{a"], "invalid_payload")] {
        assert_eq!(patterns(&only("c"), &texts).unwrap_err().0.code.as_str(), code, "{texts:?}");
    }
}

#[tokio::test]
async fn an_id_that_looks_like_a_pattern_is_an_id() {
    let hub =
        hub(&[fix("rack[1]", 1.0, 0.0, 0.0, None), fix("rack1", 1.0, 0.0, 0.0, None)], Vec::new()).await;
    let selection = Selection::parse(&hub, &everybody(), &["rack[1]".to_owned()]).unwrap();
    assert_eq!(walked(&hub, &everybody(), selection, Range::default()).await, ["rack[1]@1"]);
}

#[tokio::test]
async fn a_snapshot_is_paged_and_knows_only_what_was_there_and_may_be_seen() {
    let mut fixes: Vec<Arc<Fix>> =
        (0..5).map(|i| fix(&format!("tag-{i}"), f64::from(10 + i), 1.0, 2.0, None)).collect();
    fixes.push(fix("tag-0", 100.0, 9.0, 9.0, None));
    let hub = hub(&fixes, Vec::new()).await;
    let question = |limit: Option<usize>, after: Option<String>, max_age: Option<u64>| SnapshotQuestion {
        at: at(13.0),
        max_age: max_age.map(Duration::from_secs),
        limit,
        after,
    };
    let ids = |page: &Snapshot| page.devices.iter().map(|it| it.device_id.clone()).collect::<Vec<_>>();
    let whole = snapshot(&hub, &everybody(), question(None, None, None)).await.unwrap();
    assert_eq!(ids(&whole), ["tag-0", "tag-1", "tag-2", "tag-3"]);
    assert_eq!(whole.devices[0].timestamp.0, at(10.0));
    let young = snapshot(&hub, &everybody(), question(None, None, Some(2))).await.unwrap();
    assert_eq!(ids(&young), ["tag-1", "tag-2", "tag-3"]);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot(&hub, &everybody(), question(Some(2), after, None)).await.unwrap();
        paged.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, ids(&whole));
    let seen = snapshot(&hub, &only("tag-[13]"), question(None, None, None)).await.unwrap();
    assert_eq!(ids(&seen), ["tag-1", "tag-3"]);
    let refused = snapshot(&hub, &everybody(), question(Some(1_001), None, None)).await.unwrap_err();
    assert!(refused.0.message.contains("1 to 1000"), "{refused:?}");
}

fn hall(start: f64, end: f64) -> VisitsQuestion {
    let area = Area::Box(BoxArea { min_x: 0.0, min_y: 0.0, max_x: 10.0, max_y: 10.0 });
    VisitsQuestion {
        range: Range { start: Some(at(start)), end: Some(at(end)) },
        place: ViewFilter { area: Some(area), ..ViewFilter::default() },
        gap_secs: Some(30.0),
        limit: None,
        after: None,
    }
}

fn told(visits: &Visits) -> Vec<String> {
    let told = visits.visits.iter();
    told.map(|it| format!("{} {}-{} {}", it.device_id, it.first.0.as_secs(), it.last.0.as_secs(), it.fixes))
        .collect()
}

#[tokio::test]
async fn a_visit_ends_when_nothing_is_inside_for_longer_than_the_gap() {
    let fixes = [
        fix("a", 0.0, 5.0, 5.0, None),
        fix("a", 30.0, 5.0, 5.0, None),
        // Outside for a moment is still a visit; longer is not.
        fix("a", 40.0, 50.0, 5.0, None),
        fix("a", 60.0, 10.0, 10.0, Some(1.0)),
        fix("a", 91.0, 0.0, 0.0, Some(1.0)),
        fix("b", 10.0, 10.001, 5.0, None),
        fix("c", 10.0, 1.0, 1.0, Some(2.0)),
    ];
    let hub = hub(&fixes, Vec::new()).await;
    let found = visits(&hub, &everybody(), hall(0.0, 1_000.0)).await.unwrap();
    assert_eq!(told(&found), ["a 0-60 3", "a 91-91 1", "c 10-10 1"]);
    assert_eq!(told(&visits(&hub, &only("c"), hall(0.0, 1_000.0)).await.unwrap()), ["c 10-10 1"]);
    assert_eq!(told(&visits(&hub, &everybody(), hall(50.0, 70.0)).await.unwrap()), ["a 60-60 1"]);
    let mut on_floor = hall(0.0, 1_000.0);
    on_floor.place.floors = Some(vec![1.0]);
    assert_eq!(told(&visits(&hub, &everybody(), on_floor).await.unwrap()), ["a 60-60 1", "a 91-91 1"]);
    let (mut paged, mut question) = (Vec::new(), hall(0.0, 1_000.0));
    question.limit = Some(1);
    loop {
        let page = visits(&hub, &everybody(), question.clone()).await.unwrap();
        paged.extend(told(&page));
        question.after = page.next;
        if question.after.is_none() {
            break;
        }
    }
    assert_eq!(paged, told(&found));
}

#[tokio::test]
async fn a_polygon_counts_exactly_and_not_by_its_box() {
    let hub = hub(&[fix("in", 1.0, 2.0, 1.0, None), fix("out", 1.0, 1.0, 9.0, None)], Vec::new()).await;
    let mut question = hall(0.0, 10.0);
    question.place.area = Some(Area::Polygon(vec![[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]]));
    assert_eq!(told(&visits(&hub, &everybody(), question).await.unwrap()), ["in 1-1 1"]);
}

#[tokio::test]
async fn questions_that_make_no_sense_name_the_limit() {
    let hub = hub(&[fix("a", 0.0, 5.0, 5.0, None)], Vec::new()).await;
    let mut open = hall(0.0, 1.0);
    open.range.end = None;
    let mut nowhere = hall(0.0, 1.0);
    nowhere.place.area = None;
    let mut patient = hall(0.0, 1.0);
    patient.gap_secs = Some(1e9);
    let cases = [
        (hall(0.0, 32.0 * 86_400.0), "at most 31 days"),
        (open, "until when"),
        (nowhere, "say where"),
        (patient, "86400 seconds"),
    ];
    for (question, words) in cases {
        let refused = visits(&hub, &everybody(), question).await.unwrap_err();
        assert!(refused.0.message.contains(words), "{words}: {refused:?}");
    }
    assert!(Range::new(Some(at(2.0)), Some(at(1.0))).is_err());
}

#[tokio::test]
async fn a_device_with_too_many_visits_is_refused_alone_and_put_off_among_others() {
    let mut fixes: Vec<Arc<Fix>> = vec![fix("a", 1.0, 5.0, 5.0, None)];
    fixes.extend((0..10_001).map(|i| fix("b", f64::from(i) * 10.0, 5.0, 5.0, None)));
    let hub = hub(&fixes, Vec::new()).await;
    let mut question = hall(0.0, 200_000.0);
    question.gap_secs = Some(1.0);
    let page = visits(&hub, &everybody(), question.clone()).await.unwrap();
    assert_eq!((told(&page).len(), page.next.as_deref()), (1, Some("a")));
    question.after = page.next;
    let refused = visits(&hub, &everybody(), question).await.unwrap_err();
    assert!(refused.0.message.contains("10000 visits"), "{refused:?}");
}

fn event(ordinal: u64, room: &str, devices: &[&str]) -> Record {
    Record::Event(EventRecord {
        ordinal,
        room: RoomName::parse(room).unwrap(),
        epoch: "e".into(),
        seq: ordinal,
        at: at(f64::from(u32::try_from(ordinal).unwrap())),
        devices: devices.iter().map(|device| DeviceId::parse(device).unwrap()).collect(),
        from: None,
        text: json!({ "type": "t", "payload": { "n": ordinal } }).to_string().into(),
    })
}

#[tokio::test]
async fn events_are_seen_by_who_may_see_their_room_and_all_their_devices() {
    let more = vec![
        event(1, "uwb", &["a"]),
        event(2, "uwb", &["a", "b"]),
        event(3, "dock", &[]),
        event(4, "uwb", &["b"]),
    ];
    let hub = hub(&[], more).await;
    let asked = async |principal: &Principal, room: Option<&str>| {
        let question = TrailQuestion { of: room.map(str::to_owned), ..TrailQuestion::default() };
        let page = events(&hub, principal, question).await.unwrap();
        page.events.iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    assert_eq!(asked(&everybody(), None).await, [4, 3, 2, 1]);
    assert_eq!(asked(&everybody(), Some("uwb")).await, [4, 2, 1]);
    assert_eq!(asked(&only("a"), None).await, [3, 1]);
    let in_dock = principal(Patterns::all(), Patterns::parse(&["dock".to_owned()]).unwrap());
    assert_eq!(asked(&in_dock, None).await, [3]);
    assert_eq!(asked(&in_dock, Some("uwb")).await, [0; 0]);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let question = TrailQuestion { limit: Some(1), after, ..TrailQuestion::default() };
        let page = events(&hub, &only("a"), question).await.unwrap();
        paged.extend(page.events.iter().map(|event| event.message.get().to_owned()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, [r#"{"payload":{"n":3},"type":"t"}"#, r#"{"payload":{"n":1},"type":"t"}"#]);
}

#[tokio::test]
async fn a_track_of_a_device_that_may_not_be_seen_is_of_none() {
    let hub = hub(&[fix("a", 0.0, 0.0, 0.0, None), fix("a", 1.0, 1.0, 0.0, None)], Vec::new()).await;
    let question = |device: &str, tolerance_m| TrackQuestion {
        device: DeviceId::parse(device).unwrap(),
        range: Range::default(),
        tolerance_m,
    };
    assert_eq!(track(&hub, &everybody(), question("a", None)).await.unwrap().points.len(), 2);
    for (principal, device) in [(only("b"), "a"), (everybody(), "b")] {
        assert_eq!(
            track(&hub, &principal, question(device, None)).await.unwrap_err().0.code,
            ErrorCode::NotFound
        );
    }
    let refused = track(&hub, &everybody(), question("a", Some(-1.0))).await.unwrap_err();
    assert!(refused.0.message.contains("tolerance: has to be 0 to 10000 metres"), "{refused:?}");
}

#[tokio::test]
async fn a_track_with_too_many_points_says_what_to_do() {
    let zigzag = (0..10_500).map(|i| fix("a", f64::from(i), f64::from(i), f64::from(i % 2) * 5.0, None));
    let hub = hub(&zigzag.collect::<Vec<_>>(), Vec::new()).await;
    let question = |tolerance_m| TrackQuestion {
        device: DeviceId::parse("a").unwrap(),
        range: Range::default(),
        tolerance_m: Some(tolerance_m),
    };
    let refused = track(&hub, &everybody(), question(0.1)).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::TooLarge);
    assert!(refused.0.message.contains("larger tolerance"), "{refused:?}");
    let plain = track(&hub, &everybody(), question(6.0)).await.unwrap();
    assert_eq!(plain.fixes, 10_500);
    let chunks = 10_500 / SIMPLIFIED_AT_ONCE;
    assert!(plain.points.len() <= chunks + 2, "{}", plain.points.len());
}

#[test]
fn a_way_that_gives_much_to_do_needs_little_stack() {
    // Farther and farther out, to one side and the other: each point is the farthest of those that are left.
    let out = |i: u32| {
        fix(
            "a",
            f64::from(i),
            f64::from(i),
            f64::from(i) * if i.is_multiple_of(2) { 10.0 } else { -10.0 },
            None,
        )
    };
    let fixes: Vec<Arc<Fix>> = (0..2_000).map(out).collect();
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let points = small.spawn(move || simplified(&fixes, 0.5)).unwrap().join().unwrap();
    assert_eq!(points.len(), 2_000);
}

fn simplified(fixes: &[Arc<Fix>], tolerance_m: f64) -> Vec<TrackPoint> {
    let mut simplifier = Simplifier::new(tolerance_m);
    for fix in fixes {
        simplifier.take(Arc::clone(fix));
    }
    simplifier.finish()
}

#[test]
fn a_line_ends_on_the_old_floor_and_begins_on_the_new_one() {
    let fixes = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 1.0), (4.0, 1.0), (5.0, 1.0)];
    let fixes = fixes.map(|(x, floor)| fix("a", x, x, 0.0, Some(floor)));
    let kept: Vec<i64> = simplified(&fixes, 1.0).iter().map(|point| point.timestamp.0.as_secs()).collect();
    assert_eq!(kept, [0, 2, 3, 5]);
}

#[test]
fn one_and_two_and_no_fixes_are_kept_as_they_are() {
    let same = [fix("a", 0.0, 0.0, 0.0, None), fix("a", 1.0, 0.0, 0.0, None)];
    assert_eq!(simplified(&[], 1.0).len(), 0);
    assert_eq!(simplified(&same[..1], 1.0).len(), 1);
    assert_eq!(simplified(&same, 1.0).len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_fix_is_farther_from_the_line_than_the_tolerance(
        steps in proptest::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 3..9_000),
        tolerance_m in 0.1..5.0_f64,
    ) {
        let (mut x, mut y) = (0.0, 0.0);
        let fixes: Vec<Arc<Fix>> = steps.iter().enumerate().map(|(i, (dx, dy))| {
            x += dx;
            y += dy;
            fix("a", f64::from(u32::try_from(i).unwrap()), x, y, None)
        }).collect();
        let points = simplified(&fixes, tolerance_m);
        prop_assert_eq!(points.first().unwrap().timestamp.0, fixes.first().unwrap().taken_at);
        prop_assert_eq!(points.last().unwrap().timestamp.0, fixes.last().unwrap().taken_at);
        let mut rest = fixes.iter().peekable();
        for pair in points.windows(2) {
            let [from, to] = pair else { unreachable!() };
            prop_assert!(from.timestamp < to.timestamp);
            let place = |it: &TrackPoint| Point::new(it.location.x.0, it.location.y.0);
            let line = Line::new(place(from), place(to));
            while let Some(fix) = rest.next_if(|fix| fix.taken_at <= to.timestamp.0) {
                let point = Point::new(fix.position.x_m(), fix.position.y_m());
                prop_assert!(Euclidean.distance(&point, &line) <= tolerance_m + 1e-9);
            }
        }
        prop_assert!(rest.next().is_none());
    }
}

fn density_of(device: Option<&str>, range: (f64, f64), buckets: usize) -> DensityQuestion {
    DensityQuestion {
        range: Range::new(Some(at(range.0)), Some(at(range.1))).unwrap(),
        buckets: Some(buckets),
        device: device.map(|it| DeviceId::parse(it).unwrap()),
        devices: None,
    }
}

#[tokio::test]
async fn a_density_counts_each_fix_once_and_those_of_others_never() {
    let mut fixes: Vec<Arc<Fix>> =
        (0..2_500).map(|i| fix("a", f64::from(i) / 100.0, 0.0, 0.0, None)).collect();
    fixes.extend([
        fix("b", 0.0, 0.0, 0.0, None),
        fix("b", 25.0, 0.0, 0.0, None),
        fix("b", 26.0, 0.0, 0.0, None),
    ]);
    let hub = hub(&fixes, Vec::new()).await;
    let all = density(&hub, &everybody(), density_of(None, (0.0, 25.0), 5)).await.unwrap();
    assert_eq!(all.counts, [501, 500, 500, 500, 501], "its ends are part of it");
    assert_eq!((all.is_estimate, all.devices, all.bucket_secs), (false, 2, 5.0));
    let mine = density(&hub, &only("b"), density_of(None, (0.0, 25.0), 5)).await.unwrap();
    assert_eq!((mine.counts, mine.devices), (vec![1, 0, 0, 0, 1], 1));
    let one = density(&hub, &everybody(), density_of(Some("b"), (20.0, 30.0), 2)).await.unwrap();
    assert_eq!(one.counts, [0, 2]);
    let refused = density(&hub, &only("b"), density_of(Some("a"), (0.0, 25.0), 5)).await.unwrap_err();
    assert_eq!(refused.0.code.as_str(), "not_found");
    for (range, buckets, code) in [
        ((0.0, 25.0), 0, "out_of_range"),
        ((0.0, 25.0), 1_001, "out_of_range"),
        ((1.0, 1.0), 1, "invalid_payload"),
    ] {
        let refused = density(&hub, &everybody(), density_of(None, range, buckets)).await.unwrap_err();
        assert_eq!(refused.0.code.as_str(), code, "{range:?} {buckets}");
    }
    let endless = DensityQuestion { range: Range::default(), buckets: None, device: None, devices: None };
    assert_eq!(density(&hub, &everybody(), endless).await.unwrap_err().0.code.as_str(), "invalid_payload");
}

#[tokio::test]
async fn a_density_is_of_the_devices_that_are_named_and_of_none_beside_them() {
    let fixes = ["tag-1", "tag-2", "car-1"].map(|device| fix(device, 5.0, 0.0, 0.0, None));
    let hub = hub(&fixes, Vec::new()).await;
    let of = |texts: &[&str]| DensityQuestion {
        devices: Some(texts.iter().map(|&text| text.to_owned()).collect()),
        ..density_of(None, (0.0, 10.0), 1)
    };
    for (texts, count) in
        [(&["tag-1"][..], 1), (&["tag-*"], 2), (&["tag-*", "car-1"], 3), (&["tag-1", "tag-1"], 1), (&[], 0)]
    {
        assert_eq!(density(&hub, &everybody(), of(texts)).await.unwrap().counts, [count], "{texts:?}");
    }
    assert_eq!(density(&hub, &only("car-1"), of(&["tag-*"])).await.unwrap().counts, [0]);
    let refused = density(&hub, &only("car-1"), of(&["tag-1"])).await.unwrap_err();
    assert_eq!(refused.0.code.as_str(), "not_found");
    let both = DensityQuestion { device: Some(DeviceId::parse("tag-1").unwrap()), ..of(&["tag-2"]) };
    assert!(density(&hub, &everybody(), both).await.unwrap_err().0.message.contains("not both"));
}

#[tokio::test]
async fn a_density_of_too_many_fixes_is_an_estimate_that_is_near_and_says_so() {
    // Half of the time nothing; 30 devices at 10 Hz.
    let mut fixes = Vec::new();
    for device in 0..30 {
        for i in (0..8_000).filter(|i| (i / 1_000) % 2 == 0) {
            fixes.push(fix(&format!("tag-{device}"), f64::from(i) / 10.0, 0.0, 0.0, None));
        }
    }
    let hub = hub(&fixes, Vec::new()).await;
    let all = density(&hub, &everybody(), density_of(None, (0.0, 799.999), 80)).await.unwrap();
    assert!(all.is_estimate && all.devices == 30 && all.devices_looked_at == 25, "{all:?}");
    for (index, count) in all.counts.iter().enumerate() {
        let expected = if (index / 10) % 2 == 0 { 2_700..=3_300 } else { 0..=60 };
        assert!(expected.contains(count), "{index}: {count}, {:?}", all.counts);
    }
}
