use tokio::sync::oneshot;

use super::*;
use Answered::{New, Recovered};

#[derive(Clone, Copy, PartialEq)]
enum Answered {
    Recovered,
    New,
}

type Waits = oneshot::Receiver<Result<(), AskError>>;

fn join(rooms: &mut Rooms, name: &str) -> (Todo, Waits) {
    let (done, waits) = oneshot::channel();
    (rooms.join(name, done), waits)
}

fn message(text: &Value) -> Envelope {
    Envelope::parse(text.to_string()).unwrap()
}

fn answer(epoch: &str, seq: u64, is: Answered) -> Envelope {
    let recovered = is == Recovered;
    message(
        &json!({ "type": "room.joined", "payload": { "room": "hall", "epoch": epoch, "seq": seq, "recovered": recovered } }),
    )
}

fn numbered(epoch: &str, seq: u64) -> Envelope {
    message(&json!({ "type": "room.message", "room": "hall", "epoch": epoch, "seq": seq, "payload": {} }))
}

fn gap(epoch: &str, seqs: Option<(u64, u64)>) -> Gap {
    Gap { of: GapOf::Room("hall".to_owned()), epoch: epoch.to_owned(), seqs }
}

/// In the hall at a number.
fn in_hall(epoch: &str, seq: u64) -> Rooms {
    let mut rooms = Rooms::default();
    let (todo, _waits) = {
        let (done, waits) = oneshot::channel();
        (rooms.join("hall", done), waits)
    };
    assert_eq!(todo, Todo::Join);
    assert_eq!(rooms.ask("hall"), json!({ "room": "hall" }));
    // Whoever waits is there while the answer comes.
    assert_eq!(rooms.joined("hall", &answer(epoch, seq, New)), (Todo::Nothing, None));
    rooms
}

/// The same, and back on a new connection, where the answer has not come yet.
fn coming_back(epoch: &str, seq: u64) -> Rooms {
    let mut rooms = in_hall(epoch, seq);
    rooms.lose();
    assert_eq!(rooms.missing(), ["hall"]);
    let since = json!({ "epoch": epoch, "seq": seq });
    assert_eq!(rooms.ask("hall"), json!({ "room": "hall", "since": since }));
    rooms
}

#[test]
fn a_room_is_joined_once_and_left_when_everybody_has_left_it() {
    let mut rooms = Rooms::default();
    let (todo, mut first) = join(&mut rooms, "hall");
    assert_eq!(todo, Todo::Join);
    rooms.ask("hall");
    let (todo, mut second) = join(&mut rooms, "hall");
    assert_eq!(todo, Todo::Nothing, "it is asked already");
    assert_eq!(rooms.joined("hall", &answer("e", 0, New)), (Todo::Nothing, None));
    assert_eq!((first.try_recv().unwrap(), second.try_recv().unwrap()), (Ok(()), Ok(())));
    let (todo, mut third) = join(&mut rooms, "hall");
    assert_eq!((todo, third.try_recv().unwrap()), (Todo::Nothing, Ok(())));
    let left: Vec<Todo> = (0..3).map(|_| rooms.let_go("hall")).collect();
    assert_eq!(left, [Todo::Nothing, Todo::Nothing, Todo::Leave]);
    rooms.lose();
    assert!(rooms.missing().is_empty(), "what was left is not joined again");
}

#[test]
fn numbers_that_follow_are_told_once_and_holes_are_gaps() {
    let told = Heard::default();
    let lost = |epoch: &str, seqs| Heard { is_repeat: false, gap: Some(gap(epoch, seqs)) };
    let repeat = || Heard { is_repeat: true, gap: None };
    let skip = |kind: &str, payload: Value| message(&json!({ "type": kind, "payload": payload }));
    let advanced = skip("room.advanced", json!({ "room": "hall", "epoch": "e", "seq": 9 }));
    let by_server = skip("room.gap", json!({ "room": "hall", "epoch": "e", "from_seq": 11, "to_seq": 12 }));
    let table = [
        (numbered("e", 5), told),
        (numbered("e", 5), repeat()),
        (numbered("e", 4), repeat()),
        (numbered("e", 8), lost("e", Some((6, 7)))),
        (advanced, Heard::default()),
        (numbered("e", 10), Heard::default()),
        (by_server, lost("e", Some((11, 12)))),
        (numbered("e", 13), Heard::default()),
        (numbered("f", 1), lost("f", None)),
        (numbered("f", 2), Heard::default()),
    ];
    let mut rooms = in_hall("e", 4);
    for (line, (message, heard)) in table.into_iter().enumerate() {
        assert_eq!(rooms.hear(&message), heard, "line {line}");
    }
    let other = json!({ "type": "room.message", "room": "yard", "epoch": "e", "seq": 7, "payload": {} });
    assert_eq!(rooms.hear(&message(&other)), Heard::default(), "nobody follows the yard");
}

