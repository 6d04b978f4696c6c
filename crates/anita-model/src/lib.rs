//! The words everything else is written with: who (a [`DeviceId`]), where (a [`Position`]), when (a [`Timestamp`]),
//! and what a source reports about them (a [`Report`]).
//!
//! Every type is parsed once, where text enters; holding one means that it is valid. Nothing here is serialisable: what
//! goes over a wire or into a file is written by the crate that owns that format.

mod fix;
mod identity;
mod name;
mod position;
mod time;

pub use fix::{DeviceKind, DeviceStatus, Fix, NoPosition, Report, Sighting};
pub use identity::{Identity, Revocation, Revoked, UserId};
pub use name::{DeviceId, InvalidName, PlanId, RevocationId, RoomName, SiteName, SourceName};
pub use position::{InvalidPosition, POSITION_ABS_MAX_M, Position};
pub use time::{InvalidTimestamp, Now, Timestamp};
