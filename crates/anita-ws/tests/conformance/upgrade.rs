//! The opening handshake (RFC 6455 section 4.2), as bytes of HTTP over TCP.

use std::net::SocketAddr;

use anita_ws::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::peer::{REQUEST, TEXT, echo_over_tcp, hear, read_head, say, whole};

/// `Sec-WebSocket-Accept` for the standard's key (section 1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The good request with the line that begins with a word replaced by others; by none, if there are none.
fn with(word: &str, lines: &[&str]) -> Vec<u8> {
    let mut request = Vec::new();
    let mut is_found = false;
    for line in REQUEST {
        let own = [line];
        let is_it = line.starts_with(word);
        is_found |= is_it;
        for line in if is_it { lines } else { &own[..] } {
            request.extend_from_slice(line.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
    }
    assert!(is_found, "{word}");
    request.extend_from_slice(b"\r\n");
    request
}

/// The good request and further lines.
fn and(lines: &[&str]) -> Vec<u8> {
    with("Host", &[&["Host: server.example.com"], lines].concat())
}

/// The head of the answer to these bytes, in lower case but for its status line.
async fn answer(address: SocketAddr, request: &[u8]) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    say(&mut client, request).await;
    read_head(&mut client).await
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|pair| pair.0.eq_ignore_ascii_case(name)).map(|pair| pair.1)
}

#[tokio::test]
async fn the_request_of_the_standard_is_answered_as_it_says() {
    let address = echo_over_tcp(Limits::default()).await;
    let head = answer(address, &and(&["Origin: http://example.com"])).await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(header(&head, "connection"), Some("upgrade"));
    assert_eq!(header(&head, "sec-websocket-accept"), Some(ACCEPT));
    // Nothing is confirmed that was not offered (section 4.1).
    assert_eq!(header(&head, "sec-websocket-protocol"), None);
    assert_eq!(header(&head, "sec-websocket-extensions"), None);
}

#[tokio::test]
async fn requests_that_are_written_differently_and_mean_the_same_are_taken() {
    let address = echo_over_tcp(Limits::default()).await;
    let same: Vec<Vec<u8>> = vec![
        with("Upgrade", &["UPGRADE: WEBSOCKET"]),
        with("Upgrade", &["upgrade:websocket"]),
        with("Upgrade", &["uPgRaDe: \t WebSocket \t"]),
        with("Upgrade", &["Upgrade: h2c, websocket"]),
        with("Upgrade", &["Upgrade: h2c", "Upgrade: websocket"]),
        with("Connection", &["connection: keep-alive, Upgrade"]),
        with("Connection", &["Connection: keep-alive", "Connection: upgrade"]),
        with("Connection", &["CONNECTION: ,, UPGRADE ,"]),
        with("Sec-WebSocket-Version", &["sec-websocket-version:13"]),
        with("Sec-WebSocket-Key", &["SEC-WEBSOCKET-KEY:\tdGhlIHNhbXBsZSBub25jZQ==  "]),
        with("Host", &["host:"]),
        with("GET", &["GET http://server.example.com/chat HTTP/1.1"]),
        with("GET", &["GET /?token=a%20b HTTP/1.1"]),
        and(&["X-Something: else", "Cookie: a=b", "Sec-WebSocket-Something: new"]),
        and(&[&format!("X-Long: {}", "x".repeat(8_000))]),
        and(&["Sec-WebSocket-Protocol: chat, superchat"]),
    ];
    for request in same {
        let head = answer(address, &request).await;
        let shown = String::from_utf8_lossy(&request).into_owned();
        assert_eq!(
            (status(&head), header(&head, "sec-websocket-accept")),
            (101, Some(ACCEPT)),
            "{shown}{head}"
        );
    }
}

