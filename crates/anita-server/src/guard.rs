//! What happens when a part of the server panics: it is never silent. A request, a connection or a helper is contained;
//! a part without which the server is none makes it end, so that whoever supervises the process starts it again.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// How long a helper that panicked is left alone before it is started again.
const RESTART_AFTER: Duration = Duration::from_secs(10);

/// Whether everything is there without which the server is none.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    /// Cancelled when something is gone.
    gone: CancellationToken,
    what: Mutex<Option<String>>,
}

impl Vitals {
    /// A part is gone for good; the first one is remembered.
    pub(crate) fn fail(&self, what: &str) {
        tracing::error!(what, "a part of the server is gone without which it is none; it ends");
        self.what.lock().get_or_insert_with(|| what.to_owned());
        self.gone.cancel();
    }

    /// Which part is gone, if one is.
    pub(crate) fn missing(&self) -> Option<String> {
        self.what.lock().clone()
    }
}

/// What a panic said, if it said something.
fn word(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing")
}

impl Server {
    /// Does work whose panic costs this work alone: `None` then, counted and said in the log.
    pub async fn contained<T>(&self, part: &'static str, work: impl Future<Output = T>) -> Option<T> {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => Some(done),
            Err(panic) => {
                self.note_panic(part, &*panic);
                None
            }
        }
    }

    /// Does work without which the server is none: its panic ends the server.
    pub async fn vital(&self, part: &'static str, work: impl Future<Output = ()>) {
        if self.contained(part, work).await.is_none() {
            self.vitals.fail(part);
        }
    }

    /// The same for what has a thread of its own.
    pub(crate) fn vital_thread(&self, part: &'static str, name: &str, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.note_panic(part, &*panic);
            self.vitals.fail(name);
        }
    }

    /// Does work that is started again, after a pause, when it panics.
    pub async fn restarted<F: Future<Output = ()>>(&self, part: &'static str, mut work: impl FnMut() -> F) {
        while self.contained(part, work()).await.is_none() {
            tokio::time::sleep(RESTART_AFTER).await;
        }
    }

    /// Done when a part is gone without which the server is none: which one.
    pub async fn failed(self: &Arc<Self>) -> String {
        self.vitals.gone.cancelled().await;
        self.vitals.missing().unwrap_or_default()
    }

    fn note_panic(&self, part: &'static str, panic: &(dyn Any + Send)) {
        tracing::error!(part, said = word(panic), "a part of the server panicked");
        self.context.hub.metrics().count_panic(part);
    }
}
