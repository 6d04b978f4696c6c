use anita_auth::{Patterns, Permissions};
use anita_model::{Identity, Timestamp};

use super::*;

const TTL: Duration = Duration::from_secs(30);

fn at(secs: u64) -> Now {
    Now { wall: Timestamp::UNIX_EPOCH.plus(Duration::from_secs(secs)), uptime: Duration::from_secs(secs) }
}

fn ticket(user: &str, origin: Option<&str>, now: Now) -> Ticket {
    let identity = Identity {
        user: UserId { issuer: "anita".into(), subject: user.into() },
        token_id: None,
        issued_at: None,
    };
    let principal = Principal {
        identity: Arc::new(identity),
        roles: Vec::new(),
        permissions: Permissions::NONE,
        devices: Patterns::all(),
        rooms: Patterns::all(),
        expires_at: at(20).wall,
    };
    Ticket { principal, page: None, origin: origin.map(str::to_owned), expires_at: now.uptime + TTL }
}

const PAGE: Option<&str> = Some("https://anita.example");

#[test]
fn a_ticket_is_used_once_in_time_and_from_the_same_page() {
    let tickets = Tickets::default();
    let issue = |origin| tickets.issue(ticket("alice", origin, at(0)), at(0).uptime).unwrap();
    let is_taken = |text: &str, origin, secs| tickets.take(text, origin, at(secs)).is_some();
    let text = issue(PAGE);
    assert!(is_taken(&text, PAGE, 1));
    assert!(!is_taken(&text, PAGE, 1), "it was used");
    let table = [
        (PAGE, None, 1, false),
        (PAGE, Some("https://anita.example:444"), 1, false),
        (PAGE, Some("http://anita.example"), 1, false),
        (None, PAGE, 1, false),
        (None, None, 1, true),
        (PAGE, PAGE, 30, false),
        // The token behind it runs out at 20 s, with its leeway at 25 s.
        (PAGE, PAGE, 24, true),
        (PAGE, PAGE, 25, false),
    ];
    for (asked, used, secs, expected) in table {
        let text = issue(asked);
        assert_eq!(is_taken(&text, used, secs), expected, "{asked:?} {used:?} {secs}");
        assert!(!is_taken(&text, asked, 1), "used up, whether or not it was good");
    }
    assert!(!is_taken("no ticket", PAGE, 1));
    assert!(tickets.shelf.lock().by_user.is_empty() && tickets.shelf.lock().tickets.is_empty());
}

#[test]
fn there_are_at_most_so_many_of_one_user_and_in_all() {
    let tickets = Tickets::default();
    for _ in 0..TICKETS_PER_USER_MAX {
        tickets.issue(ticket("alice", None, at(0)), at(0).uptime).unwrap();
    }
    let full = tickets.issue(ticket("alice", None, at(0)), at(0).uptime);
    assert_eq!(full, Err(NoTicket::FullOfUser));
    for number in TICKETS_PER_USER_MAX..TICKETS_MAX {
        tickets.issue(ticket(&number.to_string(), None, at(0)), at(0).uptime).unwrap();
    }
    let full = tickets.issue(ticket("bob", None, at(0)), at(0).uptime);
    assert_eq!(full, Err(NoTicket::Full));
    assert!(
        tickets.issue(ticket("alice", None, at(30)), at(30).uptime).is_ok(),
        "the old ones are forgotten"
    );
    assert_eq!(tickets.shelf.lock().tickets.len(), 1);
}

#[test]
fn tickets_that_are_thrown_away_are_gone() {
    let tickets = Tickets::default();
    let of_alice = tickets.issue(ticket("alice", None, at(0)), at(0).uptime).unwrap();
    let of_bob = tickets.issue(ticket("bob", None, at(0)), at(0).uptime).unwrap();
    tickets.drop_where(|ticket| ticket.principal.subject() == "alice");
    assert!(tickets.take(&of_alice, None, at(1)).is_none());
    assert!(tickets.take(&of_bob, None, at(1)).is_some());
}
