//! How far events were told, in a small file beside the store.
//!
//! Events are told at once and kept a moment later. After a crash the store knows what it keeps; this file knows what
//! was told. Where the two differ, clients are told of a gap; where they don't, numbering just goes on. A number is
//! written before its event is told, with one system call and without waiting for the disk: that is enough for the end
//! of a process. After the end of the machine (another boot) the file may be behind, and says so.
//!
//! Numbers that were lost so are noted here for good: a room in which nothing was said since then would give them again
//! after the next start, because the store knows nothing of them.

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

/// How many losses are noted; more become one with the oldest, for which a room may skip too much.
const LOSSES_MAX: usize = 64;

/// Numbers that may have been told and are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loss {
    /// The ordinal of the last event before them that is kept.
    after: u64,
    count: u64,
}

/// Where numbering goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begun {
    /// The ordinal up to which events may have been told.
    pub told: u64,
    losses: Vec<Loss>,
}

impl Begun {
    /// After events that are kept up to the ordinal `kept`, and may have been told up to `told`.
    pub fn after(kept: u64, told: u64) -> Self {
        let mut begun = Self { told, losses: Vec::new() };
        begun.lose(kept);
        begun
    }

    /// How many numbers of a room may have been told and are lost, when `last` is the ordinal of the last of its events
    /// that is kept; 0 if there is none.
    pub fn skipped(&self, last: u64) -> u64 {
        let lost_since = self.losses.iter().filter(|loss| loss.after >= last);
        lost_since.fold(0, |sum, loss| sum.saturating_add(loss.count))
    }

    /// Takes note that everything after `kept` is lost.
    fn lose(&mut self, kept: u64) {
        self.losses.retain(|loss| loss.after < kept);
        if self.told > kept {
            self.losses.push(Loss { after: kept, count: self.told - kept });
        }
        while self.losses.len() > LOSSES_MAX {
            let oldest = self.losses.remove(0);
            if let Some(next) = self.losses.first_mut() {
                next.count = next.count.saturating_add(oldest.count);
            }
        }
    }
}

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
    pub fn begin(&self, kept: u64) -> io::Result<Begun> {
        let mut bytes = Vec::new();
        {
            let mut file = self.file.lock();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
        }
        let (fixed, losses) = bytes.split_at_checked(LENGTH_BYTES).unwrap_or((&bytes, &[]));
        let mut begun = Begun { told: told(fixed, &boot_id(), kept), losses: losses_of(losses) };
        begun.lose(kept);
        self.write(begun.told, OPEN)?;
        self.write_losses(&begun.losses)?;
        Ok(begun)
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

    fn write_losses(&self, losses: &[Loss]) -> io::Result<()> {
        let numbers = losses.iter().flat_map(|loss| [loss.after, loss.count]);
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        let mut file = self.file.lock();
        file.set_len((LENGTH_BYTES + bytes.len()) as u64)?;
        file.seek(SeekFrom::Start(LENGTH_BYTES as u64))?;
        file.write_all(&bytes)
    }
}

/// The losses that the end of the file notes.
fn losses_of(bytes: &[u8]) -> Vec<Loss> {
    let (pairs, _rest) = bytes.as_chunks::<16>();
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
    let loss = |pair: &[u8; 16]| {
        let (after, count) = pair.split_at(8);
        Loss { after: number(after), count: number(count) }
    };
    pairs.iter().map(loss).collect()
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
        assert_eq!(file.begin(0).unwrap(), Begun::after(0, 0));
        file.note(7);
        assert!(matches!(Told::open(&path), Err(OpenError::InUse { .. })));
        drop(file);
        let file = Told::open(&path).unwrap();
        assert_eq!(file.begin(5).unwrap().told, 7, "the process crashed");
        file.close(7);
        drop(file);
        assert_eq!(Told::open(&path).unwrap().begin(7).unwrap().told, 7);
        // A store that was restored from a copy, or came from elsewhere, may be ahead.
        assert_eq!(Told::open(&path).unwrap().begin(9).unwrap().told, 9);
    }

    /// Once, a loss was known only to the start after it: a room in which nothing was said until the next one began with
    /// the lost numbers again.
    #[test]
    fn what_was_lost_is_known_at_every_start_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("told");
        let start = |kept| Told::open(&path).unwrap().begin(kept).unwrap();
        let file = Told::open(&path).unwrap();
        file.begin(0).unwrap();
        file.note(9);
        drop(file);
        let begun = start(5);
        assert_eq!((begun.skipped(5), begun.skipped(3), begun.skipped(6)), (4, 4, 0));
        // Another room said something after it.
        let told = begun.told + 1;
        Told::open(&path).unwrap().note(told);
        for _start in 0..3 {
            let begun = start(told);
            assert_eq!((begun.told, begun.skipped(5), begun.skipped(told)), (told, 4, 0));
        }
        // A store that was put back to before it has lost all of that once.
        assert_eq!(start(2).skipped(2), told - 2);
    }

    #[test]
    fn losses_without_end_take_no_more_room_and_skip_too_much_rather_than_too_little() {
        let mut begun = Begun::after(0, 0);
        for start in 1..=100 {
            begun.told = start * 10;
            begun.lose(start * 10 - 1);
        }
        assert_eq!(begun.losses.len(), LOSSES_MAX);
        assert_eq!((begun.skipped(0), begun.skipped(999), begun.skipped(1_000)), (100, 1, 0));
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
