use tokio::sync::oneshot;

use super::*;

struct Held {
    contents: watch::Receiver<ViewContents>,
    opened: oneshot::Receiver<Result<(), AskError>>,
}

fn add(views: &mut Views, key: u64, wanted: Value) -> Held {
    let (contents, shown) = watch::channel(ViewContents::default());
    let (done, opened) = oneshot::channel();
    let Value::Object(wanted) = wanted else { panic!("an object") };
    views.add(
        key,
        Kept { wanted, contents, opened: Some(done), is_asked: false, is_changed: false, place: None },
    );
    Held { contents: shown, opened }
}

fn message(text: &Value) -> Envelope {
    Envelope::parse(text.to_string()).unwrap()
}

fn answer(name: &str, epoch: &str, seq: u64) -> Envelope {
    let payload = json!({ "subscription": name, "epoch": epoch, "seq": seq });
    message(&json!({ "type": "subscribed", "payload": payload }))
}

fn snapshot(name: &str, ids: &[&str]) -> Envelope {
    page(name, ids, 1)
}

/// The first of some pages.
fn page(name: &str, ids: &[&str], pages: u32) -> Envelope {
    let complete = pages == 1;
    let devices: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "location": null })).collect();
    let payload = json!({ "subscription": name, "devices": devices, "page": 1, "complete": complete });
    message(&json!({ "type": "view.snapshot", "payload": payload }))
}

#[test]
fn a_view_opens_with_its_snapshot_and_is_asked_for_anew_with_its_devices_kept() {
    let mut views = Views::default();
    let mut held = add(&mut views, 1, json!({ "mode": "columns" }));
    assert_eq!(views.missing(), [1]);
    assert_eq!(views.ask(1), Some(json!({ "mode": "columns" })));
    assert!(views.missing().is_empty(), "it is on its way");
    assert_eq!(views.subscribed(1, &answer("s1", "e", 4)), ViewHeard::default());
    assert!(held.opened.try_recv().is_err(), "not before the snapshot");
    views.hear(&page("s1", &["a"], 2));
    assert!(held.opened.try_recv().is_err(), "not before all of it");
    views.hear(&snapshot("s2", &["b"]));
    views.hear(&snapshot("s1", &["a"]));
    assert_eq!(held.opened.try_recv().unwrap(), Ok(()));
    views.lose();
    {
        let contents = held.contents.borrow();
        assert!(contents.devices.contains_key("a") && !contents.is_live);
    }
    assert_eq!(views.missing(), [1]);
    views.hear(&snapshot("s1", &["old"]));
    assert!(!held.contents.borrow().is_live, "names of the old connection mean nothing");
    assert_eq!(views.ask(1), Some(json!({ "mode": "columns" })), "the lane of the newest needs no `since`");
}

#[test]
fn the_lane_of_all_fixes_goes_on_where_it_was_and_says_what_is_missing() {
    let gap = |epoch: &str, seqs| Some(Gap { of: GapOf::View(1), epoch: epoch.to_owned(), seqs });
    let mut views = Views::default();
    let mut held = add(&mut views, 1, json!({ "lane": "every", "snapshot": false }));
    views.ask(1);
    views.subscribed(1, &answer("s1", "e", 4));
    assert_eq!(held.opened.try_recv().unwrap(), Ok(()), "it has no snapshot");
    views.hear(&message(
        &json!({ "type": "uwb.location", "subscription": "s1", "epoch": "e", "seq": 6, "payload": {
        "device_id": "a", "location": { "x": 0, "y": 0, "z": 0 } } }),
    ));
    views.lose();
    let since = |epoch: &str, seq: u64| json!({ "lane": "every", "since": { "epoch": epoch, "seq": seq } });
    assert_eq!(views.ask(1), Some(since("e", 6)));
    assert_eq!(views.subscribed(1, &answer("s1", "e", 9)).gap, None, "the server says which");
    let lost = json!({ "subscription": "s1", "epoch": "e", "from_seq": 7, "to_seq": 9 });
    let heard = views.hear(&message(&json!({ "type": "view.gap", "payload": lost })));
    assert_eq!(heard.gap, gap("e", Some((7, 9))));
    views.lose();
    assert_eq!(views.ask(1), Some(since("e", 9)));
    assert_eq!(views.subscribed(1, &answer("s1", "f", 2)).gap, gap("f", None));
    views.lose();
    assert_eq!(views.ask(1), Some(since("f", 2)));
}

#[test]
fn who_waits_hears_of_refusals_and_of_a_lost_connection() {
    let refused = |retryable| {
        let (code, message) = ("some".to_owned(), String::new());
        AskError::Refused(crate::ServerError {
            code,
            message,
            retryable,
            retry_after_ms: None,
            details: None,
        })
    };
    let mut views = Views::default();
    let mut first = add(&mut views, 1, json!({}));
    views.ask(1);
    assert!(!views.refused(1, &refused(true)), "who waited was told");
    assert_eq!(first.opened.try_recv().unwrap(), Err(refused(true)));
    let mut asked = add(&mut views, 2, json!({}));
    let mut waits = add(&mut views, 3, json!({}));
    let _open = {
        let held = add(&mut views, 4, json!({ "snapshot": false }));
        views.ask(4);
        views.subscribed(4, &answer("s4", "e", 0));
        held
    };
    views.ask(2);
    views.lose();
    assert_eq!(asked.opened.try_recv().unwrap(), Err(AskError::Disconnected));
    assert!(waits.opened.try_recv().is_err());
    assert_eq!(views.missing(), [3, 4]);
    assert!(views.refused(4, &refused(true)), "it was open, and is asked for again");
    views.end(&AskError::Closed);
    assert_eq!(waits.opened.try_recv().unwrap(), Err(AskError::Closed));
    assert_eq!(views.missing(), [4]);
    assert!(!views.refused(4, &refused(false)));
    assert!(views.missing().is_empty());
}

#[test]
fn what_nobody_holds_is_ended_and_what_is_changed_is_asked_for_as_it_is_now() {
    let mut views = Views::default();
    let held = add(&mut views, 1, json!({ "max_rate_hz": 5, "mode": "batch" }));
    views.ask(1);
    views.subscribed(1, &answer("s1", "e", 0));
    let Value::Object(change) = json!({ "max_rate_hz": null, "min_move_m": 1 }) else { panic!("an object") };
    views.change(1, change);
    assert_eq!(views.ask(1), Some(json!({ "mode": "batch", "min_move_m": 1 })));
    drop(held);
    let heard = views.hear(&snapshot("s1", &[]));
    assert_eq!(heard.unwanted.as_deref(), Some("s1"));
    assert_eq!(views.ask(1), None);
    assert_eq!(views.subscribed(1, &answer("s2", "e", 0)).unwanted.as_deref(), Some("s2"));
}

#[test]
fn a_hundred_views_are_held_and_no_more() {
    let mut views = Views::default();
    let _held: Vec<Held> = (0..100).map(|key| add(&mut views, key, json!({}))).collect();
    assert_eq!(add(&mut views, 100, json!({})).opened.try_recv().unwrap(), Err(AskError::QueueFull));
}
