//! A client that says any bytes, and the servers it says them to.

use std::io;
use std::time::Duration;

use anita_ws::{Agreed, Compression, Decoder, Handshake, Limits, Message, Socket, Violation};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::echo;

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// The bits of a frame's first byte.
pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;

const KEY: [u8; 4] = [0x9c, 0x00, 0xff, 0x63];

/// Nothing here takes as long, unless it takes for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// The three ways to write a length (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Short,
    Long,
    Longest,
}

/// The shortest form of a length.
pub(crate) fn minimal(payload_bytes: u64) -> Form {
    match payload_bytes {
        0..=125 => Form::Short,
        126..=0xffff => Form::Long,
        _ => Form::Longest,
    }
}

/// The header of a masked frame.
pub(crate) fn header(first: u8, form: Form, payload_bytes: u64, key: [u8; 4]) -> Vec<u8> {
    let length = payload_bytes.to_be_bytes();
    let mut header = vec![first];
    match form {
        Form::Short => header.push(0x80 | length[7]),
        Form::Long => header.extend([&[0xfe][..], &length[6..]].concat()),
        Form::Longest => header.extend([&[0xff][..], &length].concat()),
    }
    header.extend(key);
    header
}

/// A masked frame with this first byte.
pub(crate) fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, minimal(payload.len() as u64), payload.len() as u64, KEY);
    let keys = KEY.repeat(4);
    // Sixteen at a time: some payloads are large.
    let (words, rest) = payload.as_chunks::<16>();
    let key_word = u128::from_ne_bytes(*keys.first_chunk().unwrap());
    for word in words {
        frame.extend_from_slice(&(u128::from_ne_bytes(*word) ^ key_word).to_ne_bytes());
    }
    frame.extend(rest.iter().zip(&keys).map(|(byte, key)| byte ^ key));
    frame
}

/// The last or only frame of a message, or a control frame.
pub(crate) fn whole(opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw(FIN | opcode, payload)
}

/// A frame after which its message goes on.
pub(crate) fn part(opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw(opcode, payload)
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason].concat()
}

/// A frame of the server: its first byte and its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Heard {
    pub(crate) fn of(opcode: u8, payload: &[u8]) -> Self {
        Self { first: FIN | opcode, payload: payload.to_vec() }
    }

    /// The code of a close frame.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk().filter(|_| self.first == FIN | CLOSE)?;
        Some(u16::from_be_bytes(*code))
    }
}

/// The next frame of the server: unmasked, its length in the shortest form. `None` at the end of the stream.
pub(crate) async fn hear(client: &mut (impl AsyncRead + Unpin)) -> Option<Heard> {
    timeout(PATIENCE, read_frame(client)).await.expect("the server says nothing").ok()
}

async fn read_frame(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Heard> {
    let first = client.read_u8().await?;
    let (form, payload_bytes) = match client.read_u8().await? {
        short @ 0..=125 => (Form::Short, u64::from(short)),
        126 => (Form::Long, u64::from(client.read_u16().await?)),
        127 => (Form::Longest, client.read_u64().await?),
        masked => panic!("the server masks: {masked:x}"),
    };
    assert_eq!(form, minimal(payload_bytes), "the length of the server is in its shortest form");
    let mut payload = vec![0; usize::try_from(payload_bytes).unwrap()];
    client.read_exact(&mut payload).await?;
    Ok(Heard { first, payload })
}

/// All frames up to the end of the stream.
pub(crate) async fn hear_all(client: &mut (impl AsyncRead + Unpin)) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Some(frame) = hear(client).await {
        heard.push(frame);
    }
    heard
}

/// Says bytes in a write of their own. The server may have hung up: what it heard until then is what matters.
pub(crate) async fn say(client: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    drop(client.write_all(bytes).await);
    drop(client.flush().await);
}

/// What is agreed on with a client that offers nothing special.
pub(crate) fn agreed_plainly() -> Agreed {
    agreed_on("permessage-deflate").expect("the plain offer is taken").0
}

/// What the server makes of an offer, and how it confirms it.
pub(crate) fn agreed_on(offer: &str) -> Option<(Agreed, String)> {
    let request = http::Request::get("/")
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-extensions", offer);
    let mut handshake = Handshake::from_request(&request.body(()).unwrap()).unwrap();
    let agreed = handshake.negotiate(Compression::DEFLATE);
    let response = handshake.response(None);
    let confirmed = response.headers().get("sec-websocket-extensions");
    assert_eq!(agreed.is_some(), confirmed.is_some());
    Some((agreed?, confirmed?.to_str().unwrap().to_owned()))
}

/// The example `echo` at the other end of a stream in memory, after its handshake.
pub(crate) fn echo_in_memory(limits: Limits, agreed: Option<Agreed>) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(1 << 20);
    let mut socket = Socket::new(server, Bytes::new(), limits);
    if agreed.is_some() {
        socket.accept_compressed();
    }
    (client, tokio::spawn(echo::converse(socket, agreed)))
}

/// What the example `echo` answers to bytes that are said at once, up to its end of the stream.
pub(crate) async fn echoed(limits: Limits, agreed: Option<Agreed>, bytes: &[u8]) -> Vec<Heard> {
    let (mut client, server) = echo_in_memory(limits, agreed);
    let (mut reads, mut writes) = tokio::io::split(&mut client);
    let says = async {
        say(&mut writes, bytes).await;
        drop(writes.shutdown().await);
    };
    let ((), heard) = tokio::join!(says, hear_all(&mut reads));
    server.await.unwrap();
    heard
}

/// The example `echo` on a port of its own.
pub(crate) async fn echo_over_tcp(limits: Limits) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(echo::accept(listener, limits));
    address
}

/// The lines of a good upgrade request, without the empty one at its end.
pub(crate) const REQUEST: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A client of the example `echo` that has shaken hands.
pub(crate) async fn connected(address: std::net::SocketAddr, offer: Option<&str>) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.set_nodelay(true).unwrap();
    let mut lines: Vec<String> = REQUEST.map(str::to_owned).to_vec();
    lines.extend(offer.map(|offer| format!("Sec-WebSocket-Extensions: {offer}")));
    say(&mut client, format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

/// The head of an HTTP response, byte by byte: what follows it belongs to somebody else.
pub(crate) async fn read_head(client: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            match client.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_end) => break,
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the server does not answer");
    String::from_utf8(head).unwrap()
}

/// What a decoder makes of pieces of input: messages, then perhaps a violation.
pub(crate) fn decode<'a>(
    decoder: &mut Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Message>, Option<Violation>) {
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.buffer_mut().extend_from_slice(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
    }
    (messages, None)
}
