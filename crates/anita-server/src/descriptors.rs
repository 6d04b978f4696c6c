//! File descriptors: as many as the system gives, and one in reserve, so that a connection that can't be served is
//! refused instead of waited for.

use std::fs::File;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::seldom::Seldom;

/// How often the log says that there are none left.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Descriptors that are needed besides those of connections: the store, the log, the listener, the runtimes.
const OTHERS: u64 = 128;

/// A descriptor that is given up for a moment, to accept a connection and close it.
#[derive(Debug)]
pub(crate) struct Reserve {
    spare: Option<File>,
    said: Seldom,
}

/// What became of a failed accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relief {
    /// A connection was accepted and closed at once, so that its peer is not left waiting.
    Refused,
    /// There was nobody to refuse.
    Nobody,
    /// There is no descriptor, not even the spare one: somebody else took it.
    Helpless,
}

impl Reserve {
    pub(crate) fn new() -> Self {
        Self { spare: spare(), said: Seldom::every(SAY_EVERY) }
    }

    /// After an accept that failed for want of a descriptor: refuses whoever is next.
    pub(crate) async fn refuse(&mut self, listener: &TcpListener, uptime: Duration) -> Relief {
        if let Some(suppressed) = self.said.now(uptime) {
            tracing::error!(
                suppressed,
                "no file descriptor is left: connections are refused; raise the limit of open files (ulimit -n, LimitNOFILE)"
            );
        }
        if self.spare.take().is_none() {
            self.spare = spare();
            return if self.spare.is_some() { Relief::Nobody } else { Relief::Helpless };
        }
        // Asked once and not waited for: without the spare descriptor nothing may be waited for.
        let asked = std::future::poll_fn(|context| Poll::Ready(listener.poll_accept(context)));
        let relief = match tokio::task::coop::unconstrained(asked).await {
            Poll::Ready(Ok(refused)) => {
                drop(refused);
                Relief::Refused
            }
            Poll::Ready(Err(_still)) => Relief::Helpless,
            Poll::Pending => Relief::Nobody,
        };
        self.spare = spare();
        relief
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Whether an accept failed because the process, or the system, has no descriptor left.
pub(crate) fn are_gone(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        let gone = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
        error.raw_os_error().is_some_and(|code| gone.contains(&code))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// Raises the limit of open files as far as it goes, and says so where it is too low for as many connections.
pub(crate) fn prepare(connections_max: usize) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        if limit.current < limit.maximum
            && let Err(error) =
                setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
        let wanted = u64::try_from(connections_max).unwrap_or(u64::MAX).saturating_add(OTHERS);
        if let Some(open_files_max) = getrlimit(Resource::Nofile).current
            && open_files_max < wanted
        {
            tracing::warn!(
                open_files_max,
                wanted,
                "fewer open files are allowed than limits.connections_max needs: beyond them connections are refused"
            );
        }
    }
    #[cfg(not(unix))]
    tracing::debug!(connections_max, OTHERS, "the limit of open files is not known here");
}
