//! What may be done, and the roles that are made of it.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// One thing that a token may allow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$doc])* $name,)+ }

        impl Permission {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in the configuration and in `system.connection`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The permission of a name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == name)
            }
        }
    };
}

permissions! {
    /// List devices, ask where they are, track them.
    DevicesRead = "devices.read";
    /// Register, change and remove devices.
    DevicesWrite = "devices.write";
    /// Read where devices were.
    HistoryRead = "history.read";
    /// Report locations, by every way in.
    LocationsReport = "locations.report";
    /// Join and leave rooms, and hear them.
    RoomsJoin = "rooms.join";
    /// Ask who is in a room.
    RoomsMembers = "rooms.members";
    /// Send messages to rooms.
    RoomsSend = "rooms.send";
    /// Open any endpoint, whether or not its room may be joined.
    EndpointsOpen = "endpoints.open";
    /// See and close other connections.
    ConnectionsManage = "connections.manage";
    /// Read the metrics from anywhere.
    MetricsRead = "metrics.read";
    /// Read who did or tried what.
    AuditRead = "audit.read";
    /// Revoke tokens, and take that back.
    TokensRevoke = "tokens.revoke";
    /// Make tokens for others, and see which were made.
    TokensMint = "tokens.mint";
    /// See how the sources are.
    SourcesRead = "sources.read";
    /// Read the configuration, without its secrets.
    ConfigurationRead = "configuration.read";
    /// Make, change and remove floor plans.
    PlansWrite = "plans.write";
}

/// A word that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission {word:?}; the permissions are {}, and \"*\" for all", names())]
pub struct UnknownPermission {
    /// The word.
    pub word: String,
}

fn names() -> String {
    Permission::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ")
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u32);

const _: () = assert!(Permission::ALL.len() <= 32, "a bit for each permission");

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);

    /// All of them.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether the permission is in the set.
    pub fn allow(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The permissions in the set, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |&it| self.allow(it))
    }

    /// Reads the words of a role: names of permissions, or `*` for all.
    ///
    /// # Errors
    /// [`UnknownPermission`] for the first word that is neither.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownPermission> {
        let mut permissions = Self::NONE;
        for word in words {
            let found = match word {
                "*" => Some(Self::all()),
                _ => Permission::from_name(word).map(|it| std::iter::once(it).collect()),
            };
            permissions =
                permissions.union(found.ok_or_else(|| UnknownPermission { word: word.to_owned() })?);
        }
        Ok(permissions)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | 1 << permission as u32))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

/// The roles: data that the configuration can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Permissions>);

impl Roles {
    /// The roles of a configuration.
    pub fn new(roles: BTreeMap<String, Permissions>) -> Self {
        Self(roles)
    }

    /// What a list of roles allows in all. A role that is not defined allows nothing.
    pub fn permissions_of<'a>(&self, roles: impl IntoIterator<Item = &'a str>) -> Permissions {
        roles
            .into_iter()
            .filter_map(|role| self.0.get(role))
            .fold(Permissions::NONE, |all, &more| all.union(more))
    }

    /// The names of the roles.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a role is defined.
    pub fn has(&self, role: &str) -> bool {
        self.0.contains_key(role)
    }
}

impl Default for Roles {
    fn default() -> Self {
        use Permission::{
            DevicesRead, DevicesWrite, EndpointsOpen, HistoryRead, LocationsReport, RoomsJoin, RoomsMembers,
            RoomsSend,
        };
        let viewer: Permissions = [DevicesRead, HistoryRead, RoomsJoin].into_iter().collect();
        let publisher: Permissions = [LocationsReport, EndpointsOpen].into_iter().collect();
        let operator = [DevicesWrite, RoomsMembers, RoomsSend].into_iter().collect::<Permissions>();
        Self(BTreeMap::from([
            ("viewer".to_owned(), viewer),
            ("publisher".to_owned(), publisher),
            ("operator".to_owned(), operator.union(viewer).union(publisher)),
            ("admin".to_owned(), Permissions::all()),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_roles_allow_what_the_brief_says() {
        let table = [
            ("viewer", "devices.read history.read rooms.join"),
            ("publisher", "locations.report endpoints.open"),
            (
                "operator",
                "devices.read devices.write history.read locations.report rooms.join rooms.members rooms.send endpoints.open",
            ),
            ("nobody", ""),
        ];
        for (role, allowed) in table {
            let permissions = Roles::default().permissions_of([role]);
            let names: Vec<&str> = permissions.iter().map(Permission::as_str).collect();
            assert_eq!(names.join(" "), allowed, "{role}");
        }
        assert_eq!(Roles::default().permissions_of(["admin"]), Permissions::all());
    }

    #[test]
    fn words_become_permissions_or_are_refused_with_the_list() {
        assert_eq!(Permissions::parse(["*"]), Ok(Permissions::all()));
        let error = Permissions::parse(["devices.read", "devices.delete"]).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no permission \"devices.delete\"; the permissions are devices.read")
        );
    }
}
