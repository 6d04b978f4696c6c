//! Floor plans.

use std::sync::Arc;

use anita_model::{PlanId, SiteName};

use super::make::{at, done};
use super::{ENDS, End, Fixture, again};
use crate::plan::{Calibration, Pair, Picture, PictureBytes, PictureChange, PictureKind, Plan, Point};
use crate::port::Store;
use crate::retention::{KindLimits, Retention};

fn plan(id: &str, revision: u64) -> Plan {
    Plan {
        id: PlanId::parse(id).unwrap(),
        name: format!("the plan {id}"),
        site: SiteName::main(),
        floor: None,
        opacity: 1.0,
        calibration: None,
        picture: None,
        revision,
        updated_at: at(1),
        updated_by: "alice".to_owned(),
    }
}

fn pictured(id: &str, revision: u64, kind: PictureKind, bytes: &PictureBytes) -> Plan {
    let picture = Picture { kind, width_px: 640.0, height_px: 480.25, bytes: bytes.len() as u64, revision };
    Plan { picture: Some(picture), ..plan(id, revision) }
}

/// Every byte there is, in an order that is no pattern, with the end that text would not have.
fn bytes(length: usize, seed: u64) -> PictureBytes {
    let mut state = seed | 1;
    let next = |_place| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..length).map(next).collect()
}

fn corners() -> Calibration {
    let pair = |pixel: (f64, f64), metres: (f64, f64)| Pair {
        pixel: Point { x: pixel.0, y: pixel.1 },
        metres: Point { x: metres.0, y: metres.1 },
    };
    Calibration::new([pair((0.1, 480.25), (-1.0 / 3.0, 0.0)), pair((640.0, -0.0), (31.999_999, 1e-7))])
        .unwrap()
}

async fn save(store: &Arc<dyn Store>, plan: &Plan, picture: PictureChange) {
    done(store.plans().save(plan.clone(), picture).await);
}

async fn list(store: &Arc<dyn Store>) -> Vec<Plan> {
    done(store.plans().list().await)
}

async fn picture(store: &Arc<dyn Store>, id: &str) -> Option<(Picture, PictureBytes)> {
    done(store.plans().picture(PlanId::parse(id).unwrap()).await)
}

async fn remove(store: &Arc<dyn Store>, id: &str) {
    done(store.plans().remove(PlanId::parse(id).unwrap()).await);
}

/// Every field, every kind of picture and every byte, in the order of the ids' bytes, after every end.
pub async fn plans_come_back_whole(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    assert_eq!(list(&store).await, []);
    assert_eq!(picture(&store, "nothing").await, None);
    let mut expected: Vec<(Plan, PictureBytes)> = Vec::new();
    let ids = ["ground", "B", "a_1", "A-2"];
    for ((number, id), kind) in (1_u64..).zip(ids).zip(PictureKind::ALL) {
        let bytes = bytes(50_000, number);
        expected.push((pictured(id, number << 50, kind, &bytes), bytes));
    }
    let [ground, unplaced, attic, _plain] = &mut expected[..] else { panic!("there are four") };
    ground.0.floor = Some(-1.5);
    ground.0.calibration = Some(corners());
    ground.0.opacity = 0.1;
    unplaced.0.site = SiteName::parse("hall/2").unwrap();
    "with 'quotes', \"more\", \\ and 😀".clone_into(&mut unplaced.0.name);
    attic.0.floor = Some(0.0);
    attic.0.updated_by = String::new();
    for (plan, bytes) in &expected {
        save(&store, plan, PictureChange::Replaced(Arc::clone(bytes))).await;
    }
    expected.sort_by(|a, b| a.0.id.cmp(&b.0.id));
    for end in ENDS {
        store = again(fixture, store, end).await;
        let plans: Vec<Plan> = expected.iter().map(|(plan, _bytes)| plan.clone()).collect();
        assert_eq!(list(&store).await, plans);
        for (plan, bytes) in &expected {
            let found = picture(&store, plan.id.as_str()).await;
            assert!(found == plan.picture.map(|it| (it, Arc::clone(bytes))), "{}", plan.id);
        }
    }
}

/// What is changed is changed whole; a picture stays until it is replaced or the plan says that there is none.
pub async fn a_changed_plan_keeps_its_picture_until_that_is_replaced(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let (first, second) = (bytes(9_000, 1), bytes(20, 2));
    save(&store, &plan("hall", 1), PictureChange::Stays).await;
    assert_eq!((list(&store).await, picture(&store, "hall").await), (vec![plan("hall", 1)], None));
    let drawn = pictured("hall", 2, PictureKind::Png, &first);
    save(&store, &drawn, PictureChange::Replaced(Arc::clone(&first))).await;
    let placed = Plan { calibration: Some(corners()), floor: Some(2.0), revision: 3, ..drawn.clone() };
    save(&store, &placed, PictureChange::Stays).await;
    for end in ENDS {
        store = again(fixture, store, end).await;
        assert_eq!(list(&store).await, std::slice::from_ref(&placed));
        assert_eq!(picture(&store, "hall").await, drawn.picture.map(|it| (it, Arc::clone(&first))));
    }
    let anew = pictured("hall", 4, PictureKind::Svg, &second);
    save(&store, &anew, PictureChange::Replaced(Arc::clone(&second))).await;
    store = again(fixture, store, End::Dropped).await;
    assert_eq!(list(&store).await, std::slice::from_ref(&anew));
    assert_eq!(picture(&store, "hall").await, anew.picture.map(|it| (it, second)));
    save(&store, &plan("hall", 5), PictureChange::Stays).await;
    let store = again(fixture, store, End::Dropped).await;
    assert_eq!((list(&store).await, picture(&store, "hall").await), (vec![plan("hall", 5)], None));
}

/// Removing takes the picture along, and what is made anew begins without one.
pub async fn a_removed_plan_is_gone_with_its_picture(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let drawing = bytes(3_000, 3);
    for (id, revision) in [("a", 1), ("b", 2)] {
        let plan = pictured(id, revision, PictureKind::Webp, &drawing);
        save(&store, &plan, PictureChange::Replaced(Arc::clone(&drawing))).await;
    }
    remove(&store, "a").await;
    remove(&store, "nothing").await;
    for end in ENDS {
        store = again(fixture, store, end).await;
        assert_eq!(list(&store).await, [pictured("b", 2, PictureKind::Webp, &drawing)]);
        assert_eq!(picture(&store, "a").await, None);
    }
    save(&store, &plan("a", 3), PictureChange::Stays).await;
    assert_eq!(picture(&store, "a").await, None);
    assert_eq!(done(store.usage().await).plans.count, 2);
}

/// A picture of many megabytes is a value like any other, counts, and outlives the retention of all else.
pub async fn a_large_picture_is_kept_counted_and_never_tidied(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let drawing = bytes(6 << 20, 4);
    let plan = pictured("large", 1, PictureKind::Jpeg, &drawing);
    save(&store, &plan, PictureChange::Replaced(Arc::clone(&drawing))).await;
    let none = KindLimits { age_max: Some(std::time::Duration::ZERO), bytes_max: Some(0) };
    let nothing = Retention { fixes: none, events: none, audit: none, ..Retention::default() };
    super::make::tidy(&store, &nothing, at(1_000_000)).await;
    let plans = done(store.usage().await).plans;
    assert!(plans.count == 1 && plans.bytes == 6 << 20, "{plans:?}");
    let store = again(fixture, store, End::Dropped).await;
    let found = picture(&store, "large").await;
    assert!(found == plan.picture.map(|it| (it, drawing)), "the bytes are others");
}
