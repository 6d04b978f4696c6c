//! Many clients in one thread: non-blocking sockets behind one epoll, no allocation for what they hear.

mod again;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::clock::now_us;
use crate::fault::{Fault, Outcome, While as _};
use crate::reader::{Listen, Reader, Tally};
use crate::ws::{self, Answer, Compression, Kind};

/// How much is read to see frames, bytes. What is left of a long frame that nobody wants is thrown away by the kernel.
const READ_BYTES: usize = 16 * 1024;
/// How much is thrown away at once, bytes.
const SKIP_BYTES: usize = 256 * 1024;
const EVENTS_AT_ONCE: usize = 1_024;
/// How long opening may go on without any progress, microseconds.
const STALL_MAX_US: i64 = 15_000_000;
/// Connections from one loopback address; then comes the next one.
const FROM_ONE_ADDRESS: usize = 2_000;
const ADDRESSES: usize = 200;

/// Who is told of a message: the client's index, its kind, its payload.
pub(crate) type Heard<'a> = &'a mut dyn FnMut(usize, Kind, &[u8]);

/// What clients say as soon as they are open.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Words<'a> {
    Nothing,
    /// All the same.
    Same(&'a str),
    /// Each its own, in their order.
    Each(&'a [String]),
}

/// How clients connect.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) listen: Listen,
    /// `SO_RCVBUF`, bytes.
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) compression: Compression,
    /// How many may be on their way at once.
    pub(crate) at_once: usize,
    pub(crate) first_words: Words<'a>,
}

