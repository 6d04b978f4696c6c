//! The audit trail as a file of JSON lines, which begins anew when it is large enough.
//!
//! Lines are written when their entries are in the store. So after a crash a file never has what the store has not, and
//! what the file lacks then is written from the store at the next start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{AuditEntry, AuditHead, AuditLine, LINE_BYTES_MAX, line};
use crate::told::private_file;

/// The most files of one trail.
pub const FILES_MAX: usize = 1_000;

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFileSettings {
    /// The file that is written; older ones are beside it, with `.1`, `.2`, … at their end, `.1` the youngest.
    pub path: PathBuf,
    /// How large a file becomes at most, bytes.
    pub bytes_max: u64,
    /// How many files there are at most, the one that is written included; the oldest goes first.
    pub files_max: usize,
}

/// A file that is being written. Its functions block the thread.
#[derive(Debug)]
pub struct AuditFile {
    settings: AuditFileSettings,
    file: File,
    /// How long it is, whole lines only.
    bytes: u64,
    /// Something may stand after them.
    is_torn: bool,
    /// The last line of this file.
    head: Option<AuditHead>,
    /// The last line of all of them.
    end: Option<AuditHead>,
}

/// The files of a trail that are there, the oldest first.
pub fn files_of(path: &Path) -> Vec<PathBuf> {
    let older = (1..FILES_MAX).map(|number| numbered(path, number)).take_while(|path| path.exists());
    let mut files: Vec<PathBuf> = older.collect();
    files.reverse();
    files.extend(path.exists().then(|| path.to_owned()));
    files
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    suffixed(path, &number.to_string())
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}

impl AuditFile {
    /// Opens the file, or makes it, for its owner alone. A last line that is not whole is cut off.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::WouldBlock`] when another server writes it.
    pub fn open(settings: AuditFileSettings) -> io::Result<Self> {
        let file = locked(&settings.path)?;
        let mut this = Self { settings, file, bytes: 0, is_torn: true, head: None, end: None };
        let text = last_line(&mut this.file)?;
        this.bytes = text.as_ref().map_or(0, |(_line, end)| *end);
        this.repair()?;
        match text.map(|(line, _end)| AuditLine::parse(&line)) {
            // It may have begun anew a moment before the end.
            None => this.end = end_of(&numbered(&this.settings.path, 1)),
            Some(Ok(line)) => (this.head, this.end) = (Some(line.head()), Some(line.head())),
            Some(Err(error)) => {
                let path = this.settings.path.display();
                tracing::error!(%error, %path, "the last line of the audit file is not ours; another file begins");
                this.rotate()?;
            }
        }
        Ok(this)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.settings.path
    }

    /// The chain up to its last line; `None` while it is empty.
    pub fn head(&self) -> Option<AuditHead> {
        self.head
    }

    /// The chain up to the last line of all its files; `None` while there is none.
    pub fn end(&self) -> Option<AuditHead> {
        self.end
    }

    /// Writes entries, as far as it can: says how many, and why not all. Those that are in no chain are left out.
    pub fn append(&mut self, entries: &[AuditEntry]) -> (usize, Option<io::Error>) {
        let (mut written, mut chunk, mut lines) = (0, String::new(), 0);
        let mut head = self.head;
        for entry in entries {
            let Some(mut text) = line(entry, head) else {
                lines += 1;
                continue;
            };
            let bytes = self.bytes + chunk.len() as u64;
            if bytes > 0 && bytes + text.len() as u64 > self.settings.bytes_max {
                let ended = self.write(&chunk, head).and_then(|()| {
                    (written, lines) = (written + lines, 0);
                    chunk.clear();
                    self.rotate()
                });
                if let Err(error) = ended {
                    return (written, Some(error));
                }
                text = line(entry, None).unwrap_or_default();
            }
            chunk.push_str(&text);
            lines += 1;
            head = entry.link.map(|link| link.head());
        }
        match self.write(&chunk, head) {
            Ok(()) => (written + lines, None),
            Err(error) => (written, Some(error)),
        }
    }

