//! A WebSocket server that says again what it hears, compressed if the client likes: the smallest server with
//! `anita-ws`, and what a conformance suite is run against.
//!
//! ```text
//! cargo run --release --example echo -- --listen 127.0.0.1:9001 [--max-message-bytes 33554432]
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a terminal")]

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anita_ws::{
    Agreed, Close, Compression, Deflater, Event, Handshake, Limits, Message, Reading, Socket, SocketError,
    close, frame,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// How long the closing handshake may take.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
struct Options {
    listen: SocketAddr,
    limits: Limits,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = parse(std::env::args().skip(1))?;
    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    accept(listener, options.limits).await?;
    Ok(())
}

/// Serves whoever comes.
pub(crate) async fn accept(listener: TcpListener, limits: Limits) -> io::Result<()> {
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, limits));
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 9001));
    let mut message_bytes_max = 32 * 1024 * 1024;
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--listen" => listen = value.parse()?,
            "--max-message-bytes" => message_bytes_max = value.parse()?,
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    // Many small fragments are no reason to refuse anything here.
    let limits =
        Limits { message_bytes_max, fragment_count_max: usize::MAX, queue_bytes_max: message_bytes_max };
    Ok(Options { listen, limits })
}

/// Speaks HTTP with one client, and hands its connection over when it becomes a WebSocket.
async fn serve(stream: TcpStream, limits: Limits) {
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(upgrade(request, limits)) });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.with_upgrades().await {
        eprintln!("HTTP: {error}");
    }
}

fn upgrade(mut request: Request<Incoming>, limits: Limits) -> Response<Full<Bytes>> {
    let mut handshake = match Handshake::from_request(&request) {
        Ok(handshake) => handshake,
        Err(error) => return error.response().map(|()| Full::from(error.to_string())),
    };
    let agreed = handshake.negotiate(Compression::DEFLATE);
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => echo(upgraded, limits, agreed).await,
            Err(error) => eprintln!("upgrade: {error}"),
        }
    });
    handshake.response(None).map(|()| Full::default())
}

async fn echo(upgraded: Upgraded, limits: Limits, agreed: Option<Agreed>) {
    // The stream itself is faster, and smaller, than what hyper wraps around it.
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    let mut socket = Socket::new(parts.io.into_inner(), parts.read_buf, limits);
    if agreed.is_some() {
        socket.accept_compressed();
    }
    converse(socket, agreed).await;
}

/// Says again what it hears, until one of the two ends it.
pub(crate) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: Socket<S>,
    agreed: Option<Agreed>,
) {
    // With many connections there would be one for a thread and a size of window, not one for each of them.
    let mut deflater = agreed.map(|agreed| Deflater::new(agreed.window_bits()));
    let mut made = |frame: Bytes| match &mut deflater {
        Some(deflater) => frame::deflated(&frame, deflater),
        None => frame,
    };
    let (code, reason) = loop {
        let reading = if socket.has_room() { Reading::Active } else { Reading::Paused };
        match socket.next(reading).await {
            Ok(Event::Message(Message::Text(text))) => socket.queue(made(frame::text(&text))),
            Ok(Event::Message(Message::Binary(payload))) => socket.queue(made(frame::binary(&payload))),
            Ok(Event::Message(Message::Ping(_) | Message::Pong(_)) | Event::Flushed) => {}
            Ok(Event::Message(Message::Close(asked))) => {
                break (asked.map_or(close::NORMAL, |asked| asked.code), String::new());
            }
            Err(SocketError::Violation(violation)) => break (violation.close_code(), violation.to_string()),
            Err(SocketError::Gone | SocketError::Io(_)) => return,
        }
    };
    socket.close(code, &reason, Close::AfterFlush, CLOSE_WAIT_MAX).await;
}
