//! Floor plans by REST, as a program and as a page.

use serde_json::{Value, json};

use crate::house::{Answer, House, MEMORY, SQLITE, token, token_for};

const SVG: &str =
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 800 400'><path d='M0 0h800v400z'/></svg>";

/// A whole PNG of one pixel, as a drawing program writes it, with another size in its head.
fn png(width: u32, height: u32) -> Vec<u8> {
    let chunk = |name: [u8; 4], data: &[u8]| {
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], &name, data, &[0; 4]].concat()
    };
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let data = [0x78, 0x9c, 0x63, 0x00, 0xff, 0x00];
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(*b"IHDR", &head), &chunk(*b"IDAT", &data), &chunk(*b"IEND", &[])]
        .concat()
}

fn placed() -> Value {
    json!({ "name": "Hall", "floor": 1, "opacity": 0.5, "calibration": { "points": [
        { "pixel": { "x": 0, "y": 400 }, "metres": { "x": 0, "y": 0 } },
        { "pixel": { "x": 800, "y": 0 }, "metres": { "x": 40, "y": 20 } },
    ]}})
}

impl House {
    async fn put(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.http("PUT", path, &token("admin"), "", body).await
    }

    /// A plan with a picture, where it lies.
    async fn make(&self, id: &str, picture: impl AsRef<[u8]>) -> Value {
        let made = self.put(&format!("/api/v1/plans/{id}"), placed().to_string()).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let drawn = self.put(&format!("/api/v1/plans/{id}/picture"), picture).await;
        assert_eq!(drawn.status, 200, "{}", drawn.text());
        drawn.json()
    }
}

