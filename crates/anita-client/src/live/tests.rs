use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::scripted::{Peer, soon, websocket};

async fn serve<F, R>(script: F) -> Options
where
    F: Fn(usize, Peer) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Options::new(format!("ws://{}/ws", websocket(None, script).await))
}

fn answer(asked: &Value, kind: &str, payload: &Value) -> Value {
    json!({ "type": kind, "id": asked["id"], "payload": payload })
}

/// The next loss: its code, and the wait.
async fn lost(events: &mut Events) -> (String, Option<Duration>) {
    let next = async {
        loop {
            if let Event::Lost { failure, wait } = events.next().await.expect("it goes on") {
                return (failure.code, wait);
            }
        }
    };
    soon(next).await
}

#[tokio::test]
async fn a_token_that_ran_out_is_replaced_by_a_fresh_one() {
    let options = serve(async |number, mut peer: Peer| {
        if number == 0 {
            return peer.close(4401, r#"{"code":"token_expired"}"#).await;
        }
        peer.hello(25.0).await;
        let authorization = peer.authorization.clone();
        peer.say(json!({ "type": "test.seen", "payload": { "authorization": authorization } })).await;
        peer.hear().await;
    })
    .await;
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&reasons);
    let options = LiveOptions::new(options).with_tokens(move |reason| {
        kept.lock().push(reason);
        async move { Ok(Token::new(format!("{reason:?}"))) }
    });
    let (live, mut events) = Live::start_listening(options);
    let seen = soon(async {
        loop {
            if let Some(Event::Message(message)) = events.next().await {
                return message;
            }
        }
    });
    assert_eq!(seen.await.payload.get(), r#"{"authorization":"Bearer Rejected"}"#);
    assert_eq!(*reasons.lock(), [TokenReason::Connect, TokenReason::Rejected]);
    assert_eq!((live.state(), live.connection_count()), (State::Online, 1));
}

#[tokio::test]
async fn who_gives_tokens_may_fail_for_now_or_for_good_and_the_application_begins_anew() {
    let options = serve(async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        peer.hear().await;
    })
    .await;
    let count = Arc::new(AtomicU64::new(0));
    let options = LiveOptions::new(options).with_tokens(move |_reason| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                0 => Err(TokenError::Later("the issuer restarts".to_owned())),
                1 => Err(TokenError::Never("nobody is signed in".to_owned())),
                _ => Ok(Token::new("jwt")),
            }
        }
    });
    let (live, mut events) = Live::start_listening(options);
    let (code, wait) = lost(&mut events).await;
    assert_eq!((code.as_str(), wait.is_some()), ("token_failed", true));
    assert_eq!(lost(&mut events).await, ("token_failed".to_owned(), None));
    let refused = soon(live.request("ping", &json!({}))).await.unwrap_err();
    assert_eq!(refused.code(), "token_failed");
    assert!(refused.to_string().contains("nobody is signed in"), "{refused}");
    soon(live.connect()).await.unwrap();
    soon(live.until(State::Online)).await.unwrap();
}

