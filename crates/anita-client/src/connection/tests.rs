use std::io::Write;

use anita_wire::Advice;
use tokio::net::TcpListener;

use super::*;
use crate::scripted::{Certificate, Peer, soon, websocket};

const SECOND: Duration = Duration::from_secs(1);

async fn connect(url: String) -> Result<Connection, ConnectError> {
    soon(Client::connect(Options { token: Some(Token::new("jwt\n")), ..Options::new(url) })).await
}

async fn connected<R>(script: impl Fn(usize, Peer) -> R + Send + Sync + 'static) -> Connection
where
    R: Future<Output = ()> + Send + 'static,
{
    let address = websocket(None, script).await;
    connect(format!("ws://{address}/ws")).await.unwrap()
}

#[tokio::test]
async fn the_hello_of_the_server_begins_a_connection_with_the_token_in_the_header() {
    let mut connection = connected(async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        let authorization = peer.authorization.clone();
        peer.say(json!({ "type": "seen", "payload": { "authorization": authorization } })).await;
        peer.close(1000, "").await;
    })
    .await;
    assert_eq!(connection.hello().kind, "system.connection");
    let seen = soon(connection.next()).await.unwrap().unwrap();
    assert_eq!((seen.kind.as_str(), seen.payload.get()), ("seen", r#"{"authorization":"Bearer jwt"}"#));
    assert!(soon(connection.next()).await.unwrap().is_none(), "1000 is an end as it should be");
    assert!(soon(connection.next()).await.unwrap().is_none(), "and stays one");
}

#[tokio::test]
async fn an_error_and_a_close_become_a_refusal_that_says_whether_to_come_back() {
    let address = websocket(None, async |number, mut peer: Peer| {
        let (code, close, reason) = match number {
            0 => ("invalid_token", 4501, r#"{"code":"invalid_token"}"#),
            1 => ("token_expired", 4401, r#"{"code":"token_expired"}"#),
            2 => ("unavailable", 1013, r#"{"code":"try_later","retry_after_ms":1500}"#),
            _ => ("new_code", 4499, "some text"),
        };
        let payload = json!({ "code": code, "message": "No.", "retryable": false });
        peer.say(json!({ "type": "error", "payload": payload })).await;
        peer.close(close, reason).await;
    })
    .await;
    let table = [
        ("invalid_token", 4501, Advice::StayAway, None),
        ("token_expired", 4401, Advice::ComeBackWithFreshToken, None),
        ("unavailable", 1013, Advice::ComeBack, Some(Duration::from_millis(1_500))),
        ("new_code", 4499, Advice::ComeBack, None),
    ];
    for (code, number, advice, retry_after) in table {
        let error = connect(format!("ws://{address}/ws")).await.unwrap_err();
        assert_eq!((error.advice(), error.retry_after()), (advice, retry_after), "{error}");
        assert_eq!(error.remedy().is_some(), code != "new_code");
        let ConnectError::Refused { error: Some(said), close } = error else { panic!("{error}") };
        assert_eq!((said.code.as_str(), close.number), (code, number));
    }
}

#[tokio::test]
async fn without_a_token_the_remedy_is_named() {
    let address = websocket(None, async |_, mut peer: Peer| {
        peer.say(json!({ "type": "system.auth_required", "payload": {} })).await;
        peer.hear().await;
    })
    .await;
    let error = soon(Client::connect(Options::new(format!("ws://{address}/ws")))).await.unwrap_err();
    assert!(matches!(error, ConnectError::TokenNeeded), "{error}");
}

#[tokio::test]
async fn what_is_no_server_of_ours_is_told_apart_from_one_that_is_away() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = connect(format!("ws://{closed}/ws")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert_eq!(error.advice(), Advice::ComeBack);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let options =
        Options { connect_deadline: Duration::from_millis(50), ..Options::new(format!("ws://{address}/")) };
    let error = soon(Client::connect(options)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Deadline(_)), "{error}");

    let (address, _asked) = crate::scripted::http(None, |_, _| None).await;
    let error = connect(format!("wss://{address}/ws")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error}");
}

#[tokio::test]
async fn answers_find_their_requests_and_the_rest_keeps_flowing() {
    let mut connection = connected(async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        let slow = peer.hear().await;
        let ping = peer.hear().await;
        peer.say(json!({ "type": "uwb.location", "payload": { "n": 1 } })).await;
        peer.say(json!({ "type": "late", "id": slow["id"], "payload": {} })).await;
        peer.say(json!({ "type": "uwb.location", "payload": { "n": 2 } })).await;
        peer.say(json!({ "type": "system.pong", "id": ping["id"], "payload": ping["payload"] })).await;
        let bad = peer.hear().await;
        let payload = json!({ "code": "not_found", "message": "No such device.", "retryable": false });
        peer.say(json!({ "type": "error", "id": bad["id"], "payload": payload })).await;
        peer.hear().await;
    })
    .await;
    let given_up = connection.request("slow", &json!({}), Duration::from_millis(30)).await;
    assert!(matches!(given_up, Err(RequestError::Deadline(_))));
    let pong = connection.request("ping", &json!({ "n": 7 }), 5 * SECOND).await.unwrap();
    assert_eq!((pong.kind.as_str(), pong.payload.get()), ("system.pong", r#"{"n":7}"#));
    let refused = connection.request("get_device_location", &json!({}), 5 * SECOND).await.unwrap_err();
    let RequestError::Refused(error) = refused else { panic!("{refused}") };
    assert_eq!(error.code, "not_found");
    for n in 1..=2 {
        let message = soon(connection.next()).await.unwrap().unwrap();
        assert_eq!(message.payload.get(), json!({ "n": n }).to_string());
    }
    soon(connection.close()).await;
}

#[tokio::test]
async fn a_ping_is_answered_and_the_close_of_the_server_has_a_meaning() {
    let mut connection = connected(async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        peer.socket.send(Message::Ping("are you there".into())).await.unwrap();
        let pong = peer.socket.next().await.unwrap().unwrap();
        assert_eq!(pong, Message::Pong("are you there".into()));
        peer.close(1012, r#"{"code":"restart","retry_after_ms":250}"#).await;
    })
    .await;
    let lost = soon(connection.next()).await.unwrap_err();
    assert_eq!((lost.advice(), lost.retry_after()), (Advice::ComeBack, Some(Duration::from_millis(250))));
    assert!(matches!(lost, Lost::Closed(Close { number: 1012, .. })), "{lost}");
}

#[tokio::test]
async fn a_server_that_says_nothing_for_two_and_a_half_intervals_is_gone() {
    let mut connection = connected(async |_, mut peer: Peer| {
        peer.hello(2.0).await;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            peer.say(json!({ "type": "system.heartbeat" })).await;
        }
        peer.hear().await;
    })
    .await;
    let mut began_at = Instant::now();
    for _ in 0..3 {
        // It counts from when the last was heard, which is not before it was waited for.
        began_at = Instant::now();
        assert_eq!(soon(connection.next()).await.unwrap().unwrap().kind, "system.heartbeat");
    }
    let lost = soon(connection.next()).await.unwrap_err();
    assert!(matches!(lost, Lost::Silent(_)), "{lost}");
    assert!(began_at.elapsed() >= Duration::from_millis(4_900), "{:?}", began_at.elapsed());
}

#[tokio::test]
async fn what_is_too_large_or_not_of_the_protocol_ends_the_connection() {
    let address = websocket(None, async |number, mut peer: Peer| {
        peer.hello(25.0).await;
        let message = match number {
            0 => Message::text(format!("{{\"type\":\"{}\"}}", "x".repeat(10_000))),
            1 => Message::binary("{}"),
            _ => Message::text("[]"),
        };
        peer.socket.send(message).await.ok();
        peer.hear().await;
    })
    .await;
    for _ in 0..3 {
        let options = Options { message_bytes_max: 5_000, ..Options::new(format!("ws://{address}/ws")) };
        let mut connection = soon(Client::connect(options)).await.unwrap();
        let lost = soon(connection.next()).await.unwrap_err();
        assert!(matches!(lost, Lost::Protocol(_)), "{lost}");
        assert_eq!(lost.advice(), Advice::StayAway);
    }
}

#[tokio::test]
async fn a_fingerprint_a_ca_file_or_the_system_decides_about_a_certificate() {
    let certificate = Certificate::new();
    let address = websocket(Some(&certificate), async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        peer.hear().await;
    })
    .await;
    let mut pem = tempfile::NamedTempFile::new().unwrap();
    pem.write_all(certificate.pem.as_bytes()).unwrap();
    let mut other_pem = tempfile::NamedTempFile::new().unwrap();
    other_pem.write_all(Certificate::new().pem.as_bytes()).unwrap();
    let table = [
        (Trust::Fingerprint(certificate.fingerprint.to_uppercase()), None),
        (Trust::CaFile(pem.path().to_owned()), None),
        (Trust::Fingerprint("00".repeat(32)), Some("has the fingerprint")),
        (Trust::CaFile(other_pem.path().to_owned()), Some("is not trusted")),
    ];
    for (trust, refused) in table {
        let url = format!("wss://{address}/ws");
        let result = soon(Client::connect(Options { trust: trust.clone(), ..Options::new(url) })).await;
        match (result, refused) {
            (Ok(connection), None) => soon(connection.close()).await,
            (Err(error @ ConnectError::Certificate { .. }), Some(words)) => {
                assert!(error.to_string().contains(words), "{error}");
                assert_eq!(error.advice(), Advice::StayAway);
            }
            (result, _) => panic!("{trust:?}: {result:?}"),
        }
    }
    let named = Options {
        trust: Trust::CaFile(pem.path().to_owned()),
        ..Options::new(format!("wss://localhost:{}/", address.port()))
    };
    soon(Client::connect(named)).await.unwrap();
}

#[test]
fn options_print_no_token() {
    let options = Options { token: Some(Token::new("secret")), ..Options::new("wss://h/ws?token=secret") };
    assert!(!format!("{options:?}").contains("secret"));
    assert!(matches!(authorization(&Token::new("with\nnewline")), Err(ConnectError::TokenCharacters)));
}
