//! Who speaks for whom: proxies are believed, strangers are not.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::house::{Answer, HERE, House, PATIENCE, PLAIN, ask, end_of, token_of, upgrade};

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Proxies on loopback but for one address.
const TRUSTED: &str = "trusted_proxies = [\"127.0.0.0/29\", \"10.0.0.0/8\"]";

/// What is sent with a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// The addresses of all `WebSockets`, as the server sees them.
async fn addresses(house: &House, headers: &[(&str, &str)], stream: TcpStream) -> Vec<Option<String>> {
    let bearer = format!("Bearer {}", token_of("root", "admin"));
    let headers: Vec<_> = headers.iter().copied().chain([("authorization", bearer.as_str())]).collect();
    let answer = ask(stream, "GET", "/api/v1/connections", &headers).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let list: Value = serde_json::from_str(&answer.body).unwrap();
    let list = list["connections"].as_array().or_else(|| list.as_array()).unwrap();
    assert_eq!(house.running.manager().connection_count(), list.len());
    list.iter().map(|it| it["address"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn only_a_proxy_is_believed_and_only_its_own_words() {
    let table: [(&str, Ipv4Addr, Headers<'_>, Option<&str>); 12] = [
        ("", HERE, &[("x-forwarded-for", "203.0.113.7")], Some("203.0.113.7")),
        ("", HERE, &[("x-forwarded-for", "198.51.100.1, 203.0.113.7, 10.1.1.1")], Some("203.0.113.7")),
        (
            "",
            HERE,
            &[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")],
            Some("203.0.113.7"),
        ),
        ("", HERE, &[("forwarded", "for=203.0.113.7")], None),
        ("", HERE, &[], None),
        (
            "",
            STRANGER,
            &[("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")],
            Some("127.0.0.9"),
        ),
        ("forwarded = \"forwarded\"", HERE, &[("forwarded", "for=\"[2001:db8::7]:1\"")], Some("2001:db8::7")),
        ("forwarded = \"forwarded\"", HERE, &[("x-forwarded-for", "203.0.113.7")], None),
        ("forwarded = \"forwarded\"", HERE, &[("forwarded", "for=unknown")], None),
        ("forwarded = \"forwarded\"", STRANGER, &[("forwarded", "for=203.0.113.7")], Some("127.0.0.9")),
        ("forwarded = \"none\"", HERE, &[("x-forwarded-for", "203.0.113.7")], Some("127.0.0.1")),
        ("forwarded = \"none\"", HERE, &[("forwarded", "for=203.0.113.7")], Some("127.0.0.1")),
    ];
    for (keys, host, headers, expected) in table {
        let house = House::open(&format!("{PLAIN}\n{TRUSTED}\n{keys}"), "").await;
        let bearer = format!("Bearer {}", token_of("alice", "viewer"));
        let all: Vec<_> = headers.iter().copied().chain([("authorization", bearer.as_str())]).collect();
        let mut stream = request_with(&house, host, &all).await;
        assert_eq!(stream.next().await["type"], "system.connection");
        let found = addresses(&house, &[], house.tcp_from(HERE).await).await;
        assert_eq!(found, [expected.map(str::to_owned)], "{keys} {host} {headers:?}");
    }
}

/// A WebSocket whose request may have a header twice.
async fn request_with(house: &House, host: Ipv4Addr, headers: &[(&str, &str)]) -> crate::house::Client {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
    let mut request = format!("ws://{}/ws", house.address()).into_client_request().unwrap();
    for (name, value) in headers {
        let value: HeaderValue = value.parse().unwrap();
        request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value);
    }
    let stream = Box::new(house.tcp_from(host).await) as Box<dyn crate::house::Wire>;
    crate::house::Client(tokio_tungstenite::client_async(request, stream).await.unwrap().0)
}

#[tokio::test]
async fn limits_by_address_are_of_the_client_and_not_of_its_proxy() {
    let server = format!("{PLAIN}\n{TRUSTED}");
    let house =
        House::open(&server, "[limits]\nsockets_per_address_max = 2\nconnections_per_address_max = 3").await;
    let from = async |client: &str| -> Result<_, Answer> {
        let bearer = format!("Bearer {}", token_of("alice", "viewer"));
        house.socket_from(HERE, "/ws", &[("authorization", &bearer), ("x-forwarded-for", client)]).await
    };
    let mut inside = Vec::new();
    for client in ["203.0.113.1", "203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8::2"] {
        inside.push(from(client).await.unwrap());
    }
    for client in ["203.0.113.1", "2001:db8::3", "203.0.113.99, 203.0.113.1"] {
        let answer = from(client).await.unwrap_err();
        assert!(answer.is_busy(429, "rate_limited"), "{client}: {answer:?}");
    }
    assert!(from("2001:db8:0:1::1").await.is_ok(), "another network of 64 bits");
    // A stranger that writes another address each time is counted by its own.
    let mut spoofed = Vec::new();
    for number in 0..4 {
        let client = format!("198.51.100.{number}");
        spoofed.push(house.socket_from(STRANGER, "/ws", &[("x-forwarded-for", &client)]).await);
    }
    assert!(spoofed[1].is_ok() && spoofed[2].is_err() && spoofed[3].is_err());
}

/// A header of version 2 for an IPv4 client.
fn v2(client: Ipv4Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C".to_vec();
    header.extend(client.octets());
    header.extend([10, 0, 0, 1, 0x30, 0x39, 0x01, 0xBB]);
    header
}

const REQUIRED: &str =
    "plaintext = \"trusted_proxy\"\nproxy_protocol = \"required\"\ntrusted_proxies = [\"127.0.0.1\"]";

async fn through(house: &House, header: &[u8]) -> TcpStream {
    let mut stream = house.tcp_from(HERE).await;
    stream.write_all(header).await.unwrap();
    stream
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client_in_both_versions() {
    let house = House::open(REQUIRED, "").await;
    let bearer = format!("Bearer {}", token_of("alice", "viewer"));
    // Such a proxy passes headers on as they are: this one is the client's own words, also where nobody is named. It was
    // believed there once.
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", "8.8.8.8")];
    let table: [(Vec<u8>, Option<&str>); 6] = [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n".to_vec(), Some("203.0.113.7")),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(), Some("2001:db8::7")),
        (v2(Ipv4Addr::new(203, 0, 113, 9)), Some("203.0.113.9")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n".to_vec(), None),
        // It speaks for itself.
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), None),
    ];
    for (header, expected) in table {
        let stream = through(&house, &header).await;
        let mut client = upgrade(stream, house.address(), "/ws", &headers).await.unwrap();
        assert_eq!(client.next().await["type"], "system.connection");
        let found = addresses(&house, &[], through(&house, b"PROXY UNKNOWN\r\n").await).await;
        assert_eq!(found, [expected.map(str::to_owned)], "{}", header.escape_ascii());
        drop(client);
        while house.running.manager().connection_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn without_its_header_or_from_a_stranger_nobody_comes_in() {
    let house =
        House::open(REQUIRED, "[limits]\ntls_deadline_secs = 4\nconnections_per_address_max = 1").await;
    for beginning in [b"GET /healthz HTTP/1.1\r\n\r\n".as_slice(), b"PROXY TCP4 x\r\n", &[0x16, 3, 1]] {
        let mut stream = through(&house, beginning).await;
        assert!(end_of(&mut stream).await.is_empty(), "{}", beginning.escape_ascii());
    }
    let mut stranger = house.tcp_from(STRANGER).await;
    stranger.write_all(&v2(HERE)).await.ok();
    assert!(end_of(&mut stranger).await.is_empty());
    // Half a header, and then nothing.
    let mut slow = through(&house, b"PROXY TCP4 203.0.113.7").await;
    assert!(end_of(&mut slow).await.is_empty());
    // The second of one client.
    let mut first = through(&house, b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n").await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::io::AsyncReadExt::read_exact(&mut first, &mut [0; 12]).await.unwrap();
    let mut second = through(&house, b"PROXY TCP4 203.0.113.7 10.0.0.1 3 4\r\n").await;
    let mut third = through(&house, b"PROXY TCP4 203.0.113.8 10.0.0.1 3 4\r\n").await;
    assert!(end_of(&mut second).await.is_empty());
    third.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(end_of(&mut third).await.starts_with(b"HTTP/1.1 200"));
    drop(first);
    let expected = [
        "anita_connections_refused_total{reason=\"proxy_header\"} 3\n",
        "anita_connections_refused_total{reason=\"stranger\"} 1\n",
        "anita_connections_refused_total{reason=\"connections_of_address\"} 1\n",
        "anita_deadlines_total{stage=\"tls\"} 1\n",
    ];
    // Whoever is refused may see the end before it is counted.
    let started = std::time::Instant::now();
    loop {
        let page = house.running.metrics().page();
        if expected.iter().all(|line| page.contains(line)) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{expected:?}: {page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tls_may_end_here_behind_the_proxy_protocol() {
    let server = "proxy_protocol = \"required\"\ntrusted_proxies = [\"127.0.0.1\"]";
    let house = House::open(server, "[server.tls]\nself_signed = true").await;
    let stream = through(&house, &v2(Ipv4Addr::new(203, 0, 113, 7))).await;
    let certificate = house.running.certificates().unwrap().certificate_der();
    let stream = crate::certificates::secured(stream, &certificate, None).await.unwrap();
    let bearer = format!("Bearer {}", token_of("alice", "viewer"));
    let mut client = upgrade(stream, house.address(), "/ws", &[("authorization", &bearer)]).await.unwrap();
    client.ping().await;
    let plain = through(&house, &v2(HERE)).await;
    let answer = ask(plain, "GET", "/healthz", &[]).await.unwrap();
    assert_eq!(answer.status, 400, "plain text is not for everybody whom a proxy brings: {answer:?}");
}

#[tokio::test]
async fn a_name_that_is_not_the_servers_is_refused_where_its_names_are_known() {
    let house = House::open(&format!("{PLAIN}\nhosts = [\"hub.example\", \"hub.example:8443\"]"), "").await;
    let table = [
        ("hub.example", "/api/v1", 200),
        ("HUB.example:8443", "/api/v1", 200),
        ("evil.example", "/api/v1", 403),
        ("hub.example.evil.example", "/ws", 403),
        ("127.0.0.1", "/metrics", 403),
        ("10.0.0.7:8080", "/healthz", 200),
        ("10.0.0.7:8080", "/readyz", 200),
    ];
    for (host, path, status) in table {
        assert_eq!(house.http("GET", path, &[("host", host)]).await.status, status, "{host}{path}");
    }
}
