//! The signals that ask a server to stop: SIGTERM and SIGINT, or Ctrl-C where there are no such signals. SIGHUP asks for
//! nothing here, and must not end the process by itself.

/// SIGTERM and SIGINT, and SIGHUP.
#[cfg(unix)]
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From now on a signal is heard here, and ends the process no more by itself.
    ///
    /// # Errors
    /// When the operating system does not let it listen.
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tracing::info!(
                    "SIGHUP does nothing: secrets and certificates are read again by themselves, all else at a start"
                ),
            }
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// From now on a signal is heard here, and ends the process no more by itself.
    ///
    /// # Errors
    /// When the operating system does not let it listen.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
