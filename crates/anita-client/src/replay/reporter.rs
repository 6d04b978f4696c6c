//! Reports to `POST /api/v1/locations`, over one connection that is kept.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anita_wire::Advice;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::backoff::Backoff;
use crate::connection::{authorization, http_error};
use crate::error::ConnectError;
use crate::replay::schedule::Stamped;
use crate::stream::Stream;
use crate::token::Token;

/// How long one request may take, its connection included.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);

/// How long a request on its way still gets when the replay is stopped.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The largest answer that is read, bytes: a thousand refused items fit.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The answer to a report.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// How many items were taken.
    pub(super) accepted: u64,
    /// Those that were not.
    #[serde(default)]
    pub(super) refused: Vec<RefusedItem>,
}

/// One item that was not taken.
#[derive(Debug, Deserialize)]
pub(super) struct RefusedItem {
    pub(super) index: usize,
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

/// What became of a report.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Answer),
    /// The replay was stopped before the server answered.
    Stopped,
}

/// Sends reports.
#[derive(Debug)]
pub(super) struct Reporter {
    address: Address,
    tls: Option<Arc<ClientConfig>>,
    authorization: Option<HeaderValue>,
    path: String,
    open: Option<SendRequest<Full<Bytes>>>,
}

// === impl Reporter ===

impl Reporter {
    /// Nothing is connected yet.
    pub(super) fn new(
        address: Address,
        tls: Option<Arc<ClientConfig>>,
        token: Option<&Token>,
    ) -> Result<Self, ConnectError> {
        let path = address.path_of("/api/v1/locations");
        let authorization = token.map(authorization).transpose()?;
        Ok(Self { address, tls, authorization, path, open: None })
    }

    /// Sends a report until the server answers for it, or it is stopped.
    ///
    /// # Errors
    /// A refusal that stays, or the last one when `retry_for` is over.
    pub(super) async fn report(
        &mut self,
        batch: &[Stamped],
        retry_for: Duration,
        stop: &CancellationToken,
        mut on_retry: impl FnMut(&ConnectError, Duration),
    ) -> Result<Outcome, ConnectError> {
        let body = serde_json::to_vec(batch).map(Bytes::from);
        let body = body.map_err(|fault| ConnectError::Protocol { reason: fault.to_string() })?;
        let give_up_at = Instant::now() + retry_for;
        let mut backoff = Backoff::default();
        loop {
            let stopped = async {
                stop.cancelled().await;
                sleep(STOP_GRACE).await;
            };
            let attempt = tokio::select! {
                attempt = timeout(REQUEST_DEADLINE, self.post(&body)) => attempt,
                () = stopped => return Ok(Outcome::Stopped),
            };
            let error = match attempt {
                Ok(Ok(answer)) => return Ok(Outcome::Answered(answer)),
                Ok(Err(error)) => error,
                Err(_elapsed) => ConnectError::Deadline(REQUEST_DEADLINE),
            };
            // After a fault of the wire the next attempt needs a new connection; after a refusal it costs little.
            self.open = None;
            let wait = backoff.next_wait(error.retry_after());
            if error.advice() != Advice::ComeBack || Instant::now() + wait > give_up_at {
                return Err(error);
            }
            on_retry(&error, wait);
            if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                return Ok(Outcome::Stopped);
            }
        }
    }

    /// One attempt.
    async fn post(&mut self, body: &Bytes) -> Result<Answer, ConnectError> {
        let request = self.request(body.clone())?;
        let sender = self.sender().await?;
        sender.ready().await.map_err(broken)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|fault| ConnectError::Broken(io::Error::other(fault)))?.to_bytes();
        if parts.status != StatusCode::OK {
            return Err(http_error(parts.status.as_u16(), &parts.headers, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|fault| ConnectError::Protocol { reason: format!("its answer to a report: {fault}") })
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, ConnectError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(header::HOST, self.address.authority())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body));
        request.map_err(|fault| ConnectError::Protocol { reason: fault.to_string() })
    }

    /// The open connection, or a new one.
    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ConnectError> {
        let open = match self.open.take() {
            Some(open) if !open.is_closed() => open,
            _ => {
                let stream = Stream::connect(&self.address, self.tls.as_ref()).await?;
                let (sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "the connection for reports ended");
                    }
                });
                sender
            }
        };
        Ok(self.open.insert(open))
    }
}

fn broken(error: hyper::Error) -> ConnectError {
    ConnectError::Broken(io::Error::other(error))
}
