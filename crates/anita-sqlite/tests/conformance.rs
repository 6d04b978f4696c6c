//! The suite that every backend passes: with everything in memory until it is packed, and with packing all the time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

use std::path::PathBuf;
use std::sync::Arc;

use anita_sqlite::{SqliteSettings, SqliteStore};
use anita_store::conformance::Fixture;
use anita_store::{BoxFuture, Store};

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
    settings: SqliteSettings,
}

impl File {
    fn with(recent_fixes_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anita.db");
        Self { _folder: folder, path, settings: SqliteSettings { recent_fixes_max, ..Default::default() } }
    }
}

impl Fixture for File {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn Store>> {
        let store = SqliteStore::open_with(&self.path, self.settings).unwrap();
        Box::pin(std::future::ready(Arc::new(store) as _))
    }
}

mod in_memory_first {
    #[expect(clippy::unnecessary_wraps, reason = "other stores may not be there")]
    fn file() -> Option<super::File> {
        Some(super::File::with(500_000))
    }

    anita_store::store_conformance!(file);
}

mod packed_at_once {
    #[expect(clippy::unnecessary_wraps, reason = "other stores may not be there")]
    fn file() -> Option<super::File> {
        Some(super::File::with(7))
    }

    anita_store::store_conformance!(file);
}
