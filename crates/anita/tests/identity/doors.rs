//! Tickets, sessions of pages, revocations and logout.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::{House, token, until};

/// How soon a revocation has to end a live socket.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn ticket(house: &House, headers: &[(&str, &str)]) -> String {
    let answer = house.http("POST", "/api/v1/tickets", headers, "").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["expires_in_secs"], 30.0);
    answer.body["ticket"].as_str().unwrap().to_owned()
}

const BAD_TICKET: (&str, u16) = ("invalid_token", 4501);

async fn is_refused(house: &House, path: &str, headers: &[(&str, &str)]) {
    let (code, close) = house.connect(path, headers).await.unwrap().refused().await;
    assert_eq!((code.as_str(), close), BAD_TICKET, "{path}");
}

#[tokio::test]
async fn a_ticket_opens_one_socket_once_and_only_from_where_it_was_asked_for() {
    let house = House::open("").await;
    let bearer = format!("Bearer {}", token("alice", "viewer", "t1"));
    let own = house.origin();
    let from_page = [("authorization", &*bearer), ("origin", &*own)];
    let from_program = [("authorization", &*bearer)];
    let page = [("origin", &*own)];

    let path = format!("/ws?ticket={}", ticket(&house, &from_page).await);
    let hello = house.connect(&path, &page).await.unwrap().welcomed().await;
    assert_eq!(hello["user_id"], "alice");
    is_refused(&house, &path, &page).await;

    let subprotocols = format!("anita.v1, anita.ticket.{}", ticket(&house, &from_page).await);
    let headers = [("origin", &*own), ("sec-websocket-protocol", &*subprotocols)];
    house.connect("/ws", &headers).await.unwrap().welcomed().await;

    // What a page got is for no program, what a program got for no page; and neither is good any more.
    let of_page = format!("/ws?ticket={}", ticket(&house, &from_page).await);
    is_refused(&house, &of_page, &[]).await;
    is_refused(&house, &of_page, &page).await;
    let of_program = format!("/ws?ticket={}", ticket(&house, &from_program).await);
    is_refused(&house, &of_program, &page).await;
    let of_program = format!("/ws?ticket={}", ticket(&house, &from_program).await);
    house.connect(&of_program, &[]).await.unwrap().welcomed().await;
    is_refused(&house, "/ws?ticket=guessed", &page).await;

    // A foreign page gets no ticket and opens no socket.
    let foreign = [("authorization", &*bearer), ("origin", "https://evil.example")];
    assert_eq!(house.http("POST", "/api/v1/tickets", &foreign, "").await.status, 403);
    let stolen = format!("/ws?ticket={}", ticket(&house, &from_page).await);
    assert_eq!(house.connect(&stolen, &[("origin", "https://evil.example")]).await.err(), Some(403));
    assert_eq!(house.http("POST", "/api/v1/tickets", &[], "").await.status, 401);
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_cookie_counts_only_for_pages_of_the_exact_origin() {
    let house = House::open("").await;
    let cookie = house.sign_in(&token("alice", "viewer", "t1")).await;
    let own = house.origin();
    let with = |origin: Option<&'static str>| {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        headers
    };
    let own_page = [("cookie", &*cookie), ("origin", &*own)];
    assert_eq!(house.http("POST", "/api/v1/tickets", &own_page, "").await.status, 201);
    for foreign in ["https://evil.example", "null"] {
        assert_eq!(
            house.http("POST", "/api/v1/tickets", &with(Some(foreign)), "").await.status,
            403,
            "{foreign}"
        );
        assert_eq!(
            house.http("GET", "/api/v1/devices", &with(Some(foreign)), "").await.status,
            403,
            "{foreign}"
        );
        assert_eq!(house.connect("/ws", &with(Some(foreign))).await.err(), Some(403), "{foreign}");
    }
    assert_eq!(house.http("POST", "/api/v1/tickets", &with(None), "").await.status, 403, "no origin");
    assert_eq!(house.http("DELETE", "/api/v1/session", &with(None), "").await.status, 403, "no origin");
    assert_eq!(house.http("GET", "/api/v1/devices", &with(None), "").await.status, 200, "reading needs none");
    for (site, status) in [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)] {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", site)];
        assert_eq!(house.http("GET", "/api/v1/devices", &headers, "").await.status, status, "{site}");
        // Where there is an origin, that alone counts.
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", site), ("origin", &*own)];
        assert_eq!(house.http("GET", "/api/v1/devices", &headers, "").await.status, 200, "{site}");
    }
    let mut without_origin = house.connect("/ws", &with(None)).await.unwrap();
    assert_eq!(
        without_origin.hear().await.unwrap()["type"],
        "system.auth_required",
        "the cookie is not looked at"
    );
    house.connect("/ws", &own_page).await.unwrap().welcomed().await;
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_revocation_ends_what_came_in_with_the_token_at_once_and_lets_nothing_in_again() {
    let house = House::open("").await;
    let (admin, alice) = (token("root", "admin", "root-1"), token("alice", "viewer", "t1"));
    let (other, bob) = (token("alice", "viewer", "t2"), token("bob", "viewer", "t3"));
    let own = house.origin();
    let mut live =
        [house.with_token(&alice).await, house.with_token(&other).await, house.with_token(&bob).await];
    for socket in &mut live {
        socket.welcomed().await;
    }
    let [mut of_alice, mut of_other, mut of_bob] = live;
    let cookie = house.sign_in(&alice).await;
    let page = [("cookie", &*cookie), ("origin", &*own)];
    let mut of_page = house.connect("/ws", &page).await.unwrap();
    of_page.welcomed().await;
    let of_ticket = format!("/ws?ticket={}", ticket(&house, &page).await);

    let revoked_at = Instant::now();
    let answer = house
        .ask("POST", "/api/v1/revocations", &admin, &json!({ "jti": "t1", "reason": "lost" }).to_string())
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["connections_closed"], 2);
    assert_eq!(answer.body["concerns_you"], false);
    assert_eq!((of_alice.closed().await, of_page.closed().await), (4509, 4509));
    assert!(revoked_at.elapsed() < AT_ONCE, "{:?}", revoked_at.elapsed());

    assert_eq!(house.with_token(&alice).await.refused().await, ("invalid_token".to_owned(), 4509));
    assert_eq!(house.ask("GET", "/api/v1/devices", &alice, "").await.status, 401);
    assert_eq!(house.http("GET", "/api/v1/devices", &page, "").await.status, 401, "the page's session");
    is_refused(&house, &of_ticket, &page[1..]).await;
    house.with_token(&other).await.welcomed().await;

    // By subject: all of them; those of others go on.
    let answer = house.ask("POST", "/api/v1/revocations", &admin, r#"{"subject":"alice"}"#).await;
    let by_subject = answer.body["id"].as_str().unwrap().to_owned();
    assert_eq!(of_other.closed().await, 4509);
    assert_eq!(house.with_token(&other).await.refused().await.1, 4509);
    let list = house.ask("GET", "/api/v1/revocations?limit=1", &admin, "").await.body;
    assert_eq!((&list["total"], list["revocations"].as_array().unwrap().len()), (&json!(2), 1));
    let rest = house
        .ask("GET", &format!("/api/v1/revocations?after={}", list["next"].as_str().unwrap()), &admin, "")
        .await
        .body;
    assert_eq!((rest["revocations"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    let path = format!("/api/v1/revocations/{by_subject}");
    assert_eq!(house.ask("DELETE", &path, &admin, "").await.status, 204);
    assert_eq!(house.ask("DELETE", &path, &admin, "").await.status, 404);
    house.with_token(&other).await.welcomed().await;

    // By age: everybody's, the admin's own among them, and the answer says so.
    let in_a_second = anita_model::Timestamp::now().plus(Duration::from_secs(2)).to_string();
    let body = json!({ "issued_before": in_a_second, "until": "2999-01-01T00:00:00Z" }).to_string();
    let answer = house.ask("POST", "/api/v1/revocations", &admin, &body).await;
    assert_eq!((answer.status, &answer.body["concerns_you"]), (201, &json!(true)));
    assert_eq!(of_bob.closed().await, 4509);
    assert_eq!(house.ask("GET", "/api/v1/revocations", &admin, "").await.status, 401);
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn revoking_is_for_admins_and_says_what_is_wrong() {
    let house = House::open("").await;
    let (admin, operator) = (token("root", "admin", "r"), token("op", "operator", "o"));
    assert_eq!(house.ask("POST", "/api/v1/revocations", &operator, r#"{"jti":"t1"}"#).await.status, 403);
    assert_eq!(house.ask("GET", "/api/v1/revocations", &operator, "").await.status, 403);
    assert_eq!(house.ask("DELETE", "/api/v1/revocations/r", &operator, "").await.status, 403);
    let table = [
        ("{}", 400),
        (r#"{"issuer":"anita"}"#, 400),
        (r#"{"jti":""}"#, 400),
        (r#"{"jti":7}"#, 400),
        (r#"{"jti":"a","subject":"b"}"#, 400),
        (r#"{"jti":"a","issued_before":"2026-01-01T00:00:00Z"}"#, 400),
        (r#"{"issued_before":"2999-01-01T00:00:00Z"}"#, 400),
        (r#"{"jti":"a","until":"2020-01-01T00:00:00Z"}"#, 400),
        (r#"{"jti":"a\nb"}"#, 400),
        (r#"{"jti":"a","issuer":"nobody"}"#, 400),
        (r#"{"subject":"alice","issuer":"certificate"}"#, 400),
        (r#"{"jti":"ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01"}"#, 400),
        ("not json", 400),
    ];
    for (number, (body, status)) in (0..).zip(table) {
        // Each asks once: how often one may ask is another matter.
        let admin = token(&format!("root-{number}"), "admin", "r");
        let answer = house.ask("POST", "/api/v1/revocations", &admin, body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    let long = json!({ "subject": "x".repeat(257) }).to_string();
    assert_eq!(house.ask("POST", "/api/v1/revocations", &admin, &long).await.status, 400);
    assert_eq!(house.ask("GET", "/api/v1/revocations?limit=0", &admin, "").await.status, 422);
    assert_eq!(house.ask("GET", "/api/v1/revocations", &admin, "").await.body["total"], 0);
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_revocation_that_could_match_nothing_is_refused_with_what_there_is() {
    let house = House::open("").await;
    let admin = token("root-said", "admin", "r");
    let of_nobody =
        house.ask("POST", "/api/v1/revocations", &admin, r#"{"subject":"alice","issuer":"anitta"}"#).await;
    let detail = of_nobody.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("issuer: ") && detail.contains("\"anita\""), "those that there are: {detail}");
    let lower = "ab:".repeat(31) + "cd";
    let body = json!({ "jti": lower }).to_string();
    let no_fingerprint = house.ask("POST", "/api/v1/revocations", &admin, &body).await;
    let detail = no_fingerprint.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("jti: ") && detail.contains("in capitals"), "{detail}");
    // What is good: it is taken, and taken back.
    for body in [json!({ "jti": lower.to_uppercase() }), json!({ "jti": "x", "issuer": "anita" })] {
        let made = house.ask("POST", "/api/v1/revocations", &admin, &body.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let path = format!("/api/v1/revocations/{}", made.body["id"].as_str().unwrap());
        assert_eq!(house.ask("DELETE", &path, &admin, "").await.status, 204);
    }
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_logout_ends_everything_of_the_user_or_only_what_its_page_opened() {
    let house = House::open("").await;
    let own = house.origin();
    let first = house.sign_in(&token("alice", "viewer", "t1")).await;
    let second = house.sign_in(&token("alice", "viewer", "t2")).await;
    let first_page = [("cookie", &*first), ("origin", &*own)];
    let second_page = [("cookie", &*second), ("origin", &*own)];
    let mut of_first = house.connect("/ws", &first_page).await.unwrap();
    let mut of_second = house.connect("/ws", &second_page).await.unwrap();
    let mut of_token = house.with_token(&token("alice", "viewer", "t3")).await;
    let mut of_bob = house.with_token(&token("bob", "viewer", "t4")).await;
    let by_ticket = format!("/ws?ticket={}", ticket(&house, &first_page).await);
    let mut of_ticket = house.connect(&by_ticket, &first_page[1..]).await.unwrap();
    for socket in [&mut of_first, &mut of_second, &mut of_token, &mut of_bob, &mut of_ticket] {
        socket.welcomed().await;
    }
    let unused = format!("/ws?ticket={}", ticket(&house, &first_page).await);

    assert_eq!(house.http("DELETE", "/api/v1/session?scope=session", &first_page, "").await.status, 204);
    assert_eq!((of_first.closed().await, of_ticket.closed().await), (4509, 4509));
    is_refused(&house, &unused, &first_page[1..]).await;
    assert_eq!(house.http("GET", "/api/v1/session", &first_page, "").await.status, 401);
    assert_eq!(
        house.http("GET", "/api/v1/session", &second_page, "").await.status,
        200,
        "another page goes on"
    );

    let unused = format!("/ws?ticket={}", ticket(&house, &second_page).await);
    let answer = house.http("DELETE", "/api/v1/session", &second_page, "").await;
    assert_eq!(answer.status, 204);
    assert!(answer.head.contains("Max-Age=0"), "{}", answer.head);
    assert_eq!((of_second.closed().await, of_token.closed().await), (4509, 4509));
    is_refused(&house, &unused, &second_page[1..]).await;
    let bob = token("bob", "viewer", "t4");
    assert_eq!(house.ask("DELETE", "/api/v1/session?scope=session", &bob, "").await.status, 404, "no page");
    assert_eq!(house.ask("DELETE", "/api/v1/session?scope=all", &bob, "").await.status, 400);
    assert_eq!(house.running.manager().connection_count(), 1, "only bob is left");
    assert_eq!(house.ask("DELETE", "/api/v1/session", &bob, "").await.status, 204);
    assert_eq!(of_bob.closed().await, 4509);
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_secret_is_rotated_without_a_restart() {
    let house = House::open("previous_secret_files = [\"old.secret\"]").await;
    let old = token("alice", "viewer", "t1");
    let file = |name: &str| house.folder.path().join(name);
    std::fs::copy(file("jwt.secret"), file("old.secret")).unwrap();
    std::fs::write(file("jwt.secret"), "another secret of more than enough bytes").unwrap();
    let minter =
        anita_auth::Minter::hs256(b"another secret of more than enough bytes", "anita", "anita").unwrap();
    let grant = anita_auth::Grant { subject: "bob", ..anita_auth::Grant::default() };
    let new = minter.mint(&grant, anita_model::Timestamp::now(), Duration::from_secs(600)).unwrap();
    let status = async |token: &str| house.ask("GET", "/api/v1/session", token, "").await.status;
    until("the new secret", || async { status(&new).await == 200 }).await;
    assert_eq!(status(&old).await, 200, "the old one is still there");
    std::fs::remove_file(file("old.secret")).unwrap();
    until("the end of the old secret", || async { status(&old).await == 401 }).await;
    assert_eq!(status(&new).await, 200);
    house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_takes_another_token_with_the_same_rights_is_in_the_trail_with_the_id_that_ends_it() {
    let house = House::open("").await;
    let admin = token("root", "admin", "r");
    let mut socket = house.with_token(&token("alice", "viewer", "k1")).await;
    socket.welcomed().await;
    let next = token("alice", "viewer", "k2");
    socket.say(&json!({ "type": "authenticate", "payload": { "token": next } })).await;
    // It was once told of the first token alone, whose revocation did not end this socket any more.
    let is_renewal = |it: &Value| {
        it["action"] == "renew token"
            && it["object"].as_str().is_some_and(|object| object.ends_with("jti k2"))
    };
    house.until_trail("subject=alice", &admin, |entries| entries.iter().any(is_renewal)).await;
    let answer = house.ask("POST", "/api/v1/revocations", &admin, r#"{"jti":"k2"}"#).await;
    assert_eq!((answer.status, &answer.body["connections_closed"]), (201, &json!(1)));
    house.running.stop().await.unwrap();
}
