use proptest::prelude::*;

use anita_store::{MemoryStore, Store, Writer};

use super::*;
use crate::connections::{Connections, Endpoint};

fn now(secs: u64) -> Now {
    Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::from_secs(secs) }
}

/// No rooms but `uwb`, and a store in memory behind them.
fn empty(limits: RoomLimits) -> Rooms {
    remembering(limits, Vec::new(), 0).0
}

fn remembering(limits: RoomLimits, records: Vec<RoomRecord>, skipped: u64) -> (Rooms, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new(10, 10, 1_000));
    let writer = Arc::new(Writer::immediate(Arc::clone(&store)));
    let kept = records.iter().flat_map(|room| &room.events).map(|event| event.ordinal).max().unwrap_or(0);
    (
        Rooms::new(
            limits,
            records,
            &Begun::after(kept, kept + skipped),
            EventLog::new(writer, None, kept + skipped),
            now(0),
        ),
        store,
    )
}

fn peer() -> Arc<Peer> {
    let views = anita_views::Views::new(anita_views::ViewSettings::default(), "e".into());
    let shard = crate::shard::Shard::new(views, Arc::default());
    Connections::default().add(Endpoint::Plain, None, &shard, now(0))
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn say(rooms: &Rooms, name: &RoomName) -> Option<u64> {
    let text = |_epoch: &str, seq: u64| seq.to_string();
    rooms.publish(name, Vec::new(), None, Timestamp::UNIX_EPOCH, text).map(|(_epoch, seq)| seq)
}

fn seqs(heard: &Heard) -> Vec<u64> {
    heard.events.iter().map(|event| event.seq).collect()
}

#[test]
fn a_member_hears_what_is_said_after_it_joined() {
    let rooms = empty(RoomLimits::default());
    let (hall, alice) = (room("hall"), peer());
    assert_eq!(say(&rooms, &hall), None, "nobody hears it, so the room is not there");
    let joined = rooms.join(&hall, &alice, None, now(0)).unwrap();
    assert_eq!((joined.seq, joined.heard_seq, joined.recovered), (0, 0, None));
    say(&rooms, &hall);
    say(&rooms, &hall);
    let heard = rooms.heard_after(&hall, joined.heard_seq, 10);
    assert_eq!((seqs(&heard), heard.gap), (vec![1, 2], None));
    assert_eq!(seqs(&rooms.heard_after(&hall, 1, 10)), [2]);
    assert_eq!(seqs(&rooms.heard_after(&hall, 0, 1)), [1], "bounded by the caller");
}

#[test]
fn who_comes_back_in_time_recovers_and_who_comes_late_is_told() {
    let limits = RoomLimits { ring_messages_max: 3, ..RoomLimits::default() };
    let rooms = empty(limits);
    let (hall, alice) = (room("hall"), peer());
    let epoch = rooms.join(&hall, &alice, None, now(0)).unwrap().epoch.to_string();
    for _ in 0..5 {
        say(&rooms, &hall);
    }
    let since = |epoch: &str, seq| Since { epoch: epoch.to_owned(), seq };
    let cases = [
        (since(&epoch, 5), true, 5),
        (since(&epoch, 2), true, 2),
        (since(&epoch, 1), false, 5),
        (since(&epoch, 6), false, 5),
        (since("other", 5), false, 5),
    ];
    for (since, recovered, heard_seq) in cases {
        let joined = rooms.join(&hall, &alice, Some(&since), now(0)).unwrap();
        assert_eq!((joined.recovered, joined.heard_seq), (Some(recovered), heard_seq), "{since:?}");
    }
    let behind = rooms.heard_after(&hall, 0, 10);
    assert_eq!((behind.gap, seqs(&behind)), (Some((1, 2)), vec![3, 4, 5]));
}

#[test]
fn an_empty_room_is_forgotten() {
    let rooms = empty(RoomLimits::default());
    let (silent, loud, alice) = (room("silent"), room("loud"), peer());
    rooms.join(&silent, &alice, None, now(0)).unwrap();
    rooms.join(&loud, &alice, None, now(0)).unwrap();
    say(&rooms, &loud);
    assert_eq!(rooms.occupied().len(), 2);
    rooms.leave_all(&alice, Duration::from_secs(10));
    assert_eq!(rooms.occupied(), []);
    assert_eq!(say(&rooms, &silent), None);
    assert_eq!(say(&rooms, &loud), Some(2), "its numbering stays for who comes back");
    rooms.sweep(Duration::from_secs(70));
    assert_eq!(say(&rooms, &loud), None);
    assert!(say(&rooms, &RoomName::uwb()).is_some(), "uwb is always there");
}

#[test]
fn rooms_and_members_are_bounded_and_an_empty_room_makes_place() {
    let limits = RoomLimits { rooms_max: 2, members_max: 1, ..RoomLimits::default() };
    let rooms = empty(limits);
    let (alice, bob) = (peer(), peer());
    rooms.join(&room("a"), &alice, None, now(0)).unwrap();
    assert_eq!(rooms.join(&room("a"), &bob, None, now(0)), Err(JoinRefused::Full { members_max: 1 }));
    assert_eq!(rooms.join(&room("b"), &bob, None, now(0)), Err(JoinRefused::TooManyRooms { rooms_max: 2 }));
    say(&rooms, &room("a"));
    rooms.leave(&room("a"), &alice, Duration::from_secs(1));
    assert!(rooms.join(&room("b"), &bob, None, now(0)).is_ok());
}

#[test]
fn the_ring_is_bounded_in_bytes() {
    let limits = RoomLimits { ring_bytes_max: 10, ..RoomLimits::default() };
    let rooms = empty(limits);
    for _ in 0..5 {
        rooms.publish(&RoomName::uwb(), Vec::new(), None, Timestamp::UNIX_EPOCH, |_, _| "12".to_owned());
    }
    assert_eq!(seqs(&rooms.heard_after(&RoomName::uwb(), 0, 10)), [4, 5]);
}

/// What a store remembers when a room said so many messages.
fn remembered(said: u64) -> Vec<RoomRecord> {
    let (rooms, store) = remembering(RoomLimits::default(), Vec::new(), 0);
    for _ in 0..said {
        say(&rooms, &RoomName::uwb());
    }
    let loaded = futures_util::FutureExt::now_or_never(store.load(1_000)).unwrap();
    loaded.unwrap().rooms
}

#[test]
fn after_a_restart_numbering_goes_on_in_the_same_epoch_and_nothing_is_missed() {
    let records = remembered(3);
    let epoch = records[0].epoch.to_string();
    let (rooms, store) = remembering(RoomLimits::default(), records, 0);
    let since = Since { epoch: epoch.clone(), seq: 1 };
    let joined = rooms.join(&RoomName::uwb(), &peer(), Some(&since), now(0)).unwrap();
    assert_eq!((&*joined.epoch, joined.seq, joined.recovered), (&*epoch, 3, Some(true)));
    assert_eq!(say(&rooms, &RoomName::uwb()), Some(4));
    let heard = rooms.heard_after(&RoomName::uwb(), 1, 10);
    assert_eq!((heard.gap, seqs(&heard)), (None, vec![2, 3, 4]));
    let kept = futures_util::FutureExt::now_or_never(store.load(1_000)).unwrap().unwrap();
    assert_eq!((kept.last_ordinal, kept.rooms[0].seq), (4, 4));
}

#[test]
fn what_was_told_and_lost_in_a_crash_is_a_gap_and_never_another_message() {
    let records = remembered(3);
    let epoch = records[0].epoch.to_string();
    let (rooms, _store) = remembering(RoomLimits::default(), records, 2);
    assert_eq!(say(&rooms, &RoomName::uwb()), Some(6));
    let since = |seq| Since { epoch: epoch.clone(), seq };
    // One who heard all that was told misses nothing; one who did not is told what is lost.
    for (seq, recovered) in [(3, false), (4, false), (5, true), (6, true)] {
        let joined = rooms.join(&RoomName::uwb(), &peer(), Some(&since(seq)), now(0)).unwrap();
        assert_eq!(joined.recovered, Some(recovered), "{seq}");
    }
    let heard = rooms.heard_after(&RoomName::uwb(), 2, 10);
    assert_eq!((heard.gap, seqs(&heard)), (None, vec![3]), "up to the gap");
    let heard = rooms.heard_after(&RoomName::uwb(), 3, 10);
    assert_eq!((heard.gap, seqs(&heard)), (Some((4, 5)), vec![6]));
}

/// Once, a room whose messages retention had taken skipped every loss again at every start.
#[test]
fn over_many_starts_no_number_is_given_twice_and_none_is_skipped_without_need() {
    let folder = tempfile::tempdir().unwrap();
    let (mut records, mut kept, mut given) = (Vec::<RoomRecord>::new(), 0, Vec::new());
    for start in 0..40_u64 {
        let told = anita_store::Told::open(&folder.path().join("told")).unwrap();
        let begun = told.begin(kept).unwrap();
        let store = Arc::new(MemoryStore::new(10, 10, 1_000));
        let log = EventLog::new(Arc::new(Writer::immediate(Arc::clone(&store))), Some(told), begun.told);
        let rooms = Rooms::new(RoomLimits::default(), records.clone(), &begun, log, now(0));
        if start.is_multiple_of(3) {
            continue;
        }
        given.push(say(&rooms, &RoomName::uwb()).unwrap());
        // The store does not have the last one of the fourth start: the server crashed.
        if start != 4 {
            let loaded = futures_util::FutureExt::now_or_never(store.load(1_000)).unwrap().unwrap();
            // Retention takes all messages.
            records =
                loaded.rooms.into_iter().map(|room| RoomRecord { events: Vec::new(), ..room }).collect();
            kept = loaded.last_ordinal;
        }
    }
    assert_eq!(given, (1..=given.len() as u64).collect::<Vec<_>>());
    assert_eq!(given.len(), 26);
}

/// Once, the first rooms by name came back, and `uwb` was not among them.
#[test]
fn of_more_rooms_than_there_may_be_those_come_back_that_were_used_last_and_uwb() {
    let (rooms, store) = remembering(RoomLimits::default(), Vec::new(), 0);
    say(&rooms, &RoomName::uwb());
    for name in ["b", "c", "a", "d"] {
        rooms.join(&room(name), &peer(), None, now(0)).unwrap();
        say(&rooms, &room(name));
    }
    let records = futures_util::FutureExt::now_or_never(store.load(1_000)).unwrap().unwrap().rooms;
    let epoch = records.iter().find(|record| record.name == RoomName::uwb()).unwrap().epoch.clone();
    let (rooms, _store) = remembering(RoomLimits { rooms_max: 3, ..RoomLimits::default() }, records, 0);
    let back: Vec<Option<u64>> = ["uwb", "d", "a", "c", "b"].map(|name| say(&rooms, &room(name))).to_vec();
    assert_eq!(back, [Some(2), Some(2), Some(2), None, None]);
    let joined = rooms.join(&RoomName::uwb(), &peer(), None, now(0)).unwrap();
    assert_eq!(joined.epoch, epoch);
}

proptest! {
    /// Whatever is said and however often a member listens: every number once, in order, or in a gap.
    #[test]
    fn every_number_is_heard_once_or_told_as_lost(steps in proptest::collection::vec(0_u8..6, 1..80)) {
        let limits = RoomLimits { ring_messages_max: 4, ..RoomLimits::default() };
        let rooms = empty(limits);
        let (mut heard_seq, mut accounted) = (0, Vec::new());
        for step in steps.into_iter().chain([0]) {
            if step > 0 {
                say(&rooms, &RoomName::uwb());
                continue;
            }
            let heard = rooms.heard_after(&RoomName::uwb(), heard_seq, 100);
            if let Some((first, last)) = heard.gap {
                accounted.extend(first..=last);
            }
            accounted.extend(seqs(&heard));
            heard_seq = accounted.last().copied().unwrap_or(0);
        }
        let said = accounted.len() as u64;
        prop_assert_eq!(accounted, (1..=said).collect::<Vec<_>>());
    }
}
