//! Which pages may call: the server's own origin, and those of the configuration, compared exactly (RFC 6454 §7). Where a
//! browser names no origin, it says whether another site made it ask (Fetch Metadata, `Sec-Fetch-Site`).

use http::{HeaderMap, HeaderValue, header};

/// What the `Origin` header says of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A program, or a page of this origin that reads.
    Absent,
    /// A page that may call.
    Allowed,
    /// A page that may not.
    Foreign,
}

/// The one `Origin` of a request, as it is written.
pub(crate) fn text(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}

/// Judges the `Origin` of a request that came with this scheme.
pub(crate) fn judge(headers: &HeaderMap, scheme: &str, allowed: &[String]) -> Origin {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return if is_from_elsewhere(headers) { Origin::Foreign } else { Origin::Absent };
    };
    if origins.next().is_some() {
        return Origin::Foreign;
    }
    let Ok(origin) = origin.to_str() else { return Origin::Foreign };
    if allowed.iter().any(|it| it == origin) {
        return Origin::Allowed;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_own =
        !host.is_empty() && origin.strip_prefix(scheme).and_then(|it| it.strip_prefix("://")) == Some(host);
    if is_own { Origin::Allowed } else { Origin::Foreign }
}

/// Whether a browser says that another site made it ask; others say nothing.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_origin_and_listed_ones_may_call() {
        let allowed = ["https://board.example".to_owned()];
        let table = [
            (None, Origin::Absent),
            (Some("https://anita.example:8443"), Origin::Allowed),
            (Some("http://anita.example:8443"), Origin::Foreign),
            (Some("https://anita.example"), Origin::Foreign),
            (Some("https://anita.example:8443.evil.example"), Origin::Foreign),
            (Some("https://evil.example"), Origin::Foreign),
            (Some("null"), Origin::Foreign),
            (Some("https://board.example"), Origin::Allowed),
            (Some("https://board.example.evil.example"), Origin::Foreign),
            (Some("https://BOARD.example"), Origin::Foreign),
        ];
        for (origin, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "anita.example:8443".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(judge(&headers, "https", &allowed), expected, "{origin:?}");
        }
    }

    #[test]
    fn without_an_origin_the_site_counts_and_with_one_it_does_not() {
        let own = "https://anita.example";
        for (site, expected) in [
            ("same-origin", Origin::Absent),
            ("none", Origin::Absent),
            ("same-site", Origin::Foreign),
            ("cross-site", Origin::Foreign),
            ("", Origin::Foreign),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "anita.example".parse().unwrap());
            headers.insert("sec-fetch-site", site.parse().unwrap());
            assert_eq!(judge(&headers, "https", &[]), expected, "{site}");
            headers.insert(header::ORIGIN, own.parse().unwrap());
            assert_eq!(judge(&headers, "https", &[]), Origin::Allowed, "{site}");
        }
    }
}