impl<'a> Wish<'a> {
    pub(crate) fn new(server: SocketAddr, path: &'a str, token: &'a str) -> Self {
        Self {
            server,
            path,
            token: Some(token),
            listen: Listen::Count,
            receive_buffer: None,
            compression: Compression::Unasked,
            at_once: 256,
            first_words: Words::Nothing,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Upgrading,
    Open,
    Closed,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Member {
    socket: Option<OwnedFd>,
    stage: Stage,
    is_muted: bool,
    reader: Reader,
    /// Bytes that wait to be written, and the answer to the upgrade as far as it is there.
    buffer: Vec<u8>,
    pub(crate) is_deflated: bool,
    /// When it was open, microseconds.
    pub(crate) opened_us: i64,
    pub(crate) tally: Tally,
}

/// Many clients.
pub(crate) struct Fleet {
    epoll: OwnedFd,
    members: Vec<Member>,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
    /// Frames for the clients from `first_speaker` on; one for all, or one for each.
    first_words: Vec<Vec<u8>>,
    first_speaker: usize,
    opened: usize,
    failed: usize,
    why: Option<String>,
    /// Connections that ended since that was last asked, and when the server said to come back, milliseconds.
    losses: Vec<(usize, Option<u64>)>,
    /// What all have heard.
    pub(crate) total: Tally,
}

static SOURCES: AtomicUsize = AtomicUsize::new(0);

impl Fleet {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC).to("make an epoll")?,
            members: Vec::new(),
            events: Vec::with_capacity(EVENTS_AT_ONCE),
            scratch: vec![0; SKIP_BYTES],
            first_words: Vec::new(),
            first_speaker: 0,
            opened: 0,
            failed: 0,
            why: None,
            losses: Vec::new(),
            total: Tally::default(),
        })
    }

    pub(crate) fn member(&self, index: usize) -> Outcome<&Member> {
        self.members.get(index).ok_or_else(|| Fault::new(format!("there is no client {index}")))
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// How many connections ended that nobody dropped.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Why the first of them ended.
    pub(crate) fn why(&self) -> &str {
        self.why.as_deref().unwrap_or("no reason")
    }

    /// Opens `count` clients, and waits for all.
    pub(crate) fn open(&mut self, count: usize, wish: &Wish<'_>, heard: Heard<'_>) -> Outcome<Range<usize>> {
        let range = self.open_most(count, wish, heard)?;
        if range.len() < count || self.failed > 0 {
            let (opened, why) = (range.len() - self.failed.min(range.len()), self.why());
            return Err(Fault::new(format!("{opened} of {count} connections opened: {why}")));
        }
        Ok(range)
    }

    /// Opens `count` clients, or as many as the machine allows.
    pub(crate) fn open_most(
        &mut self,
        count: usize,
        wish: &Wish<'_>,
        heard: Heard<'_>,
    ) -> Outcome<Range<usize>> {
        self.prepare(wish.first_words);
        let (first, settled_before) = (self.members.len(), self.opened + self.failed);
        let request = ws::upgrade(wish.path, wish.token, wish.compression);
        let mut is_full = false;
        let mut progress = (0, now_us());
        loop {
            let begun = self.members.len() - first;
            let settled = self.opened + self.failed - settled_before;
            if settled == begun && (begun == count || is_full) {
                return Ok(first..self.members.len());
            }
            let room = (count - begun).min(wish.at_once.saturating_sub(begun - settled)).min(64);
            for _ in 0..if is_full { 0 } else { room } {
                is_full |= !self.begin(wish, &request)?;
            }
            self.turn(if room > 0 { 0 } else { 100 }, heard)?;
            if settled > progress.0 {
                progress = (settled, now_us());
            } else if now_us() - progress.1 > STALL_MAX_US {
                return Err(Fault::new(format!("{settled} of {count} connections opened, then nothing")));
            }
        }
    }

    fn prepare(&mut self, words: Words<'_>) {
        let frame = |text: &str| {
            let mut frame = Vec::with_capacity(text.len() + 14);
            ws::push_text(&mut frame, text.as_bytes());
            frame
        };
        self.first_speaker = self.members.len();
        self.first_words = match words {
            Words::Nothing => Vec::new(),
            Words::Same(text) => vec![frame(text)],
            Words::Each(texts) => texts.iter().map(|text| frame(text)).collect(),
        };
    }

    /// Begins one connection; `false` when the machine has no room for it.
    fn begin(&mut self, wish: &Wish<'_>, request: &str) -> Outcome<bool> {
        let Some(member) = self.dial(self.members.len(), wish, request)? else { return Ok(false) };
        self.members.push(member);
        Ok(true)
    }

    fn dial(&self, index: usize, wish: &Wish<'_>, request: &str) -> Outcome<Option<Member>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = match net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None) {
            Ok(socket) => socket,
            Err(Errno::MFILE | Errno::NFILE) => return Ok(None),
            Err(error) => return Err(error).to("make a socket"),
        };
        if let Some(bytes) = wish.receive_buffer {
            sockopt::set_socket_recv_buffer_size(&socket, bytes).to("set a receive buffer")?;
        }
        sockopt::set_tcp_nodelay(&socket, true).to("set TCP_NODELAY")?;
        let number = SOURCES.fetch_add(1, Ordering::Relaxed);
        let host = (number / FROM_ONE_ADDRESS) % ADDRESSES + 2;
        let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host as u8), 0));
        net::bind(&socket, &source).to("choose a loopback address")?;
        match net::connect(&socket, &wish.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error).to("connect"),
        }
        let data = EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &socket, data, EventFlags::OUT).to("watch a socket")?;
        Ok(Some(Member {
            socket: Some(socket),
            stage: Stage::Connecting,
            is_muted: false,
            reader: Reader::new(wish.listen),
            buffer: request.as_bytes().to_vec(),
            is_deflated: false,
            opened_us: 0,
            tally: Tally::default(),
        }))
    }

    /// Hears what there is, after waiting at most so long for it.
    pub(crate) fn turn(&mut self, wait_ms: i64, heard: Heard<'_>) -> Outcome<usize> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let timeout = Timespec { tv_sec: wait_ms / 1_000, tv_nsec: wait_ms % 1_000 * 1_000_000 };
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).to("wait for sockets"),
        }
        for event in &events {
            let (flags, data) = (event.flags, event.data);
            self.happened(data.u64() as usize, flags, heard);
        }
        let count = events.len();
        self.events = events;
        Ok(count)
    }

    /// Hears until a time; `is_done` may end it earlier. Returns whether it did.
    pub(crate) fn hear_until(
        &mut self,
        until_us: i64,
        heard: Heard<'_>,
        mut is_done: impl FnMut(&Self) -> bool,
    ) -> Outcome<bool> {
        loop {
            if is_done(self) {
                return Ok(true);
            }
            let left_us = until_us - now_us();
            if left_us <= 0 {
                return Ok(false);
            }
            self.turn((left_us / 1_000).clamp(1, 100), heard)?;
        }
    }

    /// Hears without ever sleeping, so that the server never pays for waking this process.
    pub(crate) fn spin_until(
        &mut self,
        until_us: i64,
        mut is_done: impl FnMut(&Self) -> bool,
    ) -> Outcome<bool> {
        loop {
            if is_done(self) {
                return Ok(true);
            }
            if self.turn(0, &mut |_, _, _| ())? == 0 && now_us() > until_us {
                return Ok(false);
            }
        }
    }

    fn happened(&mut self, index: usize, flags: EventFlags, heard: Heard<'_>) {
        let Some(member) = self.members.get_mut(index) else { return };
        if flags.contains(EventFlags::OUT) || member.stage == Stage::Connecting {
            self.write(index);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(index, READ_BYTES, heard);
        }
    }

    /// Reads at most so many bytes of one client; returns how many there were.
    pub(crate) fn read(&mut self, index: usize, bytes_max: usize, heard: Heard<'_>) -> usize {
        let Some(member) = self.members.get_mut(index) else { return 0 };
        let Some(socket) = &member.socket else { return 0 };
        let before = member.tally;
        let unwanted = member.reader.unwanted_bytes();
        let (room, flags) = if bytes_max >= READ_BYTES && unwanted >= READ_BYTES {
            (unwanted.min(SKIP_BYTES), RecvFlags::DONTWAIT | RecvFlags::TRUNC)
        } else {
            (bytes_max.min(READ_BYTES), RecvFlags::DONTWAIT)
        };
        let Some(scratch) = self.scratch.get_mut(..room) else { return 0 };
        let bytes = match net::recv(socket, &mut *scratch, flags) {
            Ok((_, 0)) => {
                self.lost(index, "the server closed the connection");
                return 0;
            }
            Ok((_, bytes)) => bytes,
            Err(Errno::AGAIN | Errno::INTR) => return 0,
            Err(error) => {
                self.lost(index, &error.to_string());
                return 0;
            }
        };
        if flags.contains(RecvFlags::TRUNC) {
            member.reader.skipped(bytes, &mut member.tally);
        } else {
            let data = scratch.get(..bytes).unwrap_or_default();
            if member.stage == Stage::Open {
                member.reader.feed(data, &mut member.tally, &mut |kind, body| heard(index, kind, body));
            } else {
                member.buffer.extend_from_slice(data);
                self.upgraded(index, heard);
            }
        }
        self.add_to_total(index, before);
        bytes
    }

    fn add_to_total(&mut self, index: usize, before: Tally) {
        if let Some(member) = self.members.get(index) {
            self.total.add(&member.tally, &before);
        }
    }

    /// The answer to the upgrade, or a part of it, is there.
    fn upgraded(&mut self, index: usize, heard: Heard<'_>) {
        let Some(member) = self.members.get_mut(index) else { return };
        match ws::answer(&member.buffer) {
            Answer::Incomplete => {}
            Answer::Refused(line) => {
                let retry_after_ms = ws::retry_after_ms(&member.buffer);
                self.lost(index, &line);
                if let Some((_lost, asked)) = self.losses.last_mut() {
                    *asked = retry_after_ms;
                }
            }
            Answer::Opened { head_len, is_deflated } => {
                let buffer = std::mem::take(&mut member.buffer);
                member.stage = Stage::Open;
                member.is_deflated = is_deflated;
                member.opened_us = now_us();
                let rest = buffer.get(head_len..).unwrap_or_default();
                member.reader.feed(rest, &mut member.tally, &mut |kind, body| heard(index, kind, body));
                self.opened += 1;
                let all = std::mem::take(&mut self.first_words);
                let words = if all.len() > 1 { all.get(index - self.first_speaker) } else { all.first() };
                if let Some(words) = words {
                    self.send(index, words);
                }
                self.first_words = all;
            }
        }
    }

    /// Says a text.
    pub(crate) fn say(&mut self, index: usize, text: &str) {
        let mut frame = Vec::with_capacity(text.len() + 14);
        ws::push_text(&mut frame, text.as_bytes());
        self.send(index, &frame);
    }

    /// Sends bytes; what the socket does not take now follows when it does.
    pub(crate) fn send(&mut self, index: usize, bytes: &[u8]) {
        let Some(member) = self.members.get_mut(index) else { return };
        member.buffer.extend_from_slice(bytes);
        self.write(index);
    }

    fn write(&mut self, index: usize) {
        let Some(member) = self.members.get_mut(index) else { return };
        let Some(socket) = &member.socket else { return };
        if member.stage == Stage::Connecting
            && let Err(error) = sockopt::socket_error(socket).and_then(|pending| pending)
        {
            self.lost(index, &error.to_string());
            return;
        }
        match net::send(socket, &member.buffer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => drop(member.buffer.drain(..sent)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => {
                self.lost(index, &error.to_string());
                return;
            }
        }
        if member.stage == Stage::Connecting && member.buffer.is_empty() {
            member.stage = Stage::Upgrading;
        }
        if member.buffer.is_empty() && member.stage == Stage::Open {
            member.buffer = Vec::new();
        }
        self.watch(index);
    }

    /// Tells epoll what is wanted of a client.
    fn watch(&mut self, index: usize) {
        let Some(member) = self.members.get(index) else { return };
        let Some(socket) = &member.socket else { return };
        let has_more = !member.buffer.is_empty() && member.stage != Stage::Upgrading;
        let mut flags = if member.is_muted { EventFlags::empty() } else { EventFlags::IN };
        flags.set(EventFlags::OUT, has_more);
        epoll::modify(&self.epoll, socket, EventData::new_u64(index as u64), flags).ok();
    }

    /// Stops reading what a client is sent.
    pub(crate) fn mute(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            member.is_muted = true;
            self.watch(index);
        }
    }

    /// Goes on reading what a client is sent.
    pub(crate) fn unmute(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            member.is_muted = false;
            self.watch(index);
        }
    }

    fn lost(&mut self, index: usize, why: &str) {
        if let Some(member) = self.members.get_mut(index)
            && member.socket.take().is_some()
        {
            if member.stage == Stage::Open {
                self.opened -= 1;
            }
            member.stage = Stage::Closed;
            self.failed += 1;
            self.losses.push((index, None));
            self.why.get_or_insert_with(|| why.to_owned());
        }
    }

    /// Drops clients: at once, without a word.
    pub(crate) fn drop_clients(&mut self, range: Range<usize>) {
        for member in self.members.get_mut(range).unwrap_or_default() {
            if let Some(socket) = member.socket.take() {
                sockopt::set_socket_linger(&socket, Some(std::time::Duration::ZERO)).ok();
                if member.stage == Stage::Open {
                    self.opened -= 1;
                }
                member.stage = Stage::Closed;
            }
        }
    }

    /// The port of a client.
    pub(crate) fn port(&self, index: usize) -> Option<u16> {
        let socket = self.members.get(index)?.socket.as_ref()?;
        let address = SocketAddr::try_from(net::getsockname(socket).ok()?).ok()?;
        Some(address.port())
    }

    /// How many are open.
    pub(crate) fn opened(&self) -> usize {
        self.opened
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.drop_clients(0..self.members.len());
    }
}
