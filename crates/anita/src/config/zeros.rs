//! Limits of which 0 would let nobody in, or nothing be done: refused with the place. Where 0 is a limit of none, that is
//! said in the table of limits.

use super::raw::RawConfig;
use super::{ConfigError, wrong};

pub(super) fn check(raw: &RawConfig) -> Result<(), ConfigError> {
    let (limits, rooms, devices) = (&raw.limits, &raw.rooms, &raw.devices);
    let nobody = [
        ("limits.sockets_max", limits.sockets_max == 0),
        ("limits.sockets_per_address_max", limits.sockets_per_address_max == 0),
        ("limits.sockets_per_user_max", limits.sockets_per_user_max == 0),
        ("limits.connections_per_address_max", limits.connections_per_address_max == 0),
        ("limits.unauthenticated_max", limits.unauthenticated_max == 0),
        ("limits.unauthenticated_per_address_max", limits.unauthenticated_per_address_max == 0),
        ("limits.handshakes_per_second", limits.handshakes_per_second == 0),
        ("limits.handshakes_per_second_per_address", limits.handshakes_per_second_per_address == 0),
        ("limits.tls_handshakes_per_second_per_address", limits.tls_handshakes_per_second_per_address == 0),
    ];
    refuse(&nobody, "is 0: then nobody could come in; write 1 or more")?;
    let no_request = [
        ("limits.publisher_requests_per_second", limits.publisher_requests_per_second == 0),
        ("limits.viewer_requests_per_second", limits.viewer_requests_per_second == 0),
    ];
    refuse(
        &no_request,
        "is 0: then nobody could ask anything; write 1 or more (0 is no limit in limits.requests_per_second only)",
    )?;
    refuse(
        &[("limits.body_bytes_max", limits.body_bytes_max == 0)],
        "is 0: then nothing could be reported or changed by REST; write the most bytes of a body, 1 or more",
    )?;
    refuse(
        &[("devices.devices_max", devices.devices_max == 0)],
        "is 0: then there could be no device at all; write how many there may be, 1 or more",
    )?;
    let no_room = [
        ("rooms.rooms_max", rooms.rooms_max == 0),
        ("rooms.rooms_per_connection_max", rooms.rooms_per_connection_max == 0),
        ("rooms.members_max", rooms.members_max == 0),
    ];
    refuse(&no_room, "is 0: then nobody could join a room, and the room uwb is one; write 1 or more")
}

fn refuse(keys: &[(&str, bool)], message: &str) -> Result<(), ConfigError> {
    keys.iter().find(|(_key, is_zero)| *is_zero).map_or(Ok(()), |(key, _is_zero)| Err(wrong(key, message)))
}
