//! The chain of the audit trail, and the tokens that are not accepted any more.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{Revocation, RevocationId, Revoked, Timestamp};

use super::make::{at, audit_pages, done, entry, keep, revocation, tidy};
use super::{ENDS, End, Fixture, again};
use crate::audit::{AuditEntry, AuditHash, AuditRecord, Chain, Verification};
use crate::port::Store;
use crate::query::{AuditQuery, Order};
use crate::record::Record;
use crate::retention::{KindLimits, Retention};

/// The trail, oldest first, in pages of three.
async fn trail(store: &Arc<dyn Store>) -> Vec<AuditEntry> {
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let query = AuditQuery { order: Order::OldestFirst, limit: 3, after, ..AuditQuery::default() };
        let page = done(store.audit(query).await);
        assert!(page.entries.is_sorted_by(|(a, _), (b, _)| a < b), "the ordinals count up");
        assert!(page.next.is_none_or(|next| page.entries.last().is_some_and(|(last, _)| *last == next)));
        entries.extend(page.entries.into_iter().map(|(_ordinal, entry)| entry));
        if page.next.is_none() {
            return entries;
        }
        after = page.next;
        assert!(entries.len() < 10_000, "pages without end");
    }
}

fn record(n: i64) -> AuditRecord {
    let issuer = (n % 2 == 0).then(|| "https://id.example/ä".to_owned());
    let address = (n % 3 == 0).then(|| "2001:db8::1".to_owned());
    let AuditEntry { record, .. } = entry(if n % 2 == 0 { "alice" } else { "" }, &format!("act {n}"), at(n));
    AuditRecord { issuer, address, object: format!("\u{1}\n😀 \"{n}\""), ..record }
}

/// Every entry with its place, in their order, after what is older than the chain; and where it goes on.
pub async fn the_audit_chain_comes_back_as_it_was_kept(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    assert_eq!(done(store.load(1).await).audit_head, None);
    let older = entry("bob", "old", at(0));
    keep(&store, vec![Record::Audit(older.clone())]).await;
    assert_eq!(done(store.load(1).await).audit_head, None, "what is in no chain is no end of one");
    let mut chain = Chain::default();
    let mut entries = vec![older];
    for end in ENDS {
        let next: Vec<AuditEntry> = (1..=5).map(|n| chain.add(record(n))).collect();
        let records: Vec<Record> = next.iter().cloned().map(Record::Audit).collect();
        keep(&store, records.clone()).await;
        // Whoever is not sure keeps the same again.
        keep(&store, records[3..].to_vec()).await;
        entries.extend(next);
        store = again(fixture, store, end).await;
        keep(&store, records).await;
        assert_eq!(trail(&store).await, entries);
        assert_eq!(done(store.load(1).await).audit_head, chain.head());
    }
    assert_eq!(done(store.usage().await).audit.count, 11);
    let mut verification = Verification::of_store(chain.head());
    entries.iter().try_for_each(|entry| verification.step(entry)).unwrap();
    assert_eq!(verification.finish().unwrap().entries, 10);
    let of = |action: &str, order| AuditQuery {
        action: Some(action.to_owned()),
        order,
        limit: 1,
        ..AuditQuery::default()
    };
    for order in [Order::NewestFirst, Order::OldestFirst] {
        assert_eq!(audit_pages(&store, &of("act 3", order)).await, [["act 3"], ["act 3"]]);
        assert_eq!(audit_pages(&store, &of("act", order)).await.concat(), [""; 0]);
        let both = AuditQuery { subject: Some("alice".to_owned()), limit: 9, ..of("act 3", order) };
        assert_eq!(audit_pages(&store, &both).await.concat(), [""; 0]);
    }
}

/// Retention takes the oldest, and never the last one, after which the chain goes on.
pub async fn the_last_entry_of_the_chain_stays_whatever_its_age(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let mut chain = Chain::default();
    let mut entries: Vec<AuditEntry> = (1..=9).map(|n| chain.add(record(n))).collect();
    keep(&store, entries.iter().cloned().map(Record::Audit).collect()).await;
    let by_age = |age_max| Retention {
        audit: KindLimits { age_max: Some(age_max), bytes_max: None },
        ..Retention::default()
    };
    assert_eq!(tidy(&store, &by_age(Duration::from_secs(5)), at(9)).await.audit_removed, 3);
    entries.drain(..3);
    assert_eq!(trail(&store).await, entries);
    let by_size =
        Retention { audit: KindLimits { age_max: None, bytes_max: Some(0) }, ..Retention::default() };
    for (retention, end) in [by_age(Duration::from_secs(5)), by_size].into_iter().zip(ENDS) {
        tidy(&store, &retention, at(1_000_000)).await;
        store = again(fixture, store, end).await;
        assert_eq!(trail(&store).await, entries[5..]);
        assert_eq!(done(store.load(1).await).audit_head, chain.head());
        let usage = done(store.usage().await).audit;
        assert!(usage.count == 1 && usage.bytes > 0, "{usage:?}");
    }
}

