//! An issuer behind a slow link, and one that is killed and started again while tokens come in without a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::browser::Browser;
use crate::house::{House, PATIENCE, token, until};
use crate::provider::Provider;
use crate::sign_in::{CONFIDENTIAL, Scene, VIEW_AFTER};
use crate::slow_link::{Pace, SlowLink};

const SERVICE: &str = "client_credentials";
const RS256: &str = "urn:anita";

/// Between two of a client's attempts: they are a load, and within what a user may ask.
const PAUSE: Duration = Duration::from_millis(20);

/// How often the issuer is killed.
const KILLS: usize = 3;

/// The status of a request with the token, and the code of a refusal.
async fn asked(house: &House, token: &str) -> (u16, Value) {
    let answer = timeout(PATIENCE, house.ask("GET", "/api/v1/session", token, "")).await;
    let answer = answer.expect("an answer, whatever the issuer does");
    (answer.status, answer.body["code"].clone())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_behind_a_slow_link_holds_up_those_who_need_it_for_so_long_and_nobody_else() {
    let port = free_port();
    let link = SlowLink::to(port).await;
    let (port, url) = (port.to_string(), format!("http://{}", link.address));
    let environment = [("ANITA_ISSUER_PORT", &*port), ("ANITA_ISSUER_URL", &*url)];
    let Some(provider) = Provider::start_with(&environment) else { return };
    assert_eq!(provider.issuer, url);
    let issuer = "roles_claims = [\"scope\"]\ntoken_type = \"at+jwt\"";
    let mut scene = Scene::at(provider, issuer, CONFIDENTIAL).await;
    let known = scene.provider.token(SERVICE, RS256);
    let mut live = scene.house.with_token(&known).await;
    live.welcomed().await;
    let mut browser = Browser::default();
    let back = scene.answered(&mut browser, "alice").await;

    // What the issuer says is underway for minutes.
    link.set(Pace::CRAWL);
    scene.provider.ask("rotate");
    let unknown = scene.provider.token(SERVICE, RS256);
    let own = token("bob", "viewer", "t1");
    let others = async {
        for _ in 0..10 {
            assert_eq!(asked(&scene.house, &known).await.0, 200, "known keys go on");
            assert_eq!(asked(&scene.house, &own).await.0, 200, "other issuers have nothing to do with it");
        }
        scene.house.with_token(&known).await.welcomed().await;
        live.ping().await;
    };
    let refused_socket = async { scene.house.with_token(&unknown).await.refused().await };
    let (refused, socket, ()) = tokio::join!(asked(&scene.house, &unknown), refused_socket, others);
    assert_eq!(refused, (503, json!("unavailable")), "a token that needs it is not waited for without end");
    assert_eq!(socket, ("unavailable".to_owned(), 1013));
    let seen = timeout(PATIENCE, browser.get(&back)).await.expect("an answer, whatever the issuer does");
    scene.refused(&browser, seen, "issuer_unavailable", VIEW_AFTER).await;

    // Slow, and no slower than it may be: all of it works.
    link.set(Pace::SLOW);
    until("the new key", || async { asked(&scene.house, &unknown).await.0 == 200 }).await;
    assert_eq!(asked(&scene.house, &known).await.0, 200);
    let started = Instant::now();
    loop {
        let back = scene.answered(&mut browser, "alice").await;
        browser.get(&back).await;
        if scene.session(&browser).await["user_id"] == "alice" {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "nobody can sign in over a link that is slow");
    }
    scene.house.running.stop().await.unwrap();
}

/// Connects without a pause, with a token whose key is known and with the newest there is.
struct Load {
    is_over: AtomicBool,
    /// How often each was let in.
    known: AtomicUsize,
    newest: AtomicUsize,
    /// How often the newest was told to come back.
    refused: AtomicUsize,
}

impl Load {
    async fn with_known(&self, house: &House, token: &str) {
        while !self.is_over.load(Ordering::Relaxed) {
            assert_eq!(asked(house, token).await, (200, Value::Null), "a known key has failed");
            let hello = timeout(PATIENCE, async { house.with_token(token).await.welcomed().await }).await;
            assert_eq!(hello.expect("a hello")["user_id"], "service");
            self.known.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn with_newest(&self, house: &House, newest: watch::Receiver<String>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let token = newest.borrow().clone();
            let (status, code) = asked(house, &token).await;
            let counter = if status == 200 { &self.newest } else { &self.refused };
            counter.fetch_add(1, Ordering::Relaxed);
            let is_later = (status, &code) == (503, &json!("unavailable"));
            assert!(status == 200 || is_later, "a new key is taken, or comes later: {status} {code}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a counter has gone on.
    async fn until_more(&self, counter: &AtomicUsize, more: usize, what: &str) {
        let wanted = counter.load(Ordering::Relaxed) + more;
        until(what, || async { counter.load(Ordering::Relaxed) >= wanted }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_killed_and_started_again_under_load_costs_no_known_key_and_new_ones_work_by_themselves()
 {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let port = free_port().to_string();
    let environment = [("ANITA_ISSUER_PORT", &*port), ("ANITA_ISSUER_KEYS", keys.to_str().unwrap())];
    let Some(mut provider) = Provider::start_with(&environment) else { return };
    let house = House::open(&format!(
        "[[auth.issuers]]\nissuer = \"{}\"\ndiscovery = true\ntoken_type = \"at+jwt\"\njwks_refresh_secs = 1\n\
         roles_claims = [\"scope\"]\nroles_allowed = [\"viewer\"]\n\
         [limits]\nviewer_requests_per_second = 10000",
        provider.issuer
    ))
    .await;
    let house = Arc::new(house);
    let known = provider.token(SERVICE, RS256);
    until("the first key", || async { asked(&house, &known).await.0 == 200 }).await;
    let (announce, newest) = watch::channel(known.clone());
    let load = Arc::new(Load {
        is_over: AtomicBool::new(false),
        known: AtomicUsize::new(0),
        newest: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
    });
    let tasks = [
        tokio::spawn({
            let (load, house) = (Arc::clone(&load), Arc::clone(&house));
            async move { load.with_known(&house, &known).await }
        }),
        tokio::spawn({
            let (load, house) = (Arc::clone(&load), Arc::clone(&house));
            async move { load.with_newest(&house, newest).await }
        }),
    ];
    for _kill in 0..KILLS {
        // A key that nobody has asked for yet, and the issuer is gone.
        provider.ask("rotate");
        let new = provider.token(SERVICE, RS256);
        drop(provider);
        announce.send(new.clone()).unwrap();
        until("it is known that the issuer is away", || async {
            house.http("GET", "/readyz", &[], "").await.body["issuers"][1]["state"] == "kept"
        })
        .await;
        load.until_more(&load.known, 20, "known keys go on while the issuer is away").await;
        // The same issuer again, at the same port: nobody tells the server.
        provider = Provider::start_with(&environment).unwrap();
        until("the new key", || async { asked(&house, &new).await.0 == 200 }).await;
        load.until_more(&load.newest, 5, "the new key comes in").await;
    }
    load.is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{KILLS} kills: {} times in with a known key, {} with a new one, which was told to come back {} times before",
        count(&load.known),
        count(&load.newest),
        count(&load.refused)
    );
    Arc::into_inner(house).unwrap().running.stop().await.unwrap();
}
