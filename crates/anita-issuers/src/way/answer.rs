//! What a token endpoint answers (RFC 6749 §5).

use http::StatusCode;
use serde::Deserialize;

/// How much is kept of what an issuer says of a fault.
const SAID_CHARS_MAX: usize = 256;

/// A good answer.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) access_token: String,
    token_type: String,
    #[serde(default)]
    pub(super) id_token: Option<String>,
    #[serde(default)]
    pub(super) refresh_token: Option<String>,
}

/// Another one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The issuer is not well.
    Down(StatusCode),
    /// What was brought is not good, or not any more.
    Grant(String),
    /// The client is not known, or may not.
    Client(String),
    /// It is no answer.
    Incomplete(&'static str),
}

#[derive(Deserialize)]
struct Fault {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Answer, Refusal> {
    if status.is_success() {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|_reason| Refusal::Incomplete("is no JSON with the tokens that are needed"))?;
        let is_bearer = answer.token_type.eq_ignore_ascii_case("bearer");
        return if is_bearer { Ok(answer) } else { Err(Refusal::Incomplete("has a token of another type")) };
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Refusal::Down(status));
    }
    let Ok(fault) = serde_json::from_slice::<Fault>(body) else {
        return Err(Refusal::Client(format!("it answers {status}")));
    };
    let said = [Some(fault.error.clone()), fault.error_description].into_iter().flatten();
    let said: String = said.collect::<Vec<_>>().join(": ").chars().take(SAID_CHARS_MAX).collect();
    Err(if fault.error == "invalid_grant" { Refusal::Grant(said) } else { Refusal::Client(said) })
}
