//! Peers that take their time: with TLS, a head, a body, a token, a message, the next request, and reading. Each kind
//! comes in numbers while somebody is served, and all are gone after their deadline.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{HERE, House, PATIENCE, PLAIN, end_of, request_text, token_of};

/// How many come at a time.
const CROWD: usize = 200;

/// Every deadline but that of the authentication, which is a whole number of seconds at least. Whoever is served here has
/// them too, and a busy machine may hold it up.
const LIMITS: &str = "[limits]\ntls_deadline_secs = 4\nheader_deadline_secs = 4\nrequest_deadline_secs = 4\n\
     message_deadline_secs = 4\nwrite_deadline_secs = 4\n";

/// Somebody is forgotten; how long an answer takes otherwise is printed.
const HELD_UP: Duration = Duration::from_secs(15);

async fn house() -> House {
    House::open(PLAIN, &format!("deadline_secs = 4\n[server.tls]\nself_signed = true\n{LIMITS}")).await
}

/// Brings a crowd, and looks after somebody who is served until all of them are gone.
async fn endure(house: &House, what: &str, first: &[u8], again: &[u8]) -> Vec<Vec<u8>> {
    let mut served = house.client("served").await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut stream = house.tcp_from(HERE).await;
        stream.write_all(first).await.unwrap();
        crowd.push(stream);
    }
    let came = Instant::now();
    let ends: Vec<_> = crowd.into_iter().map(|stream| tokio::spawn(drip(stream, again.to_vec()))).collect();
    let mut slowest = Duration::ZERO;
    while ends.iter().any(|end| !end.is_finished()) {
        assert!(
            came.elapsed() < PATIENCE,
            "{what}: {} stay",
            ends.iter().filter(|it| !it.is_finished()).count()
        );
        slowest = slowest.max(served.ping().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{what}: {CROWD} gone after {:.1?}; meanwhile the slowest answer took {slowest:.1?}",
        came.elapsed()
    );
    assert!(slowest < HELD_UP, "{what}: somebody else was held up, {slowest:?}");
    let mut heard = Vec::new();
    for end in ends {
        heard.push(end.await.unwrap());
    }
    heard
}

/// Sends a little again and again, until the connection ends.
async fn drip(mut stream: TcpStream, again: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if again.is_empty() || writer.write_all(&again).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut heard = Vec::new();
    tokio::select! {
        _ended = reader.read_to_end(&mut heard) => {}
        () = dripping => {}
    }
    heard
}

/// Each of the crowd once; it may see its end before that is counted.
async fn all_are_counted(house: &House, stage: &str) {
    house.until_metric(&deadline(stage), 200).await;
    assert_eq!(house.metric(&deadline(stage)).await, 200);
}

