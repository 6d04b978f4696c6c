//! Conversations with tungstenite, which shares no code with this crate.

use std::time::Duration;

use futures_util::{SinkExt, Stream, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

use super::*;

/// Something to say, and how many fragments to say it in.
fn random_message(random: &mut StdRng) -> (tungstenite::Message, usize) {
    let length = match random.random_range(0..4) {
        0 => random.random_range(0..4),
        1 => random.random_range(120..132),
        2 => random.random_range(0..3000),
        _ => random.random_range(65_000..66_000),
    };
    let fragment_count = random.random_range(1..5);
    if random.random_bool(0.5) {
        let text: String =
            (0..length / 2).map(|_| if random.random_bool(0.1) { '😀' } else { 'x' }).collect();
        (tungstenite::Message::text(text), fragment_count)
    } else {
        let bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
        (tungstenite::Message::binary(bytes), fragment_count)
    }
}

/// The message as frames of its own, cut anywhere.
fn fragments(message: &tungstenite::Message, count: usize) -> Vec<tungstenite::Message> {
    let data = message.clone().into_data();
    let piece_bytes = data.len() / count + 1;
    (0..count)
        .map(|index| {
            let start = (index * piece_bytes).min(data.len());
            let end = (start + piece_bytes).min(data.len());
            let kind = match (index, message.is_text()) {
                (0, true) => Data::Text,
                (0, false) => Data::Binary,
                (_, _) => Data::Continue,
            };
            let frame = Frame::message(data.slice(start..end), OpCode::Data(kind), index + 1 == count);
            tungstenite::Message::Frame(frame)
        })
        .collect()
}

async fn next_but_pongs<T>(client: &mut T) -> tungstenite::Message
where
    T: Stream<Item = Result<tungstenite::Message, tungstenite::Error>> + Unpin,
{
    loop {
        let message = client.next().await.unwrap().unwrap();
        if !message.is_pong() {
            return message;
        }
        assert_eq!(message.into_data()[..], [1, 2, 3]);
    }
}

/// Says messages, with pings among them, and expects each of them back.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, seed: u64, message_count: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut script: Vec<_> = (0..message_count).map(|_| random_message(&mut random)).collect();
    let expected: Vec<_> = script.iter().map(|(message, _)| message.clone()).collect();
    let client = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let (mut sink, mut source) = client.split();
    let say = async {
        for (message, fragment_count) in script.drain(..) {
            for frame in fragments(&message, fragment_count) {
                sink.feed(frame).await.unwrap();
                if random.random_bool(0.3) {
                    sink.feed(tungstenite::Message::Ping(vec![1, 2, 3].into())).await.unwrap();
                }
            }
            if random.random_bool(0.3) {
                sink.flush().await.unwrap();
            }
        }
        sink.flush().await.unwrap();
    };
    let hear = async {
        for (index, expected) in expected.iter().enumerate() {
            let heard = next_but_pongs(&mut source).await;
            assert!(&heard == expected, "seed {seed}, message {index}: {} bytes", heard.len());
        }
    };
    tokio::join!(say, hear);
    let mut client = sink.reunite(source).unwrap();
    let asked = CloseFrame { code: 4000.into(), reason: "ende".into() };
    client.send(tungstenite::Message::Close(Some(asked.clone()))).await.unwrap();
    assert_eq!(next_but_pongs(&mut client).await, tungstenite::Message::Close(Some(asked)));
    assert!(client.next().await.is_none());
}

/// Lets others run so many times, or for ever.
async fn turns(count: Option<usize>) {
    let Some(count) = count else { return std::future::pending().await };
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// Says everything again. With a random generator, each waiting is given up and begun again after a few turns.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S, mut impatience: Option<StdRng>) -> Closed {
    let mut socket = Socket::new(stream, Bytes::new(), LIMITS);
    let mut given_up_count = 0;
    loop {
        let reading = if socket.has_room() { Reading::Active } else { Reading::Paused };
        let turn_count = impatience.as_mut().map(|random| random.random_range(0..4));
        let event = tokio::select! {
            event = socket.next(reading) => event.unwrap(),
            () = turns(turn_count) => {
                given_up_count += 1;
                continue;
            }
        };
        match event {
            Event::Message(Message::Text(text)) => socket.queue(frame::text(&text)),
            Event::Message(Message::Binary(payload)) => socket.queue(frame::binary(&payload)),
            Event::Message(Message::Ping(_) | Message::Pong(_)) | Event::Flushed => {}
            Event::Message(Message::Close(asked)) => {
                let asked = asked.unwrap();
                assert_eq!(given_up_count > 100, impatience.is_some(), "given up {given_up_count} times");
                return socket
                    .close(asked.code, &asked.reason, Close::AfterFlush, Duration::from_secs(9))
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn a_conversation_over_streams_of_any_size() {
    for (seed, buffer_bytes) in [(1, 1), (2, 7), (3, 100), (4, 5000), (5, 1_000_000)] {
        let (server, client) = duplex(buffer_bytes);
        let message_count = if buffer_bytes < 10 { 2 } else { 100 };
        let (closed, ()) = tokio::join!(echo(server, None), converse(client, seed, message_count));
        assert_eq!(closed, Closed::Clean);
    }
}

#[tokio::test]
async fn a_conversation_over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _address) = listener.accept().await.unwrap();
    let (closed, ()) = tokio::join!(echo(server, None), converse(client, 6, 200));
    assert_eq!(closed, Closed::Clean);
}

#[tokio::test]
async fn waiting_that_is_given_up_loses_and_doubles_nothing() {
    for (seed, buffer_bytes) in [(7, 1), (8, 13), (9, 10_000)] {
        let (server, client) = duplex(buffer_bytes);
        let message_count = if buffer_bytes < 100 { 4 } else { 100 };
        let impatience = Some(StdRng::seed_from_u64(seed));
        let (closed, ()) = tokio::join!(echo(server, impatience), converse(client, seed, message_count));
        assert_eq!(closed, Closed::Clean);
    }
}