#[tokio::test]
async fn what_was_sent_fails_with_its_connection_and_what_is_asked_then_waits_for_the_next() {
    let options = serve(async |number, mut peer: Peer| {
        peer.hello(25.0).await;
        let asked = peer.hear().await;
        if number > 0 {
            peer.say(answer(&asked, "system.pong", &json!({ "number": number }))).await;
            peer.hear().await;
        }
    })
    .await;
    let live = Live::start(LiveOptions::new(options));
    soon(live.until(State::Online)).await.unwrap();
    let given_up = soon(live.request("ping", &json!({}))).await.unwrap_err();
    assert_eq!(given_up, AskError::Disconnected);
    let answered = soon(live.request("ping", &json!({}))).await.unwrap();
    assert_eq!(answered.payload.get(), r#"{"number":1}"#);
}

#[tokio::test]
async fn a_request_that_is_not_answered_is_given_up_and_its_late_answer_is_nobodys() {
    let options = serve(async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        let (first, second) = (peer.hear().await, peer.hear().await);
        peer.say(answer(&first, "system.pong", &json!({ "late": true }))).await;
        peer.say(json!({ "type": "system.pong", "id": "nobody's", "payload": {} })).await;
        peer.say(answer(&second, "system.pong", &json!({ "late": false }))).await;
        peer.hear().await;
    })
    .await;
    let mut options = LiveOptions::new(options);
    options.request_deadline = Duration::from_secs(5);
    let (live, mut events) = Live::start_listening(options);
    let late = soon(live.request("ping", &json!({}))).await.unwrap_err();
    assert_eq!(late.code(), "timeout");
    let answered = soon(live.request("ping", &json!({}))).await.unwrap();
    assert_eq!(answered.payload.get(), r#"{"late":false}"#);
    while let Some(event) = events.take() {
        assert!(!matches!(event, Event::Message(_)), "{event:?}");
    }
}

#[tokio::test]
async fn it_stays_away_for_as_long_as_the_server_asked() {
    let options = serve(async |number, mut peer: Peer| {
        peer.hello(25.0).await;
        match number {
            0 => peer.say(json!({ "type": "system.reconnect", "payload": { "retry_after_ms": 5_000, "message": "" } })).await,
            1 => peer.close(1012, r#"{"code":"restart","retry_after_ms":5000}"#).await,
            _ => peer.close(4509, r#"{"code":"logged_out"}"#).await,
        }
    })
    .await;
    let (live, mut events) = Live::start_listening(LiveOptions::new(options));
    for code in ["connection_lost", "restart"] {
        let (found, wait) = lost(&mut events).await;
        // Some of what was asked has passed when the connection ends; by itself it would wait for half a second at most.
        assert!(found == code && wait.unwrap() > Duration::from_secs(1), "{found} {wait:?}");
    }
    assert_eq!(lost(&mut events).await, ("logged_out".to_owned(), None));
    let failed = soon(live.until(State::Online)).await.unwrap_err();
    assert_eq!(failed.code(), "logged_out");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_gone_however_much_is_asked_of_it() {
    let options = serve(async |_, mut peer: Peer| {
        peer.hello(0.1).await;
        while peer.hear().await != Value::Null {}
    })
    .await;
    let (live, mut events) = Live::start_listening(LiveOptions::new(options));
    let asking = async {
        loop {
            drop(timeout(Duration::from_millis(20), live.request("ping", &json!({}))).await);
        }
    };
    tokio::select! {
        () = asking => {}
        (code, _wait) = lost(&mut events) => assert_eq!(code, "silence"),
    }
}

#[tokio::test]
async fn who_reads_events_too_slowly_misses_the_oldest_and_is_told_how_many() {
    let options = serve(async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        for number in 0..50 {
            peer.say(json!({ "type": "test.number", "payload": { "number": number } })).await;
        }
        let asked = peer.hear().await;
        peer.say(answer(&asked, "system.pong", &json!({}))).await;
        peer.hear().await;
    })
    .await;
    let mut options = LiveOptions::new(options);
    options.events_max = 8;
    let (live, mut events) = Live::start_listening(options);
    soon(live.request("ping", &json!({}))).await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.take() {
        let Event::Message(message) = event else { panic!("{event:?}") };
        told.push(message.payload.get().to_owned());
    }
    assert_eq!((told.len(), told.last().unwrap().as_str()), (8, r#"{"number":49}"#));
    assert_eq!(events.missed_count(), 44, "the state, the hello, and 42 messages");
}

#[tokio::test]
async fn rooms_and_views_are_asked_for_anew_and_once_more_if_the_server_is_too_busy() {
    let (told, mut hears) = mpsc::channel(32);
    let options = serve(move |number, mut peer: Peer| {
        let told = told.clone();
        async move {
            peer.hello(25.0).await;
            let mut is_first = number == 1;
            for _ in 0..2 + 2 * number {
                let asked = peer.hear().await;
                told.send((number, asked["type"].clone(), asked["payload"].clone())).await.ok();
                let busy = json!({ "code": "rate_limited", "message": "", "retryable": true, "retry_after_ms": 10 });
                let joined = json!({ "room": "hall", "epoch": "e", "seq": 7, "recovered": true });
                let payload = json!({ "subscription": "s1", "epoch": "e", "seq": 0 });
                let is_room = asked["type"] == "join_room";
                let (kind, payload) = match (is_first, is_room) {
                    (true, _) => ("error", busy),
                    (false, true) => ("room.joined", joined),
                    (false, false) => ("subscribed", payload),
                };
                is_first &= is_room;
                peer.say(answer(&asked, kind, &payload)).await;
                if number == 0 && is_room {
                    peer.say(json!({ "type": "room.message", "room": "hall", "epoch": "e", "seq": 8, "payload": {} })).await;
                }
            }
            if number > 0 {
                peer.hear().await;
            }
        }
    })
    .await;
    let live = Live::start(LiveOptions::new(options));
    soon(live.join("hall")).await.unwrap();
    let _view = soon(live.subscribe(&json!({ "snapshot": false }))).await.unwrap();
    let since = json!({ "room": "hall", "since": { "epoch": "e", "seq": 8 } });
    let expected = [
        (0, "join_room", json!({ "room": "hall" })),
        (0, "subscribe", json!({ "snapshot": false })),
        (1, "join_room", since.clone()),
        (1, "subscribe", json!({})),
        (1, "join_room", since),
        (1, "subscribe", json!({})),
    ];
    for (number, kind, payload) in expected {
        assert_eq!(soon(hears.recv()).await.unwrap(), (number, kind.into(), payload));
    }
}

#[tokio::test]
async fn a_view_that_is_dropped_is_ended_and_a_client_that_is_dropped_says_goodbye() {
    let (told, mut hears) = mpsc::channel(32);
    let options = serve(move |_, mut peer: Peer| {
        let told = told.clone();
        async move {
            peer.hello(25.0).await;
            loop {
                let asked = peer.hear().await;
                told.send(asked["type"].clone()).await.ok();
                match asked["type"].as_str() {
                    Some("subscribe") => {
                        let payload = json!({ "subscription": "s1", "epoch": "e", "seq": 0 });
                        peer.say(answer(&asked, "subscribed", &payload)).await;
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        }
    })
    .await;
    let (live, mut events) = Live::start_listening(LiveOptions::new(options));
    let view = soon(live.subscribe(&json!({ "snapshot": false }))).await.unwrap();
    drop(view);
    assert_eq!(soon(hears.recv()).await.unwrap(), "subscribe");
    assert_eq!(soon(hears.recv()).await.unwrap(), "unsubscribe");
    drop(live);
    assert_eq!(soon(hears.recv()).await.unwrap(), Value::Null);
    while soon(events.next()).await.is_some() {}
}

#[tokio::test]
async fn after_the_end_everything_is_refused() {
    let options = serve(async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        peer.hear().await;
    })
    .await;
    let live = Live::start(LiveOptions::new(options));
    soon(live.until(State::Online)).await.unwrap();
    soon(live.close()).await;
    assert_eq!(live.state(), State::Closed);
    assert_eq!(soon(live.request("ping", &json!({}))).await.unwrap_err(), AskError::Closed);
    assert_eq!(soon(live.join("hall")).await, Err(AskError::Closed));
    assert_eq!(soon(live.connect()).await, Err(AskError::Closed));
    assert_eq!(soon(live.until(State::Online)).await, Err(AskError::Closed));
    assert!(soon(live.events().next()).await.is_none());
}
