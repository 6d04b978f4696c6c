//! How people get their tokens: the authorization code flow of `OpenID` Connect with PKCE (RFC 7636), as the server goes it.
//!
//! What an issuer hands out for a code stays here: a page gets a session, and never a token (RFC 9700, and the draft on
//! browser-based applications, which calls this a backend for frontend).

mod answer;
mod endpoints;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anita_auth::{Authority, IdTokenRules, Judgement, Principal, TokenError};
use anita_model::Timestamp;
use reqwest::{Client, Url};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use crate::address::KeyAddress;
use crate::fetch::{FETCH_DEADLINE, FetchFault, TrustFault, body, client};
use crate::files::Secret;
use crate::issuers::Issuers;
use answer::{Answer, Refusal};
use endpoints::{Endpoints, Known};

/// How many codes and refresh tokens may be on their way to one issuer at a time. Others are told to come back.
pub const EXCHANGES_MAX: usize = 64;

/// What [`Way`] says itself, so that nobody else may.
pub const RESERVED_PARAMETERS: [&str; 11] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Where the secret is by which the issuer knows this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientSecret {
    /// In a file, which is read each time: it may be rotated.
    File(PathBuf),
    /// Given.
    Given(Secret),
}

/// Which of the tokens says what somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// The access token, which is a JWT for the audience of the issuer's other tokens.
    AccessToken,
    /// The ID token.
    IdToken,
}

/// A way to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaySettings {
    /// Its name in addresses.
    pub id: String,
    /// What its button says.
    pub label: String,
    /// Whose tokens they are: one of the issuers whose tokens are believed.
    pub issuer: String,
    /// Where the issuer says what it can: [`KeyAddress::Discovery`].
    pub configuration: KeyAddress,
    /// Whose certificates the issuer may have, as of its keys.
    pub ca_file: Option<PathBuf>,
    /// Who we are there.
    pub client_id: String,
    /// How we show that; `None` for a public client, for which PKCE alone has to do.
    pub client_secret: Option<ClientSecret>,
    /// What is asked for; `openid` among it.
    pub scopes: Vec<String>,
    /// For what the access token shall be (RFC 8707).
    pub resource: Option<String>,
    /// What else the issuer wants to hear when somebody is sent there.
    pub parameters: Vec<(String, String)>,
    /// Which token says what somebody may do.
    pub rights: Rights,
    /// Where the issuer sends people back to. It is this way's own address, so that the answer of one issuer is never taken
    /// for that of another (RFC 9700 §4.4.2.2).
    pub redirect_uri: String,
    /// Where the issuer sends people who signed out there as well; `None` where signing out ends what is here alone.
    pub post_logout_redirect_uri: Option<String>,
}

/// What a browser is sent to the issuer with.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// What comes back with the code.
    pub state: &'a str,
    /// What comes back in the ID token.
    pub nonce: &'a str,
    /// The hash of what is shown with the code.
    pub code_challenge: &'a str,
}

