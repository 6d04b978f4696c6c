//! JWT as RFC 7519 and RFC 8725 want it: one key, one algorithm, every claim checked, the time an argument.
//!
//! There may be several issuers. What a token says of its issuer selects among those that are configured; each has keys,
//! an audience and claims of its own, and no key is ever looked for at another.

use std::collections::BTreeSet;
use std::sync::Arc;

use anita_model::{Identity, Timestamp, UserId};
use serde_json::Value;

use crate::claims::{ClaimNames, Claims};
use crate::key::{Key, KeySet};
use crate::token::{LEEWAY, SUBJECT_BYTES_MAX, TokenError, Unchecked, signed_claims};
use crate::{Patterns, Principal, Roles};

/// What is demanded of the tokens of an issuer, and what they may allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRules {
    /// What `iss` has to be, exactly.
    pub issuer: String,
    /// What `aud` has to name.
    pub audience: String,
    /// What `typ` in the header has to be (RFC 8725 §3.11), like `at+jwt`; anything when absent.
    pub token_type: Option<String>,
    /// Which claims say what a token allows.
    pub claims: ClaimNames,
    /// The most that tokens of this issuer may allow; any role when absent.
    pub roles_allowed: Option<BTreeSet<String>>,
}

impl IssuerRules {
    /// Those of an issuer whose tokens are written like our own.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            token_type: None,
            claims: ClaimNames::default(),
            roles_allowed: None,
        }
    }
}

/// What an ID token has to say beside what every token has to (`OpenID` Connect Core 1.0 §3.1.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdTokenRules<'a> {
    /// Whose it has to be.
    pub issuer: &'a str,
    /// Whom it has to be for.
    pub client_id: &'a str,
    /// What `nonce` has to be. `None` for one that comes with a refresh token, which has none (§12.2).
    pub nonce: Option<&'a str>,
}

/// An issuer and its keys at this moment.
#[derive(Debug, Clone)]
struct Issuer {
    rules: Arc<IssuerRules>,
    keys: Arc<KeySet>,
}

/// Turns tokens into principals.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuers: Vec<Issuer>,
    roles: Arc<Roles>,
}

impl Verifier {
    /// A verifier for one key, issuer and audience.
    pub fn new(key: Key, issuer: impl Into<String>, audience: impl Into<String>, roles: Roles) -> Self {
        Self::with_issuers([(IssuerRules::new(issuer, audience), KeySet::Given(vec![key]))], roles)
    }

    /// A verifier for several issuers, each with its keys. Of two with one name, the first counts.
    pub fn with_issuers(issuers: impl IntoIterator<Item = (IssuerRules, KeySet)>, roles: Roles) -> Self {
        let issuers = issuers.into_iter();
        let issuers = issuers.map(|(rules, keys)| Issuer { rules: Arc::new(rules), keys: Arc::new(keys) });
        Self { issuers: issuers.collect(), roles: Arc::new(roles) }
    }

    /// The same with other keys of one issuer.
    #[must_use]
    pub fn with_keys(&self, issuer: &str, keys: KeySet) -> Self {
        let mut changed = self.clone();
        if let Some(found) = changed.issuers.iter_mut().find(|it| it.rules.issuer == issuer) {
            found.keys = Arc::new(keys);
        }
        changed
    }

    /// The present keys of an issuer.
    pub fn keys_of(&self, issuer: &str) -> Option<&KeySet> {
        self.issuers.iter().find(|it| it.rules.issuer == issuer).map(|it| &*it.keys)
    }

    /// The issuer that the token names, if that is one of ours and has published no key that could be the token's:
    /// it may have by now. Nothing of the token is checked.
    pub fn misses_key_of(&self, token: &str) -> Option<&str> {
        let unchecked = Unchecked::read(token).ok()?;
        let issuer = self.issuers.iter().find(|it| it.rules.issuer == unchecked.issuer)?;
        let candidates = issuer.keys.candidates(&unchecked.header);
        (candidates.err() == Some(TokenError::UnknownKey)).then_some(issuer.rules.issuer.as_str())
    }

    /// When a token says that it was issued. Nothing of it is checked: it decides at most what whoever brought it is told.
    pub fn claimed_issue_time(token: &str) -> Option<Timestamp> {
        Unchecked::read(token).ok()?.issued_at()
    }

    /// Checks a token: size, issuer, algorithm, key, signature, `typ`, `aud`, `sub`, `jti`, `nbf`, `iat`, `exp`, what it allows —
    /// in this order.
    ///
    /// # Errors
    /// The [`TokenError`] of the first check that fails.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let unchecked = Unchecked::read(token)?;
        let issuer = self.issuer(&unchecked.issuer)?;
        let claims = issuer.claims(token, &unchecked)?;
        issuer.rules.check_type(unchecked.header.typ.as_deref())?;
        issuer.rules.principal(&claims, &self.roles, now)
    }

    /// Checks an ID token: as [`Verifier::verify`] does, but it has to be for the client instead of the audience of access
    /// tokens, for this sign-in, and may be of any `typ`. What it allows is read as in an access token.
    ///
    /// # Errors
    /// The [`TokenError`] of the first check that fails.
    pub fn verify_id_token(
        &self,
        token: &str,
        demanded: &IdTokenRules<'_>,
        now: Timestamp,
    ) -> Result<Principal, TokenError> {
        let unchecked = Unchecked::read(token)?;
        if unchecked.issuer != demanded.issuer {
            return Err(TokenError::Issuer);
        }
        let issuer = self.issuer(&unchecked.issuer)?;
        let claims = issuer.claims(token, &unchecked)?;
        demanded.check(&claims)?;
        let rules = IssuerRules { audience: demanded.client_id.to_owned(), ..(*issuer.rules).clone() };
        rules.principal(&claims, &self.roles, now)
    }

    fn issuer(&self, name: &str) -> Result<&Issuer, TokenError> {
        self.issuers.iter().find(|it| it.rules.issuer == name).ok_or(TokenError::Issuer)
    }
}

