//! Text of a DWM1001 shell from a serial port, a TCP socket, or a file that grows.
//!
//! Nothing here is acknowledged. Reports that the intake does not accept are lost, and counted, where the bytes come by themselves; a
//! file waits.

mod config;
mod input;
mod tail;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use anita_formats::{Decoded, LineBuffer, Origin, dwm1001};
use anita_model::{DeviceId, Report, SiteName, SourceName};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Description, Fault, Health, Intake, Source, Unavailable};
use input::{Chunk, Input};
use wake::{Heard, Waker};

pub use config::{LineConfig, LineFormat};

/// How much is read at once, bytes.
const CHUNK_BYTES: usize = 8_192;
/// Nothing is due.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// Lines of text from one place.
#[derive(Debug)]
pub struct LineSource {
    name: SourceName,
    site: SiteName,
    place: config::Place,
    /// Whose the lines are that do not say it.
    device_id: Option<DeviceId>,
    wakes: bool,
    silence_max: Option<Duration>,
}

/// What can happen next.
enum Cause {
    Read(Result<Chunk, Fault>),
    WakeDue,
    Silence,
    Stopped,
}

/// One run's state.
struct Reading<'s> {
    source: &'s LineSource,
    input: Input,
    lines: LineBuffer,
    waker: Waker,
    heard_at: Instant,
}

// === impl LineSource ===

impl Source for LineSource {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn description(&self) -> Description {
        Description { kind: "line", format: Some("dwm1001"), address: Some(self.place.address()) }
    }

    fn run(
        &mut self,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            // Opening may take long: a host that does not answer, a device that is busy.
            let opened = tokio::select! {
                opened = Input::open(&mut self.place) => opened?,
                () = stop.cancelled() => return Ok(()),
            };
            health.connected(intake.now());
            Reading::new(self, opened).run(intake.as_ref(), &health, &stop).await
        })
    }
}

// === impl Reading ===

impl<'s> Reading<'s> {
    fn new(source: &'s LineSource, input: Input) -> Self {
        let now = Instant::now();
        let waker = if source.wakes { Waker::new(now) } else { Waker::done() };
        Self { source, input, lines: LineBuffer::default(), waker, heard_at: now }
    }

    async fn run(
        &mut self,
        intake: &dyn Intake,
        health: &Health,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let now = Instant::now();
            let silence_at = self.heard_at + self.source.silence_max.unwrap_or(NEVER);
            let wake_at = self.waker.due_at().unwrap_or(now + NEVER);
            // Reading a socket or a port is cancel safe. A file is not, but neither a wake-up nor a silence is due for one.
            let cause = tokio::select! {
                read = self.input.read(&mut chunk) => Cause::Read(read),
                () = tokio::time::sleep_until(wake_at) => Cause::WakeDue,
                () = tokio::time::sleep_until(silence_at) => Cause::Silence,
                () = stop.cancelled() => Cause::Stopped,
            };
            match cause {
                Cause::Stopped => return Ok(()),
                Cause::Silence => return Err(self.silent()),
                Cause::WakeDue => self.wake(Heard::Nothing).await?,
                Cause::Read(read) => match read? {
                    Chunk::Restarted => self.lines = LineBuffer::default(),
                    Chunk::Bytes(len) => {
                        self.take(chunk.get(..len).unwrap_or_default(), intake, health).await?;
                    }
                },
            }
        }
    }

    /// Takes what was read: cuts it into lines, decodes them, hands them over.
    async fn take(&mut self, bytes: &[u8], intake: &dyn Intake, health: &Health) -> Result<(), Fault> {
        self.heard_at = Instant::now();
        let origin = Origin {
            source: self.source.name.clone(),
            site: self.source.site.clone(),
            received_at: intake.now(),
        };
        let mut reports = Vec::new();
        for line in self.lines.push(bytes) {
            health.count_message();
            let item = line.and_then(|line| dwm1001::decode(&line, self.source.device_id.as_ref(), &origin));
            reports.extend(health.take(Decoded::from(item)));
        }
        let is_prompt = self.lines.partial().trim_ascii_end().ends_with(b"dwm>");
        let heard = match (reports.is_empty(), is_prompt) {
            (false, _) => Heard::Positions,
            (true, true) => Heard::Prompt,
            (true, false) => Heard::Other,
        };
        self.wake(heard).await?;
        self.submit(reports, intake, health).await;
        Ok(())
    }

    async fn submit(&mut self, reports: Vec<Report>, intake: &dyn Intake, health: &Health) {
        if reports.is_empty() {
            return;
        }
        if !self.input.can_wait() {
            let count = reports.len();
            if intake.submit(reports).await.is_err() {
                health.count_dropped(count);
            }
            return;
        }
        while let Err(Unavailable { retry_after }) = intake.submit(reports.clone()).await {
            tokio::time::sleep(retry_after).await;
        }
    }

    /// Does what the wake-up asks for after what was heard.
    async fn wake(&mut self, heard: Heard) -> Result<(), Fault> {
        let address = || self.source.place.to_string();
        match self.waker.step(heard, Instant::now()) {
            None => Ok(()),
            Some(wake::Act::GiveUp) => Err(Fault::Asleep { address: address() }),
            Some(wake::Act::Send(bytes)) => {
                self.input.write(bytes).await.map_err(|source| Fault::Io { address: address(), source })
            }
        }
    }

    fn silent(&self) -> Fault {
        let silence = self.source.silence_max.unwrap_or_default();
        Fault::Silent { address: self.source.place.to_string(), silence }
    }
}
