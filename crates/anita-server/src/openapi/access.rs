//! Who may use an operation.

use anita_auth::Permission;

/// Who may use an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// Everybody.
    Public,
    /// Who has a token or a session.
    Token,
    /// Who has a permission.
    Needs(Permission),
    /// Who is on the machine itself or at a configured address; others need the permission.
    NearbyOr(Permission),
}

impl Access {
    /// The same for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Public => "no token",
            Self::Token => "a token",
            Self::Needs(permission) | Self::NearbyOr(permission) => permission.as_str(),
        }
    }
}
