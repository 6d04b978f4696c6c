//! What every answer carries, and what no path leads to.

use crate::house::{Answer, House, PLAIN, ask, end_of, token_of};

/// What is sent with a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn has_security_headers(answer: &Answer) -> Result<(), String> {
    let table = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in table {
        if answer.header(name) != Some(value) {
            return Err(format!("{name} is {:?}", answer.header(name)));
        }
    }
    let csp = answer.header("content-security-policy").unwrap_or_default();
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        if !csp.contains(part) || csp.contains("unsafe-") || csp.contains('*') {
            return Err(format!("the policy {csp:?} lacks {part:?}, or allows too much"));
        }
    }
    if answer.header("cache-control").is_none() {
        return Err("no cache-control".to_owned());
    }
    Ok(())
}

#[tokio::test]
async fn every_answer_has_them_whatever_it_is() {
    let house = House::open(PLAIN, "[limits]\nrequest_deadline_secs = 0.5\nhandshakes_per_second = 1").await;
    let document: serde_json::Value =
        serde_json::from_str(&house.http("GET", "/api/v1/openapi.json", &[]).await.body).unwrap();
    let bearer = format!("Bearer {}", token_of("root", "admin"));
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "tag-1").replace("{name}", "error.json").replace(['{', '}'], "");
        let methods = methods.as_object().unwrap().keys().map(|it| it.to_uppercase());
        for method in methods.filter(|it| it != "PARAMETERS").chain(["PATCH".to_owned()]) {
            for headers in [&[][..], &[("authorization", bearer.as_str())], &[("authorization", "Bearer x")]]
            {
                let answer = house.http(&method, &path, headers).await;
                assert_eq!(has_security_headers(&answer), Ok(()), "{method} {path} {}", answer.status);
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "{asked}");
    let upgrade = [
        ("connection", "upgrade, close"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "https://evil.example"),
    ];
    let more: [(&str, &str, Headers<'_>, u16); 9] = [
        ("GET", "/", &[], 200),
        ("GET", "/devices", &[], 200),
        ("GET", "/nothing.js", &[], 404),
        ("GET", "/sdk/anita.js", &[], 200),
        ("GET", "/api/nothing", &[], 404),
        ("POST", "/", &[], 405),
        ("GET", "/ws", &[], 400),
        ("GET", "/ws/nothing", &upgrade, 403),
        ("POST", "/api/v1/locations", &[("authorization", &bearer), ("content-length", "9")], 408),
    ];
    for (method, path, headers, status) in more {
        let stream = house.tcp_from(crate::house::HERE).await;
        let answer = ask(stream, method, path, headers).await.unwrap();
        // What is built from Node's files is not there in every build.
        let is_built = !matches!(path, "/devices" | "/sdk/anita.js");
        assert!(answer.status == status || !is_built || path == "/ws", "{method} {path}: {answer:?}");
        assert_eq!(has_security_headers(&answer), Ok(()), "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn with_tls_they_say_so_and_plain_text_is_refused_with_them() {
    let house = House::open("", "[server.tls]\nself_signed = true").await;
    let certificate = house.running.certificates().unwrap().certificate_der();
    for path in ["/", "/healthz", "/api/v1/devices", "/nothing.png"] {
        let stream = house.tcp_from(crate::house::HERE).await;
        let stream = crate::certificates::secured(stream, &certificate, None).await.unwrap();
        let answer = ask(stream, "GET", path, &[]).await.unwrap();
        assert_eq!(has_security_headers(&answer), Ok(()), "{path}");
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"), "{path}");
    }
    let answer = house.http("GET", "/healthz", &[]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("content-security-policy").is_some_and(|it| it.starts_with("default-src 'none'")));
}

#[tokio::test]
async fn no_path_leads_out_of_the_assets() {
    let house = House::open(PLAIN, "").await;
    let ways = [
        "/../jwt.secret",
        "/../../../../etc/passwd",
        "/assets/../../jwt.secret",
        "/assets/..%2f..%2fjwt.secret",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/..%5c..%5cjwt.secret",
        "/assets/....//....//etc/passwd",
        "//etc/passwd",
        "/assets//etc/passwd",
        "/etc/passwd%00.js",
        "/sdk/../jwt.secret",
        "/sdk/anita.js/../../jwt.secret",
        "/schema/../jwt.secret",
        "/schema/..%2fjwt.secret",
        "/assets/%c0%ae%c0%ae/jwt.secret",
        "/file:///etc/passwd",
        "/api/v1/../../jwt.secret",
        "/.env",
        "/anita.toml",
    ];
    for way in ways {
        let answer = house.http("GET", way, &[]).await;
        let is_told = answer.body.contains("root:") || answer.body.contains("0123456789abcdef");
        assert!(!is_told, "{way}: {}", answer.body);
        // The dashboard is shown for the path of a page; there is nothing at the others.
        let is_page = answer.status == 200 && answer.body.to_ascii_lowercase().starts_with("<!doctype html>");
        assert!(is_page || (400..500).contains(&answer.status), "{way}: {answer:?}");
        assert_eq!(has_security_headers(&answer), Ok(()), "{way}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_answered_shortly_or_not_at_all() {
    let house = House::open(PLAIN, "").await;
    let endless = format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000));
    let many = "h: x\r\n".repeat(3_000);
    let table = [
        ("GET\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: x\r\n: x\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked, x\r\n\r\n".to_owned(), 400),
        (endless, 400),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
    ];
    for (request, status) in table {
        let mut stream = house.tcp_from(crate::house::HERE).await;
        // It may be closed before everything was sent.
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.ok();
        let heard = String::from_utf8_lossy(&end_of(&mut stream).await).into_owned();
        let found = heard.split(' ').nth(1).and_then(|it| it.parse().ok());
        let shown: String = request.chars().take(60).collect();
        assert!(
            found.is_none_or(|found: u16| found == status || found == 414 || found == 431),
            "{shown}: {heard}"
        );
        let (fields, body) = heard.split_once("\r\n\r\n").unwrap_or_default();
        for name in ["content-type", "set-cookie", "location", "access-control"] {
            assert!(!fields.to_ascii_lowercase().contains(name), "{shown}: {heard}");
        }
        assert!(body.is_empty(), "{shown}: nothing is shown that could be taken for a page: {heard}");
    }
}
