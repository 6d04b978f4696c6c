//! Everything as a file.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::house::{House, MEMORY, PATIENCE, SQLITE, at, item, token, token_for};

/// Three devices, some fixes each.
async fn furnished(storage: &str) -> House {
    let house = House::open(storage).await;
    let mut items = Vec::new();
    for i in 0..2_500_u32 {
        items.push(item("tag-1", f64::from(i), f64::from(i) / 8.0, 2.0));
    }
    for i in 0..10_u32 {
        items.push(item("tag-2", f64::from(i), 1.0, f64::from(i)));
        items.push(item("cart, \"7\"", f64::from(i), -1.25, 0.5));
    }
    house.report(&items).await;
    house
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Device and time of each line.
fn keys(lines: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines.iter().map(|line| (text(&line["device_id"]), text(&line["timestamp"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_through_everything_is_the_same_as_one_export() {
    for storage in [MEMORY, SQLITE] {
        let house = furnished(storage).await;
        let viewer = token("viewer");
        let export = house.get("/api/v1/history/tag-1?format=ndjson", &viewer).await;
        assert_eq!(export.status, 200);
        assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(export.header("content-disposition"), Some("attachment; filename=\"anita-tag-1.ndjson\""));
        let exported = lines(export.text());
        assert_eq!(exported.len(), 2_500);
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            let page = house.get(&format!("/api/v1/history/tag-1?limit=900{after}"), &viewer).await.json();
            paged.extend(page["history"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        paged.reverse();
        let of_exports: Vec<Value> = exported
            .into_iter()
            .map(|mut line| {
                assert_eq!(line.as_object_mut().unwrap().remove("device_id").unwrap(), "tag-1");
                line
            })
            .collect();
        assert_eq!(paged, of_exports);
        house.running.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_device_by_device_and_knows_its_range() {
    let house = furnished(MEMORY).await;
    let viewer = token("viewer");
    let all = house.get("/api/v1/history?format=ndjson", &viewer).await;
    let found = keys(&lines(all.text()));
    assert_eq!(found.len(), 2_520);
    assert!(found.is_sorted());
    let ids: BTreeSet<&str> = found.iter().map(|(id, _time)| id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["cart, \"7\"", "tag-1", "tag-2"]));
    let path = format!("/api/v1/history?format=csv&start_time={}&end_time={}", at(3.0), at(4.0));
    let some = house.get(&path, &viewer).await;
    assert_eq!(some.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(
        some.header("content-disposition"),
        Some("attachment; filename=\"anita-history-from-20260301T120003Z-to-20260301T120004Z.csv\"")
    );
    assert_eq!(some.text().lines().count(), 1 + 6);
    assert!(some.text().contains("\"cart, \"\"7\"\"\",2026-03-01T12:00:03.000000Z"), "{}", some.text());
    for (devices, count) in [("tag-2", 10), ("tag-*", 2_510), ("tag-1,tag-2", 2_510), ("%5Btc%5Da*", 2_520)] {
        let path = format!("/api/v1/history?format=ndjson&devices={devices}");
        assert_eq!(house.get(&path, &viewer).await.text().lines().count(), count, "{devices}");
    }
    let thinned = house.get("/api/v1/history?format=ndjson&devices=tag-2&every_secs=4", &viewer).await;
    let times: Vec<String> = keys(&lines(thinned.text())).into_iter().map(|(_id, time)| time).collect();
    assert_eq!(times, [0.0, 4.0, 8.0].map(at), "tag-2 reports ten times, once a second");
    let of_one = house.get("/api/v1/history/tag-2?format=csv&every_secs=4", &viewer).await;
    assert_eq!(of_one.text().lines().count(), 1 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_exports_what_it_may_see_and_the_rest_is_not_there() {
    let house = furnished(MEMORY).await;
    let narrow = token_for("viewer", "tag-2");
    let all = house.get("/api/v1/history?format=ndjson", &narrow).await;
    assert_eq!(all.text().lines().count(), 10);
    assert!(keys(&lines(all.text())).iter().all(|(id, _time)| id == "tag-2"));
    let patterns = house.get("/api/v1/history?format=ndjson&devices=*", &narrow).await;
    assert_eq!(patterns.text(), all.text());
    for path in [
        "/api/v1/history/tag-1?format=csv",
        "/api/v1/history?format=csv&devices=tag-1,tag-2",
        "/api/v1/history/tag-1",
        "/api/v1/history/tag-1/track",
        "/api/v1/history/nobody?format=csv",
    ] {
        let refused = house.get(path, &narrow).await;
        assert_eq!((refused.status, &refused.json()["code"]), (404, &json!("not_found")), "{path}");
    }
    for path in [
        "/api/v1/history?format=csv",
        "/api/v1/history/tag-1/track",
        &format!("/api/v1/snapshot?at={}", at(1.0)),
        "/api/v1/visits",
        "/api/v1/events",
    ] {
        let refused = house.get(path, &token("publisher")).await;
        assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_export_is_the_same() {
    let house = furnished(MEMORY).await;
    let viewer = token("viewer");
    for format in ["csv", "ndjson", "geojson"] {
        let path = format!("/api/v1/history?format={format}");
        let plain = house.get(&path, &viewer).await;
        let gzip = house.http("GET", &path, &viewer, "accept-encoding: br, gzip\r\n", "").await;
        assert_eq!((plain.header("content-encoding"), gzip.header("content-encoding")), (None, Some("gzip")));
        assert_eq!(gzip.header("vary"), Some("accept-encoding"));
        assert_eq!(gzip.inflated(), plain.text());
        if format == "geojson" {
            assert_eq!(plain.json()["features"].as_array().unwrap().len(), 2_520);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_explained() {
    let house = furnished(MEMORY).await;
    let viewer = token("viewer");
    let cases = [
        ("/api/v1/history", 400, "csv, ndjson or geojson"),
        ("/api/v1/history?format=xml", 400, "one of csv, ndjson, geojson"),
        ("/api/v1/history/tag-1?format=xml", 400, "one of json, csv, ndjson, geojson"),
        ("/api/v1/history/tag-1?format=csv&limit=5", 400, "no pages"),
        ("/api/v1/history?format=csv&start_time=yesterday", 400, "start_time: not a time"),
        (
            "/api/v1/history?format=csv&start_time=2026-03-02T00:00:00Z&end_time=2026-03-01T00:00:00Z",
            400,
            "after end_time",
        ),
        ("/api/v1/history?format=csv&devices=%7Ba", 400, "not a glob"),
        ("/api/v1/history?format=csv&every_secs=-1", 400, "seconds, 0 or more"),
        ("/api/v1/history/tag-1?every_secs=4", 400, "thins exports"),
        ("/api/v1/snapshot", 400, "at which moment"),
        ("/api/v1/snapshot?at=2026-03-01T12:00:00Z&limit=0", 422, "1 to 1000"),
        ("/api/v1/history/tag-1/track?tolerance=wide", 400, "not a number"),
        ("/api/v1/history/tag-1/track?tolerance=-1", 422, "0 to 10000 metres"),
        (
            "/api/v1/visits?area=%7B%7D&start_time=2026-03-01T12:00:00Z&end_time=2026-03-01T13:00:00Z",
            400,
            "one of `polygon`",
        ),
        (
            "/api/v1/visits?zone=nowhere&start_time=2026-03-01T12:00:00Z&end_time=2026-03-01T13:00:00Z",
            404,
            "there are: dock",
        ),
        (
            "/api/v1/visits?zone=dock&start_time=2026-01-01T12:00:00Z&end_time=2026-03-01T13:00:00Z",
            422,
            "at most 31 days",
        ),
        ("/api/v1/events?after=x", 400, "`next` of a page"),
        ("/api/v1/events?room=a%20b", 400, "room:"),
    ];
    for (path, status, words) in cases {
        let refused = house.get(path, &viewer).await;
        let problem = refused.json();
        assert_eq!(refused.status, status, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{path}: {problem}");
        assert!(problem["remedy"].is_string() && refused.head.contains("problem+json"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_fixes_stream_and_no_client_holds_more_places_than_it_may() {
    let house = House::open(MEMORY).await;
    let items: Vec<Value> =
        (0..200_000_u32).map(|i| item("tag-1", f64::from(i) / 10.0, f64::from(i % 1_000), 1.0)).collect();
    house.report(&items).await;
    let viewer = token("viewer");
    let all = house.get("/api/v1/history/tag-1?format=csv", &viewer).await;
    assert_eq!(all.text().lines().count(), 200_001);

    // Clients that take nothing: what they are sent does not fit into the buffers on the way.
    let mut silent = Vec::new();
    for _client in 0..4 {
        let mut stream = house.send("GET", "/api/v1/history?format=ndjson", &viewer, "", "").await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        silent.push(stream);
    }
    let refused = house.get("/api/v1/history?format=ndjson", &viewer).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    assert!(refused.json()["detail"].as_str().unwrap().contains("4 exports of this subject"));
    assert_eq!(house.get("/api/v1/history?format=csv", &token("operator")).await.status, 200);
    drop(silent);
    // They are gone, so there is room again.
    let began = std::time::Instant::now();
    while house.get("/api/v1/history?format=ndjson", &viewer).await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "places of clients that are gone stay taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_can_be_reported_to_another_server() {
    let house = furnished(MEMORY).await;
    let viewer = token("viewer");
    let path = "/api/v1/history?format=ndjson&devices=tag-2";
    let first = house.get(path, &viewer).await;
    let other = House::open(MEMORY).await;
    let headers = "content-type: application/x-ndjson\r\n";
    let answer = other.http("POST", "/api/v1/locations", &token("publisher"), headers, first.text()).await;
    assert_eq!(answer.json()["accepted"], 10);
    let second = other.get(path, &viewer).await;
    assert_eq!(keys(&lines(first.text())), keys(&lines(second.text())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_routes_has_the_new_ones() {
    let house = House::open(MEMORY).await;
    let document = house.get("/api/v1/openapi.json", "").await.json();
    let export = &document["paths"]["/api/v1/history"]["get"]["responses"]["200"]["content"];
    assert!(export["text/csv"].is_object() && export["application/geo+json"].is_object(), "{export}");
    let page = house.get("/api/v1", "").await;
    for path in [
        "/api/v1/snapshot",
        "/api/v1/visits",
        "/api/v1/events",
        "/api/v1/audit",
        "/api/v1/history/{id}/track",
    ] {
        assert!(document["paths"][path].is_object() && page.text().contains(path), "{path}");
    }
}
