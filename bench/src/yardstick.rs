//! The yardstick: a raw epoll server that writes one prepared frame to every socket, with one `write` each.
//!
//! No JSON, no state, no rights: less than this no server can do for a delivery that is not gathered with others. Sockets
//! open as those of a browser do, so that the same clients can be used; every byte from `/control` asks for one round.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use memchr::memmem;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::fault::{Fault, Outcome, While as _};
use crate::fleet::{Fleet, Wish};
use crate::process::Server;

/// How many bytes of text each round brings.
pub(crate) const TEXT_BYTES: usize = 226;

const ANSWER: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// The listener's place in epoll, and that of standard input.
const LISTENER: u64 = u64::MAX;
const PARENT: u64 = u64::MAX - 1;
const BACKLOG: i32 = 4_096;

#[derive(Debug)]
struct Peer {
    socket: OwnedFd,
    is_subscriber: bool,
    is_control: bool,
}

#[derive(Debug)]
struct Yard {
    epoll: OwnedFd,
    listener: OwnedFd,
    peers: Vec<Option<Peer>>,
    frame: Vec<u8>,
    scratch: Vec<u8>,
}

/// Serves until standard input ends.
pub(crate) fn serve() -> Outcome {
    let mut yard = Yard::listen()?;
    let address = SocketAddr::try_from(net::getsockname(&yard.listener).to("read an address")?)
        .to("read an address")?;
    println!("{address}");
    std::io::stdout().flush().to("say the address")?;
    let mut events = Vec::with_capacity(1_024);
    loop {
        events.clear();
        match epoll::wait(&yard.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).to("wait for sockets"),
        }
        for event in &events {
            let (flags, data): (EventFlags, EventData) = (event.flags, event.data);
            match data.u64() {
                PARENT => return Ok(()),
                LISTENER => yard.accept()?,
                index => yard.heard(index as usize, flags),
            }
        }
    }
}

impl Yard {
    fn listen() -> Outcome<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
        let listener = listener.to("make a socket")?;
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        net::bind(&listener, &any).to("choose a port")?;
        net::listen(&listener, BACKLOG).to("listen")?;
        let epoll = epoll::create(CreateFlags::CLOEXEC).to("make an epoll")?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN).to("watch the port")?;
        // When the parent ends, however it ends, its end of the pipe closes.
        epoll::add(&epoll, std::io::stdin(), EventData::new_u64(PARENT), EventFlags::HUP).ok();
        let text = format!("{:y<TEXT_BYTES$}", r#"{"type":"uwb.location","payload":{"#);
        let mut frame = vec![0x81, 126];
        frame.extend_from_slice(&(TEXT_BYTES as u16).to_be_bytes());
        frame.extend_from_slice(text.as_bytes());
        Ok(Self { epoll, listener, peers: Vec::new(), frame, scratch: vec![0; 4_096] })
    }

    fn accept(&mut self) -> Outcome {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match net::accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error).to("accept"),
            };
            sockopt::set_tcp_nodelay(&socket, true).to("set TCP_NODELAY")?;
            let data = EventData::new_u64(self.peers.len() as u64);
            epoll::add(&self.epoll, &socket, data, EventFlags::IN).to("watch a socket")?;
            self.peers.push(Some(Peer { socket, is_subscriber: false, is_control: false }));
        }
    }

    fn heard(&mut self, index: usize, flags: EventFlags) {
        let Some(Some(peer)) = self.peers.get_mut(index) else { return };
        let received = net::recv(&peer.socket, self.scratch.as_mut_slice(), RecvFlags::DONTWAIT);
        let bytes = match received {
            Err(Errno::AGAIN | Errno::INTR) if !flags.contains(EventFlags::HUP) => return,
            Ok((_, 0)) | Err(_) => {
                if let Some(place) = self.peers.get_mut(index) {
                    *place = None;
                }
                return;
            }
            Ok((_, bytes)) => bytes,
        };
        if peer.is_control {
            for _round in 0..bytes {
                self.round();
            }
        } else if !peer.is_subscriber {
            let head = self.scratch.get(..bytes).unwrap_or_default();
            peer.is_control = memmem::find(head, b"/control").is_some();
            peer.is_subscriber = !peer.is_control;
            net::send(&peer.socket, ANSWER, SendFlags::NOSIGNAL).ok();
        }
    }

    fn round(&self) {
        for peer in self.peers.iter().flatten().filter(|peer| peer.is_subscriber) {
            // A socket that is full is left out; in lock step none is.
            net::send(&peer.socket, &self.frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
        }
    }
}

/// The yardstick as a child, with its subscribers.
pub(crate) struct Yardstick {
    process: Server,
    fleet: Fleet,
    control: usize,
    subscribers: usize,
}

impl Yardstick {
    /// Starts it; the subscribers come with [`Self::gather`].
    pub(crate) fn start() -> Outcome<(Server, SocketAddr)> {
        let program = std::env::current_exe().to("find this program")?;
        let mut process = Server::spawn(&program, |command| {
            command.arg("yardstick-server").stdin(Stdio::piped()).stdout(Stdio::piped());
        })?;
        let output = process.child().stdout.take().ok_or_else(|| Fault::new("the yardstick says nothing"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).to("read the address of the yardstick")?;
        let address = line.trim().parse().to("read the address of the yardstick")?;
        Ok((process, address))
    }

    /// Connects the subscribers.
    pub(crate) fn gather(process: Server, address: SocketAddr, subscribers: usize) -> Outcome<Self> {
        let mut fleet = Fleet::new()?;
        let mut wish = Wish::new(address, "/subscriber", "");
        wish.token = None;
        fleet.open(subscribers, &wish, &mut |_, _, _| ())?;
        wish.path = "/control";
        let control = fleet.open(1, &wish, &mut |_, _, _| ())?.start;
        Ok(Self { process, fleet, control, subscribers })
    }

    /// So many rounds in lock step; returns the CPU time of one delivery, nanoseconds.
    pub(crate) fn lock_step(&mut self, rounds: usize) -> Outcome<f64> {
        let before = self.process.cpu();
        let mut due = self.fleet.total.position_frames;
        for _ in 0..rounds {
            due += self.subscribers as u64;
            self.fleet.send(self.control, b"!");
            let until_us = crate::clock::now_us() + 30_000_000;
            if !self.fleet.spin_until(until_us, |fleet| fleet.total.position_frames >= due)? {
                return Err(Fault::new("the yardstick did not reach all of its subscribers in 30 s"));
            }
        }
        let deliveries = (rounds * self.subscribers) as f64;
        Ok(self.process.cpu_ns_since(&before) / deliveries)
    }

    pub(crate) fn process(&self) -> &Server {
        &self.process
    }

    pub(crate) fn user_and_kernel_ticks(&self) -> (u64, u64) {
        self.process.user_and_kernel_ticks()
    }
}
