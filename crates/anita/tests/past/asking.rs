//! Tracks, snapshots, visits, events and the audit trail.

use serde_json::{Value, json};

use crate::house::{House, MEMORY, SQLITE, at, item, token, token_for};

#[tokio::test(flavor = "multi_thread")]
async fn every_question_is_answered_within_the_rights() {
    for storage in [MEMORY, SQLITE] {
        let house = House::open(storage).await;
        let mut items: Vec<Value> =
            (0..100_u32).map(|i| item("tag-1", f64::from(i), f64::from(i), 5.0)).collect();
        items.push(item("tag-2", 10.0, 50.0, 50.0));
        items.push(item("tag-3", 20.0, 9.0, 9.0));
        house.report(&items).await;
        let (viewer, narrow) = (token("viewer"), token_for("viewer", "tag-[23]"));
        track_is_two_points(&house, &viewer).await;
        snapshot_is_of_its_moment(&house, &viewer, &narrow).await;
        visits_are_found(&house, &viewer, &narrow).await;
        density_is_counted(&house, &viewer, &narrow).await;
        house.running.stop().await.unwrap();
    }
}

async fn track_is_two_points(house: &House, viewer: &str) {
    let path = format!("/api/v1/history/tag-1/track?end_time={}", at(50.0));
    let track = house.get(&path, viewer).await.json();
    assert_eq!((&track["fixes"], &track["tolerance"]), (&json!(51), &json!(0.25)));
    let point = |secs: f64| json!({ "timestamp": at(secs), "location": { "x": secs, "y": 5.0, "z": 1.5 } });
    assert_eq!(track["points"], json!([point(0.0), point(50.0)]));
}

