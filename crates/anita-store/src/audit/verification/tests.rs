use anita_model::Timestamp;
use proptest::prelude::*;

use super::super::{AuditLink, AuditRecord, Chain, numbers};
use super::*;

fn record(n: u64) -> AuditRecord {
    AuditRecord {
        at: Timestamp::from_micros(n.cast_signed()).unwrap(),
        subject: format!("s{n}"),
        issuer: n.is_multiple_of(2).then(|| "anita".to_owned()),
        action: "act".to_owned(),
        object: String::new(),
        outcome: "done".to_owned(),
        address: n.is_multiple_of(3).then(|| "10.0.0.1".to_owned()),
    }
}

fn said(action: &str, object: String) -> AuditRecord {
    AuditRecord { subject: String::new(), action: action.to_owned(), object, ..record(0) }
}

fn chain(records: impl IntoIterator<Item = AuditRecord>) -> Vec<AuditEntry> {
    let mut chain = Chain::default();
    records.into_iter().map(|record| chain.add(record)).collect()
}

fn of(count: u64) -> Vec<AuditEntry> {
    chain((1..=count).map(record))
}

fn head(entries: &[AuditEntry], seq: usize) -> AuditHead {
    entries[seq - 1].link.unwrap().head()
}

fn verify(entries: &[AuditEntry], noted: impl IntoIterator<Item = AuditHead>) -> Result<Whole, Broken> {
    let mut verification = Verification::of_store(noted);
    entries.iter().try_for_each(|entry| verification.step(entry))?;
    verification.finish()
}

#[test]
fn a_chain_is_whole_from_whichever_entry_it_begins() {
    let entries = of(9);
    for first in 0..9 {
        let whole = verify(&entries[first..], [head(&entries, 9)]).unwrap();
        assert_eq!((whole.first, whole.entries), (Some(first as u64 + 1), 9 - first as u64));
        assert_eq!(whole.head, Some(head(&entries, 9)));
    }
    assert_eq!(verify(&[], []), Ok(Whole::default()));
}

/// Numbers that were given up have no places, and places that retention emptied had numbers.
#[test]
fn more_places_than_numbers_between_two_entries_are_removed_ones_whose_numbers_were_given_again() {
    let entries = of(9);
    let judged = |placed: &[(u64, usize)]| {
        let mut verification = Verification::of_store(None);
        placed.iter().try_for_each(|(place, seq)| verification.step_placed(*place, &entries[seq - 1]))
    };
    assert_eq!(judged(&[(7, 1), (8, 2), (9, 3)]), Ok(()));
    assert_eq!(judged(&[(1, 1), (2, 2), (3, 6), (4, 7)]), Ok(()), "given up in between");
    assert_eq!(judged(&[(1, 1), (5, 5), (6, 6)]), Ok(()), "gone in between: a gap, and said as one");
    assert_eq!(judged(&[(1, 1), (2, 2), (11, 3)]), Err(Broken::Replaced { after: 2, count: 8 }));
    assert_eq!(judged(&[(1, 1), (2, 2), (4, 3)]), Err(Broken::Replaced { after: 2, count: 1 }));
    assert_eq!(judged(&[(1, 1), (9, 4)]), Err(Broken::Replaced { after: 1, count: 5 }));
}

#[test]
fn entries_from_before_the_chain_are_counted_and_none_may_come_later() {
    let older = AuditEntry { record: record(0), link: None };
    let mut entries = vec![older.clone(), older.clone()];
    entries.extend(of(3));
    assert_eq!(verify(&entries, []).unwrap().older, 2);
    entries.insert(4, older);
    assert_eq!(verify(&entries, []), Err(Broken::Unnumbered { after: 2 }));
}

#[test]
fn a_cut_at_the_end_shows_against_a_noted_head_alone() {
    let entries = of(9);
    assert_eq!(verify(&entries[..7], []).unwrap().head, Some(head(&entries, 7)));
    assert_eq!(
        verify(&entries[..7], [head(&entries, 5), head(&entries, 9)]),
        Err(Broken::Cut { last: 7, noted: 9 })
    );
    assert_eq!(verify(&[], [head(&entries, 9)]), Err(Broken::Cut { last: 0, noted: 9 }));
    // Somebody who may write everything can write a new chain; a note shows it.
    let other = chain((1..=9).map(|n| record(n * 2)));
    assert!(verify(&other, []).is_ok());
    assert_eq!(verify(&other, [head(&entries, 5)]), Err(Broken::NotNoted { seq: 5 }));
    // What retention took away can't be compared any more.
    assert_eq!(verify(&entries[6..], [head(&entries, 5)]).unwrap().unchecked, [5]);
}

