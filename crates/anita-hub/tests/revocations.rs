//! Revocations outlive restarts and clocks that are wrong.

#![allow(clippy::unwrap_used, reason = "the code of a test")]

use std::sync::Arc;
use std::time::Duration;

use anita_hub::{Durability, Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{Now, Revocation, RevocationId, Revoked, Timestamp};
use anita_store::{MemoryStore, Retention, Store, WriterSettings};

const HOUR: Duration = Duration::from_secs(3_600);
const YEAR: Duration = Duration::from_secs(31_536_000);

/// The present of a server that runs for this long, when its wall clock is this far ahead.
fn at(uptime: Duration, ahead: Duration) -> Now {
    let wall = Timestamp::parse("2026-03-01T12:00:00Z").unwrap();
    Now { wall: wall.plus(ahead).plus(uptime), uptime }
}

async fn open(store: &Arc<MemoryStore>, now: Now) -> Arc<Hub> {
    let store = Arc::clone(store) as Arc<dyn Store>;
    let keeping = Keeping::new(store, WriterSettings::default(), None, Durability::Commit);
    Hub::open(HubSettings::default(), keeping, Arc::new(Metrics::default()), now).await.unwrap()
}

async fn kept(store: &MemoryStore) -> usize {
    store.load(0).await.unwrap().revocations.len()
}

#[tokio::test(start_paused = true)]
async fn a_start_and_a_tidying_with_a_clock_that_is_far_ahead_forget_nothing_that_is_needed() {
    let store = Arc::new(MemoryStore::new(10, 10, 10));
    let hub = open(&store, at(Duration::ZERO, Duration::ZERO)).await;
    let made_at = at(Duration::ZERO, Duration::ZERO).wall;
    let revocation = Revocation {
        id: RevocationId::parse("r").unwrap(),
        revoked: Revoked::Token("t".into()),
        issuer: None,
        made_at,
        until: Some(made_at.plus(HOUR)),
        made_by: "admin".into(),
        reason: "".into(),
    };
    let (_closed, done) = hub.revoke(&revocation).unwrap();
    done.await.unwrap();
    hub.close().await;

    // Again, with a clock that is a year ahead.
    let hub = open(&store, at(Duration::ZERO, YEAR)).await;
    while hub.tidy(Retention::default(), at(Duration::ZERO, YEAR).wall).await.unwrap() {}
    hub.sweep(at(HOUR, YEAR));
    assert_eq!((hub.revocations().len(), kept(&store).await), (1, 1));
    hub.close().await;

    // Again, and the clock was set right meanwhile: the token would be good.
    let hub = open(&store, at(HOUR / 2, Duration::ZERO)).await;
    assert_eq!(hub.revocations(), [revocation]);
    hub.sweep(at(HOUR * 2, Duration::ZERO));
    assert_eq!(hub.revocations(), []);
    hub.close().await;
    assert_eq!(kept(&store).await, 0, "the store forgets when it is told to");
}
