//! Frames that are written from outside the task of the socket.

use std::collections::VecDeque;
use std::task::Waker;

use parking_lot::Mutex;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::coop::unconstrained;

use super::*;

/// What a stream does with one write or flush.
#[derive(Debug, Clone, Copy)]
enum Step {
    Take(usize),
    Block,
    Fail,
}

use Step::{Block, Fail, Take};

/// Does what its script says, and everything when that is over. Nothing comes from it.
#[derive(Default)]
struct Scripted {
    writes: VecDeque<Step>,
    flushes: VecDeque<Step>,
    is_full: bool,
    is_vectored: bool,
    written: Vec<u8>,
    write_count: usize,
    waiting: Option<Waker>,
}

impl Scripted {
    fn step(&mut self, step: Option<Step>, context: &Context<'_>) -> Poll<io::Result<usize>> {
        match step {
            Some(Take(bytes)) => Poll::Ready(Ok(bytes)),
            Some(Block) => {
                self.waiting = Some(context.waker().clone());
                Poll::Pending
            }
            Some(Fail) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => Poll::Ready(Ok(usize::MAX)),
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.is_vectored || slices.len() == 1);
        assert!(slices.len() <= SLICES_MAX && slices.iter().all(|slice| !slice.is_empty()));
        self.write_count += 1;
        let step = self.writes.pop_front();
        let bytes_max = ready!(self.step(step, context))?;
        let offered = slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
        let taken = offered.len().min(bytes_max);
        self.written.extend_from_slice(&offered[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        self.is_vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = self.flushes.pop_front();
        self.step(step, context).map_ok(|_| ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Scripted {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Transport for Scripted {
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = self.is_full.then_some(Block);
        self.step(step, context).map_ok(|_| ())
    }
}

/// Who makes one write of several frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathers {
    Stream,
    Socket,
}

use Gathers::{Socket as BySocket, Stream as ByStream};

fn scripted(writes: &[Step], gathers: Gathers) -> Socket<Scripted> {
    let writes = writes.iter().copied().collect();
    let stream = Scripted { writes, is_vectored: gathers == ByStream, ..Scripted::default() };
    Socket::new(stream, Bytes::new(), LIMITS)
}

fn frames() -> [Bytes; 3] {
    [frame::text("one"), frame::text("three"), frame::text("seven")]
}

#[tokio::test]
async fn frames_that_are_taken_at_once_leave_nothing_behind() {
    for (gathers, steps, write_count) in [
        (ByStream, &[][..], 1),
        (BySocket, &[], 1),
        (ByStream, &[Take(5), Take(1), Take(3)], 4),
        (BySocket, &[Take(1)], 2),
    ] {
        let mut socket = scripted(steps, gathers);
        assert_eq!(socket.offer(&frames()).unwrap(), Offered::Written);
        assert_eq!(socket.stream.written, frames().concat());
        assert_eq!(socket.stream.write_count, write_count);
        assert_eq!(socket.offer(&[]).unwrap(), Offered::Written);
        assert_eq!(socket.offer(&[Bytes::new()]).unwrap(), Offered::Written);
        assert_eq!((socket.stream.write_count, socket.queued_bytes()), (write_count, 0));
        // Nothing was queued, so that nothing is announced.
        assert!(is_waiting(socket.next(Reading::Active)).await);
        let one = [Bytes::new(), frame::text("one"), Bytes::new()];
        assert_eq!(socket.offer(&one).unwrap(), Offered::Written);
        assert_eq!(socket.stream.write_count, write_count + 1);
    }
}

#[tokio::test]
async fn the_rest_of_what_was_begun_is_shared_and_finished_by_the_owner() {
    let whole = frames().concat();
    for gathers in [ByStream, BySocket] {
        for taken_bytes in 1..whole.len() {
            let mut socket = scripted(&[Take(taken_bytes), Block], gathers);
            let frames = frames();
            assert_eq!(socket.offer(&frames).unwrap(), Offered::Begun);
            assert_eq!(socket.queued_bytes(), whole.len() - taken_bytes);
            let left = socket.outgoing.gather(usize::MAX);
            assert_eq!([&socket.stream.written[..], &left].concat(), whole);
            let mut slots = [IoSlice::new(&[]); 3];
            let slot_count = socket.outgoing.fill(&mut slots);
            for slot in &slots[..slot_count] {
                assert!(frames.iter().any(|frame| frame.as_ptr_range().contains(&slot.as_ptr())));
            }
            assert_eq!(socket.offer(&frames).unwrap(), Offered::Busy);
            // A pong does not come between the two halves of a frame.
            socket.outgoing.set_pong(frame::pong(b""));
            assert_eq!(socket.next(Reading::Paused).await.unwrap(), Event::Flushed);
            assert!(is_waiting(socket.next(Reading::Paused)).await);
            let without_pong = String::from_utf8_lossy(&socket.stream.written).replace("\u{fffd}\0", "");
            assert_eq!(without_pong, String::from_utf8_lossy(&whole));
            assert_eq!(socket.offer(&frames).unwrap(), Offered::Written);
        }
    }
}

#[tokio::test]
async fn a_stream_without_room_keeps_nothing_and_its_owner_hears_of_room() {
    let mut socket = scripted(&[Block], ByStream);
    socket.stream.is_full = true;
    assert_eq!(socket.offer(&frames()).unwrap(), Offered::Blocked);
    assert_eq!(socket.queued_bytes(), 0);
    assert!(is_waiting(socket.next(Reading::Paused)).await);
    // The owner waits for room now, and its waker is not taken away from it.
    let owner = socket.stream.waiting.clone().unwrap();
    assert_eq!(socket.offer(&frames()).unwrap(), Offered::Busy);
    assert!(owner.will_wake(socket.stream.waiting.as_ref().unwrap()));
    assert_eq!(socket.stream.write_count, 1);
    assert!(is_waiting(socket.next(Reading::Active)).await);
    socket.stream.is_full = false;
    assert_eq!(socket.next(Reading::Active).await.unwrap(), Event::Flushed);
    assert!(is_waiting(socket.next(Reading::Active)).await);
    assert_eq!(socket.offer(&frames()).unwrap(), Offered::Written);
}

#[tokio::test]
async fn a_flush_that_does_not_end_is_finished_by_the_owner() {
    let mut socket = scripted(&[], BySocket);
    socket.stream.flushes = [Block, Block].into();
    let frames = [frame::binary(&vec![1; 20_000]), frame::text("last")];
    assert_eq!(socket.offer(&frames).unwrap(), Offered::Begun);
    // One write, and the rest is not poured after it.
    assert_eq!(socket.stream.written.len(), GATHERED_BYTES_MAX);
    assert_eq!(socket.offer(&frames).unwrap(), Offered::Busy);
    assert!(is_waiting(socket.next(Reading::Paused)).await);
    assert_eq!(socket.next(Reading::Paused).await.unwrap(), Event::Flushed);
    assert_eq!(socket.stream.written, frames.concat());

    socket.stream.flushes = [Block].into();
    assert_eq!(socket.offer(&frames[1..]).unwrap(), Offered::Begun);
    assert_eq!(socket.queued_bytes(), 0);
    assert_eq!(socket.next(Reading::Paused).await.unwrap(), Event::Flushed);
}

#[tokio::test]
async fn what_waits_comes_first_and_the_owner_hears_of_its_end() {
    let mut socket = scripted(&[], ByStream);
    socket.queue(frame::text("queued"));
    assert_eq!(socket.offer(&frames()).unwrap(), Offered::Busy);
    assert!(socket.stream.written.is_empty());
    assert_eq!(socket.next(Reading::Paused).await.unwrap(), Event::Flushed);
    // A pong by itself is not announced, but somebody asked.
    socket.outgoing.set_pong(frame::pong(b""));
    assert_eq!(socket.offer(&frames()).unwrap(), Offered::Busy);
    assert_eq!(socket.next(Reading::Paused).await.unwrap(), Event::Flushed);
    assert!(is_waiting(socket.next(Reading::Paused)).await);
    // Also when the close frame is written already.
    socket.queue(frame::close(1000, ""));
    assert_eq!(socket.next(Reading::Paused).await.unwrap(), Event::Flushed);
    assert_eq!(socket.offer(&frames()).unwrap(), Offered::Busy);
    assert_eq!(
        socket.stream.written,
        [frame::text("queued"), frame::pong(b""), frame::close(1000, "")].concat()
    );
}

#[tokio::test]
async fn a_failure_is_told_to_both() {
    let mut socket = scripted(&[Take(3), Fail], ByStream);
    assert_eq!(socket.offer(&frames()).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(socket.offer(&frames()).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let Err(SocketError::Io(error)) = socket.next(Reading::Paused).await else { panic!("it goes on") };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let mut socket = scripted(&[Take(0)], ByStream);
    assert_eq!(socket.offer(&frames()).unwrap_err().kind(), io::ErrorKind::WriteZero);
}

#[tokio::test]
async fn dropping_what_waits_leaves_the_frame_that_was_begun() {
    let mut socket = scripted(&[Take(7), Block], ByStream);
    assert_eq!(socket.offer(&frames()).unwrap(), Offered::Begun);
    socket.outgoing.clear();
    assert_eq!(socket.outgoing.gather(100), frames()[1][2..]);
}

/// The two ends of a TCP connection that holds little between them.
pub(super) async fn connected_by_tcp() -> (TcpStream, TcpStream) {
    let listener = TcpSocket::new_v4().unwrap();
    // What it accepts gets the same.
    listener.set_send_buffer_size(4096).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let client = TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(4096).unwrap();
    let client = client.connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    (accepted.unwrap().0, client.unwrap())
}

/// Says numbers, each of them once, from wherever there is a reason to.
struct Speaker<S> {
    socket: Mutex<Socket<S>>,
    next: Mutex<u32>,
}

const NUMBERS: u32 = 2000;

impl<S: Transport> Speaker<S> {
    /// Offers the next number in a frame of 1,002 bytes, and goes on to the one after it unless it was refused.
    fn offer(&self) -> Offered {
        let mut next = self.next.lock();
        let frame = frame::text(&format!("{:>998}", *next));
        let offered = self.socket.lock().offer(&[frame]).unwrap();
        if matches!(offered, Offered::Written | Offered::Begun) {
            *next += 1;
        }
        offered
    }

    fn has_more(&self) -> bool {
        *self.next.lock() < NUMBERS
    }

    async fn next(&self) -> Result<Event, SocketError> {
        poll_fn(|context| self.socket.lock().poll_next(context, Reading::Active)).await
    }
}

/// Offers all numbers from a loop of its own and from the owner's task, to a client that reads with breaks.
pub(super) async fn speak_and_hear<S: Transport>(server: S, mut client: impl AsyncRead + Unpin) {
    let speaker =
        Speaker { socket: Mutex::new(Socket::new(server, Bytes::new(), LIMITS)), next: Mutex::new(0) };
    let woken = tokio::sync::Notify::new();
    let mut counts = [0; 4];
    let fan_out = async {
        while speaker.has_more() {
            let offered = unconstrained(async { speaker.offer() }).await;
            counts[offered as usize] += 1;
            match offered {
                Offered::Written | Offered::Busy => {}
                Offered::Begun | Offered::Blocked => woken.notify_one(),
            }
            tokio::task::yield_now().await;
        }
    };
    let owner = async {
        loop {
            tokio::select! {
                event = speaker.next() => match event {
                    Ok(Event::Flushed) if speaker.has_more() => drop(speaker.offer()),
                    Ok(Event::Flushed | Event::Message(_)) => {}
                    Err(_) => break,
                },
                () = woken.notified() => {}
            }
        }
    };
    let hears = async {
        let mut heard = [0; 1002];
        for number in 0..NUMBERS {
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard[..], frame::text(&format!("{number:>998}")));
            if number % 100 == 0 {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            }
        }
        drop(client);
    };
    tokio::join!(fan_out, owner, hears);
    assert!(counts[Offered::Written as usize] > 0, "{counts:?}");
    assert!(counts[Offered::Begun as usize] + counts[Offered::Blocked as usize] > 0, "{counts:?}");
}

#[tokio::test]
async fn a_client_that_reads_slowly_hears_everything_once() {
    let (server, client) = connected_by_tcp().await;
    speak_and_hear(server, client).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_blocks_and_hears_what_is_new_when_it_does() {
    let (server, mut client) = connected_by_tcp().await;
    let mut socket = Socket::new(server, Bytes::new(), LIMITS);
    let frame = [frame::binary(&[7; 1000])];
    let mut taken_count = 0;
    let offered = loop {
        match socket.offer(&frame).unwrap() {
            Offered::Written => taken_count += 1,
            offered @ (Offered::Begun | Offered::Blocked | Offered::Busy) => break offered,
        }
    };
    assert!(taken_count > 0);
    // Also the half frame counts.
    taken_count += usize::from(offered == Offered::Begun);
    assert!(is_waiting(socket.next(Reading::Active)).await);
    assert_eq!(socket.offer(&frame).unwrap(), Offered::Busy);
    assert!(socket.queued_bytes() < frame[0].len());
    let mut heard = vec![0; taken_count * frame[0].len()];
    let (event, _) = tokio::join!(socket.next(Reading::Active), client.read_exact(&mut heard));
    assert_eq!(event.unwrap(), Event::Flushed);
    assert_eq!(heard, frame[0].repeat(taken_count));
    assert_eq!(socket.offer(&frame).unwrap(), Offered::Written);
}
