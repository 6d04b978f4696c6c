//! How many: in all, by address, by user, in a second.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::house::{HERE, House, PLAIN, ask, configured, end_of, folder, text, token_of};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn refused(reason: &str) -> String {
    format!("anita_connections_refused_total{{reason=\"{reason}\"}}")
}

#[tokio::test]
async fn a_socket_too_many_is_refused_before_the_upgrade_and_told_when_to_come_back() {
    let house = House::limited("sockets_max = 2").await;
    let mut first = house.client("alice").await;
    let second = house.client("bob").await;
    let answer = house.client_from(HERE, "carol").await.unwrap_err();
    assert!(answer.is_busy(503, "unavailable"), "{answer:?}");
    assert_eq!(house.metric(&refused("sockets")).await, 1);
    first.ping().await;
    assert_eq!(house.http("GET", "/healthz", &[]).await.status, 200, "REST has room still");
    drop(second);
    while house.client_from(HERE, "carol").await.is_err() {}
}

#[tokio::test]
async fn one_address_has_no_more_sockets_than_one_may_have() {
    let house = House::limited("sockets_per_address_max = 2").await;
    let mut inside = [house.client("alice").await, house.client("bob").await];
    let answer = house.client_from(HERE, "carol").await.unwrap_err();
    assert!(answer.is_busy(429, "rate_limited"), "{answer:?}");
    house.client_from(ELSEWHERE, "carol").await.unwrap().ping().await;
    inside[0].ping().await;
    assert_eq!(house.metric(&refused("sockets_of_address")).await, 1);
}

#[tokio::test]
async fn one_user_has_no_more_sockets_than_one_may_have_and_the_older_ones_stay() {
    let house = House::limited("sockets_per_user_max = 2").await;
    let mut inside = [house.client("alice").await, house.client("alice").await];
    let bearer = format!("Bearer {}", token_of("alice", "viewer"));
    let mut third = house.socket_from(HERE, "/ws", &[("authorization", &bearer)]).await.unwrap();
    let heard = third.until_end().await;
    assert_eq!(heard[0]["payload"]["code"], "limit_reached", "{heard:?}");
    assert_eq!(
        heard[1],
        json!({ "close": 1013, "reason": { "code": "limit_reached", "retry_after_ms": 10_000 } })
    );
    for client in &mut inside {
        client.ping().await;
    }
    house.client("bob").await.ping().await;
    assert_eq!(house.metric(&refused("sockets_of_user")).await, 1);

    // The same for whoever says only later who it is.
    let mut late = house.socket_from(HERE, "/ws", &[]).await.unwrap();
    assert_eq!(late.next().await["type"], "system.auth_required");
    late.say(&json!({ "type": "authenticate", "payload": { "token": token_of("alice", "viewer") } })).await;
    assert_eq!(late.until_end().await[1]["close"], 1013);
    drop(inside);
    house.until_metric("anita_closes_total{code=\"gone\"}", 2).await;
    house.client("alice").await.ping().await;
}

#[tokio::test]
async fn handshakes_are_counted_by_address_and_in_all() {
    // So few that they are too many however slowly they come.
    let limits = "handshakes_per_second = 4\nhandshakes_per_second_per_address = 2";
    let house = House::limited(limits).await;
    let mut inside = Vec::new();
    let answer = loop {
        match house.client_from(HERE, "alice").await {
            Ok(client) => inside.push(client),
            Err(answer) => break answer,
        }
        assert!(inside.len() < 1_000, "nobody is refused");
    };
    assert!(inside.len() >= 2 && answer.is_busy(429, "rate_limited"), "{}: {answer:?}", inside.len());
    assert!(house.metric(&refused("handshakes_of_address")).await >= 1);
    // From many addresses, each of which may.
    let before = house.metric(&refused("handshakes")).await;
    let mut refusals = 0;
    for host in 2..100 {
        let answer = house.client_from(Ipv4Addr::new(127, 0, 0, host), "alice").await;
        if let Err(answer) = answer {
            assert!(answer.is_busy(429, "rate_limited"), "{answer:?}");
            refusals += 1;
        }
    }
    let counted = house.metric(&refused("handshakes")).await - before;
    assert!(counted > 0 && counted == refusals, "{counted} of {refusals}");
    inside[0].ping().await;
}

