//! Streams that take a few bytes at a time, or none: what comes out is what was queued.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Takes a random number of bytes, or none for now. It shows what it took only when it is flushed. There is nothing to
/// read from it.
struct Sluggish {
    random: StdRng,
    gathers: Gathers,
    taken_bytes_max: usize,
    held: Vec<u8>,
    shown: Vec<u8>,
    write_count: usize,
}

/// Who makes one write of several frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathers {
    Stream,
    Socket,
}

impl Sluggish {
    fn new(seed: u64, gathers: Gathers, taken_bytes_max: usize) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { random, gathers, taken_bytes_max, held: vec![], shown: vec![], write_count: 0 }
    }

    fn is_busy(&mut self, context: &mut Context<'_>) -> bool {
        let is_busy = self.random.random_bool(0.3);
        if is_busy {
            context.waker().wake_by_ref();
        }
        is_busy
    }
}

impl AsyncWrite for Sluggish {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.is_write_vectored() || slices.len() == 1);
        assert!(slices.len() <= SLICES_MAX && slices.iter().all(|slice| !slice.is_empty()));
        if self.is_busy(context) {
            return Poll::Pending;
        }
        let offered = slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
        let most = self.taken_bytes_max;
        let taken = self.random.random_range(1..=most).min(offered.len());
        self.held.extend_from_slice(&offered[..taken]);
        self.write_count += 1;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        self.gathers == Gathers::Stream
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_busy(context) {
            return Poll::Pending;
        }
        let held = std::mem::take(&mut self.held);
        self.shown.extend(held);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

impl AsyncRead for Sluggish {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn partial_writes_stay_intact() {
    let gathers = [Gathers::Stream, Gathers::Socket];
    let kinds = [30, 200, 3000, 30_000].into_iter().flat_map(|taken| gathers.map(|gathers| (taken, gathers)));
    for (seed, (taken_bytes_max, gathers)) in (0..40).zip(kinds.cycle()) {
        let mut random = StdRng::seed_from_u64(seed);
        let stream = Sluggish::new(seed, gathers, taken_bytes_max);
        let mut socket = Socket::new(stream, Bytes::new(), LIMITS);
        let mut expected = Vec::new();
        for _ in 0..5 {
            for _ in 0..random.random_range(1..150) {
                let length = if random.random_bool(0.01) { 20_000 } else { random.random_range(0..30) };
                let frame = frame::binary(&vec![random.random(); length]);
                expected.extend_from_slice(&frame);
                socket.queue(frame);
            }
            // Sometimes the waiting is given up on the way.
            let is_flushed = match random.random_range(0..2) {
                0 => poll_once(socket.next(Reading::Active)).await.is_ready(),
                _ => socket.next(Reading::Active).await.is_ok(),
            };
            if is_flushed {
                assert_eq!(socket.queued_bytes(), 0);
                assert!(socket.stream.shown == expected, "seed {seed}");
            }
            let written_bytes = socket.stream.held.len() + socket.stream.shown.len();
            assert_eq!(written_bytes + socket.queued_bytes(), expected.len());
        }
    }
}

#[tokio::test]
async fn small_frames_share_a_write() {
    for gathers in [Gathers::Stream, Gathers::Socket] {
        // It takes whatever is offered: a smaller random number is next to impossible.
        let stream = Sluggish::new(1, gathers, usize::MAX);
        let mut socket = Socket::new(stream, Bytes::new(), LIMITS);
        for _ in 0..SLICES_MAX {
            socket.queue(frame::text("small"));
        }
        assert_eq!(socket.next(Reading::Active).await.unwrap(), Event::Flushed);
        assert_eq!(socket.stream.write_count, 1);
    }
}
