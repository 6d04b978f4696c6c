//! A file that grows, is truncated, or is replaced by a new one of its name.

use std::fs::Metadata;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::config::Start;
use super::input::Chunk;

/// How often the end of the file is looked at.
const POLL: Duration = Duration::from_millis(200);

/// The reading end of a file. A file that is truncated is read from its start; one that is replaced is read to its end first.
/// A truncation that the file outgrows between two looks cannot be seen.
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    position: u64,
    identity: Option<(u64, u64)>,
}

// === impl Tail ===

impl Tail {
    pub(super) async fn open(path: &Path, start: Start) -> io::Result<Self> {
        let mut file = File::open(path).await?;
        let identity = identity(&file.metadata().await?);
        let position = match start {
            Start::Beginning => 0,
            Start::End => file.seek(SeekFrom::End(0)).await?,
        };
        Ok(Self { path: path.to_owned(), file, position, identity })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until there is something to read. Not cancel safe.
    pub(super) async fn read(&mut self, chunk: &mut [u8]) -> io::Result<Chunk> {
        loop {
            let len = self.file.read(chunk).await?;
            if len > 0 {
                self.position += u64::try_from(len).unwrap_or(0);
                return Ok(Chunk::Bytes(len));
            }
            if self.file.metadata().await?.len() < self.position {
                self.file.seek(SeekFrom::Start(0)).await?;
                self.position = 0;
                return Ok(Chunk::Restarted);
            }
            match fs::metadata(&self.path).await {
                Ok(metadata) if identity(&metadata) != self.identity => {
                    // Its last lines may have been written after the look above.
                    let len = self.file.read(chunk).await?;
                    if len > 0 {
                        self.position += u64::try_from(len).unwrap_or(0);
                        return Ok(Chunk::Bytes(len));
                    }
                    *self = Self::open(&self.path, Start::Beginning).await?;
                    return Ok(Chunk::Restarted);
                }
                // Between the moving away of the old file and the making of the new one there is none.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

/// What makes a file this one: its device and its inode. `None` where there is no such thing; then a replacement is not seen.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "there is nothing to return on other systems")]
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

/// What makes a file this one: unknown here.
#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Option<(u64, u64)> {
    None
}
