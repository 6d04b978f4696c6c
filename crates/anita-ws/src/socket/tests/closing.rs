//! The closing handshake, with clients that take part in it and clients that do not.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::*;

const WAIT_MAX: Duration = Duration::from_secs(3);

/// Where time does not stand still, and the client sends much first.
const PATIENCE: Duration = Duration::from_secs(60);

async fn tcp() -> (Socket<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _address) = listener.accept().await.unwrap();
    (Socket::new(server, Bytes::new(), LIMITS), client)
}

async fn heard_until_the_end(client: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    heard
}

#[tokio::test(start_paused = true)]
async fn the_client_answers_and_the_end_is_clean() {
    for (queued, expected) in [
        (Close::Now, frame::close(4401, "bye").to_vec()),
        (Close::AfterFlush, [frame::text("queued"), frame::close(4401, "bye")].concat()),
    ] {
        let (mut socket, mut client) = connected(4);
        socket.queue(frame::text("queued"));
        let answer = async {
            let mut heard = vec![0; expected.len()];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, expected);
            // Data before the answer is discarded.
            client.write_all(&whole(Opcode::Binary, &[0; 3000])).await.unwrap();
            client.write_all(&whole(Opcode::Close, b"\x11\x31")).await.unwrap();
            assert_eq!(heard_until_the_end(&mut client).await, b"");
            drop(client);
        };
        let (closed, ()) = tokio::join!(socket.close(4401, "bye", queued, WAIT_MAX), answer);
        assert_eq!(closed, Closed::Clean);
    }
}

#[tokio::test(start_paused = true)]
async fn the_clients_close_is_answered() {
    let (mut socket, mut client) = connected(100);
    client.write_all(&whole(Opcode::Close, b"\x03\xe8")).await.unwrap();
    assert!(matches!(next_message(&mut socket).await, Message::Close(Some(_))));
    let (closed, heard) = tokio::join!(socket.close(1000, "", Close::Now, WAIT_MAX), async {
        let heard = heard_until_the_end(&mut client).await;
        drop(client);
        heard
    });
    assert_eq!((closed, heard), (Closed::Clean, frame::close(1000, "").to_vec()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_and_the_end_in_one_read_are_clean() {
    let (socket, mut client) = connected(100);
    client.write_all(&whole(Opcode::Close, b"")).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(socket.close(1001, "", Close::Now, WAIT_MAX).await, Closed::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_waited_for_no_longer_than_said() {
    let (socket, mut client) = connected(100);
    let start = Instant::now();
    assert_eq!(socket.close(1001, "", Close::Now, WAIT_MAX).await, Closed::Unanswered);
    assert!((WAIT_MAX..WAIT_MAX * 2).contains(&start.elapsed()));
    assert_eq!(heard_until_the_end(&mut client).await, frame::close(1001, ""));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_without_end_does_not_hold_the_server() {
    let (socket, client) = connected(100_000);
    let (_client_reads, mut client_writes) = tokio::io::split(client);
    let flood = async {
        let frame = whole(Opcode::Text, &[b'x'; 10_000]);
        while client_writes.write_all(&frame).await.is_ok() {
            tokio::time::sleep(Duration::from_micros(1)).await;
        }
    };
    let (closed, ()) = tokio::join!(socket.close(1001, "", Close::Now, Duration::from_millis(50)), flood);
    assert_eq!(closed, Closed::Unanswered);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_told() {
    let (mut socket, _client) = connected(3);
    socket.queue(frame::text("queued"));
    assert_eq!(socket.close(1013, "", Close::AfterFlush, WAIT_MAX).await, Closed::Unsent);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_was_begun_is_finished() {
    let (mut socket, mut client) = connected(3);
    socket.queue(frame::text("begun"));
    socket.queue(frame::text("dropped"));
    assert!(is_waiting(socket.next(Reading::Active)).await);
    let (closed, heard) =
        tokio::join!(socket.close(1000, "", Close::Now, WAIT_MAX), heard_until_the_end(&mut client));
    assert_eq!(heard, [frame::text("begun"), frame::close(1000, "")].concat());
    assert_eq!(closed, Closed::Unanswered);
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_that_was_queued_is_the_only_one() {
    let (mut socket, mut client) = connected(100);
    socket.queue(frame::close(4000, "mine"));
    socket.queue(frame::text("late"));
    assert_eq!(socket.next(Reading::Active).await.unwrap(), Event::Flushed);
    socket.close(1000, "", Close::Now, WAIT_MAX).await;
    assert_eq!(heard_until_the_end(&mut client).await, frame::close(4000, "mine"));
}

/// A server that closes a TCP connection with unread input resets it, and the reset overtakes the close frame.
#[tokio::test]
async fn a_client_that_violated_the_protocol_sees_the_close_frame_and_no_reset() {
    let (mut socket, mut client) = tcp().await;
    let (mut client_reads, mut client_writes) = client.split();
    let server = async {
        let error = socket.next(Reading::Active).await.unwrap_err();
        let SocketError::Violation(violation) = error else { panic!("{error}") };
        socket.close(violation.close_code(), &violation.to_string(), Close::Now, PATIENCE).await
    };
    let says = async {
        client_writes.write_all(&[0x81, 0x05]).await.unwrap();
        for _ in 0..100 {
            client_writes.write_all(&[0; 10_000]).await.unwrap();
        }
        client_writes.shutdown().await.unwrap();
    };
    let (closed, (), heard) = tokio::join!(server, says, heard_until_the_end(&mut client_reads));
    assert_eq!(heard, frame::close(1002, "the frame is not masked"));
    assert_eq!(closed, Closed::Unanswered);
}

#[tokio::test]
async fn a_message_that_is_too_big_is_refused_while_it_is_being_sent() {
    let (mut socket, mut client) = tcp().await;
    let (mut client_reads, mut client_writes) = client.split();
    let server = async {
        let error = socket.next(Reading::Active).await.unwrap_err();
        assert!(matches!(error, SocketError::Violation(Violation::MessageTooBig { .. })));
        socket.close(1009, "", Close::Now, PATIENCE).await
    };
    let says = async {
        client_writes.write_all(&whole(Opcode::Binary, &vec![0; 5_000_000])).await.unwrap();
        client_writes.shutdown().await.unwrap();
    };
    let (_closed, (), heard) = tokio::join!(server, says, heard_until_the_end(&mut client_reads));
    assert_eq!(heard, frame::close(1009, ""));
}
