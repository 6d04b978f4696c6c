//! Content codings that a client takes.

use http::{HeaderMap, header};

/// Whether the client takes a coding (RFC 9110 §12.5.3). What it does not speak of, it does not get.
pub(crate) fn is_accepted(coding: &str, headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    let (mut named, mut any) = (None, None);
    for element in lists.flat_map(|it| it.split(',')) {
        let (name, weight) = element.split_once(';').unwrap_or((element, ""));
        let weight = weight.trim().to_ascii_lowercase();
        let quality = weight.strip_prefix("q=").map_or(Ok(1.0), |quality| quality.trim().parse());
        let is_taken = quality.is_ok_and(|quality: f64| quality > 0.0);
        let name = name.trim();
        // Another name of it (RFC 9110 §8.4.1.3).
        let name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
        if name.eq_ignore_ascii_case(coding) {
            named = Some(is_taken);
        } else if name == "*" {
            any = Some(is_taken);
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_coding_is_used_only_where_the_client_takes_it() {
        let table: [(&[&str], bool, bool); 15] = [
            (&[], false, false),
            (&[""], false, false),
            (&["identity"], false, false),
            (&["gzip, deflate, br, zstd"], true, true),
            (&["gzip"], false, true),
            (&["x-gzip"], false, true),
            (&["br, GZIP;Q=0.5"], true, true),
            (&["br;q=0, gzip;q=1.0"], false, true),
            (&["br ; q=0.001"], true, false),
            (&["*"], true, true),
            (&["*;q=0"], false, false),
            (&["*, br;q=0.0"], false, true),
            (&["*;q=1, gzip;q=0.0"], true, false),
            (&["gzip", "br"], true, true),
            (&["br;q=much, gzip;q="], false, false),
        ];
        for (lists, br, gzip) in table {
            let headers = lists.iter().map(|it| (header::ACCEPT_ENCODING, HeaderValue::from_static(it)));
            let headers: HeaderMap = headers.collect();
            assert_eq!((is_accepted("br", &headers), is_accepted("gzip", &headers)), (br, gzip), "{lists:?}");
        }
    }
}