    /// Writes lines, all or none; the last of them is `head`.
    fn write(&mut self, lines: &str, head: Option<AuditHead>) -> io::Result<()> {
        self.repair()?;
        self.is_torn = true;
        if let Err(error) = self.file.write_all(lines.as_bytes()) {
            // If that does not work either, it is tried again before the next line.
            self.repair().ok();
            return Err(error);
        }
        (self.is_torn, self.head) = (false, head);
        self.end = head.or(self.end);
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Cuts off what is not a whole line.
    fn repair(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// Begins a new file.
    ///
    /// # Errors
    /// Those of the system; then it goes on with the old one.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let path = &self.settings.path;
        // First of all: where no file can be made, nothing is moved and nothing goes.
        let fresh_path = suffixed(path, "new");
        let fresh = locked(&fresh_path)?;
        if path.exists() {
            self.make_room(path)?;
        }
        fs::rename(&fresh_path, path)?;
        self.file = fresh;
        (self.bytes, self.head) = (0, None);
        Ok(())
    }

    /// Begins a new file for another trail; the old one is kept. An empty one stays where it is.
    ///
    /// # Errors
    /// Those of the system; then it goes on with the old one.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        if self.head.is_some() {
            self.rotate()?;
        }
        self.end = None;
        Ok(())
    }

    /// Moves the files on by one, and takes away what is too old.
    fn make_room(&self, path: &Path) -> io::Result<()> {
        let older_max = self.settings.files_max.clamp(1, FILES_MAX) - 1;
        // Also what is left of a time when there were more.
        for number in (older_max.max(1)..FILES_MAX).take_while(|number| numbered(path, *number).exists()) {
            fs::remove_file(numbered(path, number))?;
        }
        for number in (1..older_max).rev() {
            let older = numbered(path, number);
            if older.exists() {
                fs::rename(&older, numbered(path, number + 1))?;
            }
        }
        if older_max == 0 { fs::remove_file(path) } else { fs::rename(path, numbered(path, 1)) }
    }

    /// Done when all lines are on the disk.
    ///
    /// # Errors
    /// Those of the system.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// The chain up to the last line of all files of a trail, as they are now; `None` while there is none.
pub fn end_of_files(path: &Path) -> Option<AuditHead> {
    // It may have begun anew a moment ago.
    end_of(path).or_else(|| end_of(&numbered(path, 1)))
}

/// The last line of a file that is there, and ours.
fn end_of(path: &Path) -> Option<AuditHead> {
    let (text, _end) = last_line(&mut File::open(path).ok()?).ok()??;
    Some(AuditLine::parse(&text).ok()?.head())
}

fn locked(path: &Path) -> io::Result<File> {
    let file = private_file(path)?;
    file.try_lock().map_err(|refused| match refused {
        fs::TryLockError::WouldBlock => io::Error::new(
            io::ErrorKind::WouldBlock,
            "another server writes it; each needs a file of its own",
        ),
        fs::TryLockError::Error(error) => error,
    })?;
    Ok(file)
}

/// The last whole line of a file and where it ends; `None` when there is none.
fn last_line(file: &mut File) -> io::Result<Option<(String, u64)>> {
    let bytes = file.metadata()?.len();
    // Twice, because what is torn may be as long as a line.
    let start = bytes.saturating_sub(2 * LINE_BYTES_MAX as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
    let line =
        tail.get(..end).and_then(|whole| whole.rsplit(|byte| *byte == b'\n').next()).unwrap_or_default();
    Ok(Some((String::from_utf8_lossy(line).into_owned(), start + end as u64 + 1)))
}

/// Reads the lines of a file, each without its end, with its number, from 1 on; says how many there are. A last line
/// without an end is left out: it is being written.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::InvalidData`] for what is no text or too long. What `take` says ends it, too.
pub fn each_line<E: From<io::Error>>(
    path: &Path,
    mut take: impl FnMut(u64, &str) -> Result<(), E>,
) -> Result<u64, E> {
    let mut reader = BufReader::with_capacity(1 << 16, OpenOptions::new().read(true).open(path)?);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?;
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {why}"));
        match bytes.split_last() {
            Some((b'\n', line)) => {
                let text = std::str::from_utf8(line).map_err(|error| invalid(&error.to_string()))?;
                take(number, text)?;
            }
            Some(_) if bytes.len() == LINE_BYTES_MAX => return Err(invalid("it is too long").into()),
            Some(_) | None => return Ok(number - 1),
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
