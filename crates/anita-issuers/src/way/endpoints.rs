//! Where an issuer is asked, by its own configuration.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::{SignInFault, WaySettings};
use crate::address::checked;
use crate::fetch::{FETCH_DEADLINE, FetchFault, get};

/// How long a configuration is believed before it is read again.
const FRESH: Duration = Duration::from_secs(300);

/// How long an issuer is left alone that did not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// What is taken of an issuer's configuration (`OpenID` Connect Discovery 1.0 §3, RP-Initiated Logout 1.0 §2.1, RFC 8414 §2).
#[derive(Debug, Deserialize)]
struct Configuration {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    end_session_endpoint: Option<String>,
}

/// Where an issuer is asked, and how.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    /// Whether the client shows its secret in the header `Authorization`, and not in the form.
    pub(super) takes_basic: bool,
    /// Whether the issuer says who it is when it sends a browser back.
    pub(super) names_itself: bool,
    /// Where people sign out, if they are to and the issuer says where.
    pub(super) end_session: Option<Url>,
}

/// What is known of an issuer's configuration.
#[derive(Debug, Default)]
pub(super) struct Known {
    last: Option<(Arc<Endpoints>, Instant)>,
    failed_at: Option<Instant>,
}

impl Known {
    /// The endpoints as they were read lately, or now. An issuer that can't be asked just now is where it was.
    pub(super) async fn get(
        &mut self,
        client: &Client,
        settings: &WaySettings,
    ) -> Result<Arc<Endpoints>, SignInFault> {
        if let Some((endpoints, read_at)) = &self.last
            && (read_at.elapsed() < FRESH || self.is_left_alone())
        {
            return Ok(Arc::clone(endpoints));
        }
        if self.is_left_alone() {
            return Err(SignInFault::Unavailable(FetchFault::Late));
        }
        match read(client, settings).await {
            Ok(endpoints) => {
                let endpoints = Arc::new(endpoints);
                self.last = Some((Arc::clone(&endpoints), Instant::now()));
                self.failed_at = None;
                Ok(endpoints)
            }
            Err(fault) => {
                self.failed_at = Some(Instant::now());
                self.last.as_ref().map(|(endpoints, _read_at)| Arc::clone(endpoints)).ok_or(fault)
            }
        }
    }

    fn is_left_alone(&self) -> bool {
        self.failed_at.is_some_and(|failed_at| failed_at.elapsed() < PAUSE)
    }
}

async fn read(client: &Client, settings: &WaySettings) -> Result<Endpoints, SignInFault> {
    let got = tokio::time::timeout(FETCH_DEADLINE, get(client, settings.configuration.url().clone())).await;
    let (text, _max_age) = got.unwrap_or(Err(FetchFault::Late)).map_err(SignInFault::Unavailable)?;
    let found: Configuration = serde_json::from_slice(&text)
        .map_err(|_reason| SignInFault::Unfit("is no JSON with the endpoints that are needed"))?;
    if found.issuer != settings.issuer {
        let found = found.issuer.chars().take(256).collect();
        return Err(SignInFault::Unavailable(FetchFault::OtherIssuer { found }));
    }
    // An issuer that does not say it may do it nevertheless.
    let is_without_pkce = found
        .code_challenge_methods_supported
        .is_some_and(|methods| !methods.iter().any(|method| method == "S256"));
    if is_without_pkce {
        return Err(SignInFault::Unfit("says that it does not know PKCE with S256"));
    }
    let authorization = checked(&found.authorization_endpoint)?;
    if authorization.fragment().is_some() {
        return Err(SignInFault::Unfit("names an authorization endpoint with a fragment"));
    }
    let end_session = settings.post_logout_redirect_uri.as_ref().and_then(|_back| {
        let said = found.end_session_endpoint.as_deref().map(checked);
        match said {
            Some(Ok(url)) => return Some(url),
            Some(Err(fault)) => {
                tracing::warn!(way = settings.id, %fault, "the issuer's end_session_endpoint is not used");
            }
            None => {
                tracing::warn!(
                    way = settings.id,
                    "the issuer has no end_session_endpoint: nobody signs out there"
                );
            }
        }
        None
    });
    let methods = found.token_endpoint_auth_methods_supported;
    Ok(Endpoints {
        authorization,
        token: checked(&found.token_endpoint)?,
        takes_basic: methods
            .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
        names_itself: found.authorization_response_iss_parameter_supported,
        end_session,
    })
}
