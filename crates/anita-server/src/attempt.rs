//! What somebody tries by REST, in the words of the audit trail.

use std::fmt::Write as _;

use anita_auth::Permission;
use axum::extract::MatchedPath;
use http::request::Parts;
use http::{Method, Uri};

/// How much of a name in an address the trail keeps, bytes. No id of ours is longer.
const NAME_BYTES_MAX: usize = 256;

/// A request of somebody who is known. Nothing of it is copied until it is told.
#[derive(Debug)]
pub(crate) struct Attempt {
    method: Method,
    route: Option<MatchedPath>,
    uri: Uri,
}

impl Attempt {
    pub(crate) fn of(parts: &Parts) -> Self {
        let route = parts.extensions.get().cloned();
        Self { method: parts.method.clone(), route, uri: parts.uri.clone() }
    }

    /// The method and the route: `DELETE /api/v1/connections/{id}`.
    pub(crate) fn action(&self) -> String {
        // Everything that asks who it is has a route.
        let route = self.route.as_ref().map_or("", MatchedPath::as_str);
        format!("{} {route}", self.method)
    }

    /// The permission that is missing, and the names that stand in the path: `connections.manage, id 01J…`.
    pub(crate) fn object(&self, missing: Permission) -> String {
        let mut object = missing.as_str().to_owned();
        let route = self.route.as_ref().map_or("", MatchedPath::as_str);
        for (part, found) in route.split('/').zip(self.uri.path().split('/')) {
            let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else { continue };
            // As it stands in the address: what is no plain character is `%0A` and the like there.
            let end = (0..=NAME_BYTES_MAX).rev().find(|end| found.is_char_boundary(*end)).unwrap_or(0);
            let (kept, cut) = found.split_at_checked(end).unwrap_or((found, ""));
            let mark = if cut.is_empty() { "" } else { "…" };
            // Writing to a String does not fail.
            write!(object, ", {name} {kept}{mark}").ok();
        }
        object
    }
}