#[tokio::test]
async fn requests_that_are_no_opening_handshake_are_refused_with_their_status() {
    let address = echo_over_tcp(Limits::default()).await;
    let key = |value: &str| with("Sec-WebSocket-Key", &[&format!("Sec-WebSocket-Key: {value}")]);
    let version = |value: &str| with("Sec-WebSocket-Version", &[&format!("Sec-WebSocket-Version: {value}")]);
    let good_key = REQUEST[4];
    let rows: Vec<(Vec<u8>, u16)> = vec![
        (with("GET", &["POST /chat HTTP/1.1"]), 405),
        (with("GET", &["HEAD /chat HTTP/1.1"]), 405),
        (with("GET", &["OPTIONS /chat HTTP/1.1"]), 405),
        (with("GET", &["get /chat HTTP/1.1"]), 405),
        (with("GET", &["GET /chat HTTP/1.0"]), 505),
        (with("Host", &[]), 400),
        (with("Host", &["Host: one", "Host: two"]), 400),
        (with("Host", &["Host: server.example.com", "Host: server.example.com"]), 400),
        (with("Upgrade", &[]), 426),
        (with("Upgrade", &["Upgrade: websockets"]), 426),
        (with("Upgrade", &["Upgrade: web socket"]), 426),
        (with("Upgrade", &["Upgrade: h2c"]), 426),
        (with("Connection", &[]), 426),
        (with("Connection", &["Connection: close"]), 426),
        (with("Connection", &["Connection: keep-alive, upgrades"]), 426),
        (with("Sec-WebSocket-Version", &[]), 426),
        (version("12"), 426),
        (version("14"), 426),
        (version("8"), 426),
        (version("013"), 426),
        (version("13.0"), 426),
        (version("13, 13"), 426),
        (version("0"), 426),
        (version("256"), 426),
        (version(""), 426),
        (with("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"]), 426),
        (with("Sec-WebSocket-Key", &[]), 400),
        (with("Sec-WebSocket-Key", &[good_key, good_key]), 400),
        (key(""), 400),
        // 15 and 17 bytes, no padding, too much of it, characters that base64 does not have, bits that are left over.
        (key("dGhlIHNhbXBsZSBub25j"), 400),
        (key("dGhlIHNhbXBsZSBub25jZWU="), 400),
        (key("dGhlIHNhbXBsZSBub25jZQ"), 400),
        (key("dGhlIHNhbXBsZSBub25jZQ==="), 400),
        (key("dGhlIHNhbXBsZSBub25jZ-=="), 400),
        (key("dGhlIHNhbXBs ZSBub25jZQ=="), 400),
        (key("dGhlIHNhbXBsZSBub25jZR=="), 400),
        (key("dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (key(&"A".repeat(4_000)), 400),
        // A body would be taken for frames.
        (and(&["Content-Length: 5"]), 400),
        (and(&["Transfer-Encoding: chunked"]), 400),
        // What is no HTTP.
        (with("Upgrade", &["Upgrade : websocket"]), 400),
        (with("Upgrade", &["Upgrade: web\0socket"]), 400),
        (with("Host", &["Host: a", " folded: line"]), 400),
        (with("GET", &["GET /chat HTTP/2.0"]), 400),
        (with("GET", &["GET  HTTP/1.1"]), 400),
        (and(&["Content-Length: 0", "Content-Length: 1"]), 400),
        (and(&vec!["X: y"; 200]), 431),
    ];
    for (request, expected) in rows {
        let head = answer(address, &request).await;
        let shown = String::from_utf8_lossy(&request).into_owned();
        assert_eq!(status(&head), expected, "{shown}{head}");
        assert_eq!(header(&head, "sec-websocket-accept"), None);
        // Section 4.4: the versions that are spoken here.
        let version = header(&head, "sec-websocket-version");
        assert_eq!(version, if expected == 426 { Some("13") } else { None }, "{shown}{head}");
        if expected == 426 {
            assert_eq!(header(&head, "upgrade"), Some("websocket"));
        }
        if expected == 405 {
            assert_eq!(header(&head, "allow"), Some("GET"));
        }
    }
}

#[tokio::test]
async fn a_body_of_no_bytes_is_no_body() {
    let address = echo_over_tcp(Limits::default()).await;
    assert_eq!(status(&answer(address, &and(&["Content-Length: 0"])).await), 101);
}

#[tokio::test]
async fn a_request_without_end_is_refused_before_it_costs_memory() {
    let address = echo_over_tcp(Limits::default()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let (mut reads, mut writes) = client.split();
    let says = async {
        writes.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
        for _ in 0..2_000 {
            if writes.write_all(&[b'x'; 1_000]).await.is_err() {
                return;
            }
        }
    };
    let ((), head) = tokio::join!(says, read_head(&mut reads));
    assert!(head.is_empty() || status(&head) == 431, "{head}");
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte_and_frames_right_behind_it() {
    let address = echo_over_tcp(Limits::default()).await;
    let request = [and(&[]), whole(TEXT, b"early"), whole(TEXT, b"bird")].concat();
    for piece_bytes in [1, 7, request.len()] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.set_nodelay(true).unwrap();
        for piece in request.chunks(piece_bytes) {
            say(&mut client, piece).await;
        }
        assert_eq!(status(&read_head(&mut client).await), 101);
        assert_eq!(hear(&mut client).await.unwrap().payload, b"early");
        assert_eq!(hear(&mut client).await.unwrap().payload, b"bird");
    }
}

/// The choice itself is the application's; what it may be is the standard's (section 4.2.2).
#[test]
fn the_subprotocol_is_confirmed_once_and_to_the_letter_if_it_was_offered() {
    let rows: [(&[&str], Option<&str>, Option<&str>); 10] = [
        (&["chat, superchat"], Some("superchat"), Some("superchat")),
        (&["chat", "superchat"], Some("superchat"), Some("superchat")),
        (&["chat,superchat ,\tchat"], Some("chat"), Some("chat")),
        (&["chat"], None, None),
        (&["chat"], Some("Chat"), None),
        (&["chat"], Some("other"), None),
        (&["chat"], Some(""), None),
        (&[], Some("chat"), None),
        (&[""], Some("chat"), None),
        (&[", ,chat,"], Some("chat"), Some("chat")),
    ];
    for (offered, chosen, confirmed) in rows {
        let mut request = http::Request::get("/");
        for line in &REQUEST[1..] {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        for offer in offered {
            request = request.header("sec-websocket-protocol", *offer);
        }
        let handshake = anita_ws::Handshake::from_request(&request.body(()).unwrap()).unwrap();
        let response = handshake.response(chosen);
        let mut values = response.headers().get_all("sec-websocket-protocol").iter();
        assert_eq!(values.next().map(|value| value.to_str().unwrap()), confirmed, "{offered:?} {chosen:?}");
        assert_eq!(values.next(), None);
    }
}
