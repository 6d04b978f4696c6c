//! Frames that many are to get.

use std::sync::OnceLock;

use bytes::Bytes;

/// Complete frames, and the same compressed, made once for all who want it so.
#[derive(Debug)]
pub struct Packet {
    plain: Bytes,
    compressed: OnceLock<Bytes>,
}

impl Packet {
    /// Of complete frames.
    pub fn new(plain: Bytes) -> Self {
        Self { plain, compressed: OnceLock::new() }
    }

    /// As they are.
    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// Compressed by whoever asks first.
    pub fn compressed(&self, compress: impl FnOnce(&Bytes) -> Bytes) -> &Bytes {
        self.compressed.get_or_init(|| compress(&self.plain))
    }
}