async fn snapshot_is_of_its_moment(house: &House, viewer: &str, narrow: &str) {
    let ids = |answer: &Value| {
        let devices = answer["devices"].as_array().unwrap();
        devices.iter().map(|it| it["device_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let moment = at(15.5);
    let all = house.get(&format!("/api/v1/snapshot?at={moment}"), viewer).await.json();
    assert_eq!(ids(&all), ["tag-1", "tag-2"]);
    assert_eq!(all["devices"][0]["location"], json!({ "x": 15.0, "y": 5.0, "z": 1.5 }));
    let young = house.get(&format!("/api/v1/snapshot?at={moment}&max_age_secs=2"), viewer).await.json();
    assert_eq!(ids(&young), ["tag-1"]);
    let first = house.get(&format!("/api/v1/snapshot?at={moment}&limit=1"), viewer).await.json();
    assert_eq!((ids(&first), &first["next"]), (vec!["tag-1".to_owned()], &json!("tag-1")));
    let second = house.get(&format!("/api/v1/snapshot?at={moment}&limit=1&after=tag-1"), viewer).await.json();
    assert_eq!(ids(&second), ["tag-2"]);
    let some = house.get(&format!("/api/v1/snapshot?at={moment}"), narrow).await.json();
    assert_eq!(ids(&some), ["tag-2"]);
}

async fn density_is_counted(house: &House, viewer: &str, narrow: &str) {
    let path = format!("/api/v1/density?start_time={}&end_time={}&buckets=4", at(0.0), at(40.0));
    let all = house.get(&path, viewer).await.json();
    assert_eq!(all["counts"], json!([10, 11, 11, 11]), "its end is part of it");
    assert_eq!(
        (&all["is_estimate"], &all["bucket_secs"], &all["devices"]),
        (&json!(false), &json!(10.0), &json!(3))
    );
    assert_eq!(house.get(&path, narrow).await.json()["counts"], json!([0, 1, 1, 0]));
    let one = house.get(&format!("{path}&device_id=tag-3"), narrow).await.json();
    assert_eq!((&one["counts"], &one["devices"]), (&json!([0, 0, 1, 0]), &json!(1)));
    let some = house.get(&format!("{path}&devices=tag-1,tag-3"), viewer).await.json();
    assert_eq!((&some["counts"], &some["devices"]), (&json!([10, 10, 11, 11]), &json!(2)));
    for (path, status) in [
        (format!("{path}&devices=tag-1"), 404),
        (format!("{path}&device_id=tag-3&devices=tag-3"), 400),
        (format!("{path}&device_id=tag-1"), 404),
        ("/api/v1/density".to_owned(), 400),
        (path.replace("buckets=4", "buckets=1001"), 422),
        (path.replace("buckets=4", "buckets=x"), 400),
    ] {
        assert_eq!(house.get(&path, narrow).await.status, status, "{path}");
    }
}

async fn visits_are_found(house: &House, viewer: &str, narrow: &str) {
    let range = format!("start_time={}&end_time={}", at(0.0), at(1_000.0));
    let circle = "%7B%22circle%22%3A%7B%22x%22%3A20%2C%22y%22%3A5%2C%22radius_m%22%3A3%7D%7D";
    let by_area = house.get(&format!("/api/v1/visits?{range}&area={circle}"), viewer).await.json();
    let visit = |device: &str, first: f64, last: f64, fixes: u32| json!({ "device_id": device, "first": at(first), "last": at(last), "fixes": fixes });
    assert_eq!(by_area["visits"], json!([visit("tag-1", 17.0, 23.0, 7)]));
    let by_zone = house.get(&format!("/api/v1/visits?{range}&zone=dock"), viewer).await.json();
    assert_eq!(by_zone["visits"][1], visit("tag-3", 20.0, 20.0, 1));
    assert_eq!(by_zone["visits"].as_array().unwrap().len(), 2);
    let seen = house.get(&format!("/api/v1/visits?{range}&zone=dock"), narrow).await.json();
    assert_eq!(seen["visits"], json!([visit("tag-3", 20.0, 20.0, 1)]));
    let upstairs = house.get(&format!("/api/v1/visits?{range}&zone=dock&floor=1"), viewer).await.json();
    assert_eq!(upstairs["visits"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_the_audit_trail_are_told_to_whom_they_may_be() {
    let house = House::open(MEMORY).await;
    house.report(&[item("tag-1", 0.0, 1.0, 1.0), item("tag-2", 0.0, 90.0, 90.0)]).await;
    let are_told = |events: &Value| events["events"].as_array().is_some_and(|events| events.len() >= 2);
    let events = house.until("/api/v1/events?room=uwb", &token("viewer"), are_told).await;
    let told: Vec<&Value> =
        events["events"].as_array().unwrap().iter().map(|it| &it["message"]["type"]).collect();
    assert_eq!(told, [&json!("device.status"), &json!("device.status")], "{events}");
    let seen = house.get("/api/v1/events", &token_for("viewer", "tag-2")).await.json();
    assert_eq!(seen["events"].as_array().unwrap().len(), 1);
    assert_eq!(seen["events"][0]["devices"], json!(["tag-2"]));
    assert_eq!(seen["events"][0]["message"]["payload"]["device_id"], "tag-2");

    assert_eq!(house.get("/api/v1/audit", &token("operator")).await.status, 403);
    // The trail names all devices: it is not for a token that may not see them.
    let narrowed = house.get("/api/v1/audit", &token_for("admin", "tag-2")).await;
    assert_eq!(narrowed.status, 403);
    let admin = token("admin");
    house.get("/api/v1/history?format=csv", &token("viewer")).await;
    let told = |trail: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let entries = trail["entries"].as_array().unwrap().iter();
        entries.map(|entry| (text(&entry["action"]), text(&entry["outcome"]))).collect()
    };
    // Each look leaves an entry, too.
    let is_look = |(action, outcome): &(String, String)| action == "read audit trail" && outcome == "done";
    let looks = |trail: &Value| told(trail).iter().take_while(|entry| is_look(entry)).count();
    let is_told = |trail: &Value| looks(trail) >= 2 && told(trail).len() >= looks(trail) + 4;
    let trail = house.until("/api/v1/audit", &admin, is_told).await;
    let expected = [
        ("export history", "begun"),
        ("read audit trail", "forbidden"),
        ("GET /api/v1/audit", "forbidden"),
        ("start server", "done"),
    ];
    let expected = expected.map(|(action, outcome)| (action.to_owned(), outcome.to_owned()));
    assert_eq!(told(&trail)[looks(&trail)..], expected);
    let of_one = house.get("/api/v1/audit?subject=operator%20of%20all", &admin).await.json();
    assert_eq!(of_one["entries"].as_array().unwrap().len(), 1);
    let first = house.get("/api/v1/audit?limit=1", &admin).await.json();
    let next = first["next"].as_str().unwrap();
    let second = house.get(&format!("/api/v1/audit?limit=1&after={next}"), &admin).await.json();
    assert_eq!(second["entries"][0]["action"], "read audit trail");
    let of_some = async |query: &str| house.get(&format!("/api/v1/audit?{query}"), &admin).await.json();
    let refused = of_some("outcome=forbidden").await;
    assert_eq!(refused["entries"].as_array().unwrap().len(), 2, "{refused}");
    let exports = of_some("action=export%20history&outcome=begun").await;
    assert_eq!(exports["entries"].as_array().unwrap().len(), 1, "{exports}");
    assert_eq!(of_some("action=export%20history&outcome=done").await["entries"], json!([]));
    // The limit bounds what is looked at: a page without any, and the way to the next one.
    let looked = of_some("action=start%20server&limit=1").await;
    assert_eq!((&looked["entries"], looked["next"].is_string()), (&json!([]), true));
}
