//! Connections for questions: a few, and a bounded number of those who wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anita_store::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::fault::{Closed, Fault};
use crate::keeper::Shared;
use crate::schema;

/// The connections.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Pool {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let settings = shared.settings;
        Self {
            shared,
            free: Mutex::default(),
            permits: Arc::new(Semaphore::new(settings.readers.max(1))),
            waiting: AtomicUsize::new(0),
            waiting_max: settings.waiting_max,
        }
    }

    /// Asks a question, on a thread where waiting for the disk is no harm.
    pub(crate) async fn ask<T: Send + 'static>(
        self: Arc<Self>,
        question: impl FnOnce(&Connection, &Shared) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = {
            let place = Place::take(&self).ok_or(StoreError::Busy)?;
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            drop(place);
            permit.map_err(|_closed| StoreError::Unavailable(Arc::new(Closed)))?
        };
        let answered = tokio::task::spawn_blocking(move || {
            let free = self.free.lock().pop();
            let answer = free
                .map_or_else(|| schema::open_reader(&self.shared.path), Ok)
                .map_err(Fault::from)
                .and_then(|connection| {
                    let answer = question(&connection, &self.shared);
                    // One that failed is opened anew by the next.
                    if !matches!(answer, Err(Fault::Sqlite(_))) && !self.permits.is_closed() {
                        self.free.lock().push(connection);
                    }
                    answer
                });
            drop(permit);
            answer
        });
        match answered.await {
            Ok(answer) => Ok(answer?),
            Err(error) => Err(StoreError::Unavailable(Arc::new(error))),
        }
    }

    /// Closes the connections; nothing is answered any more.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.free.lock().clear();
    }
}

/// A place among those who wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(pool: &'a Pool) -> Option<Self> {
        let before = pool.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(&pool.waiting);
        (before < pool.waiting_max.max(1)).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
