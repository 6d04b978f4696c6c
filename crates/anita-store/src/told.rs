//! How far events were told, in a small file beside the store.
//!
//! Events are told at once and kept a moment later. After a crash the store knows what it keeps; this file knows what
//! was told. Where the two differ, clients are told of a gap; where they don't, numbering just goes on. A number is
//! written before its event is told, with one system call and without waiting for the disk: that is enough for the end
//! of a process. After the end of the machine (another boot) the file may be behind, and says so.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use parking_lot::Mutex;

use crate::port::OpenError;

/// The file: the ordinal, whether the end was a good one, and the boot.
const LENGTH_BYTES: usize = 8 + 1 + 36;

/// What the file says while the server runs, and after it crashed.
const OPEN: u8 = 0;

/// What it says when the server ended in good order.
const CLOSED: u8 = 1;

/// How far ahead numbering goes on when nobody knows what was told: more than any server tells between two commits.
const FAR_AHEAD: u64 = 1_000_000;

/// The file that says how far events were told. While it is open, no other server may open it.
#[derive(Debug)]
pub struct Told {
    file: Mutex<File>,
}

impl Told {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another server has it open; [`OpenError::Backend`] when it can't be opened.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let shown = || path.display().to_string();
        let failed = |source: io::Error| OpenError::Backend { store: shown(), source: source.into() };
        let file = private_file(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file: Mutex::new(file) }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { store: shown() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Begins to note, and says up to which ordinal events may have been told, when the store's last one is `kept`.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn begin(&self, kept: u64) -> io::Result<u64> {
        let mut bytes = Vec::new();
        {
            let mut file = self.file.lock();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
        }
        let told = told(&bytes, &boot_id(), kept);
        self.write(told, OPEN)?;
        Ok(told)
    }

    /// Notes that the event with this ordinal is about to be told.
    pub fn note(&self, ordinal: u64) {
        let mut file = self.file.lock();
        let noted = file.seek(SeekFrom::Start(0)).and_then(|_start| file.write_all(&ordinal.to_le_bytes()));
        if let Err(error) = noted {
            tracing::error!(%error, "how far events are told could not be noted");
        }
    }

    /// Notes that everything that was told is kept.
    pub fn close(&self, ordinal: u64) {
        let closed = self.write(ordinal, CLOSED).and_then(|()| self.file.lock().sync_all());
        if let Err(error) = closed {
            tracing::error!(%error, "how far events were told could not be noted");
        }
    }

    fn write(&self, ordinal: u64, end: u8) -> io::Result<()> {
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = ordinal.to_le_bytes().to_vec();
        bytes.push(end);
        bytes.extend_from_slice(&boot_id());
        file.write_all(&bytes)
    }
}

/// Opens a file for reading and writing, or makes it; one that is made is nobody else's to read.
///
/// # Errors
/// Those of the system.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Up to which ordinal events may have been told, by what the file says.
fn told(bytes: &[u8], boot: &[u8; 36], kept: u64) -> u64 {
    let Some((ordinal, rest)) = bytes.split_first_chunk::<8>().filter(|_it| bytes.len() == LENGTH_BYTES)
    else {
        // There was none, or it was cut while it was made. A store that knows of events came from elsewhere then, or
        // the machine crashed before the file was on the disk.
        return if kept == 0 { 0 } else { kept.saturating_add(FAR_AHEAD) };
    };
    let ordinal = u64::from_le_bytes(*ordinal);
    match rest.split_first() {
        Some((&CLOSED, _boot)) => ordinal.max(kept),
        Some((_open, wrote)) if wrote == boot => ordinal.max(kept),
        _ => ordinal.max(kept).saturating_add(FAR_AHEAD),
    }
}

/// What tells this run of the machine from others; zeros where the system does not say.
fn boot_id() -> [u8; 36] {
    let text = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.first_chunk::<36>().copied().unwrap_or([0; 36])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known_after_a_good_end_and_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("told");
        let file = Told::open(&path).unwrap();
        assert_eq!(file.begin(0).unwrap(), 0);
        file.note(7);
        assert!(matches!(Told::open(&path), Err(OpenError::InUse { .. })));
        drop(file);
        let file = Told::open(&path).unwrap();
        assert_eq!(file.begin(5).unwrap(), 7, "the process crashed");
        file.close(7);
        drop(file);
        assert_eq!(Told::open(&path).unwrap().begin(7).unwrap(), 7);
        // A store that was restored from a copy, or came from elsewhere, may be ahead.
        assert_eq!(Told::open(&path).unwrap().begin(9).unwrap(), 9);
    }

    #[test]
    fn after_the_machine_crashed_nobody_knows_and_numbering_goes_on_far_ahead() {
        let of = |ordinal: u64, is_closed: u8, boot: u8| {
            let mut bytes = ordinal.to_le_bytes().to_vec();
            bytes.push(is_closed);
            bytes.extend_from_slice(&[boot; 36]);
            bytes
        };
        assert_eq!(told(&of(7, 0, 1), &[2; 36], 8), 8 + FAR_AHEAD);
        assert_eq!(told(&of(7, 1, 1), &[2; 36], 7), 7);
        assert_eq!(told(&of(7, 0, 1), &[1; 36], 5), 7);
        // The store was restored on another machine, where there is no file: others may have been told there.
        assert_eq!(told(&[], &[1; 36], 5), 5 + FAR_AHEAD);
        assert_eq!(told(&[1, 2, 3], &[1; 36], 5), 5 + FAR_AHEAD);
        assert_eq!(told(&[], &[1; 36], 0), 0, "nothing was ever told");
    }
}