#[test]
fn who_comes_back_is_told_what_was_missed_in_its_place_or_that_it_cannot_be_told() {
    let mut rooms = coming_back("e", 4);
    assert!(rooms.hear(&numbered("e", 7)).is_repeat, "before the server knows from where to go on");
    assert_eq!(rooms.hear(&numbered("e", 5)), Heard::default());
    assert_eq!(rooms.joined("hall", &answer("e", 7, Recovered)), (Todo::Nothing, None));
    assert_eq!(rooms.hear(&numbered("e", 6)), Heard::default());
    assert_eq!(rooms.hear(&numbered("e", 7)), Heard::default());

    let table = [
        (answer("e", 9, New), Some(gap("e", Some((5, 9))))),
        (answer("e", 4, New), None),
        (answer("f", 0, New), Some(gap("f", None))),
    ];
    for (answer, found) in table {
        let mut rooms = coming_back("e", 4);
        assert_eq!(rooms.joined("hall", &answer), (Todo::Nothing, found), "{}", answer.text);
    }
}

#[test]
fn refusals_reach_who_waits_and_what_may_succeed_later_is_asked_again() {
    let refused = |retryable| {
        AskError::Refused(crate::ServerError {
            code: "some".to_owned(),
            message: String::new(),
            retryable,
            retry_after_ms: None,
            details: None,
        })
    };
    let mut rooms = Rooms::default();
    let (_todo, mut waits) = join(&mut rooms, "hall");
    rooms.ask("hall");
    assert!(!rooms.refused("hall", &refused(true)), "nobody wants it any more: who waited was told");
    assert_eq!(waits.try_recv().unwrap(), Err(refused(true)));
    let mut rooms = coming_back("e", 4);
    assert!(rooms.refused("hall", &refused(true)));
    assert_eq!(rooms.missing(), ["hall"]);
    assert!(!rooms.refused("hall", &refused(false)));
    assert!(rooms.missing().is_empty());
}

#[test]
fn who_waits_for_an_answer_loses_it_with_the_connection_and_who_waits_for_a_connection_gets_one() {
    let mut rooms = Rooms::default();
    let (_todo, mut asked) = join(&mut rooms, "hall");
    rooms.ask("hall");
    let (_todo, mut waits) = join(&mut rooms, "yard");
    let (_todo, gone) = join(&mut rooms, "shed");
    drop(gone);
    rooms.lose();
    assert_eq!(asked.try_recv().unwrap(), Err(AskError::Disconnected));
    assert!(waits.try_recv().is_err());
    assert_eq!(rooms.missing(), ["yard"]);
    rooms.end(&AskError::Closed);
    assert_eq!(waits.try_recv().unwrap(), Err(AskError::Closed));
    assert!(rooms.missing().is_empty());
}

#[test]
fn the_room_of_an_endpoint_is_asked_for_once_it_has_a_number_and_may_be_taken_away() {
    let mut rooms = Rooms::by_endpoint("hall");
    rooms.lose();
    assert!(rooms.missing().is_empty(), "the endpoint joins it");
    rooms.hear(&numbered("e", 3));
    rooms.lose();
    assert_eq!(rooms.missing(), ["hall"]);
    rooms.hear(&message(&json!({ "type": "room.left", "payload": { "room": "hall" } })));
    assert!(rooms.missing().is_empty());
}

#[test]
fn a_hundred_wait_to_be_in_a_room_and_no_more() {
    let mut rooms = Rooms::default();
    let _waits: Vec<Waits> = (0..WAITING_MAX).map(|_| join(&mut rooms, "hall").1).collect();
    let (todo, mut refused) = join(&mut rooms, "yard");
    assert_eq!((todo, refused.try_recv().unwrap()), (Todo::Nothing, Err(AskError::QueueFull)));
}