#[test]
fn entries_that_were_given_up_are_missing_without_harm_when_a_later_entry_says_so() {
    let with = |action: &str, object: String, subject: &str| {
        let told = AuditRecord { subject: subject.to_owned(), ..said(action, object) };
        let mut entries = chain((1..=9).map(record).chain([told]));
        entries.drain(3..6);
        entries
    };
    let missing = |before, next| Err(Broken::Missing { before, next });
    let whole = verify(&with(LOST_ENTRIES, numbers(4, 6), ""), []).unwrap();
    assert_eq!((whole.given_up, whole.entries), (3, 7));
    assert_eq!(verify(&with(LOST_ENTRIES, numbers(2, 8), ""), []).unwrap().given_up, 3);
    assert_eq!(verify(&with(LOST_ENTRIES, numbers(4, 5), ""), []), missing(5, 7));
    assert_eq!(verify(&with(LOST_ENTRIES, numbers(5, 6), ""), []), missing(3, 5));
    assert_eq!(verify(&with(LOST_ENTRIES, numbers(5, 5), ""), []), missing(3, 5));
    assert_eq!(verify(&with(LOST_ENTRIES, numbers(7, 9), ""), []), missing(3, 7));
    assert_eq!(
        verify(&with(LOST_ENTRIES, numbers(4, 10), ""), []),
        missing(3, 7),
        "of what comes it says nothing"
    );
    assert_eq!(verify(&with(LOST_ENTRIES, numbers(6, 4), ""), []), missing(3, 7));
    assert_eq!(
        verify(&with(LOST_ENTRIES, numbers(4, 6), "mallory"), []),
        missing(3, 7),
        "only the server says so"
    );
    assert_eq!(verify(&with(LOST_LINES, numbers(4, 6), ""), []), missing(3, 7), "that is about files");
    let mut files = Verification::of_files([]);
    let entries = with(LOST_LINES, numbers(4, 6), "");
    entries.iter().try_for_each(|entry| files.step(entry)).unwrap();
    assert_eq!(files.finish().unwrap().given_up, 3);
}

#[test]
fn what_a_start_found_missing_is_counted_by_itself() {
    let mut entries = chain((1..=9).map(record).chain([said(MISSED_ENTRIES, numbers(4, 6))]));
    entries.drain(3..6);
    let whole = verify(&entries, []).unwrap();
    assert_eq!((whole.given_up, whole.missed, whole.entries), (0, 3, 7));
}

/// Once, entries that retention took while others were read looked like a cut.
#[test]
fn what_retention_took_meanwhile_is_no_gap_and_what_is_missing_above_it_is_one() {
    let entries = of(30);
    let read = [&entries[..5], &entries[12..20], &entries[22..]].concat();
    let verified = |begins_with: Option<u64>| {
        let mut verification = Verification::of_store([]);
        read.iter().try_for_each(|entry| verification.step(entry)).unwrap();
        if let Some(first) = begins_with {
            verification.begins_with(first);
        }
        verification.finish()
    };
    assert_eq!(verified(None), Err(Broken::Missing { before: 5, next: 13 }));
    assert_eq!(verified(Some(12)), Err(Broken::Missing { before: 5, next: 13 }), "12 should be there");
    for first in [13, 20, 22] {
        assert_eq!(verified(Some(first)), Err(Broken::Missing { before: 20, next: 23 }));
    }
    let whole = verified(Some(23)).unwrap();
    assert_eq!((whole.tidied, whole.entries, whole.first), (9, 21, Some(1)));
}

#[test]
fn gaps_of_the_last_server_are_found_unless_an_entry_accounts_for_them() {
    let found = |entries: &[AuditEntry]| {
        let mut gaps = Unexplained::default();
        let _end = entries.iter().rev().try_for_each(|entry| gaps.step(entry));
        gaps.finish()
    };
    let mut entries = chain((1..=40).map(record));
    assert_eq!(found(&entries), []);
    entries.drain(20..30);
    assert_eq!(found(&entries), [(21, 30)]);
    let explained = |object: String| {
        let mut entries = chain((1..=40).map(record).chain([said(LOST_ENTRIES, object), record(42)]));
        entries.drain(20..30);
        entries.drain(4..6);
        found(&entries)
    };
    assert_eq!(explained(numbers(21, 30)), [(5, 6)]);
    assert_eq!(explained(numbers(1, 99)), []);
    assert_eq!(explained(numbers(23, 28)), [(5, 6), (21, 22), (29, 30)]);
    assert_eq!(explained(numbers(30, 90)), [(5, 6), (21, 29)]);
    // What is older than the last start or end of a server is none of its gaps: somebody removed it.
    for action in [START_SERVER, STOP_SERVER] {
        let mut entries =
            chain((1..=9).map(record).chain([said(action, String::new())]).chain((1..=5).map(record)));
        entries.drain(11..13);
        entries.drain(3..5);
        assert_eq!(found(&entries), [(12, 13)]);
        let mut entries = chain((1..=9).map(record).chain([said(action, String::new())]));
        entries.drain(3..5);
        assert_eq!(found(&entries), []);
    }
    // Nobody else says so.
    let other = AuditRecord { subject: "mallory".to_owned(), ..said(LOST_ENTRIES, numbers(4, 6)) };
    let mut entries = chain((1..=9).map(record).chain([other]));
    entries.drain(3..6);
    assert_eq!(found(&entries), [(4, 6)]);
    assert_eq!(found(&[]), []);
}