/// Somebody whom the issuer knows.
#[derive(Debug)]
pub struct SignedIn {
    /// Who, and what they may do.
    pub principal: Principal,
    /// What gets fresh tokens, where the issuer gives it.
    pub refresh_token: Option<Secret>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInFault {
    /// The issuer does not answer, or not as it should.
    #[error("the issuer cannot be asked")]
    Unavailable(#[source] FetchFault),
    /// The issuer can't do what is needed.
    #[error("the issuer's configuration {0}")]
    Unfit(&'static str),
    /// It names an endpoint that is not asked.
    #[error("the issuer's configuration names an address that is not asked")]
    Address(#[from] crate::InvalidAddress),
    /// As many as there may be are on their way.
    #[error("{EXCHANGES_MAX} codes and refresh tokens are on their way to the issuer")]
    Busy,
    /// The secret of the client can't be read.
    #[error("cannot read the client secret")]
    Secret(#[source] std::io::Error),
    /// The issuer does not know the code, or the refresh token, or does not take it any more.
    #[error("the issuer does not take it: {0}")]
    Refused(String),
    /// The issuer does not know this server, or does not let it do this: the configuration of one of both is wrong.
    #[error("the issuer does not let this server sign anybody in: {0}")]
    Client(String),
    /// The answer has not what it should have.
    #[error("the issuer's answer {0}")]
    Incomplete(&'static str),
    /// A token of the answer is not accepted.
    #[error("the {which} is not accepted: {error}")]
    Token {
        /// Which.
        which: &'static str,
        /// Why not.
        error: TokenError,
    },
    /// It is somebody else's.
    #[error("the token is of another subject than the session")]
    OtherSubject,
}

/// A way to sign in, with what is known of its issuer.
pub struct Way {
    settings: WaySettings,
    client: Client,
    issuers: Arc<Issuers>,
    known: Mutex<Known>,
    places: Semaphore,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("id", &self.settings.id).finish_non_exhaustive()
    }
}

impl Way {
    /// A way. Nothing is asked yet.
    ///
    /// # Errors
    /// [`TrustFault`] when certificates of the issuer could not be checked.
    pub fn new(settings: WaySettings, issuers: Arc<Issuers>) -> Result<Self, TrustFault> {
        let client = client(settings.ca_file.as_deref())?;
        let places = Semaphore::new(EXCHANGES_MAX);
        Ok(Self { settings, client, issuers, known: Mutex::default(), places })
    }

    /// What it is.
    pub fn settings(&self) -> &WaySettings {
        &self.settings
    }

    /// Where a browser is sent, and whether the issuer will say who it is when it sends it back (RFC 9207).
    ///
    /// # Errors
    /// [`SignInFault`].
    pub async fn open(&self, opening: &Opening<'_>) -> Result<(String, bool), SignInFault> {
        let endpoints = self.endpoints().await?;
        let it = &self.settings;
        let mut url = endpoints.authorization.clone();
        let scope = it.scopes.join(" ");
        url.query_pairs_mut()
            .extend_pairs(it.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .extend_pairs(it.resource.iter().map(|resource| ("resource", resource.as_str())))
            .extend_pairs([
                ("response_type", "code"),
                ("response_mode", "query"),
                ("client_id", it.client_id.as_str()),
                ("redirect_uri", it.redirect_uri.as_str()),
                ("scope", scope.as_str()),
                ("state", opening.state),
                ("nonce", opening.nonce),
                ("code_challenge", opening.code_challenge),
                ("code_challenge_method", "S256"),
            ]);
        Ok((url.into(), endpoints.names_itself))
    }

    /// Where a browser is sent that signs out at the issuer as well (`OpenID` Connect RP-Initiated Logout 1.0 §2); `None`
    /// where that is not wanted, or the issuer does not say where. No ID token goes along, for none leaves this server: the
    /// issuer asks the person whether they mean it.
    pub async fn sign_out_address(&self) -> Option<String> {
        let back = self.settings.post_logout_redirect_uri.as_deref()?;
        let mut url = self.endpoints().await.ok()?.end_session.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("post_logout_redirect_uri", back);
        Some(url.into())
    }

    /// Exchanges a code for tokens, and says whose they are.
    ///
    /// # Errors
    /// [`SignInFault`].
    pub async fn exchange(
        &self,
        code: &str,
        code_verifier: &str,
        nonce: &str,
        now: impl Fn() -> Timestamp + Send + Sync,
    ) -> Result<SignedIn, SignInFault> {
        let _place = self.place()?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.settings.redirect_uri),
            ("code_verifier", code_verifier),
        ];
        form.extend(self.settings.resource.iter().map(|resource| ("resource", resource.as_str())));
        let answer = self.ask(&form).await?;
        // Whichever token says what somebody may do: only the ID token says that this code is of this sign-in.
        let id_token = answer.id_token.as_deref().ok_or(SignInFault::Incomplete("has no ID token"))?;
        let of_id_token = self.judge_id_token(id_token, Some(nonce), now()).await?;
        let principal = match self.settings.rights {
            Rights::IdToken => of_id_token,
            Rights::AccessToken => self.judge_access_token(&answer, &now).await?,
        };
        Ok(SignedIn { principal, refresh_token: answer.refresh_token.map(Secret::new) })
    }

    /// Gets fresh tokens for somebody. When the issuer gives no other refresh token, the old one is still good.
    ///
    /// # Errors
    /// [`SignInFault`]; [`SignInFault::Refused`] when that will not change any more.
    pub async fn renew(
        &self,
        refresh_token: &Secret,
        before: &Principal,
        now: impl Fn() -> Timestamp + Send + Sync,
    ) -> Result<SignedIn, SignInFault> {
        let _place = self.place()?;
        let token = String::from_utf8_lossy(refresh_token.expose());
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", &*token)];
        form.extend(self.settings.resource.iter().map(|resource| ("resource", resource.as_str())));
        let answer = self.ask(&form).await?;
        let principal = match (self.settings.rights, &answer.id_token) {
            (Rights::AccessToken, _) => self.judge_access_token(&answer, &now).await?,
            (Rights::IdToken, Some(id_token)) => self.judge_id_token(id_token, None, now()).await?,
            (Rights::IdToken, None) => return Err(SignInFault::Incomplete("has no ID token")),
        };
        if principal.identity.user != before.identity.user {
            return Err(SignInFault::OtherSubject);
        }
        let refresh_token = answer.refresh_token.map(Secret::new).or_else(|| Some(refresh_token.clone()));
        Ok(SignedIn { principal, refresh_token })
    }

    fn place(&self) -> Result<SemaphorePermit<'_>, SignInFault> {
        self.places.try_acquire().map_err(|_none| SignInFault::Busy)
    }

    async fn judge_id_token(
        &self,
        token: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<Principal, SignInFault> {
        let it = &self.settings;
        let demanded = IdTokenRules { issuer: &it.issuer, client_id: &it.client_id, nonce };
        let judged = self.issuers.verify_id_token(token, &demanded, now).await;
        judged.map_err(|error| SignInFault::Token { which: "ID token", error })
    }

    async fn judge_access_token(
        &self,
        answer: &Answer,
        now: &(impl Fn() -> Timestamp + Sync),
    ) -> Result<Principal, SignInFault> {
        let token = answer.access_token.as_str();
        let judged = match self.issuers.judge(token, now()) {
            Judgement::Given(given) => given,
            Judgement::Awaited(keys) => keys.await.and_then(|()| self.issuers.verify(token, now())),
        };
        let fault = |error| SignInFault::Token { which: "access token", error };
        let principal = judged.map_err(fault)?;
        // A token of another issuer is good by itself; but this way is not the way to it.
        let is_ours = *principal.identity.user.issuer == *self.settings.issuer;
        if is_ours { Ok(principal) } else { Err(fault(TokenError::Issuer)) }
    }

    /// What the issuer can, as it said lately.
    async fn endpoints(&self) -> Result<Arc<Endpoints>, SignInFault> {
        // Whoever comes while it is being asked waits for that answer.
        self.known.lock().await.get(&self.client, &self.settings).await
    }

    /// Asks the token endpoint.
    async fn ask(&self, form: &[(&str, &str)]) -> Result<Answer, SignInFault> {
        let endpoints = self.endpoints().await?;
        let secret = self.secret()?;
        let mut form = form.to_vec();
        let mut request = self.client.post(endpoints.token.clone());
        match &secret {
            Some(secret) if endpoints.takes_basic => {
                // Both are written as in a form before they become a header (RFC 6749 §2.3.1).
                request = request.basic_auth(escaped(&self.settings.client_id), Some(escaped(secret)));
            }
            Some(secret) => {
                form.push(("client_id", &self.settings.client_id));
                form.push(("client_secret", secret));
            }
            None => form.push(("client_id", &self.settings.client_id)),
        }
        let request = request
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(written(&form));
        let asked = async {
            let mut response = request.send().await.map_err(FetchFault::Http)?;
            Ok((response.status(), body(&mut response).await?))
        };
        let asked = tokio::time::timeout(FETCH_DEADLINE, asked).await.unwrap_or(Err(FetchFault::Late));
        let (status, body) = asked.map_err(SignInFault::Unavailable)?;
        answer::read(status, &body).map_err(|refusal| match refusal {
            Refusal::Down(status) => SignInFault::Unavailable(FetchFault::Status { status }),
            // Nothing of what was sent is said again, whatever the issuer writes.
            Refusal::Grant(said) => SignInFault::Refused(without(&said, &form, secret.as_deref())),
            Refusal::Client(said) => SignInFault::Client(without(&said, &form, secret.as_deref())),
            Refusal::Incomplete(what) => SignInFault::Incomplete(what),
        })
    }

    fn secret(&self) -> Result<Option<String>, SignInFault> {
        let bytes = match &self.settings.client_secret {
            None => return Ok(None),
            Some(ClientSecret::Given(secret)) => secret.expose().to_vec(),
            Some(ClientSecret::File(path)) => std::fs::read(path).map_err(SignInFault::Secret)?,
        };
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// Pairs as a form is written.
fn written(pairs: &[(&str, &str)]) -> String {
    // The one serializer there is belongs to addresses.
    let Ok(mut url) = Url::parse("http://form/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn escaped(text: &str) -> String {
    written(&[("", text)]).trim_start_matches('=').to_owned()
}

/// A text without the values that are nobody's business.
fn without(said: &str, form: &[(&str, &str)], secret: Option<&str>) -> String {
    const SECRET: [&str; 4] = ["code", "code_verifier", "refresh_token", "client_secret"];
    let values = form.iter().filter(|(name, _value)| SECRET.contains(name)).map(|(_name, value)| *value);
    let values = values.chain(secret).filter(|value| !value.is_empty());
    values.fold(said.to_owned(), |said, value| said.replace(value, "…"))
}

#[cfg(test)]
mod tests;
