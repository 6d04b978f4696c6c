//! The socket against an independent client, against streams that are slow, and against clients that misbehave.

mod against_tungstenite;
mod closing;
mod offering;
mod slow_streams;
mod tls;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::Opcode;
use crate::client_frame::whole;

const LIMITS: Limits = Limits { message_bytes_max: 200_000, fragment_count_max: 100, queue_bytes_max: 1000 };

/// A socket and the raw other end of its stream, with so many bytes between them.
fn connected(buffer_bytes: usize) -> (Socket<DuplexStream>, DuplexStream) {
    let (server, client) = duplex(buffer_bytes);
    (Socket::new(server, Bytes::new(), LIMITS), client)
}

async fn next_message<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>) -> Message {
    loop {
        if let Event::Message(message) = socket.next(Reading::Active).await.unwrap() {
            return message;
        }
    }
}

/// Polls once, and then gives up.
async fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

async fn is_waiting(future: impl Future) -> bool {
    poll_once(future).await.is_pending()
}

#[tokio::test]
async fn bytes_that_came_with_the_request_come_first() {
    let (server, mut client) = duplex(100);
    let frames = [whole(Opcode::Text, b"one"), whole(Opcode::Text, b"two")].concat();
    let (early, late) = frames.split_at(12);
    let mut socket = Socket::new(server, Bytes::copy_from_slice(early), LIMITS);
    assert_eq!(next_message(&mut socket).await, Message::Text("one".into()));
    client.write_all(late).await.unwrap();
    assert_eq!(next_message(&mut socket).await, Message::Text("two".into()));
}

#[tokio::test]
async fn flushed_comes_once_when_the_queue_has_become_empty() {
    let (mut socket, mut client) = connected(5);
    assert!(is_waiting(socket.next(Reading::Active)).await);
    socket.queue(frame::text("one"));
    socket.queue(frame::text("two"));
    assert!(is_waiting(socket.next(Reading::Paused)).await);
    assert_eq!(socket.queued_bytes(), 5);
    let mut heard = [0; 5];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(socket.next(Reading::Paused).await.unwrap(), Event::Flushed);
    assert!(is_waiting(socket.next(Reading::Active)).await);
    assert_eq!(socket.queued_bytes(), 0);
}

#[tokio::test]
async fn there_is_room_below_the_limit_of_the_queue() {
    let (mut socket, _client) = connected(1);
    socket.queue(Bytes::from(vec![0; 999]));
    assert!(socket.has_room());
    socket.queue(Bytes::from_static(b"x"));
    assert!(!socket.has_room());
}

#[tokio::test]
async fn a_paused_socket_reads_nothing() {
    let (mut socket, mut client) = connected(100);
    client.write_all(&whole(Opcode::Text, b"held back")).await.unwrap();
    assert!(is_waiting(socket.next(Reading::Paused)).await);
    assert_eq!(next_message(&mut socket).await, Message::Text("held back".into()));
}

#[tokio::test]
async fn each_ping_is_answered_and_told() {
    let (mut socket, mut client) = connected(1000);
    let pings: Vec<_> = (0_u8..9).flat_map(|number| whole(Opcode::Ping, &[number])).collect();
    client.write_all(&pings).await.unwrap();
    for number in 0..9 {
        assert_eq!(next_message(&mut socket).await, Message::Ping(vec![number].into()));
    }
    // Pongs are nobody's queued frames, so they are not announced.
    assert!(is_waiting(socket.next(Reading::Active)).await);
    for number in 0..9 {
        let mut pong = [0; 3];
        client.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong, [0x8a, 1, number]);
    }
}

#[tokio::test]
async fn a_flood_of_pings_leaves_one_pong_waiting() {
    // The stream takes half of the first pong, and no more until the client reads.
    let (server, client) = duplex(64);
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    let mut socket = Socket::new(server, Bytes::new(), LIMITS);
    let flood = async {
        for number in 0_u8..=255 {
            client_writes.write_all(&whole(Opcode::Ping, &[number; 125])).await.unwrap();
        }
    };
    let server = async {
        for _ in 0..=255 {
            assert!(matches!(next_message(&mut socket).await, Message::Ping(_)));
            assert!(socket.queued_bytes() <= 2 * 127, "{}", socket.queued_bytes());
        }
    };
    tokio::join!(flood, server);
    let read = async {
        let mut pongs = [0; 2 * 127];
        client_reads.read_exact(&mut pongs).await.unwrap();
        pongs
    };
    let pongs = tokio::select! {
        pongs = read => pongs,
        _ = socket.next(Reading::Active) => unreachable!("nothing more is sent"),
    };
    assert_eq!(pongs[..127], frame::pong(&[0; 125]));
    assert_eq!(pongs[127..], frame::pong(&[255; 125]));
}

#[tokio::test]
async fn a_gone_peer_and_a_violation_are_told_again() {
    let (mut socket, client) = connected(100);
    drop(client);
    for _ in 0..2 {
        assert!(matches!(socket.next(Reading::Active).await, Err(SocketError::Gone)));
    }
    let (mut socket, mut client) = connected(100);
    client.write_all(&whole(Opcode::Text, b"\xff")).await.unwrap();
    for _ in 0..2 {
        let error = socket.next(Reading::Active).await.unwrap_err();
        assert!(matches!(error, SocketError::Violation(Violation::NotUtf8)));
    }
}

#[tokio::test]
async fn compressed_frames_are_heard_and_sent_where_that_was_agreed() {
    let (mut socket, mut client) = connected(1000);
    let mut hello = whole(Opcode::Text, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    hello[0] |= 0x40;
    client.write_all(&hello).await.unwrap();
    socket.accept_compressed();
    assert_eq!(next_message(&mut socket).await, Message::Text("Hello".into()));
    let frame = frame::deflated(&frame::text(&"x".repeat(9000)), &mut crate::Deflater::new(15));
    socket.queue(frame.clone());
    assert_eq!(socket.next(Reading::Active).await.unwrap(), Event::Flushed);
    let mut heard = vec![0; frame.len()];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!((heard[0], heard.len() < 100), (0xc1, true));
}

#[tokio::test]
async fn an_idle_socket_owns_no_buffer() {
    let (mut socket, mut client) = connected(300_000);
    client.write_all(&whole(Opcode::Binary, &vec![1; 150_000])).await.unwrap();
    let Message::Binary(payload) = next_message(&mut socket).await else { panic!("no binary message") };
    assert!(payload.iter().all(|byte| *byte == 1) && payload.len() == 150_000);
    assert!(is_waiting(socket.next(Reading::Active)).await);
    assert_eq!(socket.decoder.held_bytes(), 0);
    assert!(size_of::<Socket<DuplexStream>>() < 512, "{}", size_of::<Socket<DuplexStream>>());
}

#[tokio::test]
async fn a_length_that_is_only_claimed_costs_nothing() {
    let (mut socket, mut client) = connected(300_000);
    client.write_all(&whole(Opcode::Binary, &vec![1; 150_000])[..20_000]).await.unwrap();
    assert!(is_waiting(socket.next(Reading::Active)).await);
    assert!(socket.decoder.held_bytes() < 4 * 20_000, "{}", socket.decoder.held_bytes());
}
