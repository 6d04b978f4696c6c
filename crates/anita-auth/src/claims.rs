//! Which claims of a token say what: issuers differ in where they write roles.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::permission::{Permission, Permissions, Roles};
use crate::token::TokenError;

/// The claims of a token.
pub(crate) type Claims = Map<String, Value>;

/// Where a claim is: a name at the top, or a way through objects with dots between the names. A name may hold dots and
/// slashes itself (`https://example.com/roles`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// A claim by its name or way.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        find(claims, &self.0)
    }

    /// The words of the claim: a list of texts, or one text with spaces between them, as `scope` is written
    /// (RFC 8693 §4.2). `None` when it is not there.
    fn words(&self, claims: &Claims) -> Result<Option<Vec<String>>, TokenError> {
        match self.find(claims) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.split_whitespace().map(str::to_owned).collect())),
            Some(Value::Array(list)) => {
                let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(TokenError::Malformed);
                list.iter().map(text).collect::<Result<_, _>>().map(Some)
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(TokenError::Malformed),
        }
    }

    /// The words of a claim that narrows. `null` is not the same as absent here: an issuer writes it for somebody for
    /// whom nothing was filled in, and that must not mean everything.
    fn narrowing(&self, claims: &Claims) -> Result<Option<Vec<String>>, TokenError> {
        if self.find(claims).is_some_and(Value::is_null) {
            return Err(TokenError::Malformed);
        }
        self.words(claims)
    }
}

/// The value at a way: the whole way as a name first, then each part of it as the name of an object.
fn find<'a>(object: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (name, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
        find(object.get(name)?.as_object()?, rest)
    })
}

/// Which claims of an issuer's tokens say what they allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// Where roles are; those of all of them count.
    pub roles: Vec<ClaimPath>,
    /// What a role begins with that is meant for this server; others don't count, and it is taken away.
    pub role_prefix: Option<String>,
    /// Where permissions are, by their names.
    pub permissions: Vec<ClaimPath>,
    /// Where the globs of the devices are that may be seen.
    pub devices: ClaimPath,
    /// Where the globs of the rooms are that may be joined.
    pub rooms: ClaimPath,
}

impl Default for ClaimNames {
    /// As our own tokens are written.
    fn default() -> Self {
        Self {
            roles: vec![ClaimPath::new("roles")],
            role_prefix: None,
            permissions: Vec::new(),
            devices: ClaimPath::new("devices"),
            rooms: ClaimPath::new("rooms"),
        }
    }
}

/// What a token allows.
#[derive(Debug)]
pub(crate) struct Rights {
    pub(crate) roles: Vec<String>,
    pub(crate) permissions: Permissions,
    pub(crate) devices: Option<Vec<String>>,
    pub(crate) rooms: Option<Vec<String>>,
}

impl ClaimNames {
    /// What the claims allow: never more than the roles that the issuer may give.
    pub(crate) fn rights(
        &self,
        claims: &Claims,
        known: &Roles,
        allowed: Option<&BTreeSet<String>>,
    ) -> Result<Rights, TokenError> {
        let mut roles: Vec<String> = Vec::new();
        for path in &self.roles {
            for word in path.words(claims)?.unwrap_or_default() {
                let role = match &self.role_prefix {
                    None => Some(word.as_str()),
                    Some(prefix) => word.strip_prefix(prefix.as_str()),
                };
                let role = role.filter(|role| allowed.is_none_or(|allowed| allowed.contains(*role)));
                roles.extend(role.filter(|role| !roles.iter().any(|it| it == role)).map(str::to_owned));
            }
        }
        let mut permissions = known.permissions_of(roles.iter().map(String::as_str));
        for path in &self.permissions {
            let words = path.words(claims)?.unwrap_or_default();
            let named = words.iter().filter_map(|word| Permission::from_name(word)).collect();
            permissions = permissions.union(named);
        }
        if let Some(allowed) = allowed {
            let most = known.permissions_of(allowed.iter().map(String::as_str));
            permissions = permissions.intersection(most);
        }
        let (devices, rooms) = (self.devices.narrowing(claims)?, self.rooms.narrowing(claims)?);
        Ok(Rights { roles, permissions, devices, rooms })
    }
}

#[cfg(test)]
mod tests;
