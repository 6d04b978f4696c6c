//! `export`: the history of devices, as a file that is never held in memory.
//!
//! A transfer counts only when the server said that it was the whole: one that breaks off is an error, never a short file.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::address::{Address, AddressError};
use crate::connection::{Url, authorization, http_error};
use crate::error::ConnectError;
use crate::stream::Stream;
use crate::token::Token;
use crate::trust::{Trust, TrustError};

/// How long the server may take to begin.
const BEGIN_DEADLINE: Duration = Duration::from_secs(60);

/// How long the server may send nothing: it may have to look through many devices that have nothing.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// The time between two [`ExportProgress`].
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The largest refusal that is read, bytes.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// What to export, and from where.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The base URL, `http(s)://` or `ws(s)://`; the URL of a WebSocket of the server does as well.
    pub url: Url,
    /// The token of somebody who may read history.
    pub token: Option<Token>,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// Whether plain text may go to other machines than this one.
    pub allow_plain: bool,
    /// Ids and patterns; all devices that the token may see when empty.
    pub devices: Vec<String>,
    /// Not before this, RFC 3339.
    pub from: Option<String>,
    /// Not after this, RFC 3339.
    pub to: Option<String>,
    /// `csv`, `ndjson` or `geojson`.
    pub format: String,
    /// Whether what is written is gzip.
    pub gzip: bool,
    /// Cancelled at Ctrl-C.
    pub stop: CancellationToken,
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportProgress {
    /// Bytes that were written.
    pub bytes: u64,
    /// Fixes that were written; `None` where they can't be counted, since they are compressed.
    pub fixes: Option<u64>,
    /// How long it took so far.
    pub elapsed: Duration,
}

/// Why there is no export, or only a part of one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server can't be reached, or does not want to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The address can't be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody can be trusted as was asked.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The transfer ended before its end.
    #[error("the transfer broke off after {bytes} bytes: what there is, is not all")]
    BrokenOff {
        /// How much came.
        bytes: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What came can't be written.
    #[error("cannot write what came")]
    Write(#[source] io::Error),
    /// Gzip was asked for, and something else came.
    #[error("the server, or a proxy before it, did not compress; ask without gzip")]
    NotCompressed,
    /// It was stopped.
    #[error("stopped after {bytes} bytes: what there is, is not all")]
    Stopped {
        /// How much came.
        bytes: u64,
    },
}

/// Writes an export. `on_progress` hears how far it is once a second; the end is what is returned.
///
/// # Errors
/// [`ExportError`]; then what was written is a part at most.
pub async fn export<W: AsyncWrite + Unpin>(
    options: ExportOptions,
    mut out: W,
    mut on_progress: impl FnMut(ExportProgress),
) -> Result<ExportProgress, ExportError> {
    let address = Address::parse(&options.url.0)?;
    if !options.allow_plain {
        address.check_secrecy()?;
    }
    let tls = if address.is_tls { Some(options.trust.client_config()?) } else { None };
    let began = Instant::now();
    let stop = options.stop.clone();
    let beginning = timeout(BEGIN_DEADLINE, begin(&options, &address, tls.as_ref()));
    let mut body = match stop.run_until_cancelled(beginning).await {
        None => return Err(ExportError::Stopped { bytes: 0 }),
        Some(Err(_elapsed)) => return Err(ConnectError::Deadline(BEGIN_DEADLINE).into()),
        Some(Ok(body)) => body?,
    };
    let mut counter = Counter::new(&options);
    let mut told_at = Instant::now();
    loop {
        let bytes = counter.bytes;
        let frame = match stop.run_until_cancelled(timeout(SILENCE_MAX, body.frame())).await {
            None => return Err(ExportError::Stopped { bytes }),
            Some(Err(_elapsed)) => {
                let silent = format!("nothing came for {} s", SILENCE_MAX.as_secs());
                return Err(ExportError::BrokenOff { bytes, source: io::Error::other(silent) });
            }
            Some(Ok(None)) => break,
            Some(Ok(Some(frame))) => frame,
        };
        let frame =
            frame.map_err(|fault| ExportError::BrokenOff { bytes, source: io::Error::other(fault) })?;
        let Ok(data) = frame.into_data() else { continue };
        counter.count(&data);
        out.write_all(&data).await.map_err(ExportError::Write)?;
        if told_at.elapsed() >= PROGRESS_EVERY {
            told_at = Instant::now();
            on_progress(counter.progress(began));
        }
    }
    out.flush().await.map_err(ExportError::Write)?;
    Ok(counter.progress(began))
}

/// Asks, and hands back the body of the answer.
async fn begin(
    options: &ExportOptions,
    address: &Address,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Incoming, ExportError> {
    let broken = |fault: hyper::Error| ConnectError::Broken(io::Error::other(fault));
    let request = request(options, address)?;
    let stream = Stream::connect(address, tls).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection of an export ended");
        }
    });
    let response = sender.send_request(request).await.map_err(broken)?;
    let (parts, body) = response.into_parts();
    if parts.status != StatusCode::OK {
        let body = Limited::new(body, PROBLEM_BYTES_MAX).collect().await;
        // A refusal without its words is one all the same.
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Err(http_error(parts.status.as_u16(), &parts.headers, &body).into());
    }
    let is_gzip = parts.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
    if is_gzip == options.gzip { Ok(body) } else { Err(ExportError::NotCompressed) }
}

fn request(options: &ExportOptions, address: &Address) -> Result<Request<Empty<Bytes>>, ConnectError> {
    let protocol = |fault: String| ConnectError::Protocol { reason: fault };
    let mut pairs = vec![("format", options.format.as_str())];
    pairs.extend(options.devices.iter().map(|device| ("devices", device.as_str())));
    pairs.extend(options.from.as_deref().map(|from| ("start_time", from)));
    pairs.extend(options.to.as_deref().map(|to| ("end_time", to)));
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let uri = format!("{}?{}", address.path_of("/api/v1/history"), query.join("&"));
    let coding = if options.gzip { "gzip" } else { "identity" };
    let mut request = Request::builder()
        .uri(uri)
        .header(header::HOST, address.authority())
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static(coding));
    if let Some(token) = &options.token {
        request = request.header(header::AUTHORIZATION, authorization(token)?);
    }
    request.body(Empty::new()).map_err(|fault| protocol(fault.to_string()))
}

/// A value of a query: everything but letters, digits and a few signs is escaped (RFC 3986 §2.1).
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing into a text does not fail.
            write!(escaped, "%{byte:02X}").ok();
        }
    }
    escaped
}

/// Counts what comes.
#[derive(Debug)]
struct Counter {
    bytes: u64,
    /// Lines, where each is a fix but so many.
    lines: Option<(u64, u64)>,
}

impl Counter {
    fn new(options: &ExportOptions) -> Self {
        let others = match options.format.as_str() {
            "csv" => 1,
            // The first line is the beginning, and the last the end.
            "geojson" => 2,
            _ => 0,
        };
        Self { bytes: 0, lines: (!options.gzip).then_some((0, others)) }
    }

    fn count(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        if let Some((lines, _others)) = &mut self.lines {
            *lines += data.split(|&byte| byte == b'\n').skip(1).count() as u64;
        }
    }

    fn progress(&self, began: Instant) -> ExportProgress {
        let fixes = self.lines.map(|(lines, others)| lines.saturating_sub(others));
        ExportProgress { bytes: self.bytes, fixes, elapsed: began.elapsed() }
    }
}