impl Issuer {
    /// What a token claims, if one of the keys signed it.
    fn claims(&self, token: &str, unchecked: &Unchecked) -> Result<Claims, TokenError> {
        // Several only where the operator named several: while a secret takes the place of another.
        let mut claims = Err(TokenError::Algorithm);
        for key in self.keys.candidates(&unchecked.header)? {
            claims = signed_claims(token, key);
            if claims != Err(TokenError::Signature) {
                break;
            }
        }
        claims
    }
}

impl IdTokenRules<'_> {
    fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        let nonce = text(claims, "nonce")?;
        if self.nonce.is_some_and(|demanded| nonce != Some(demanded)) {
            return Err(TokenError::Nonce);
        }
        let is_for_several =
            claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
        match text(claims, "azp")? {
            Some(party) if party == self.client_id => Ok(()),
            None if !is_for_several => Ok(()),
            Some(_) | None => Err(TokenError::AuthorizedParty),
        }
    }
}

impl IssuerRules {
    /// `typ` is compared as a media type: without regard to case, and `application/` may be there (RFC 7515 §4.1.9).
    fn check_type(&self, found: Option<&str>) -> Result<(), TokenError> {
        let Some(demanded) = &self.token_type else { return Ok(()) };
        let plain = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.strip_prefix("application/").unwrap_or(&text).to_owned()
        };
        if found.map(plain) == Some(plain(demanded)) { Ok(()) } else { Err(TokenError::Type) }
    }

    /// Whose token it is, by claims that its key signed.
    fn principal(&self, claims: &Claims, roles: &Roles, now: Timestamp) -> Result<Principal, TokenError> {
        // Once more: these are the claims that were signed.
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(TokenError::Issuer);
        }
        if !names_audience(claims.get("aud"), &self.audience)? {
            return Err(TokenError::Audience);
        }
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenError::Malformed)?;
        if !is_name(subject) {
            return Err(TokenError::Subject);
        }
        let token_id = text(claims, "jti")?;
        if token_id.is_some_and(|id| !is_name(id)) {
            return Err(TokenError::TokenId);
        }
        if moment(claims, "nbf")?.is_some_and(|not_before| not_before > now.plus(LEEWAY)) {
            return Err(TokenError::NotYet);
        }
        // What can't be true says nothing: every revocation by age reaches such a token. It is good nevertheless (RFC 7519
        // §4.1.6 asks nothing of it), or a clock that is set back would let nobody in.
        let issued_at = moment(claims, "iat")?.filter(|issued_at| *issued_at <= now.plus(LEEWAY));
        let expires_at = moment(claims, "exp")?.ok_or(TokenError::Malformed)?;
        if expires_at.plus(LEEWAY) <= now {
            return Err(TokenError::Expired);
        }
        let rights = self.claims.rights(claims, roles, self.roles_allowed.as_ref())?;
        Ok(Principal {
            identity: Arc::new(Identity {
                user: UserId { issuer: self.issuer.as_str().into(), subject: subject.into() },
                token_id: token_id.map(Into::into),
                issued_at,
            }),
            roles: rights.roles,
            permissions: rights.permissions,
            devices: patterns(rights.devices)?,
            rooms: patterns(rights.rooms)?,
            expires_at,
        })
    }
}

/// What can stand for somebody or a token in logs, answers and revocations.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= SUBJECT_BYTES_MAX && !text.contains(char::is_control)
}

/// `aud`: one text or a list of them (RFC 7519 §4.1.3).
fn names_audience(value: Option<&Value>, audience: &str) -> Result<bool, TokenError> {
    match value {
        Some(Value::String(one)) => Ok(one == audience),
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            Ok(many.iter().any(|it| it.as_str() == Some(audience)))
        }
        _ => Err(TokenError::Malformed),
    }
}

/// A claim that is a text if it is there.
fn text<'a>(claims: &'a Claims, name: &str) -> Result<Option<&'a str>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(TokenError::Malformed),
    }
}

/// A claim that is a time if it is there: seconds since the Unix epoch; RFC 7519 §2 allows a fraction.
fn moment(claims: &Claims, name: &str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = claims.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let secs = value.as_f64().ok_or(TokenError::Malformed)?;
    Timestamp::from_secs_f64(secs).map(Some).map_err(|_reason| TokenError::Malformed)
}

fn patterns(list: Option<Vec<String>>) -> Result<Patterns, TokenError> {
    match list {
        None => Ok(Patterns::all()),
        Some(list) => Patterns::parse(&list).map_err(|_reason| TokenError::Patterns),
    }
}

#[cfg(test)]
mod tests;
