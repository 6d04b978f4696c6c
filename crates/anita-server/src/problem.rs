//! Refusals of HTTP requests: problem+json (RFC 9457), with the same codes as the socket's `error`.

use std::borrow::Cow;
use std::time::Duration;

use anita_metrics::Metrics;
use anita_wire::{ErrorCode, Refusal};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::budgets::TooMany;

/// How a refusal is written: RFC 9457, with members of our own.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemBody {
    /// Where the code is explained.
    r#type: String,
    /// What the code means.
    title: &'static str,
    /// The HTTP status again.
    status: u16,
    /// What exactly was wrong with this request.
    detail: String,
    /// The stable code, as of the socket's `error`.
    code: ErrorCode,
    /// Whether the same request can succeed later.
    retryable: bool,
    /// When to try again, milliseconds.
    retry_after_ms: Option<u64>,
    /// What to do about it.
    remedy: Cow<'static, str>,
    /// What a program may want to know: `path`, `permission`, `limit`, ….
    details: Option<serde_json::Value>,
}

/// Where a remedy of its own is among the details, until it is written.
const REMEDY: &str = "remedy";

/// Takes the remedy of its own out of the details.
fn take_remedy(refusal: &mut Refusal) -> Option<String> {
    let fields = refusal.details.as_mut()?.as_object_mut()?;
    let remedy = fields.remove(REMEDY)?.as_str().map(ToOwned::to_owned);
    if fields.is_empty() {
        refusal.details = None;
    }
    remedy
}

/// Which code an answer has, for whoever counts the answers.
#[derive(Debug, Clone, Copy)]
struct Code(ErrorCode);

/// Counts the problem that an answer is, if it is one, as the errors of sockets are.
pub(crate) fn count(response: &Response, metrics: &Metrics) {
    let Some(Code(code)) = response.extensions().get() else { return };
    metrics.count_error(code.as_str());
    if *code == ErrorCode::Forbidden {
        metrics.forbidden.inc();
    }
}

/// A refused HTTP request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem(pub(crate) Refusal);

impl Problem {
    /// With a sentence of its own.
    pub(crate) fn saying(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Refusal::saying(code, message))
    }

    /// With a remedy that fits better than that of the code.
    #[must_use]
    pub(crate) fn with_remedy(mut self, remedy: &str) -> Self {
        let details = self.0.details.get_or_insert_with(|| json!({}));
        if let Some(fields) = details.as_object_mut() {
            fields.insert(REMEDY.to_owned(), json!(remedy));
        }
        self
    }

    /// Too many, or too much to do: come back after a while.
    pub(crate) fn busy(code: ErrorCode, message: &str, retry_after: Duration) -> Self {
        // Less than a millisecond is not "at once".
        let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).max(1);
        Self(Refusal::saying(code, message).with_retry_after_ms(retry_after_ms))
    }
}

impl From<TooMany> for Problem {
    fn from(too_many: TooMany) -> Self {
        let message = "Too many requests; send several locations in one.";
        let Self(refusal) = Self::busy(ErrorCode::RateLimited, message, too_many.wait);
        Self(match too_many.class {
            Some(class) => refusal.with_details(serde_json::json!({ "class": class.as_str() })),
            None => refusal,
        })
    }
}

impl From<anita_session::Refused> for Problem {
    fn from(refused: anita_session::Refused) -> Self {
        Self(refused.0)
    }
}

impl From<ErrorCode> for Problem {
    fn from(code: ErrorCode) -> Self {
        Self(code.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(mut refusal) = self;
        let own_remedy = take_remedy(&mut refusal);
        let status =
            StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ProblemBody {
            r#type: format!("/schema/errors#{}", refusal.code.as_str()),
            title: refusal.code.message(),
            status: status.as_u16(),
            detail: refusal.message,
            code: refusal.code,
            retryable: refusal.code.is_retryable(),
            retry_after_ms: refusal.retry_after_ms,
            remedy: own_remedy.map_or_else(|| refusal.code.remedy().into(), Cow::Owned),
            details: refusal.details,
        };
        let mut response = (status, Json(body)).into_response();
        response.extensions_mut().insert(Code(refusal.code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after_ms) = refusal.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1_000)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
