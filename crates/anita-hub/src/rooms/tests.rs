use proptest::prelude::*;

use super::*;
use crate::connections::{Connections, Endpoint};

fn now(secs: u64) -> Now {
    Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::from_secs(secs) }
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
    let frame = |_epoch: &str, seq: u64| Bytes::from(seq.to_string());
    rooms.publish(name, Vec::new(), None, Timestamp::UNIX_EPOCH, frame).map(|(_epoch, seq)| seq)
}

fn seqs(heard: &Heard) -> Vec<u64> {
    heard.events.iter().map(|event| event.seq).collect()
}

#[test]
fn a_member_hears_what_is_said_after_it_joined() {
    let rooms = Rooms::new(RoomLimits::default(), now(0));
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
    let rooms = Rooms::new(limits, now(0));
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
    let rooms = Rooms::new(RoomLimits::default(), now(0));
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
    let rooms = Rooms::new(limits, now(0));
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
    let rooms = Rooms::new(limits, now(0));
    for _ in 0..5 {
        rooms.publish(&RoomName::uwb(), Vec::new(), None, Timestamp::UNIX_EPOCH, |_, _| {
            Bytes::from_static(b"1234")
        });
    }
    assert_eq!(seqs(&rooms.heard_after(&RoomName::uwb(), 0, 10)), [4, 5]);
}

proptest! {
    /// Whatever is said and however often a member listens: every number once, in order, or in a gap.
    #[test]
    fn every_number_is_heard_once_or_told_as_lost(steps in proptest::collection::vec(0_u8..6, 1..80)) {
        let limits = RoomLimits { ring_messages_max: 4, ..RoomLimits::default() };
        let rooms = Rooms::new(limits, now(0));
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