fn deadline(stage: &str) -> String {
    format!("anita_deadlines_total{{stage=\"{stage}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_tls_handshake() {
    let house = house().await;
    // A record of 512 bytes whose content comes byte by byte.
    endure(&house, "TLS handshake", &[0x16, 3, 1, 2, 0], &[1]).await;
    all_are_counted(&house, "tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_byte() {
    let house = house().await;
    endure(&house, "nothing at all", &[], &[]).await;
    all_are_counted(&house, "tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_head_of_a_request() {
    let house = house().await;
    endure(&house, "head", b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n").await;
    all_are_counted(&house, "header").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_body_of_a_request() {
    let house = house().await;
    let bearer = format!("Bearer {}", token_of("slow", "publisher"));
    let headers = [("authorization", bearer.as_str()), ("content-length", "100000")];
    let begun = request_text("POST", "/api/v1/locations", &headers);
    let heard = endure(&house, "body", begun.as_bytes(), b" ").await;
    assert!(heard.iter().all(|heard| heard.starts_with(b"HTTP/1.1 408 ")), "each is told so");
    all_are_counted(&house, "request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_next_request() {
    let house = house().await;
    let heard = endure(&house, "next request", request_text("GET", "/healthz", &[]).as_bytes(), &[]).await;
    assert!(heard.iter().all(|heard| heard.starts_with(b"HTTP/1.1 200 ")));
}

fn upgrade(token: Option<&str>) -> String {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    request_text("GET", "/ws", &headers)
}

/// The close code at the end of what was heard, whose reason is no longer than what one byte says.
fn close_code(heard: &[u8]) -> Option<u16> {
    let at = heard.windows(2).rposition(|pair| pair[0] == 0x88)?;
    Some(u16::from_be_bytes([*heard.get(at + 2)?, *heard.get(at + 3)?]))
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_token() {
    let house = house().await;
    // A ping again and again is a sign of life, and no token.
    let heard = endure(&house, "authentication", upgrade(None).as_bytes(), &[0x89, 0x80, 0, 0, 0, 0]).await;
    let codes: Vec<_> = heard.iter().map(|heard| close_code(heard)).collect();
    assert!(codes.iter().all(|code| *code == Some(4408)), "{codes:?}");
    let counted = "anita_closes_total{code=\"auth_deadline\"}";
    house.until_metric(counted, 200).await;
    assert_eq!(house.metric(counted).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_frame() {
    let house = house().await;
    let mut first = upgrade(Some(&token_of("slow", "viewer"))).into_bytes();
    // A text frame of 1,000 bytes that comes byte by byte.
    first.extend([0x81, 0xFE, 0x03, 0xE8, 0, 0, 0, 0]);
    let heard = endure(&house, "frame", &first, b" ").await;
    assert!(heard.iter().all(|heard| close_code(heard) == Some(4410)));
    assert!(
        heard.iter().all(|heard| heard.windows(9).any(|words| words == b"\"timeout\"")),
        "each is told why"
    );
    all_are_counted(&house, "message").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_fragments_with_pings_in_between() {
    let house = house().await;
    let mut first = upgrade(Some(&token_of("slow", "viewer"))).into_bytes();
    first.extend([0x01, 0x81, 0, 0, 0, 0, b'{']);
    // A ping, and an empty fragment that is not the last.
    let again = [[0x89, 0x80, 0, 0, 0, 0], [0x00, 0x80, 0, 0, 0, 0]].concat();
    let heard = endure(&house, "fragments", &first, &again).await;
    assert!(heard.iter().all(|heard| close_code(heard) == Some(4410)));
}

/// The deadline counts from the first byte, and not from the next time that something else happens on the connection.
#[tokio::test(flavor = "multi_thread")]
async fn inside_a_frame_of_a_connection_that_was_idle() {
    // No heartbeat within the patience of this test.
    let sections = "[limits]\nmessage_deadline_secs = 1\n[heartbeat]\ninterval_secs = 300";
    let house = House::open(PLAIN, sections).await;
    let upgrade = upgrade(Some(&token_of("slow", "viewer")));
    let begun: [(&str, &[u8]); 4] = [
        ("half a head", &[0x81]),
        ("a head", &[0x81, 0xFE, 0x03, 0xE8, 0, 0, 0, 0]),
        ("a head and a little", &[0x81, 0xFE, 0x03, 0xE8, 0, 0, 0, 0, b'{', b'"']),
        ("a first fragment", &[0x01, 0x81, 0, 0, 0, 0, b'{']),
    ];
    for (what, bytes) in begun {
        let mut stream = house.tcp_from(HERE).await;
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        // With an answer to its ping, it is certain that the server waits for what comes next.
        stream.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(&[0x8A, 0]) {
            assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0, "{what}");
        }
        stream.write_all(bytes).await.unwrap();
        assert_eq!(close_code(&end_of(&mut stream).await), Some(4410), "{what}");
    }
    house.until_metric(&deadline("message"), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_client_is_never_taken_for_a_slow_one() {
    let house = house().await;
    let mut client = house.client("busy").await;
    let started = Instant::now();
    // Longer than the deadline of a message, with always one more under way.
    while started.elapsed() < Duration::from_secs(9) {
        for _ in 0..4 {
            client.say(&json!({ "type": "ping", "payload": {} })).await;
        }
        for _ in 0..4 {
            assert_eq!(client.next().await["type"], "system.pong");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_reading_what_was_asked_for() {
    let house = house().await;
    let bearer = format!("Bearer {}", token_of("slow", "viewer"));
    let request = request_text("GET", "/api/v1/openapi.json", &[("authorization", &bearer)]);
    let mut served = house.client("served").await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD / 4 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2_048).unwrap();
        let mut stream = socket.connect(house.address()).await.unwrap();
        // Far more answers than the buffers of the system hold, and none of them is read.
        let requests = request.repeat(200);
        tokio::time::timeout(Duration::from_millis(100), stream.write_all(requests.as_bytes())).await.ok();
        crowd.push(stream);
    }
    house.until_metric(&deadline("write"), 50).await;
    assert!(served.ping().await < HELD_UP);
    for stream in &mut crowd {
        end_of(stream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_reads_nothing_and_lives_is_given_up() {
    let limits = "write_deadline_secs = 4\npublisher_requests_per_second = 1000000\n[limits.requests_per_second]\nread = 0";
    let house = House::limited(limits).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let mut stream = socket.connect(house.address()).await.unwrap();
    stream.write_all(upgrade(Some(&token_of("slow", "admin"))).as_bytes()).await.unwrap();
    // Asks for much, reads none of it, and is not silent.
    let text = br#"{"type":"get_device_location","payload":{"device_id":"nobody-of-this-name-is-there"}}"#;
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(text);
    let asking = async {
        loop {
            if stream.write_all(&frame.repeat(20)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it has to be given up");
    house.until_metric(&deadline("write"), 1).await;
}