fn some_of_each() -> Vec<Revocation> {
    let subject = |subject: &str, issued_before| Revoked::Subject { subject: subject.into(), issued_before };
    let mut all = vec![
        revocation("b", Revoked::Token("token ä 1".into()), at(1)),
        revocation("a", subject("alice", None), at(2)),
        revocation("c", subject("Alice", Some(at(-5))), at(2)),
        revocation("0", Revoked::IssuedBefore(at(0)), at(3)),
    ];
    all[1].issuer = Some("https://id.example".into());
    all[2].until = Some(at(100));
    all[3].reason = "the secret got out: 'rotate', \"now\"".into();
    all[3].made_by = "".into();
    all
}

/// All of each, in the order in which they were made; the same id again changes nothing; until it is taken back.
pub async fn revocations_are_kept_until_they_are_taken_back(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    assert_eq!(done(store.load(1).await).revocations, []);
    let all = some_of_each();
    keep(&store, all.iter().rev().cloned().map(Record::Revoke).collect()).await;
    let other = revocation("a", Revoked::IssuedBefore(at(7)), at(0));
    keep(&store, vec![Record::Revoke(other.clone())]).await;
    for end in ENDS {
        store = again(fixture, store, end).await;
        assert_eq!(done(store.load(1).await).revocations, all);
    }
    let id = |text: &str| RevocationId::parse(text).unwrap();
    let unknown = Record::Unrevoke(id("unknown"));
    keep(&store, vec![Record::Unrevoke(id("a")), unknown, Record::Unrevoke(id("0"))]).await;
    for end in ENDS {
        store = again(fixture, store, end).await;
        assert_eq!(done(store.load(1).await).revocations, [all[0].clone(), all[2].clone()]);
    }
    // The order inside a commit counts.
    let words = [
        Record::Unrevoke(id("b")),
        Record::Revoke(other.clone()),
        Record::Unrevoke(id("c")),
        Record::Revoke(all[2].clone()),
        Record::Revoke(all[3].clone()),
        Record::Unrevoke(id("0")),
    ];
    keep(&store, words.to_vec()).await;
    let store = again(fixture, store, End::Dropped).await;
    assert_eq!(done(store.load(1).await).revocations, [other, all[2].clone()]);
}

/// Only who knows that their tokens have run out takes them away: the wall clock of tidying may be wrong.
pub async fn no_clock_of_tidying_forgets_a_revocation(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let until = |text: &str, until: Option<Timestamp>| Revocation {
        until,
        ..revocation(text, Revoked::Token(text.into()), at(0))
    };
    let all = [until("early", Some(at(10))), until("late", Some(at(20))), until("never", None)];
    keep(&store, all.iter().cloned().map(Record::Revoke).collect()).await;
    for (now, end) in [(9, ENDS[0]), (1_000_000_000, ENDS[1])] {
        tidy(&store, &Retention::default(), at(now)).await;
        store = again(fixture, store, end).await;
        assert_eq!(done(store.load(1).await).revocations, all, "at {now}");
    }
}

/// The hash that is kept is the hash, bit by bit.
pub async fn hashes_come_back_in_every_bit(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let mut entries: Vec<AuditEntry> = Vec::new();
    for n in 0..64_u8 {
        let mut made = Chain::after(None).add(record(n.into()));
        if let Some(link) = &mut made.link {
            link.seq = u64::from(n) + 1;
            let mut byte = n;
            let mut next = || {
                byte = byte.wrapping_mul(5).wrapping_add(37);
                byte
            };
            link.previous = AuditHash(std::array::from_fn(|_place| next()));
            link.hash = AuditHash(std::array::from_fn(|place| if place % 2 == 0 { 0 } else { next() }));
        }
        entries.push(made);
    }
    keep(&store, entries.iter().cloned().map(Record::Audit).collect()).await;
    let store = again(fixture, store, End::Dropped).await;
    assert_eq!(trail(&store).await, entries);
}
