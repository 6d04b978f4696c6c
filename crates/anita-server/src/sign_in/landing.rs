//! Where a browser goes when it comes back: to a path of the page, with a word for what went wrong.

use anita_auth::TokenError;
use anita_issuers::{PublicUrl, SignInFault};

/// The longest path that is kept, bytes: a view with its filters.
const RETURN_BYTES_MAX: usize = 2_048;

/// The parameter of the page that says what went wrong.
const PARAMETER: &str = "sign_in_error";

/// Why nobody was signed in, as the page explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The person, or the issuer in their name, said no.
    Cancelled,
    /// Nobody was sent to the issuer with this state, or too long ago, or it was used already.
    Expired,
    /// The state is another browser's.
    OtherBrowser,
    /// The answer is another issuer's.
    OtherIssuer,
    /// The issuer does not answer.
    Unavailable,
    /// The issuer does not take the code, or does not sign anybody in.
    Refused,
    /// The configuration of the server, or of its client at the issuer, is wrong.
    Misconfigured,
    /// The tokens of the issuer are not accepted here.
    BadToken,
    /// The issuer gives no role that means anything here.
    NoRights,
    /// An administrator revoked what it stands for.
    Revoked,
    /// Too many tried.
    RateLimited,
    /// There is no place just now.
    Busy,
    /// The answer makes no sense.
    InvalidAnswer,
}

impl Failure {
    /// The word for it, in the page's address, the metrics and the audit trail.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::OtherBrowser => "other_browser",
            Self::OtherIssuer => "other_issuer",
            Self::Unavailable => "issuer_unavailable",
            Self::Refused => "issuer_refused",
            Self::Misconfigured => "misconfigured",
            Self::BadToken => "bad_token",
            Self::NoRights => "no_rights",
            Self::Revoked => "revoked",
            Self::RateLimited => "rate_limited",
            Self::Busy => "busy",
            Self::InvalidAnswer => "invalid_answer",
        }
    }

    /// What the issuer sent the browser back with instead of a code (RFC 6749 §4.1.2.1, `OpenID` Connect Core §3.1.2.6).
    /// Anybody can write it into an address: it is kept only where it is a word.
    pub(super) fn of_issuer(way: &str, error: &str) -> Self {
        let is_word = error.len() <= 64 && error.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
        let word = if is_word { error } else { "another word" };
        tracing::info!(way, error = word, "the issuer signed nobody in");
        match word {
            "access_denied" => Self::Cancelled,
            "server_error" | "temporarily_unavailable" => Self::Unavailable,
            "invalid_request"
            | "unauthorized_client"
            | "unsupported_response_type"
            | "invalid_scope"
            | "invalid_target" => Self::Misconfigured,
            _ => Self::Refused,
        }
    }
}

impl From<&SignInFault> for Failure {
    fn from(fault: &SignInFault) -> Self {
        match fault {
            SignInFault::Unavailable(_)
            | SignInFault::Token { error: TokenError::KeysUnavailable { .. }, .. } => Self::Unavailable,
            SignInFault::Unfit(_)
            | SignInFault::Address(_)
            | SignInFault::Secret(_)
            | SignInFault::Client(_)
            | SignInFault::Incomplete(_) => Self::Misconfigured,
            SignInFault::Busy => Self::Busy,
            SignInFault::Refused(_) => Self::Refused,
            SignInFault::Token { .. } | SignInFault::OtherSubject => Self::BadToken,
        }
    }
}

/// Tells the operator what went wrong. Codes, states and secrets are not in it.
pub(super) fn log(way: &str, fault: &SignInFault) {
    let mut causes = String::new();
    let mut source = std::error::Error::source(fault);
    while let Some(cause) = source {
        causes = format!("{causes}: {cause}");
        source = cause.source();
    }
    tracing::warn!(way, fault = format!("{fault}{causes}"), "nobody was signed in");
}

/// Where the browser goes afterwards: where it says, if that is a path of the page, else its beginning. No other site, no
/// other scheme, nothing of the interface.
pub(super) fn return_path(public: &PublicUrl, wanted: Option<&str>) -> String {
    let is_path = |wanted: &&str| {
        let end = wanted.find(['?', '#']).unwrap_or(wanted.len());
        let path = wanted.get(..end).unwrap_or_default();
        let below = path.strip_prefix(public.path.as_str());
        let is_of_page = below.is_some_and(|below| {
            let mut parts = below.split('/').skip(1);
            below.starts_with('/') && !matches!(parts.next(), Some("api" | "ws" | "schema" | "sdk"))
        });
        wanted.len() <= RETURN_BYTES_MAX
            && is_of_page
            && wanted.bytes().all(|byte| byte.is_ascii_graphic())
            && !path.contains("//")
            && !path.contains(['\\', '%'])
            && !path.split('/').any(|part| part == ".." || part == ".")
    };
    wanted.filter(is_path).map_or_else(|| format!("{}/", public.path), str::to_owned)
}

/// The same with a word for what went wrong, before the fragment.
pub(super) fn with_failure(return_to: &str, failure: Failure) -> String {
    let (before, fragment) = match return_to.split_once('#') {
        Some((before, fragment)) => (before, format!("#{fragment}")),
        None => (return_to, String::new()),
    };
    let sign = if before.contains('?') { '&' } else { '?' };
    format!("{before}{sign}{PARAMETER}={}{fragment}", failure.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_come_back_to_where_they_were_and_nowhere_else() {
        let public = PublicUrl::parse("https://hub.example").unwrap();
        for path in
            ["/", "/#at=1,2,40&device=tag-7", "/?kiosk=1#page=history", "/index.html", "/#a=//b\\c%20"]
        {
            assert_eq!(return_path(&public, Some(path)), path);
        }
        let long = format!("/#{}", "a".repeat(RETURN_BYTES_MAX));
        let bad = [
            "https://evil.example/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "javascript:alert(1)",
            "/%2f/evil.example",
            "/a/../api/v1/session",
            "/./api",
            "/a//evil.example",
            "/api/v1/sign-in/oidc",
            "/ws",
            "/\r\nset-cookie: a=b",
            "/ a",
            "/ö",
            "",
            "#at=1",
            "evil",
            &long,
        ];
        for path in bad {
            assert_eq!(return_path(&public, Some(path)), "/", "{path:?}");
        }
        let below = PublicUrl::parse("https://hub.example/hall").unwrap();
        assert_eq!(return_path(&below, Some("/hall/#a")), "/hall/#a");
        for path in ["/", "/hallway/", "/hall", "/hall/api/v1", "/other/"] {
            assert_eq!(return_path(&below, Some(path)), "/hall/", "{path}");
        }
        assert_eq!(return_path(&below, None), "/hall/");
    }

    #[test]
    fn the_word_for_what_went_wrong_stands_before_the_fragment() {
        let table = [
            ("/", "/?sign_in_error=expired"),
            ("/?kiosk=1#page=log", "/?kiosk=1&sign_in_error=expired#page=log"),
            ("/#a=?b", "/?sign_in_error=expired#a=?b"),
        ];
        for (before, after) in table {
            assert_eq!(with_failure(before, Failure::Expired), after);
        }
    }
}
