//! The body of an export: made page by page on a thread of its own, and only as fast as the client takes it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anita_model::Fix;
use anita_session::Refused;
use anita_session::past::Walk;
use anita_wire::ErrorCode;
use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Cut;
use super::format::{Coding, Encoder, Format};
use super::gate::Place;

/// How much is handed over at once, bytes. A client that takes less than this in [`Limits::stall`] counts as gone, once
/// the buffers on the way are full.
const PIECE_BYTES: usize = 16 * 1024;

/// How many pieces wait to be taken.
const PIECES_WAITING: usize = 2;

/// How much is gathered before it is handed over, bytes.
const GATHERED_BYTES: usize = 64 * 1024;

/// How hard gzip works: an export is waited for.
const GZIP_LEVEL: u32 = 3;

/// How patient an export is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long a client may take nothing.
    pub(super) stall: Duration,
    /// How long what was written last has to get to the client before the transfer is broken off.
    pub(super) break_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stall: Duration::from_secs(30), break_after: Duration::from_millis(500) }
    }
}

/// An export that is about to begin.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) walk: Walk,
    pub(super) format: Format,
    pub(super) coding: Coding,
    pub(super) limits: Limits,
    pub(super) cut: Cut,
    pub(super) draining: CancellationToken,
}

/// What the thread says.
#[derive(Debug)]
enum Told {
    /// The store has answered: there is something to send.
    Begun,
    Piece(Bytes),
    /// That was all.
    End,
    /// The rest will not come.
    Broken(Refused),
}

/// Why a thread stops before its end.
enum Stop {
    /// Nobody takes it any more.
    Gone,
    /// The rest can't be had.
    Broken(Refused),
}

impl Export {
    /// Starts the thread, and waits until the store has answered once.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn begin(self, place: Place) -> Result<Body, Refused> {
        let (sender, mut told) = mpsc::channel(PIECES_WAITING);
        let runtime = Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            runtime.block_on(self.run(sender));
            drop(place);
        });
        match told.recv().await {
            Some(Told::Begun) => Ok(body(told)),
            Some(Told::Broken(refused)) => Err(refused),
            Some(Told::Piece(_) | Told::End) | None => {
                let ended = work.await;
                tracing::error!(?ended, "an export ended before it began");
                Err(ErrorCode::Internal.into())
            }
        }
    }

    async fn run(self, sender: mpsc::Sender<Told>) {
        let (limits, cut, draining) = (self.limits, self.cut.clone(), self.draining.clone());
        let sink = Sink { sender, limits, cut };
        let stopped = match draining.run_until_cancelled(self.write(&sink)).await {
            Some(Ok(()) | Err(Stop::Gone)) => return,
            Some(Err(Stop::Broken(refused))) => refused,
            None => ErrorCode::Unavailable.into(),
        };
        tracing::debug!(refusal = ?stopped.0, "an export was broken off");
        // What was sent gets its time to arrive, so that it ends with a whole line.
        tokio::select! {
            () = tokio::time::sleep(limits.break_after) => {}
            () = sink.sender.closed() => return,
        }
        // Whoever is gone does not need to hear it.
        sink.sender.send(Told::Broken(stopped)).await.ok();
    }

    async fn write(mut self, sink: &Sink) -> Result<(), Stop> {
        let mut output = Output::new(self.format, self.coding).map_err(unwritable)?;
        let mut is_begun = false;
        loop {
            let step = tokio::select! {
                step = self.walk.step() => step,
                () = sink.sender.closed() => return Err(Stop::Gone),
            };
            let fixes = match step {
                Ok(Some(fixes)) => fixes,
                Ok(None) => break,
                Err(refused) if !is_begun => {
                    // It is the answer to the request; nothing has to arrive before it.
                    sink.tell(Told::Broken(refused)).await?;
                    return Err(Stop::Gone);
                }
                Err(refused) => {
                    sink.hand_over(output.flush().map_err(unwritable)?).await?;
                    return Err(Stop::Broken(refused));
                }
            };
            if !is_begun {
                sink.tell(Told::Begun).await?;
            }
            output.fixes(&fixes).map_err(unwritable)?;
            // The first bytes go at once: they say that it works.
            if !is_begun || output.len() >= GATHERED_BYTES {
                sink.hand_over(output.take()).await?;
            }
            is_begun = true;
        }
        if !is_begun {
            sink.tell(Told::Begun).await?;
        }
        sink.hand_over(output.finish().map_err(unwritable)?).await?;
        sink.tell(Told::End).await
    }
}

/// Where the thread puts what it made.
struct Sink {
    sender: mpsc::Sender<Told>,
    limits: Limits,
    cut: Cut,
}

impl Sink {
    async fn hand_over(&self, bytes: Vec<u8>) -> Result<(), Stop> {
        let mut bytes = Bytes::from(bytes);
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            self.tell(Told::Piece(piece)).await?;
        }
        Ok(())
    }

    async fn tell(&self, told: Told) -> Result<(), Stop> {
        match tokio::time::timeout(self.limits.stall, self.sender.send(told)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_gone)) => Err(Stop::Gone),
            Err(_elapsed) => {
                tracing::info!("a client took nothing of its export for too long; its connection is closed");
                self.cut.0.cancel();
                Err(Stop::Gone)
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of a conversion")]
fn unwritable(error: io::Error) -> Stop {
    tracing::error!(%error, "an export could not be written");
    Stop::Broken(ErrorCode::Internal.into())
}

/// The body as the connection takes it. Without an end it breaks.
fn body(told: mpsc::Receiver<Told>) -> Body {
    let pieces = stream::unfold(Some(told), |told| async {
        let mut told = told?;
        loop {
            match told.recv().await {
                Some(Told::Begun) => {}
                Some(Told::Piece(piece)) => return Some((Ok(piece), Some(told))),
                Some(Told::End) => return None,
                Some(Told::Broken(_)) | None => {
                    return Some((Err(io::Error::other("the export was broken off")), None));
                }
            }
        }
    });
    Body::from_stream(pieces)
}

/// What is written, compressed or not.
struct Output {
    encoder: Encoder,
    plain: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Output {
    fn new(format: Format, coding: Coding) -> io::Result<Self> {
        let encoder = Encoder::new(format);
        let gzip = match coding {
            Coding::Plain => None,
            Coding::Gzip => Some(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
        };
        let plain = encoder.head().as_bytes().to_vec();
        let mut output = Self { encoder, plain, gzip };
        output.compress()?;
        Ok(output)
    }

    /// Moves what is plain into the compressor, if there is one.
    fn compress(&mut self) -> io::Result<()> {
        if let Some(gzip) = &mut self.gzip {
            gzip.write_all(&self.plain)?;
            self.plain.clear();
        }
        Ok(())
    }

    fn fixes(&mut self, fixes: &[Arc<Fix>]) -> io::Result<()> {
        self.encoder.fixes(fixes, &mut self.plain)?;
        self.compress()
    }

    /// How much could be taken, bytes.
    fn len(&self) -> usize {
        self.gzip.as_ref().map_or(self.plain.len(), |gzip| gzip.get_ref().len())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.gzip.as_mut().map_or(&mut self.plain, GzEncoder::get_mut))
    }

    /// All that was written, so that it can be read.
    fn flush(&mut self) -> io::Result<Vec<u8>> {
        if let Some(gzip) = &mut self.gzip {
            gzip.flush()?;
        }
        Ok(self.take())
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.plain.extend_from_slice(self.encoder.tail().as_bytes());
        self.compress()?;
        match self.gzip {
            Some(gzip) => gzip.finish(),
            None => Ok(self.plain),
        }
    }
}
