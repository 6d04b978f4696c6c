//! A client by hand: every byte it takes from the kernel is its own decision.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::house::PATIENCE;

/// A receive buffer that holds next to nothing; the kernel doubles it for its own needs.
const NARROW_BYTES: u32 = 4 * 1024;

/// As much as an ordinary client reads at once.
const READ_BYTES: usize = 64 * 1024;

/// With how much a client comes.
pub(crate) struct Dial {
    token: String,
    receive_bytes: Option<u32>,
    offers_compression: bool,
}

impl Dial {
    pub(crate) fn new(token: String) -> Self {
        Self { token, receive_bytes: None, offers_compression: false }
    }

    pub(crate) fn narrow(self) -> Self {
        Self { receive_bytes: Some(NARROW_BYTES), ..self }
    }

    pub(crate) fn offering_compression(self) -> Self {
        Self { offers_compression: true, ..self }
    }
}

/// One WebSocket.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// What was read and is not understood yet.
    buffer: Vec<u8>,
    /// Messages that came while an answer was waited for.
    aside: VecDeque<Value>,
    last_id: u64,
    /// What was taken from the kernel, bytes.
    pub(crate) read_bytes: usize,
    /// Reads that took something.
    pub(crate) reads: usize,
    /// The payload of the last message as it came over the wire, bytes.
    pub(crate) message_bytes: usize,
    /// Messages that came compressed.
    pub(crate) compressed: usize,
    pub(crate) is_compressed: bool,
}

impl Client {
    /// Connects and says who it is; the hello was heard.
    pub(crate) async fn connect(address: SocketAddr, dial: &Dial) -> Self {
        let mut client = Self::open(address, dial).await;
        assert_eq!(client.next().await["type"], "system.connection");
        client
    }

    async fn open(address: SocketAddr, dial: &Dial) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = dial.receive_bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let mut stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let extension = if dial.offers_compression {
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"
        } else {
            ""
        };
        let request = format!(
            "GET /ws HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             authorization: Bearer {}\r\n{extension}\r\n",
            dial.token
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut client = Self {
            stream,
            buffer: Vec::new(),
            aside: VecDeque::new(),
            last_id: 0,
            read_bytes: 0,
            reads: 0,
            message_bytes: 0,
            compressed: 0,
            is_compressed: false,
        };
        let end = loop {
            if let Some(at) = client.buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(client.fill(READ_BYTES).await > 0, "gone before the handshake was answered");
        };
        let head = String::from_utf8(client.buffer.drain(..end).collect()).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client.is_compressed = head.to_ascii_lowercase().contains("permessage-deflate");
        client
    }

    // --- saying

    /// Sends a request; returns its id.
    pub(crate) async fn send(&mut self, kind: &str, payload: &Value) -> u64 {
        self.last_id += 1;
        let text = json!({ "type": kind, "payload": payload, "id": self.last_id }).to_string();
        timeout(PATIENCE, self.stream.write_all(&frame(0x1, text.as_bytes()))).await.unwrap().unwrap();
        self.last_id
    }

    /// Sends a request and waits for its answer. What comes before that is heard later, in its order.
    pub(crate) async fn request(&mut self, kind: &str, payload: &Value) -> Value {
        let id = self.send(kind, payload).await;
        let mut before = std::mem::take(&mut self.aside);
        let answer = loop {
            let message = self.next().await;
            if message["id"] == id {
                break message;
            }
            before.push_back(message);
        };
        self.aside = before;
        assert_ne!(answer["type"], "error", "{kind}: {answer}");
        answer
    }

    /// Reports locations, and waits until they were taken.
    pub(crate) async fn report(&mut self, locations: Vec<Value>) {
        let count = locations.len();
        let answer = self.request("report_location", &json!({ "locations": locations })).await;
        assert_eq!(answer["payload"]["accepted"], count, "{answer}");
    }

    /// Subscribes; returns the name of the view.
    pub(crate) async fn subscribe(&mut self, payload: &Value) -> String {
        let answer = self.request("subscribe", payload).await;
        answer["payload"]["subscription"].as_str().unwrap().to_owned()
    }

