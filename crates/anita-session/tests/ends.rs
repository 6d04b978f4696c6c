//! The end of a conversation: what was decided first stays, and nothing is done or said after it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the code of a test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use anita_auth::{Authority, Grant, Judgement, Key, Minter, Principal, Roles, TokenError, Verifier};
use anita_hub::{Endpoint, Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{Now, SourceName, Timestamp};
use anita_session::{Context, Credentials, Delivery, Extensions, Session, SessionSettings};
use anita_store::MemoryStore;
use anita_wire::CloseCode;
use futures_util::FutureExt;
use serde_json::Value;

const SECRET: &[u8] = b"the secret of this test, long enough";

/// Tokens wait for keys until these are there.
#[derive(Debug)]
struct Waiting {
    verifier: Verifier,
    are_there: Arc<AtomicBool>,
}

impl Authority for Waiting {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        self.verifier.verify(token, now)
    }

    fn judge(&self, token: &str, now: Timestamp) -> Judgement {
        if self.are_there.load(Ordering::Relaxed) {
            return Judgement::Given(self.verify(token, now));
        }
        let are_there = Arc::clone(&self.are_there);
        let keys = std::future::poll_fn(move |_context| {
            if are_there.load(Ordering::Relaxed) { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        Judgement::Awaited(Box::pin(keys))
    }
}

struct House {
    context: Arc<Context>,
    now: Now,
    keys: Arc<AtomicBool>,
    /// How often `domain.count` was handled.
    count: Arc<AtomicUsize>,
}

impl House {
    fn new() -> Self {
        let now =
            Now { wall: Timestamp::parse("2026-03-01T12:00:00Z").unwrap(), uptime: Duration::from_secs(1) };
        let keeping = Keeping::in_memory(MemoryStore::new(10, 10, 10));
        let hub = Hub::open(HubSettings::default(), keeping, Arc::new(Metrics::default()), now);
        let (keys, count) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let mut extensions = Extensions::default();
        let counted = Arc::clone(&count);
        let handler = move |_caller, _payload: Value| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(Value::Null) }
        };
        extensions.add("domain.count", None, "domain.counted", handler).unwrap();
        let verifier = Verifier::new(Key::hs256(SECRET).unwrap(), "anita", "anita", Roles::default());
        let context = Context {
            hub: hub.now_or_never().unwrap().unwrap(),
            verifier: Arc::new(Waiting { verifier, are_there: Arc::clone(&keys) }),
            settings: SessionSettings::default(),
            extensions,
            playbacks: Arc::default(),
        };
        Self { context: Arc::new(context), now, keys, count }
    }

    /// Somebody with a token that lasts a minute.
    fn session(&self, endpoint: Endpoint, role: &str) -> Session {
        let roles = [role.to_owned()];
        let grant = Grant { subject: "alice", roles: &roles, ..Grant::default() };
        let token = Minter::hs256(SECRET, "anita", "anita").unwrap();
        let token = token.mint(&grant, self.now.wall, Duration::from_secs(60)).unwrap();
        let hub = &self.context.hub;
        let registration = hub.connect(endpoint, None, hub.shards().first().unwrap(), self.now);
        let credentials = Credentials::Token(token);
        Session::open(Arc::clone(&self.context), registration, credentials, SourceName::websocket(), self.now)
    }
}

/// The types of messages that wait to be written, with the codes of errors.
fn heard(session: &mut Session) -> Vec<String> {
    let frames = session.take_frames().into_iter();
    let texts = frames.filter_map(|frame| {
        let at = frame.iter().position(|byte| *byte == b'{')?;
        serde_json::from_slice::<Value>(&frame[at..]).ok()
    });
    texts
        .map(|it| match it["payload"]["code"].as_str() {
            Some(code) => format!("{} {code}", it["type"].as_str().unwrap()),
            None => it["type"].as_str().unwrap().to_owned(),
        })
        .collect()
}

#[test]
fn a_close_that_was_decided_is_not_replaced_by_a_later_one() {
    type Ending = (&'static str, fn(&mut Session, Now));
    let endings: [Ending; 8] = [
        ("memory", |session, _now| session.on_memory()),
        ("slow message", |session, _now| session.on_message_deadline()),
        ("too many sockets", |session, _now| session.on_too_many_sockets(Duration::from_secs(10))),
        ("drain", |session, _now| session.on_drain(Duration::from_secs(1))),
        ("binary", |session, _now| session.on_binary()),
        ("log out", |session, now| {
            session.peer().close(CloseCode::LoggedOut);
            session.on_wake(now, Delivery::Open);
        }),
        ("expiry", |session, now| {
            let later = Now { uptime: now.uptime + Duration::from_secs(66), ..now };
            session.on_control(later);
            session.on_wake(later, Delivery::Open);
        }),
        ("silence", |session, now| {
            let later = Now { uptime: now.uptime + Duration::from_secs(51), ..now };
            session.on_wake(later, Delivery::Open);
        }),
    ];
    let house = House::new();
    for (first, decide) in endings {
        for (second, end_again) in endings {
            let mut session = house.session(Endpoint::Plain, "viewer");
            decide(&mut session, house.now);
            let closing = session.closing().unwrap_or_else(|| panic!("{first} ends nothing")).clone();
            heard(&mut session);
            end_again(&mut session, house.now);
            assert_eq!(session.closing(), Some(&closing), "{first}, then {second}");
            assert_eq!(heard(&mut session), [""; 0], "{first}, then {second}: nothing is said after the end");
        }
    }
    // One that was refused at its endpoint is told so, whether or not its user has too many connections as well.
    let mut session = house.session(Endpoint::Uwb, "nobody");
    session.on_too_many_sockets(Duration::from_secs(10));
    assert_eq!(session.closing().unwrap().code, CloseCode::Forbidden);
    assert_eq!(heard(&mut session), ["error forbidden"]);
}

#[test]
fn the_first_who_closes_a_connection_from_outside_says_how() {
    let house = House::new();
    let mut session = house.session(Endpoint::Plain, "viewer");
    session.peer().close_for(CloseCode::OutOfMemory, Duration::from_secs(10));
    session.peer().close(CloseCode::LoggedOut);
    session.on_wake(house.now, Delivery::Open);
    assert_eq!(session.closing().unwrap().code, CloseCode::OutOfMemory);
    assert_eq!(session.closing().unwrap().reason.retry_after_ms, Some(10_000));
}

/// A conversation whose token waits for keys, with three requests that came meanwhile; the keys are there now.
fn parked(house: &House) -> Session {
    house.keys.store(false, Ordering::Relaxed);
    let mut session = house.session(Endpoint::Plain, "viewer");
    for _ in 0..3 {
        session.on_text(r#"{"type":"domain.count","payload":{}}"#, house.now);
    }
    assert!(!session.is_live() && heard(&mut session).is_empty());
    house.keys.store(true, Ordering::Relaxed);
    session.answered().now_or_never().expect("the keys are there");
    session.on_wake(house.now, Delivery::Open);
    session
}

#[test]
fn what_was_said_while_a_token_waited_is_not_done_for_one_connection_too_many() {
    let house = House::new();
    let mut session = parked(&house);
    assert!(session.is_live(), "it is known who it is");
    assert_eq!(house.count.load(Ordering::Relaxed), 0, "and the owner of the socket is asked first");
    session.on_too_many_sockets(Duration::from_secs(10));
    session.on_wake(house.now, Delivery::Open);
    session.on_text(r#"{"type":"domain.count","payload":{}}"#, house.now);
    assert_eq!(house.count.load(Ordering::Relaxed), 0);
    assert_eq!(heard(&mut session), ["error limit_reached"]);
    assert_eq!(session.closing().unwrap().code, CloseCode::TryLater);
}

#[test]
fn what_was_said_while_a_token_waited_is_done_at_once_and_in_its_order() {
    let house = House::new();
    let mut session = parked(&house);
    assert_eq!(session.wake_at(), Duration::ZERO, "nothing has to happen for it");
    // What comes now is later than what was held.
    session.on_text(r#"{"type":"ping","payload":{}}"#, house.now);
    let expected = ["system.connection", "domain.counted", "domain.counted", "domain.counted", "system.pong"];
    assert_eq!(heard(&mut session), expected);
    let mut session = parked(&house);
    session.on_wake(house.now, Delivery::Open);
    assert_eq!(heard(&mut session), expected[..4]);
    assert_ne!(session.wake_at(), Duration::ZERO);
}
