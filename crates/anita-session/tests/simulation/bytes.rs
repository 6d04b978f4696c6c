//! How what is said gets from one side to the other, and how a client reads it.

use crate::client::Scene;
use crate::conn::Up;
use crate::link::{Way, take_frame};
use crate::queue::Event;
use crate::simulation::Simulation;

use rand::Rng;

impl Simulation {
    pub(crate) fn send(&mut self, id: u32, up: Up) {
        let conn = self.conns.get_mut(&id).unwrap();
        if !conn.is_client_there {
            return;
        }
        let quality = conn.quality;
        let at_ms = self.now_ms + quality.delay_ms + self.rng.random_range(0..=quality.jitter_ms);
        let at_ms = conn.up.send(up, at_ms);
        self.push(at_ms, Event::Up(id));
    }

    pub(crate) fn arrive_up(&mut self, id: u32) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.session.is_none() && conn.is_client_there && conn.client.closed.is_none() && !conn.is_through
        {
            // Nobody is there: the client hears that.
            conn.up = Way::new();
            let at_ms = self.now_ms + conn.quality.delay_ms;
            self.push(at_ms, Event::Cut(id));
            return;
        }
        while let Some(up) = conn.up.take(self.now_ms) {
            conn.arrived.push_back(up);
        }
        if !conn.up.is_empty() && self.now_ms < conn.up.stalled_to_ms {
            let at_ms = conn.up.stalled_to_ms;
            self.push(at_ms, Event::Up(id));
        }
    }

    /// Whatever a kernel has begins to move.
    pub(crate) fn move_bytes(&mut self) {
        let mut begun = Vec::new();
        for (id, conn) in &mut self.conns {
            if conn.is_through && conn.drain_ms.is_none() && conn.socket.has_kernel_bytes() {
                let at_ms = (self.now_ms + 1).max(conn.down.stalled_to_ms);
                conn.drain_ms = Some(at_ms);
                begun.push((at_ms, *id));
            }
        }
        for (at_ms, id) in begun {
            self.push(at_ms, Event::Drain(id));
        }
    }

    pub(crate) fn drain(&mut self, id: u32) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.drain_ms = None;
        if !conn.is_through || self.now_ms < conn.down.stalled_to_ms {
            return;
        }
        conn.is_touched = true;
        let bytes = conn.socket.drain(conn.quality.bytes_per_ms);
        let at_ms = self.now_ms + conn.quality.delay_ms + self.rng.random_range(0..=conn.quality.jitter_ms);
        let at_ms = conn.down.send(bytes, at_ms);
        self.push(at_ms, Event::Down(id));
    }

    pub(crate) fn arrive_down(&mut self, id: u32) {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.is_client_there) else { return };
        while let Some(bytes) = conn.down.take(self.now_ms) {
            conn.inbox.extend_from_slice(&bytes);
            conn.client_heard_ms = self.now_ms;
        }
        if !conn.down.is_empty() && self.now_ms < conn.down.stalled_to_ms {
            let at_ms = conn.down.stalled_to_ms;
            self.push(at_ms, Event::Down(id));
        }
        self.read(id);
    }

    /// The client reads what it has.
    pub(crate) fn read(&mut self, id: u32) {
        loop {
            let Self { conns, truth, disk, trace, now_ms, counts, .. } = self;
            let conn = conns.get_mut(&id).unwrap();
            let Some((first, payload)) = take_frame(&mut conn.inbox) else { break };
            match first {
                0x81 => {
                    let text = std::str::from_utf8(&payload).unwrap();
                    trace.line(*now_ms, || format!("c{id} < {text}"));
                    counts.add("messages", 1);
                    conn.client.take_text(text, &mut Scene { truth, disk });
                }
                0x89 => self.send(id, Up::Pong),
                0x88 => {
                    conn.client.take_close(&payload);
                    let code = conn.client.closed.unwrap_or_default();
                    trace.line(*now_ms, || format!("c{id} is closed with {code}"));
                    self.cut(id);
                    return;
                }
                other => panic!("c{id}: a frame that begins with {other:#x}"),
            }
        }
        self.take_news(id);
    }

    /// Both sides hear that a connection is gone.
    pub(crate) fn cut(&mut self, id: u32) {
        self.take_news(id);
        self.leave(id);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.session = None;
        conn.socket.break_off();
        conn.is_through = false;
    }
}
