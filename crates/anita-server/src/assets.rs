//! The dashboard and the JavaScript client, embedded as `cargo xtask` built them; where they are not built, a page that
//! says how.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::coding;

/// What pages may load and do: only what comes from here.
pub(crate) const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";

#[derive(RustEmbed)]
#[folder = "../../dashboard/dist"]
#[allow_missing = true]
struct Dashboard;

#[derive(RustEmbed)]
#[folder = "../../sdk/dist"]
#[include = "anita.js*"]
#[exclude = "*.map"]
#[allow_missing = true]
struct Sdk;

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>ANITA</title>\
     <h1>The server runs; its dashboard was not built</h1>\
     <p>Build both with one command, in the folder of the sources: <code>cargo xtask demo</code>. It needs Node 20.\
     <p>Everything else is here: <a href=/api/v1>the REST interface</a>, <a href=/schema/>the messages</a>, \
     <a href=/readyz>the state</a>.</html>";

/// The dashboard's files; any other path of a page shows the dashboard itself.
pub(crate) async fn dashboard(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = file::<Dashboard>(path, &headers) {
        return file;
    }
    let is_page = !path.contains('.') && !path.starts_with("assets/") && !path.starts_with("api/");
    match file::<Dashboard>("index.html", &headers) {
        Some(index) if is_page => index,
        None if path.is_empty() => html(StatusCode::OK, NOT_BUILT),
        _ => (StatusCode::NOT_FOUND, "There is nothing at this address.\n").into_response(),
    }
}

/// `/sdk/anita.js`: the client as a plain ES module.
pub(crate) async fn sdk(headers: HeaderMap) -> Response {
    file::<Sdk>("anita.js", &headers).unwrap_or_else(|| html(StatusCode::NOT_FOUND, NOT_BUILT))
}

fn html(status: StatusCode, page: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// How a file may be encoded, as HTTP calls it, and the ending of the file that the build made of it; the best first.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// A file as the client takes it; `None` when there is none of this name.
fn file<Files: RustEmbed>(path: &str, headers: &HeaderMap) -> Option<Response> {
    if CODINGS.iter().any(|(_coding, ending)| path.ends_with(ending)) {
        return None;
    }
    let plain = Files::get(path)?;
    let encoded = CODINGS
        .into_iter()
        .filter_map(|(coding, ending)| Some((coding, Files::get(&format!("{path}{ending}"))?)))
        .find(|(name, _file)| coding::is_accepted(name, headers));
    let (coding, file) = encoded.map_or((None, plain), |(coding, file)| (Some(coding), file));
    Some(file_response(path, coding, file, headers))
}

fn file_response(
    path: &str,
    coding: Option<&'static str>,
    file: EmbeddedFile,
    headers: &HeaderMap,
) -> Response {
    let hash = file.metadata.sha256_hash();
    // Of the bytes that are sent: another coding has another one.
    let etag: String =
        hash.iter().take(16).fold(String::from("\""), |text, byte| format!("{text}{byte:02x}")) + "\"";
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == etag.as_bytes());
    // The names of files under assets/ hold a hash of their content, so they never change.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        ([(header::CONTENT_TYPE, content_type(path))], bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding.filter(|_| !is_known) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_name, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