#[tokio::test]
async fn one_address_has_no_more_connections_than_one_may_have() {
    let limits = "sockets_max = 5\nconnections_max = 5\nconnections_per_address_max = 3";
    let house = House::limited(limits).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(house.tcp_from(HERE).await);
    }
    assert!(end_of(&mut house.tcp_from(HERE).await).await.is_empty(), "closed without a word");
    for host in [2, 3] {
        held.push(house.tcp_from(Ipv4Addr::new(127, 0, 0, host)).await);
    }
    assert!(end_of(&mut house.tcp_from(Ipv4Addr::new(127, 0, 0, 4)).await).await.is_empty());
    held.truncate(1);
    let page = loop {
        if let Some(page) = ask(house.tcp_from(HERE).await, "GET", "/metrics", &[]).await {
            break page;
        }
    };
    for reason in ["connections", "connections_of_address"] {
        assert!(page.body.contains(&format!("{} ", refused(reason))), "{reason}: {}", page.body);
    }
    assert!(page.body.contains("\nanita_tcp_connections "));
}

#[tokio::test]
async fn whoever_does_not_say_who_it_is_takes_nobody_elses_place() {
    let limits = "unauthenticated_max = 4\nunauthenticated_per_address_max = 3";
    let house = House::limited(limits).await;
    let mut inside = house.client("alice").await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut socket = house.socket_from(ELSEWHERE, "/ws", &[]).await.unwrap();
        assert_eq!(socket.next().await["type"], "system.auth_required");
        silent.push(socket);
    }
    let refusal = house.client_from(ELSEWHERE, "bob").await.unwrap_err();
    assert_eq!(refusal.status, 0, "closed at the door: {refusal:?}");
    house.until_metric(&refused("unauthenticated_of_address"), 1).await;
    inside.ping().await;
    // Whoever has said who it is makes place.
    silent[0]
        .say(&json!({ "type": "authenticate", "payload": { "token": token_of("bob", "viewer") } }))
        .await;
    assert_eq!(silent[0].next().await["type"], "system.connection");
    house.client_from(ELSEWHERE, "bob").await.unwrap().ping().await;
    // A connection with a token counts no more, however long it stays.
    let mut kept = Vec::new();
    for _ in 0..8 {
        let mut stream = house.tcp_from(Ipv4Addr::new(127, 0, 0, 3)).await;
        let bearer = format!("Bearer {}", token_of("bob", "viewer"));
        let request = crate::house::request_text("GET", "/api/v1/session", &[("authorization", &bearer)]);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        kept.push(stream);
    }
    assert!(house.metric("anita_unauthenticated_connections").await >= 2);
}

#[tokio::test]
async fn tls_handshakes_are_counted_before_they_cost_anything() {
    let tls = "[server.tls]\nself_signed = true";
    let house =
        House::open(PLAIN, &format!("{tls}\n[limits]\ntls_handshakes_per_second_per_address = 3")).await;
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut stream = house.tcp_from(ELSEWHERE).await;
        // The first byte is what it is counted by; of one that is refused nothing more is read.
        stream.write_all(&[0x16]).await.unwrap();
        held.push(stream);
    }
    house.until_metric(&refused("tls_handshakes_of_address"), 5).await;
    for mut stream in held.drain(25..) {
        assert!(end_of(&mut stream).await.is_empty());
    }
}

#[test]
fn limits_that_cannot_be_meant_are_refused_with_the_remedy() {
    let folder = folder();
    let table = [
        (PLAIN, "[limits]\nsockets_max = 30000", "limits.connections_max: is less than sockets_max, 30000"),
        (
            PLAIN,
            "[limits]\nhandshakes_per_second_per_address = 0",
            "limits.handshakes_per_second_per_address: is 0",
        ),
        (
            PLAIN,
            "[limits]\nmessage_deadline_secs = 0",
            "limits.message_deadline_secs: has to be 0.1 to 3600 seconds",
        ),
        (
            "trusted_proxies = [\"10.0.0.1/8\"]",
            "",
            "server.trusted_proxies: \"10.0.0.1/8\" is neither an address",
        ),
        (
            "proxy_protocol = \"required\"",
            "",
            "server.trusted_proxies: has to name the proxy's address when proxy",
        ),
        ("forwarded = \"x-real-ip\"", "", "server.forwarded: unknown variant `x-real-ip`"),
        ("hosts = [\"https://anita.example\"]", "", "server.hosts: \"https://anita.example\" is no host"),
        (
            PLAIN,
            "[server.tls]\nself_signed = true\nclient_certificates = \"optional\"",
            "server.tls.client_ca_file: is missing",
        ),
        (
            PLAIN,
            "[server.tls]\nself_signed = true\nclient_ca_file = \"ca.pem\"",
            "server.tls.client_certificates: is \"off\"",
        ),
        (PLAIN, "[[auth.certificates]]\nsubject = \"x\"", "auth.certificates: means nothing while"),
        (
            PLAIN,
            "[[auth.certificates]]\nsubject = \"x\"\nroles = [\"chief\"]\n[server.tls]\nself_signed = true\n\
             client_ca_file = \"ca.pem\"\nclient_certificates = \"optional\"",
            "auth.certificates[0].roles: there is no role \"chief\"; known here: admin",
        ),
    ];
    for (server, sections, said) in table {
        let error = configured(folder.path(), &text(server, sections)).unwrap_err().to_string();
        assert!(error.starts_with(said), "{server} {sections}\n  said: {error}");
    }
}

