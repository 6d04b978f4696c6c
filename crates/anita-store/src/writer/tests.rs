use anita_model::{
    DeviceId, DeviceKind, Position, Revocation, RevocationId, Revoked, SiteName, SourceName, Timestamp,
};

use super::*;
use crate::audit::{AuditEntry, AuditHash, AuditLink, AuditRecord};
use crate::faulty::{FaultyStore, Mood};
use crate::record::DeviceRecord;

fn fixes(first: u64, count: u64) -> Vec<Arc<Fix>> {
    let fix = |sequence| {
        Arc::new(Fix {
            device: DeviceId::parse("a").unwrap(),
            site: SiteName::main(),
            position: Position::new(0.0, 0.0, 0.0).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            source: SourceName::parse("test").unwrap(),
            sequence: Some(sequence),
        })
    };
    (first..first + count).map(fix).collect()
}

fn entry(action: &str, seq: u64) -> AuditEntry {
    let record = AuditRecord {
        at: Timestamp::UNIX_EPOCH,
        subject: String::new(),
        issuer: None,
        action: action.to_owned(),
        object: String::new(),
        outcome: String::new(),
        address: None,
    };
    let link = AuditLink { seq, previous: AuditHash::NONE, hash: AuditHash::NONE };
    AuditEntry { record, link: (seq > 0).then_some(link) }
}

fn audit(action: &str) -> Vec<Record> {
    vec![Record::Audit(entry(action, 0))]
}

fn linked(seq: u64) -> Vec<Record> {
    vec![Record::Audit(entry("", seq))]
}

async fn count(store: &FaultyStore) -> (u64, u64) {
    let usage = store.usage().await.unwrap();
    (usage.fixes.count, usage.audit.count)
}

fn start(store: &Arc<FaultyStore>) -> Writer {
    Writer::start(
        Arc::clone(store) as Arc<dyn Store>,
        WriterSettings { waiting_fixes_max: 10, ..Default::default() },
    )
}