/// The code, the field and the remedy of a refusal.
fn refusal(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let word = |name: &str| body[name].as_str().unwrap().to_owned();
    assert!(answer.header("content-type").unwrap().starts_with("application/problem+json"));
    assert!(body["details"]["remedy"].is_null(), "{body}");
    (answer.status, word("code"), word("remedy"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_made_drawn_placed_changed_and_removed_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open_in(folder.path(), SQLITE).await;
    let viewer = token("viewer");
    let empty = house.get("/api/v1/plans", &viewer).await;
    assert_eq!((&empty.json()["plans"], &empty.json()["limits"]["plans_max"]), (&json!([]), &json!(64)));
    let plan = house.make("hall", SVG).await;
    assert_eq!(plan["picture"]["media_type"], "image/svg+xml");
    assert_eq!((&plan["picture"]["width_px"], &plan["picture"]["height_px"]), (&json!(800.0), &json!(400.0)));
    let calibration = &plan["calibration"];
    assert_eq!(calibration["transform"], json!({ "a": 0.05, "b": 0.0, "x_m": 0.0, "y_m": 20.0 }));
    assert_eq!((&calibration["metres_per_pixel"], &calibration["rotation_deg"]), (&json!(0.05), &json!(0.0)));
    house.running.stop().await.unwrap();

    let house = House::open_in(folder.path(), SQLITE).await;
    let list = house.get("/api/v1/plans", &viewer).await.json();
    let mut shown = plan.clone();
    // Who may not change it does not hear who did.
    shown.as_object_mut().unwrap().remove("updated_by");
    assert_eq!(list["plans"], json!([shown]));
    assert_eq!(house.get("/api/v1/plans/hall", &viewer).await.json(), shown);
    let url = plan["picture"]["url"].as_str().unwrap();
    assert_eq!(house.get(url, &viewer).await.text(), SVG);
    // Twice the pixels for the same drawing: it lies where it lay.
    let finer = house.put("/api/v1/plans/hall/picture", png(1_600, 800)).await.json();
    assert_eq!(finer["picture"]["media_type"], "image/png");
    assert_eq!(finer["calibration"]["metres_per_pixel"], 0.025);
    assert_eq!(finer["calibration"]["points"][1]["pixel"], json!({ "x": 1600.0, "y": 0.0 }));
    assert!(finer["revision"].as_u64() > plan["revision"].as_u64());
    let other = house.put("/api/v1/plans/hall/picture", png(500, 500)).await.json();
    assert!(other["calibration"].is_null(), "{other}");
    let named = house.put("/api/v1/plans/hall", json!({ "name": " Hall 2 " }).to_string()).await.json();
    assert_eq!((&named["name"], &named["opacity"]), (&json!("Hall 2"), &json!(1.0)));
    assert!(named["floor"].is_null() && named["picture"] == other["picture"], "{named}");

    let admin = token("admin");
    assert_eq!(house.http("DELETE", "/api/v1/plans/hall", &admin, "", "").await.status, 204);
    for path in ["/api/v1/plans/hall", url] {
        assert_eq!(house.get(path, &viewer).await.status, 404);
    }
    assert_eq!(house.http("DELETE", "/api/v1/plans/hall", &admin, "", "").await.status, 404);
    let actions = |trail: &Value| -> Vec<String> {
        let entries = trail["entries"].as_array().unwrap().iter().rev();
        let actions = entries.filter_map(|it| it["action"].as_str()).map(str::to_owned);
        actions.filter(|it| it.contains("floor plan")).collect()
    };
    let picture = "change floor plan picture";
    let expected = ["make floor plan", picture, picture, picture, "change floor plan", "remove floor plan"];
    let is_told = |trail: &Value| actions(trail).len() >= expected.len();
    let trail = house.until("/api/v1/audit?subject=admin%20of%20all", &admin, is_told).await;
    assert_eq!(actions(&trail), expected);
    house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_served_so_that_it_can_do_nothing_and_is_kept_by_its_revision() {
    let house = House::open(MEMORY).await;
    let plan = house.make("hall", SVG).await;
    let url = plan["picture"]["url"].as_str().unwrap();
    let viewer = token("viewer");
    let answer = house.get(url, &viewer).await;
    assert_eq!(answer.header("content-type"), Some("image/svg+xml"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=31536000, immutable"));
    assert_eq!(answer.header("vary"), Some("authorization, cookie"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none'; style-src 'unsafe-inline'"), "{policy}");
    // Without its revision, or with another one, it may be another one the next time.
    for other in ["/api/v1/plans/hall/picture", "/api/v1/plans/hall/picture?revision=7"] {
        assert_eq!(house.get(other, &viewer).await.header("cache-control"), Some("private, no-cache"));
    }
    let tag = answer.header("etag").unwrap();
    let known = house.http("GET", url, &viewer, &format!("if-none-match: {tag}\r\n"), "").await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag)));
    let head = house.http("HEAD", url, &viewer, "", "").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some(&*SVG.len().to_string())));

    let list = house.get("/api/v1/plans", &viewer).await;
    let condition = format!("if-none-match: {}\r\n", list.header("etag").unwrap());
    let asked_again = || house.http("GET", "/api/v1/plans", &viewer, &condition, "");
    assert_eq!(asked_again().await.status, 304);
    house.put("/api/v1/plans/hall/picture", SVG).await;
    let anew = asked_again().await;
    assert_eq!(anew.status, 200);
    assert_ne!(anew.json()["plans"][0]["picture"]["url"], url);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_devices_sees_plans_and_only_who_may_changes_them() {
    let house = House::open(MEMORY).await;
    let plan = house.make("hall", SVG).await;
    let url = plan["picture"]["url"].as_str().unwrap();
    for reader in [token("viewer"), token_for("viewer", "tag-7"), token("operator")] {
        assert_eq!(house.get("/api/v1/plans", &reader).await.status, 200);
        assert_eq!(house.get(url, &reader).await.status, 200);
        for (method, path, body) in [
            ("PUT", "/api/v1/plans/hall", placed().to_string()),
            ("PUT", "/api/v1/plans/other", placed().to_string()),
            ("PUT", "/api/v1/plans/hall/picture", SVG.to_owned()),
            ("DELETE", "/api/v1/plans/hall", String::new()),
        ] {
            let refused = house.http(method, path, &reader, "", body).await;
            assert_eq!(refused.status, 403, "{method} {path}");
            assert_eq!(refused.json()["details"]["permission"], "plans.write");
        }
    }
    for path in ["/api/v1/plans", "/api/v1/plans/hall", url] {
        let refused = house.get(path, &token("publisher")).await;
        assert_eq!((refused.status, &refused.json()["details"]["permission"]), (403, &json!("devices.read")));
        assert_eq!(house.get(path, "nothing").await.status, 401);
    }
    // A page of another origin can't use the session of this browser.
    let admin = token("admin");
    let session =
        house.http("POST", "/api/v1/session", &admin, &format!("origin: {}\r\n", house.url()), "").await;
    let cookie = session.header("set-cookie").unwrap().split(';').next().unwrap();
    for (origin, status) in [(house.url(), 204), ("https://evil.example".to_owned(), 403)].into_iter().rev() {
        let headers = format!("cookie: {cookie}\r\norigin: {origin}\r\nx-ignored: ");
        let answer = house.without_token("DELETE", "/api/v1/plans/hall", &headers).await;
        assert_eq!(answer, status, "{origin}");
    }
}

impl House {
    /// The status of a request that has no token.
    async fn without_token(&self, method: &str, path: &str, headers: &str) -> u16 {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let address = self.running.address();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plan_or_no_picture_is_refused_with_what_to_do() {
    let house = House::open(MEMORY).await;
    let plan = |change: Value| {
        let mut plan = placed();
        plan.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        plan.to_string()
    };
    let points = |from: [f64; 4], to: [f64; 4]| {
        let pair =
            |[u, v, x, y]: [f64; 4]| json!({ "pixel": { "x": u, "y": v }, "metres": { "x": x, "y": y } });
        plan(json!({ "calibration": { "points": [pair(from), pair(to)] } }))
    };
    for (body, status, code) in [
        ("{".to_owned(), 400, "invalid_json"),
        (json!({}).to_string(), 400, "invalid_payload"),
        (plan(json!({ "colour": "red" })), 400, "invalid_payload"),
        (plan(json!({ "calibration": { "points": [] } })), 400, "invalid_payload"),
        (plan(json!({ "name": "  " })), 422, "out_of_range"),
        (plan(json!({ "name": "x".repeat(129) })), 422, "out_of_range"),
        (plan(json!({ "name": "a\nb" })), 422, "out_of_range"),
        (plan(json!({ "site": "a b" })), 422, "out_of_range"),
        (plan(json!({ "floor": 1e9 })), 422, "out_of_range"),
        (plan(json!({ "opacity": 0 })), 422, "out_of_range"),
        (points([5.0, 5.0, 0.0, 0.0], [5.0, 5.0, 9.0, 9.0]), 422, "out_of_range"),
        (points([0.0, 0.0, 7.0, 7.0], [90.0, 0.0, 7.0, 7.0]), 422, "out_of_range"),
        (points([0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 9e6, 0.0]), 422, "out_of_range"),
    ] {
        let answer = house.put("/api/v1/plans/hall", &body).await;
        let (found, found_code, remedy) = refusal(&answer);
        assert_eq!((found, &*found_code), (status, code), "{body}: {}", answer.text());
        assert!(!remedy.is_empty());
    }
    assert_eq!(house.put("/api/v1/plans/a.b", placed().to_string()).await.status, 422);
    assert_eq!(house.put("/api/v1/plans/hall/picture", SVG).await.status, 404);
    house.make("hall", SVG).await;
    for (body, status) in [
        (&b""[..], 400),
        (b"not a picture", 400),
        (b"GIF89a", 400),
        (&png(640, 480)[..40], 400),
        (&png(20_000, 10), 413),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400),
        (b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><script>alert(1)</script></svg>", 400),
    ] {
        let answer = house.put("/api/v1/plans/hall/picture", body).await;
        let (found, _code, remedy) = refusal(&answer);
        assert_eq!(found, status, "{}", answer.text());
        assert!(remedy.contains("Save"), "{remedy}");
    }
    // Nothing of that came in.
    assert_eq!(house.get("/api/v1/plans/hall/picture", &token("viewer")).await.text(), SVG);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_has_its_bytes_and_a_site_its_plans_and_no_more() {
    let house = House::open(&format!("{MEMORY}\n[limits]\nplan_bytes_max = 2000")).await;
    house.make("hall", SVG).await;
    let padded = |bytes: usize| format!("{SVG}{}", " ".repeat(bytes - SVG.len()));
    assert_eq!(house.put("/api/v1/plans/hall/picture", padded(2_000)).await.status, 200);
    let answer = house.put("/api/v1/plans/hall/picture", padded(2_001)).await;
    let (status, code, remedy) = refusal(&answer);
    assert_eq!((status, &*code, &answer.json()["details"]["limit"]), (413, "too_large", &json!(2_000)));
    assert!(remedy.contains("limits.plan_bytes_max"), "{remedy}");
    for number in 1..64 {
        let path = format!("/api/v1/plans/plan-{number}");
        assert_eq!(house.put(&path, json!({ "name": "x" }).to_string()).await.status, 200);
    }
    let answer = house.put("/api/v1/plans/one-more", json!({ "name": "x" }).to_string()).await;
    let (status, code, remedy) = refusal(&answer);
    assert_eq!((status, &*code, &answer.json()["details"]["limit"]), (409, "limit_reached", &json!(64)));
    assert!(remedy.starts_with("Remove a floor plan first"), "{remedy}");
    // One that is there can be changed all the same.
    assert_eq!(house.put("/api/v1/plans/plan-9", json!({ "name": "y" }).to_string()).await.status, 200);
}
