//! Any bytes from a serial line, cut into lines and decoded; the cuts of the chunks must not matter.

use anita_formats::{LineBuffer, Origin, dwm1001};
use anita_model::{DeviceId, SiteName, SourceName, Timestamp};

/// Decodes the bytes.
pub fn run(bytes: &[u8]) {
    let (Ok(source), Ok(tag_id)) = (SourceName::parse("fuzz"), DeviceId::parse("T1")) else { return };
    let origin = Origin { source, site: SiteName::main(), received_at: Timestamp::UNIX_EPOCH };
    let whole = LineBuffer::default().push(bytes);
    let mut buffer = LineBuffer::default();
    let pieces: Vec<_> = bytes.chunks(7).flat_map(|chunk| buffer.push(chunk)).collect();
    assert_eq!(whole.len(), pieces.len());
    for (line, piece) in whole.iter().zip(&pieces) {
        assert_eq!(line.is_ok(), piece.is_ok());
        if let Ok(line) = line {
            drop(dwm1001::decode(line, Some(&tag_id), &origin));
            drop(dwm1001::decode(line, None, &origin));
        }
    }
}