    /// A frame of this client's own making, however wrong.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap().unwrap();
    }

    // --- hearing

    /// The next message. A close is `{"type": "close", "code": …}`, the end of the stream `{"type": "gone"}`.
    pub(crate) async fn next(&mut self) -> Value {
        timeout(PATIENCE, self.hear()).await.expect("a message has to come")
    }

    /// The next message that comes before a moment.
    pub(crate) async fn next_before(&mut self, deadline: Instant) -> Option<Value> {
        timeout_at(deadline, self.hear()).await.ok()
    }

    async fn hear(&mut self) -> Value {
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            if self.fill(READ_BYTES).await == 0 {
                return json!({ "type": "gone" });
            }
        }
    }

    /// A message of what was read already, if there is a whole one.
    pub(crate) fn take(&mut self) -> Option<Value> {
        if let Some(message) = self.aside.pop_front() {
            return Some(message);
        }
        loop {
            let (first, payload) = self.take_frame()?;
            self.message_bytes = payload.len();
            match first & 0x0f {
                0x1 => {
                    let is_compressed = first & 0x40 != 0;
                    self.compressed += usize::from(is_compressed);
                    let text = if is_compressed { inflated(&payload) } else { payload };
                    return Some(serde_json::from_slice(&text).unwrap());
                }
                0x8 => {
                    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    return Some(json!({ "type": "close", "code": code }));
                }
                // A pong is small: if the kernel does not take it, the next ping gets one.
                0x9 => drop(self.stream.try_write(&frame(0xa, &payload))),
                _ => {}
            }
        }
    }

    /// Reads and forgets, and answers pings, for as long as the server goes on. Says why it did not.
    pub(crate) async fn keep_up(&mut self) -> String {
        loop {
            while let Some((first, payload)) = self.take_frame() {
                match first & 0x0f {
                    0x8 => return format!("closed: {payload:?}"),
                    0x9 => drop(self.stream.try_write(&frame(0xa, &payload))),
                    _ => {}
                }
            }
            if self.fill(READ_BYTES).await == 0 {
                return "gone".to_owned();
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let &[first, second, ..] = self.buffer.as_slice() else { return None };
        let (header, length) = match second {
            126 => (4, u64::from(u16::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let end = header + usize::try_from(length).unwrap();
        let payload = self.buffer.get(header..end)?.to_vec();
        self.buffer.drain(..end);
        Some((first, payload))
    }

    /// Takes at most so many bytes from the kernel, as soon as there are any. Says how many; none is the end.
    pub(crate) async fn fill(&mut self, bytes_max: usize) -> usize {
        let mut chunk = vec![0; bytes_max];
        let bytes = self.stream.read(&mut chunk).await.unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..bytes]);
        self.read_bytes += bytes;
        self.reads += usize::from(bytes > 0);
        bytes
    }

    /// Reads and forgets until the stream has ended.
    pub(crate) async fn read_to_end(&mut self) -> Option<Value> {
        let mut close = None;
        loop {
            let message = self.next().await;
            match message["type"].as_str() {
                Some("close") => close = Some(message),
                Some("gone") => return close,
                _ => {}
            }
        }
    }

    /// Says goodbye and hears the answer.
    pub(crate) async fn close(mut self) {
        self.send_bytes(&frame(0x8, &1000_u16.to_be_bytes())).await;
        let close = self.read_to_end().await;
        assert_eq!(close, Some(json!({ "type": "close", "code": 1000 })));
    }

    /// Does nothing for a while: nothing is read.
    pub(crate) async fn stall(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// A final frame with a mask that changes nothing.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(long)) => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(long.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A message by itself, without the context of others (RFC 7692 section 7.2.2).
fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut whole = payload.to_vec();
    whole.extend([0, 0, 0xff, 0xff]);
    // A block that ends the stream, which messages have none of.
    whole.extend([1, 0, 0, 0xff, 0xff]);
    let mut text = Vec::new();
    flate2::read::DeflateDecoder::new(whole.as_slice()).read_to_end(&mut text).unwrap();
    text
}
