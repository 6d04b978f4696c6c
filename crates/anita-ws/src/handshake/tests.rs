use super::*;

const GOOD: &[(&str, &str)] = &[
    ("host", "server.example.com"),
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "WebSocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn request(headers: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::get("/ws");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

/// The good request with one header replaced, or left out when the value is empty.
fn request_with(name: &str, value: &str) -> Request<()> {
    let mut headers: Vec<_> = GOOD.iter().copied().filter(|header| header.0 != name).collect();
    if !value.is_empty() {
        headers.push((name, value));
    }
    request(&headers)
}

#[test]
fn the_example_of_the_standard_is_accepted() {
    let request = request(GOOD);
    let response = Handshake::from_request(&request).unwrap().response(None);
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_eq!(response.headers()["connection"], "upgrade");
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
    assert!(Handshake::from_parts(&request.into_parts().0).is_ok());
}

#[test]
fn what_is_no_handshake_is_refused() {
    let twice = |name| {
        let mut headers = GOOD.to_vec();
        headers.extend(GOOD.iter().copied().filter(|header| header.0 == name));
        request(&headers)
    };
    let mut post = request(GOOD);
    *post.method_mut() = Method::POST;
    let mut old = request(GOOD);
    *old.version_mut() = Version::HTTP_10;
    let mut new = request(GOOD);
    *new.version_mut() = Version::HTTP_2;
    let cases = [
        (post, HandshakeError::Method, 405),
        (old, HandshakeError::HttpVersion, 505),
        (new, HandshakeError::HttpVersion, 505),
        (request(&[]), HandshakeError::Host, 400),
        (twice("host"), HandshakeError::Host, 400),
        (request_with("connection", ""), HandshakeError::Connection, 426),
        (request_with("connection", "close"), HandshakeError::Connection, 426),
        (request_with("connection", "upgraded"), HandshakeError::Connection, 426),
        (request_with("upgrade", ""), HandshakeError::Upgrade, 426),
        (request_with("upgrade", "h2c"), HandshakeError::Upgrade, 426),
        (request_with("sec-websocket-version", ""), HandshakeError::ProtocolVersion, 426),
        (request_with("sec-websocket-version", "8"), HandshakeError::ProtocolVersion, 426),
        (request_with("sec-websocket-version", "13, 8"), HandshakeError::ProtocolVersion, 426),
        (twice("sec-websocket-version"), HandshakeError::ProtocolVersion, 426),
        (request_with("sec-websocket-key", ""), HandshakeError::Key, 400),
        (request_with("sec-websocket-key", "dGhlIHNhbXBsZSBub25j"), HandshakeError::Key, 400),
        (request_with("sec-websocket-key", "not base64 at all !!!!=="), HandshakeError::Key, 400),
        (twice("sec-websocket-key"), HandshakeError::Key, 400),
        (request_with("content-length", "2"), HandshakeError::Body, 400),
        (request_with("transfer-encoding", "chunked"), HandshakeError::Body, 400),
    ];
    for (request, expected, status) in cases {
        let error = Handshake::from_request(&request).unwrap_err();
        assert_eq!(error, expected, "{request:?}");
        assert_eq!(error.status(), status);
        let response = error.response();
        let version = response.headers().get("sec-websocket-version");
        assert_eq!(version.is_some_and(|version| version == "13"), status == 426);
    }
}

#[test]
fn lists_may_be_split_over_lines() {
    let mut headers: Vec<_> = GOOD.iter().copied().filter(|header| header.0 != "connection").collect();
    headers.extend([
        ("connection", "keep-alive"),
        ("connection", "x,,upgrade"),
        ("sec-websocket-protocol", "anita.v1 , anita.bearer.a.b-c_d"),
        ("sec-websocket-protocol", ""),
        ("sec-websocket-protocol", "chat"),
    ]);
    let handshake = Handshake::from_request(&request(&headers)).unwrap();
    let offered: Vec<_> = handshake.subprotocols().collect();
    assert_eq!(offered, ["anita.v1", "anita.bearer.a.b-c_d", "chat"]);
    assert!(!format!("{handshake:?}").contains("bearer"));
}

#[test]
fn only_an_offered_subprotocol_is_confirmed() {
    let handshake = Handshake::from_request(&request_with("sec-websocket-protocol", "one, two")).unwrap();
    for (chosen, confirmed) in
        [(None, None), (Some("two"), Some("two")), (Some("Two"), None), (Some("x"), None)]
    {
        let response = handshake.response(chosen);
        let header = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!(header, confirmed);
    }
}

#[test]
fn compression_is_confirmed_when_it_was_negotiated() {
    let answered = |offers: &[&str], wanted| {
        let headers = offers.iter().map(|offer| ("sec-websocket-extensions", *offer));
        let request = request(&headers.chain(GOOD.iter().copied()).collect::<Vec<_>>());
        let mut handshake = Handshake::from_request(&request).unwrap();
        let agreed = handshake.negotiate(wanted);
        let response = handshake.response(None);
        let value = response.headers().get("sec-websocket-extensions").cloned();
        assert_eq!(
            value.as_ref().map(|value| value.to_str().unwrap().to_owned()),
            agreed.map(|it| it.to_string())
        );
        agreed.map(Agreed::window_bits)
    };
    let browser = "permessage-deflate; client_max_window_bits";
    assert_eq!(answered(&[browser], Compression::DEFLATE), Some(15));
    assert_eq!(answered(&[browser], Compression::Off), None);
    assert_eq!(answered(&[], Compression::DEFLATE), None);
    let two = ["x; y, permessage-deflate; z", "permessage-deflate; server_max_window_bits=10"];
    assert_eq!(answered(&two, Compression::DEFLATE), Some(10));
    // Nobody has asked.
    let request = request_with("sec-websocket-extensions", browser);
    let response = Handshake::from_request(&request).unwrap().response(None);
    assert!(!response.headers().contains_key("sec-websocket-extensions"));
}
