//! Any bytes as the head of an upgrade request: read by the HTTP library, judged by the handshake.

use anita_ws::{Compression, Handshake, HandshakeError};
use http::{HeaderName, HeaderValue, Method, Request, Version};

/// Judges the head, and looks at the answer.
pub fn run(bytes: &[u8]) {
    let Some(request) = read(bytes) else { return };
    let count = |name: &str| request.headers().get_all(name).iter().count();
    let (host_count, key_count) = (count("host"), count("sec-websocket-key"));
    match Handshake::from_request(&request) {
        Ok(mut handshake) => {
            assert_eq!((request.method(), request.version()), (&Method::GET, Version::HTTP_11));
            assert_eq!((host_count, key_count), (1, 1));
            let agreed = handshake.negotiate(Compression::DEFLATE);
            assert!(agreed.is_none_or(|agreed| (9..=15).contains(&agreed.window_bits())));
            let offered: Vec<String> = handshake.subprotocols().map(str::to_owned).collect();
            for choice in [None, Some("anita.v1"), offered.first().map(String::as_str)] {
                let response = handshake.response(choice);
                let headers = response.headers();
                assert_eq!(headers["sec-websocket-accept"].len(), 28, "20 bytes in base64");
                assert_eq!(agreed.is_some(), headers.contains_key("sec-websocket-extensions"));
                if let Some(confirmed) = headers.get("sec-websocket-protocol") {
                    assert!(offered.iter().any(|it| confirmed == it.as_str()), "it was offered");
                }
            }
            assert_eq!(format!("{handshake:?}"), "Handshake { .. }", "no token gets into a log");
        }
        Err(error) => {
            let response = error.response();
            assert!(response.status().is_client_error() || error == HandshakeError::HttpVersion);
            let is_426 = response.status() == 426;
            assert_eq!(is_426, response.headers().contains_key("sec-websocket-version"));
        }
    }
}

/// The request of a head, as far as it is one.
fn read(bytes: &[u8]) -> Option<Request<()>> {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut words = lines.next()?.split(|&byte| byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    *request.version_mut() = match words.next()? {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        _ => Version::HTTP_2,
    };
    for line in lines.take_while(|line| !line.is_empty()).take(100) {
        let at = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at(at);
        let name = HeaderName::from_bytes(name).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?);
    }
    Some(request)
}
