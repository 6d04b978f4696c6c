//! Who is at the other end, and what they may do and see.

use std::sync::Arc;

use anita_model::{Identity, RoomName, Timestamp};

use crate::{Patterns, Permission, Permissions};

/// Who is at the other end of a connection: what a verified token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// Who, and by which token.
    pub identity: Arc<Identity>,
    /// The token's roles, as written.
    pub roles: Vec<String>,
    /// What the roles allow.
    pub permissions: Permissions,
    /// Which devices are visible.
    pub devices: Patterns,
    /// Which rooms are visible.
    pub rooms: Patterns,
    /// When the token runs out.
    pub expires_at: Timestamp,
}

impl Principal {
    /// The token's subject.
    pub fn subject(&self) -> &str {
        &self.identity.user.subject
    }

    /// Whether the roles allow it.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.allow(permission)
    }

    /// Whether the device is visible. One that is not is not there, as far as this principal is concerned.
    pub fn may_see(&self, device: &str) -> bool {
        self.devices.allow(device)
    }

    /// Whether the room may be joined.
    pub fn may_join(&self, room: &RoomName) -> bool {
        self.may(Permission::RoomsJoin) && self.rooms.allow(room.as_str())
    }
}
