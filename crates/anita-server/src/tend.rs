//! What is looked at once a second: the clock, the memory, the store's way in; and the pulse of the runtime itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_store::State as StoreState;
use anita_wire::CloseCode;
use rand::Rng;

use crate::memory::{self, Ceiling, Change, Verdict};
use crate::server::Server;
use crate::shards::beat;

/// How often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Clients that are closed for want of memory come back after this and up to as long again.
pub(crate) const SHED_RETRY_AFTER: Duration = Duration::from_secs(10);

impl Server {
    /// Looks after the server until it is dropped. Watched as `runtime`, and the store's way in as `store`.
    pub async fn tend(self: Arc<Self>) {
        let every = self.settings.watchdog.every();
        let beating = beat(self.watched.add("runtime"), every);
        tokio::join!(beating, self.look(), self.renew_pages());
    }

    async fn look(&self) {
        let metrics = Arc::clone(self.context.hub.metrics());
        let store = self.watched.add_helper("store");
        let bytes_max = memory::ceiling(self.settings.memory_bytes_max);
        let mut ceiling = bytes_max.map(Ceiling::new);
        tracing::debug!(?bytes_max, "the ceiling of memory");
        let every = LOOK_EVERY.min(self.settings.watchdog.every() * 2);
        let (mut memory_at, mut said) = (Duration::ZERO, false);
        loop {
            let uptime = self.clock.now().uptime;
            if uptime >= memory_at {
                memory_at = uptime.saturating_add(LOOK_EVERY);
                self.clock.follow(&metrics);
                if let Some(bytes) = memory::resident_bytes() {
                    metrics.memory_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
                    if let Some(ceiling) = &mut ceiling {
                        let connections = self.context.hub.connections().count();
                        self.relieve(ceiling.judge(bytes, connections), bytes);
                    }
                }
            }
            let hub = &self.context.hub;
            if hub.store_health().state != StoreState::Slow {
                store.beat();
            }
            if !hub.is_keeping() && !std::mem::replace(&mut said, true) {
                self.vitals.fail("store");
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Does what has to be done about the memory.
    fn relieve(&self, verdict: Verdict, bytes: u64) {
        match verdict.change {
            Some(Change::Above) => tracing::error!(
                bytes,
                "memory is above its ceiling: nobody new is let in, and those that came last are closed"
            ),
            Some(Change::Room) => tracing::warn!(bytes, "there is memory again"),
            Some(Change::Futile) => tracing::error!(
                bytes,
                "closing connections brings no memory back, so it is left for a minute; nobody new is let in"
            ),
            None => {}
        }
        self.is_out_of_memory.store(verdict.refuses, Ordering::Relaxed);
        if verdict.shed == 0 {
            return;
        }
        let hub = &self.context.hub;
        for peer in hub.connections().newest(verdict.shed) {
            let after = SHED_RETRY_AFTER.mul_f64(1.0 + rand::rng().random::<f64>());
            peer.close_for(CloseCode::OutOfMemory, after);
            hub.metrics().shed.inc();
        }
    }
}
