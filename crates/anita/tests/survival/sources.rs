//! What `GET /api/v1/sources` says of sources that work, and of one that does not.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Home, PATIENCE, Server};

/// Asks until it is so.
async fn until(server: &Server, what: &str, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let sources = server.get("/api/v1/sources").await["sources"].as_array().unwrap().clone();
        if is_so(&sources) {
            return sources;
        }
        assert!(started.elapsed() < PATIENCE, "not in time: {what}: {sources:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn each_source_says_where_it_is_what_came_and_what_went_wrong() {
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = Home::new(&format!(
        "[[sources]]\nname = \"hall\"\ntype = \"mqtt\"\nurl = \"mqtt://{closed}\"\nformat = \"pozyx\"\n\
         username = \"u\"\npassword = \"hunter2\"\n\
         [[sources]]\nname = \"shell\"\ntype = \"line\"\nurl = \"file://shell.log\"\ndevice_id = \"4D18\"\n\
         from_start = true\n\
         [[sources]]\nname = \"toys\"\ntype = \"simulator\"\ndevices = 2\n"
    ));
    let mut log = std::fs::File::create(home.file("shell.log")).unwrap();
    log.write_all(b"POS,1.50,2.50,0.50,90\r\nPOS,what,is,this,90\r\n").unwrap();
    let server = home.start();
    assert!(server.get("/api/v1/sources").await["at"].is_string(), "two answers give rates");
    let sources = until(&server, "all have begun", |sources| {
        sources[0]["last_error"].is_object()
            && sources[1]["fixes"]["newest"] == 1
            && sources[1]["malformed"] != json!({})
            && sources[2]["fixes"]["newest"].as_u64() > Some(0)
    })
    .await;
    let names: Vec<&str> = sources.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hall", "shell", "toys", "http", "websocket"]);
    let hall = &sources[0];
    assert_eq!((&hall["type"], &hall["format"]), (&json!("mqtt"), &json!("pozyx")));
    assert_eq!(hall["address"], format!("mqtt://{closed} (tags/#)"));
    assert!(matches!(hall["state"].as_str(), Some("waiting" | "starting")), "{hall}");
    let fault = &hall["last_error"];
    assert!(fault["message"].as_str().unwrap().contains(&closed.to_string()), "{fault}");
    assert!(fault["remedy"].as_str().unwrap().contains("Check that the broker runs"), "{fault}");
    assert!(fault["at"].is_string() && hall["since"].is_string());
    assert!(!format!("{sources:?}").contains("hunter2"));
    let shell = &sources[1];
    assert_eq!(
        (&shell["type"], &shell["format"], &shell["state"]),
        (&json!("line"), &json!("dwm1001"), &json!("connected"))
    );
    assert!(shell["address"].as_str().unwrap().ends_with("/shell.log"), "{shell}");
    assert_eq!((&shell["messages"], shell.get("last_error")), (&json!(2), None));
    assert_eq!(sources[2]["type"], "simulator");
    let report = r#"{"device_id":"tag-1","location":{"x":1,"y":2,"z":3}}"#;
    let (status, body) = crate::http::request(
        server.address,
        "POST",
        "/api/v1/locations",
        &crate::server::token("admin"),
        report,
    )
    .await
    .unwrap();
    assert_eq!(status, 200, "{body}");
    let sources = until(&server, "it is counted", |sources| sources[3]["fixes"]["newest"] == 1).await;
    assert_eq!((&sources[3]["state"], &sources[3]["type"]), (&json!("listening"), &json!("http")));
    server.kill();
}
