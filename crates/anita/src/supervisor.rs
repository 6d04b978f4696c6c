//! Words to whoever supervises the process, where that is systemd with `Type=notify` (`sd_notify(3)`): ready, well, stopping.

use sd_notify::NotifyState;

/// Clients are welcome.
pub(crate) fn is_ready() {
    say(&[NotifyState::Ready]);
}

/// Everything makes progress.
pub(crate) fn is_well() {
    say(&[NotifyState::Watchdog]);
}

/// It ends.
pub(crate) fn is_stopping() {
    say(&[NotifyState::Stopping]);
}

/// Without a supervisor that asked for it this does nothing.
fn say(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!(%error, "the supervisor was not told");
    }
}