#[test]
fn very_many_gaps_are_not_all_remembered() {
    let entries: Vec<AuditEntry> = of(30_000).into_iter().step_by(2).collect();
    assert_eq!(verify(&entries, []), Err(Broken::Missing { before: 1, next: 3 }));
}

/// What somebody does to an entry without making its hash anew.
#[derive(Debug, Clone)]
enum Change {
    At,
    Subject,
    Issuer,
    Action,
    Object,
    Outcome,
    Address,
    Hash(usize),
    Previous(usize),
    Shift,
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::At),
        Just(Change::Subject),
        Just(Change::Issuer),
        Just(Change::Action),
        Just(Change::Object),
        Just(Change::Outcome),
        Just(Change::Address),
        (0..256_usize).prop_map(Change::Hash),
        (0..256_usize).prop_map(Change::Previous),
        Just(Change::Shift),
    ]
}

fn change(entry: &mut AuditEntry, change: &Change) {
    let AuditEntry { record, link } = entry;
    let link = link.as_mut().unwrap();
    let flip = |hash: &mut AuditHash, bit: usize| hash.0[bit / 8] ^= 1 << (bit % 8);
    let turn = |text: &mut Option<String>| *text = if text.is_some() { None } else { Some(String::new()) };
    match change {
        Change::At => record.at = record.at.plus(std::time::Duration::from_micros(1)),
        Change::Subject => record.subject.push('x'),
        Change::Issuer => turn(&mut record.issuer),
        Change::Action => record.action.clear(),
        Change::Object => record.object.push('\0'),
        Change::Outcome => record.outcome = "refused".to_owned(),
        Change::Address => turn(&mut record.address),
        Change::Hash(bit) => flip(&mut link.hash, *bit),
        Change::Previous(bit) => flip(&mut link.previous, *bit),
        // From one field into the next: the text of both together is the same.
        Change::Shift => {
            record.object = format!("{}{}", record.action, record.object);
            record.action.clear();
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_changed_in_an_entry_is_found_there(
        count in 1..20_u64, place: prop::sample::Index, what in any_change()
    ) {
        let mut entries = of(count);
        let place = place.index(entries.len());
        change(&mut entries[place], &what);
        let seq = place as u64 + 1;
        let found = verify(&entries, []);
        prop_assert!(
            found == Err(Broken::Changed { seq }) || found == Err(Broken::Unlinked { seq }),
            "{:?}: {:?}", what, found
        );
    }

    #[test]
    fn an_entry_that_is_changed_with_a_new_hash_is_found_at_the_next_one(count in 2..20_u64, place: prop::sample::Index) {
        let mut entries = of(count);
        let place = place.index(entries.len() - 1);
        let AuditEntry { record, link } = &mut entries[place];
        record.subject = "mallory".to_owned();
        let AuditLink { seq, previous, .. } = link.unwrap();
        *link = Some(AuditLink::new(seq, previous, record));
        prop_assert_eq!(verify(&entries, []), Err(Broken::Unlinked { seq: place as u64 + 2 }));
    }

    #[test]
    fn removed_entries_are_named(count in 3..20_u64, place: prop::sample::Index, some in 1..5_usize) {
        let mut entries = of(count);
        let first = 1 + place.index(entries.len() - 2);
        let end = (first + some).min(entries.len() - 1);
        entries.drain(first..end);
        let (before, next) = (first as u64, end as u64 + 1);
        prop_assert_eq!(verify(&entries, []), Err(Broken::Missing { before, next }));
    }

    #[test]
    fn swapped_entries_are_named(count in 2..20_u64, one: prop::sample::Index, other: prop::sample::Index) {
        let mut entries = of(count);
        let (one, other) = (one.index(entries.len()), other.index(entries.len()));
        prop_assume!(one != other);
        entries.swap(one, other);
        let found = verify(&entries, []);
        let is_named = match found {
            Err(Broken::Disordered { seq, .. } | Broken::Unlinked { seq }) => seq == one.min(other) as u64 + 1 || seq <= count,
            _ => false,
        };
        prop_assert!(is_named, "{:?}", found);
    }

    #[test]
    fn an_inserted_entry_is_named(count in 2..20_u64, place: prop::sample::Index, seq in 0..25_u64) {
        let mut entries = of(count);
        let place = 1 + place.index(entries.len() - 1);
        let previous = entries[place - 1].link.unwrap().hash;
        let forged = record(99);
        let link = AuditLink::new(seq, previous, &forged);
        entries.insert(place, AuditEntry { record: forged, link: Some(link) });
        let found = verify(&entries, []);
        prop_assert!(matches!(found, Err(Broken::Disordered { .. } | Broken::Unlinked { .. })), "{:?}", found);
    }
}
