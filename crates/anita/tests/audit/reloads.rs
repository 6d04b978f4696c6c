//! What the server reads again because a file changed.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{Home, PATIENCE};
use crate::verify::{audit, verify, whole};

/// The entries of such an action, oldest first: object and outcome.
fn entries(home: &Home, action: &str) -> Vec<(String, String)> {
    let config = home.file("anita.toml");
    let said = audit(&["show", "--config", config.to_str().unwrap(), "--action", action]);
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap().to_owned();
    let lines = said.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .inspect(|entry| assert_eq!(entry["subject"], "", "the server itself"))
        .map(|entry| (text(&entry, "object"), text(&entry, "outcome")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_changed_is_in_the_trail_with_what_became_of_it() {
    let home = Home::new("");
    let server = home.start();
    server.get("/api/v1/devices").await;
    std::fs::write(home.file("jwt.secret"), "short").unwrap();
    let started = Instant::now();
    // The one before stays in force.
    while !server.get("/api/v1/audit?limit=100").await.to_string().contains("reload keys") {
        assert!(started.elapsed() < PATIENCE, "it is not entered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::write(home.file("jwt.secret"), "another secret, which is long enough").unwrap();
    let started = Instant::now();
    while entries(&home, "reload keys").len() < 2 {
        assert!(started.elapsed() < PATIENCE, "it is not entered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop();
    let found = entries(&home, "reload keys");
    assert!(found[0].0.contains("jwt.secret") && found[0].1 == "refused", "{found:?}");
    assert_eq!(found[1..], [("anita".to_owned(), "done".to_owned())], "once each");
    let said = verify(&home, &[]);
    whole(&said);
    let shown = audit(&["show", "--config", home.file("anita.toml").to_str().unwrap()]).out;
    assert!(!shown.contains("long enough") && !shown.contains("\"short\""), "{shown}");
}