/// Asks for `/healthz` again and again over one connection, until an answer says that it is the last; how many there were.
async fn asks_for_ever(stream: &mut tokio::net::TcpStream) -> usize {
    let request = crate::house::request_text("GET", "/healthz", &[]);
    let began = std::time::Instant::now();
    for count in 1.. {
        assert!(began.elapsed() < crate::house::PATIENCE, "{count} answers, and none is the last");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"ok\n") {
            let mut piece = [0; 1_024];
            let count = tokio::io::AsyncReadExt::read(stream, &mut piece).await.unwrap();
            assert!(count > 0, "closed in the middle: {}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&piece[..count]);
        }
        let answer = String::from_utf8(heard).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        if answer.contains("connection: close") {
            assert!(end_of(stream).await.is_empty(), "nothing comes after it");
            return count;
        }
    }
    unreachable!()
}

#[tokio::test]
async fn who_asks_for_ever_does_not_keep_a_connection_for_ever() {
    let house = House::limited("keep_alive_secs = 5\nheader_deadline_secs = 60").await;
    let began = std::time::Instant::now();
    let mut stream = house.tcp_from(HERE).await;
    // One that is this old is still good for a WebSocket, which then lives as long as it likes.
    let mut upgrading = house.tcp_from(HERE).await;
    upgrading.write_all(b"GET /ws HTTP/1.1\r\nhost: anita.test\r\n").await.unwrap();
    let count = asks_for_ever(&mut stream).await;
    assert!(count > 5 && began.elapsed() >= std::time::Duration::from_secs(5), "{count} answers");
    let rest = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    upgrading.write_all(rest.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.windows(20).any(|text| text == b"system.auth_required") {
        let mut piece = [0; 1_024];
        let count = tokio::io::AsyncReadExt::read(&mut upgrading, &mut piece).await.unwrap();
        assert!(count > 0, "closed: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..count]);
    }
    let heard = String::from_utf8_lossy(&heard).to_ascii_lowercase();
    assert!(heard.starts_with("http/1.1 101 ") && heard.contains("connection: upgrade"), "{heard}");
    let mut another = house.tcp_from(HERE).await;
    assert!(asks_for_ever(&mut another).await > 5, "the next connection has its own time");
}

#[tokio::test]
async fn who_does_not_say_who_it_is_gets_fifty_answers_a_second_over_a_connection() {
    let house = House::limited("sockets_max = 1").await;
    let held_back = "anita_rate_limited_total{class=\"connection\"}";
    let bearer = format!("Bearer {}", token_of("alice", "admin"));
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let known = [("authorization", bearer.as_str())];
    let refused = [&upgrade[..], &known].concat();
    let _inside = house.client("bob").await;
    let table = [
        ("/healthz", &[][..], "200", true),
        ("/api/v1/session", &known, "200", false),
        ("/ws", &upgrade, "503", true),
        ("/ws", &refused, "503", true),
    ];
    for (path, headers, status, is_held_back) in table {
        let before = house.metric(held_back).await;
        let request = crate::house::request_text("GET", path, headers);
        let mut stream = house.tcp_from(HERE).await;
        let began = std::time::Instant::now();
        let mut answers = 0_u32;
        loop {
            for _ in 0..80 {
                stream.write_all(request.as_bytes()).await.unwrap();
                let head = crate::flood::head_of(&mut stream).await;
                assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
            }
            answers += 80;
            let took = began.elapsed();
            let count = house.metric(held_back).await - before;
            if !is_held_back {
                assert_eq!(count, 0, "{path}: whoever is known is bounded by what it may ask");
                break;
            }
            // Fifty at once, and fifty a second after them.
            let most = 50.0 + 50.0 * took.as_secs_f64() + 1.0;
            assert!(f64::from(answers) <= most, "{path}: {answers} answers in {took:?}");
            assert!(count <= u64::from(answers) - 50, "{path}: {count} of {answers} answers waited");
            if count > 0 {
                break;
            }
            // Whoever was held up itself did not ask fast enough.
            assert!(took < crate::house::PATIENCE, "{path}: no answer ever waits");
        }
    }
}
