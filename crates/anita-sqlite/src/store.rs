//! The store, as the port wants it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use anita_model::{Fix, Timestamp};
use anita_store::{
    AuditPage, AuditQuery, BoxFuture, EventPage, EventQuery, HistoryPage, HistoryQuery, NewestQuery,
    OpenError, PlanStore, Record, Remembered, Retention, Store, StoreError, Tidied, Usage, Window,
    WindowQuery,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::fault::{Closed, Fault};
use crate::keeper::{Keeper, Request, Shared};
use crate::pool::Pool;
use crate::read;

/// How many requests may wait for the writing thread.
const WAITING_MAX: usize = 64;

/// How the store works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteSettings {
    /// How many fixes are kept in memory until they are packed; twice as many at most while they are.
    pub recent_fixes_max: usize,
    /// How many questions are answered at the same time.
    pub readers: usize,
    /// How many more may wait.
    pub waiting_max: usize,
    /// How many pages of 8 KiB the file may grow to, if it is not to fill the disk.
    pub pages_max: Option<u32>,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self { recent_fixes_max: 500_000, readers: 2, waiting_max: 64, pages_max: None }
    }
}

/// A store in one file.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// `None` only while it is dropped: then the thread ends.
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings its schema up to date. Blocks the thread.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, SqliteSettings::default())
    }

    /// The same with settings.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(path: &Path, settings: SqliteSettings) -> Result<Self, OpenError> {
        let (keeper, shared) = Keeper::open(path.to_owned(), settings)?;
        let (requests, waiting) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("anita-sqlite".into())
            .spawn(move || keeper.run(&waiting))
            .map_err(|source| OpenError::Backend {
                store: path.display().to_string(),
                source: source.into(),
            })?;
        let pool = Arc::new(Pool::new(Arc::clone(&shared)));
        Ok(Self { shared, pool, requests: Some(requests), thread: Some(thread) })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Hands a request to the writing thread.
    pub(crate) fn order<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let sent = match &self.requests {
            None => Err(TrySendError::Disconnected(())),
            Some(requests) => requests.try_send(request(answer)).map_err(|refused| match refused {
                TrySendError::Full(_request) => TrySendError::Full(()),
                TrySendError::Disconnected(_request) => TrySendError::Disconnected(()),
            }),
        };
        Box::pin(async move {
            match sent {
                Ok(()) => {
                    answered.await.unwrap_or_else(|_gone| Err(StoreError::Unavailable(Arc::new(Closed))))
                }
                Err(TrySendError::Full(())) => Err(StoreError::Busy),
                Err(TrySendError::Disconnected(())) => Err(StoreError::Unavailable(Arc::new(Closed))),
            }
        })
    }

    /// Asks a reader.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection, &Shared) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        Box::pin(Arc::clone(&self.pool).ask(question))
    }
}

impl Drop for SqliteStore {
    /// Waits until what is on its way is written and the file is closed.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes into the store panicked");
        }
    }
}

impl Store for SqliteStore {
    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>> {
        self.ask(move |db, shared| read::load(db, shared, events_max))
    }

    fn commit(&self, records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.order(|answer| Request::Commit(records, answer))
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.ask(move |db, shared| read::page(db, shared, &query))
    }

    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>> {
        self.ask(move |db, shared| read::newest(db, shared, &query))
    }

    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>> {
        self.ask(move |db, shared| read::window(db, shared, &query))
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.ask(move |db, _shared| read::events(db, &query))
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        self.ask(move |db, _shared| read::audit(db, &query))
    }

    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>> {
        self.order(|answer| Request::Tidy(retention, now, answer))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.ask(read::usage)
    }

    fn plans(&self) -> &dyn PlanStore {
        self
    }

    fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.pool.close();
        self.order(Request::Close)
    }
}

#[cfg(test)]
mod tests;