#[tokio::test(start_paused = true)]
async fn the_first_goes_at_once_and_what_follows_shares_a_commit() {
    let store = FaultyStore::new([]);
    let writer = start(&store);
    let began = Instant::now();
    writer.offer(fixes(0, 1)).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    let (first, second, third) =
        (writer.offer(fixes(1, 2)), writer.entrust(audit("a")), writer.offer(fixes(3, 1)));
    first.await.unwrap();
    second.await.unwrap();
    third.await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(20) && began.elapsed() < Duration::from_millis(25));
    assert_eq!(store.commits(), [1, 4]);
    let health = writer.health();
    assert_eq!((health.state, health.commits, health.fixes, health.waiting_fixes), (State::Well, 2, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn when_the_store_is_away_fixes_come_back_and_what_was_entrusted_stays() {
    let store = FaultyStore::new([Mood::Away, Mood::Full]);
    let writer = start(&store);
    let entrusted = writer.entrust(audit("a"));
    let offered = writer.offer(fixes(0, 1));
    assert!(matches!(offered.await, Err(StoreError::Unavailable(_))));
    assert!(matches!(entrusted.await, Err(StoreError::Unavailable(_))));
    assert_eq!((writer.health().state, writer.health().backlog), (State::Away, 1));
    // While it is left alone, nobody waits for it.
    let began = Instant::now();
    assert!(writer.offer(fixes(0, 1)).await.is_err());
    assert!(writer.entrust(audit("b")).await.is_err());
    assert_eq!((began.elapsed(), store.commits().len()), (Duration::ZERO, 1));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!((writer.health().state, writer.health().backlog, store.commits().len()), (State::Full, 2, 2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((writer.health().state, writer.health().backlog), (State::Well, 0));
    assert_eq!(count(&store).await, (0, 2), "what came back is not kept behind its sender's back");
    writer.offer(fixes(0, 1)).await.unwrap();
    assert_eq!(count(&store).await, (1, 2));
}

#[tokio::test(start_paused = true)]
async fn while_a_commit_takes_its_time_a_bounded_number_waits_and_the_state_says_so() {
    let store = FaultyStore::new([Mood::Slow(Duration::from_secs(5))]);
    let writer = start(&store);
    let first = writer.offer(fixes(0, 4));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let second = writer.offer(fixes(4, 6));
    assert!(matches!(writer.offer(fixes(10, 1)).await, Err(StoreError::Busy)));
    assert_eq!((writer.health().state, writer.health().waiting_fixes), (State::Slow, 10));
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!((writer.health().state, writer.health().waiting_fixes), (State::Well, 0));
    assert_eq!(count(&store).await, (10, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_store_cannot_hold_harms_nothing_else() {
    let store = FaultyStore::new([Mood::Picky, Mood::Picky, Mood::Picky, Mood::Picky, Mood::Picky]);
    let writer = start(&store);
    let tickets =
        [writer.entrust([audit("good"), audit("bad"), audit("good")].concat()), writer.offer(fixes(0, 2))];
    for ticket in tickets {
        ticket.await.unwrap();
    }
    assert_eq!(count(&store).await, (2, 2));
    assert_eq!((writer.health().state, writer.health().backlog), (State::Well, 0));
}

#[tokio::test(start_paused = true)]
async fn the_end_commits_what_waits_even_when_the_store_was_left_alone() {
    let store = FaultyStore::new([Mood::Away]);
    let writer = start(&store);
    writer.entrust(audit("a")).await.unwrap_err();
    writer.close().await;
    assert_eq!(count(&store).await, (0, 1));
    assert!(matches!(writer.offer(fixes(0, 1)).await, Err(StoreError::Busy)));
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_a_store_that_stays_away() {
    let store = FaultyStore::new([Mood::Away, Mood::Away]);
    let writer = start(&store);
    writer.entrust(audit("a")).await.unwrap_err();
    writer.close().await;
    assert_eq!((count(&store).await, store.commits().len()), ((0, 0), 2));
}

fn save(name: &str) -> Vec<Record> {
    vec![Record::Save(DeviceRecord {
        id: DeviceId::parse("a").unwrap(),
        name: Some(name.to_owned()),
        kind: DeviceKind::Tag,
        site: SiteName::main(),
        mounted_at: None,
        floor: None,
    })]
}

async fn names(store: &FaultyStore) -> Vec<Option<String>> {
    store.load(0).await.unwrap().devices.into_iter().map(|device| device.name).collect()
}

/// Once, what was handed in during a commit that failed came after what was handed in afterwards: an older name won.
#[tokio::test(start_paused = true)]
async fn what_came_while_a_commit_failed_is_kept_before_what_came_afterwards() {
    let store = FaultyStore::new([Mood::AwayAfter(Duration::from_secs(1))]);
    let writer = start(&store);
    drop(writer.entrust(audit("under way")));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (older, offered) = (writer.entrust(save("older")), writer.offer(fixes(0, 3)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The store is left alone: nobody waits for that.
    let began = Instant::now();
    assert!(older.await.is_err() && offered.await.is_err());
    assert_eq!((began.elapsed(), writer.health().waiting_fixes), (Duration::ZERO, 0));
    drop(writer.entrust(save("newer")));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(names(&store).await, [Some("newer".to_owned())]);
    assert_eq!((writer.health().state, count(&store).await), (State::Well, (0, 1)));
    // A removal is one, whatever was handed in before it.
    store.expect([Mood::AwayAfter(Duration::from_secs(1))]);
    drop(writer.entrust(audit("under way")));
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop((writer.entrust(save("again")), writer.offer(fixes(0, 3))));
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(writer.entrust(vec![Record::Remove(DeviceId::parse("a").unwrap())]));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((names(&store).await, count(&store).await), (vec![], (0, 2)));
}

#[tokio::test(start_paused = true)]
async fn while_a_commit_hangs_a_bounded_number_of_entrusted_records_waits() {
    let store = FaultyStore::new([Mood::AwayAfter(Duration::from_secs(3_600))]);
    let settings = WriterSettings { backlog_max: 10, ..WriterSettings::default() };
    let writer = Writer::start(Arc::clone(&store) as Arc<dyn Store>, settings);
    // Its part of what fails in the end goes back before what came since.
    drop(writer.entrust(save("oldest")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(writer.entrust(save("newer")));
    for n in 0..10_000 {
        drop(writer.entrust(audit(&n.to_string())));
    }
    assert!(writer.health().given_up > 5_000, "{:?}", writer.health());
    tokio::time::sleep(Duration::from_secs(3_700)).await;
    let health = writer.health();
    assert_eq!(
        (health.state, health.backlog, names(&store).await),
        (State::Well, 0, vec![Some("newer".to_owned())])
    );
    assert_eq!(count(&store).await.1 + health.given_up, 10_000, "kept, or said to be given up");
}

/// Once, a record that was put aside for a moment came after a newer one of the same group.
#[tokio::test(start_paused = true)]
async fn when_the_store_goes_away_while_records_are_kept_one_by_one_the_rest_waits_in_its_order() {
    let store = FaultyStore::new([Mood::Picky, Mood::Picky, Mood::Away]);
    let writer = start(&store);
    drop(writer.entrust([audit("bad"), save("older"), save("newer")].concat()));
    let offered = writer.offer(fixes(0, 2));
    assert!(offered.await.is_err(), "not one of them was kept");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(names(&store).await, [Some("newer".to_owned())]);
    assert_eq!((count(&store).await, writer.health().backlog), ((0, 0), 0));
}

/// Once, a store that was well again counted as away until somebody had something to keep.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_well_again_is_found_out_even_if_nobody_needs_it() {
    let store = FaultyStore::new([Mood::Away, Mood::Away]);
    let writer = start(&store);
    writer.offer(fixes(0, 1)).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!((writer.health().state, store.commits()), (State::Away, vec![1, 0]));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(writer.health().state, State::Well);
    let commits = store.commits().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(store.commits().len(), commits, "and is left in peace then");
}

#[tokio::test(start_paused = true)]
async fn how_much_of_the_audit_chain_is_kept_is_known_when_it_is() {
    let store = FaultyStore::new([Mood::Away]);
    let writer = start(&store);
    let kept = writer.audit_kept();
    let seq = || kept.borrow().map(|head| head.seq);
    writer.entrust(linked(1)).await.unwrap_err();
    drop(writer.entrust(linked(2)));
    assert_eq!(seq(), None, "the store is away");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seq(), Some(2));
    writer.entrust([linked(3), audit("in no chain"), linked(4), save("a")].concat()).await.unwrap();
    writer.offer(fixes(0, 1)).await.unwrap();
    assert_eq!(seq(), Some(4));
    let memory = Writer::immediate(Arc::new(MemoryStore::new(1, 1, 1)));
    memory.entrust(linked(1)).await.unwrap();
    assert_eq!(memory.audit_kept().borrow().map(|head| head.seq), Some(1));
}

#[tokio::test(start_paused = true)]
async fn audit_entries_that_are_lost_are_told_by_their_numbers_and_revocations_are_not_lost() {
    let store = FaultyStore::new([Mood::AwayAfter(Duration::from_secs(3_600))]);
    let writer = Writer::start(
        Arc::clone(&store) as Arc<dyn Store>,
        WriterSettings { backlog_max: 10, ..WriterSettings::default() },
    );
    drop(writer.entrust(audit("under way")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let revocation = Revocation {
        id: RevocationId::parse("r").unwrap(),
        revoked: Revoked::Token("t".into()),
        issuer: None,
        made_at: Timestamp::UNIX_EPOCH,
        until: None,
        made_by: "admin".into(),
        reason: "".into(),
    };
    drop(writer.entrust(vec![Record::Revoke(revocation.clone())]));
    for seq in 1..=10_000 {
        drop(writer.entrust(linked(seq)));
    }
    tokio::time::sleep(Duration::from_secs(3_700)).await;
    assert_eq!(store.load(0).await.unwrap().revocations, [revocation]);
    let lost: u64 = writer.take_lost_audit().iter().map(|(first, last)| last - first + 1).sum();
    assert!(lost > 5_000, "{lost}");
    assert_eq!(count(&store).await.1 + lost, 10_001, "kept, or told to be lost");
    assert_eq!(writer.take_lost_audit(), []);
}

#[tokio::test(start_paused = true)]
async fn an_audit_entry_that_the_store_cannot_hold_is_told_to_be_lost() {
    let store = FaultyStore::new([Mood::Picky, Mood::Picky, Mood::Picky, Mood::Picky]);
    let writer = start(&store);
    let bad = vec![Record::Audit(entry("bad", 2))];
    writer.entrust([linked(1), bad, linked(3)].concat()).await.unwrap();
    assert_eq!(writer.take_lost_audit(), [(2, 2)]);
    assert_eq!(writer.audit_kept().borrow().map(|head| head.seq), Some(3));
}
