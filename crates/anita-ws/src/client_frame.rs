//! Frames as a client sends them, for tests.

use bytes::{BufMut, BytesMut};

use crate::{Opcode, frame, mask};

pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A final frame.
pub(crate) fn whole(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    masked(KEY, opcode, payload)
}

/// A frame after which more of its message follows.
pub(crate) fn part(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = whole(opcode, payload);
    bytes[0] &= 0x7f;
    bytes
}

/// A final frame with this key.
pub(crate) fn masked(key: [u8; 4], opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame::header_into(&mut bytes, opcode, payload.len());
    bytes[1] |= 0x80;
    bytes.put_slice(&key);
    let start = bytes.len();
    bytes.put_slice(payload);
    mask::apply(key, &mut bytes[start..]);
    bytes.to_vec()
}
