//! What goes wrong.

use anita_model::{Revocation, RevocationId, Revoked};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::disk::Mood;
use crate::queue::Event;
use crate::simulation::{Phase, Simulation, Stage, at_once};

/// An hour, microseconds.
const HOUR_US: i64 = 3_600_000_000;

impl Simulation {
    /// Something goes wrong, and something else will.
    pub(crate) fn go_wrong(&mut self) {
        if self.phase != Phase::Chaos {
            return;
        }
        match self.rng.random_range(0..100) {
            0..26 => self.stall(),
            26..40 => self.slow_down(),
            40..54 => self.cut_somebody(),
            54..60 => self.lose_client(),
            60..66 => self.lose_server(),
            66..80 => self.upset_disk(),
            80..87 => self.upset_clock(),
            87..93 if !matches!(self.stage, Stage::Down) => self.crash(),
            93..96 => self.stop(),
            96..100 => self.revoke_somebody(),
            _ => {}
        }
        let pause = self.rng.random_range(100..1_200);
        self.push(self.now_ms + pause, Event::Fault);
    }

    /// A connection that may have trouble.
    fn anybody(&mut self) -> Option<u32> {
        let open = self.conns.iter().filter(|(_id, conn)| {
            conn.session.is_some()
                && conn.is_client_there
                && conn.is_through
                && !self.users[conn.user].is_steady
        });
        let open: Vec<u32> = open.map(|(id, _conn)| *id).collect();
        open.choose(&mut self.rng).copied()
    }

    /// Nothing moves for a while, in one direction or both.
    fn stall(&mut self) {
        let Some(id) = self.anybody() else { return };
        let until_ms = self.now_ms + *[100, 700, 2_000, 6_000].choose(&mut self.rng).unwrap();
        let which = self.rng.random_range(0..3);
        let conn = self.conns.get_mut(&id).unwrap();
        if which != 0 {
            conn.up.stalled_to_ms = until_ms;
        }
        if which != 1 {
            conn.down.stalled_to_ms = until_ms;
        }
        self.counts.add("stalls", 1);
        let ways = ["down", "up", "up and down"][which];
        self.note(|| format!("! c{id} stalls {ways} until {until_ms} ms"));
        for event in [Event::Up(id), Event::Down(id), Event::Drain(id)] {
            self.push(until_ms, event);
        }
    }

    /// A client takes bytes slowly from now on.
    fn slow_down(&mut self) {
        let Some(id) = self.anybody() else { return };
        let bytes_per_ms = *[1, 4, 30].choose(&mut self.rng).unwrap();
        self.conns.get_mut(&id).unwrap().quality.bytes_per_ms = bytes_per_ms;
        self.counts.add("slow", 1);
        self.note(|| format!("! c{id} takes {bytes_per_ms} bytes a millisecond"));
    }

    /// A connection is reset: what is on its way is lost, from the middle of a frame on.
    fn cut_somebody(&mut self) {
        let Some(id) = self.anybody() else { return };
        self.counts.add("cuts", 1);
        self.note(|| format!("! c{id} is cut"));
        self.cut(id);
    }

    /// A client vanishes; the server does not hear of it.
    fn lose_client(&mut self) {
        let Some(id) = self.anybody() else { return };
        self.counts.add("half open", 1);
        self.note(|| format!("! the client of c{id} vanishes"));
        self.take_news(id);
        self.leave(id);
        let conn = self.conns.get_mut(&id).unwrap();
        conn.is_through = false;
        conn.up = crate::link::Way::new();
    }

    /// The server's end vanishes; the client does not hear of it.
    fn lose_server(&mut self) {
        let Some(id) = self.anybody() else { return };
        self.counts.add("half open", 1);
        self.note(|| format!("! the server's end of c{id} vanishes"));
        let conn = self.conns.get_mut(&id).unwrap();
        conn.session = None;
        conn.socket.break_off();
        conn.is_through = false;
    }

    /// Somebody's tokens are not accepted any more; newer ones are.
    fn revoke_somebody(&mut self) {
        let Some(house) = self.house.as_ref().filter(|_house| !matches!(self.stage, Stage::Closing(_)))
        else {
            return;
        };
        let user = self.rng.random_range(0..self.users.len());
        let (subject, wall) = (self.users[user].name.clone(), self.wall());
        let id = format!("r-{}-{user}", self.now_ms);
        let issued_before = Some(wall);
        let revocation = Revocation {
            id: RevocationId::parse(&id).unwrap(),
            revoked: Revoked::Subject { subject: subject.as_str().into(), issued_before },
            issuer: None,
            made_at: wall,
            until: None,
            made_by: "simulation".into(),
            reason: "".into(),
        };
        let (_closed, kept) = house.hub.revoke(&revocation).unwrap();
        self.is_rung = true;
        self.counts.add("revocations", 1);
        self.note(|| format!("! the tokens of {subject} are revoked"));
        self.revoking.push((id.clone(), kept));
        self.truth.revoke(id, subject, wall, self.now_ms);
    }

    /// Takes note of the revocations that are kept.
    pub(crate) fn take_revoked(&mut self) -> bool {
        let Self { revoking, truth, .. } = self;
        let before = revoking.len();
        revoking.retain_mut(|(id, kept)| match at_once(kept) {
            Some(Ok(())) => {
                truth.keep_revocation(id);
                false
            }
            Some(Err(_later)) => false,
            None => true,
        });
        revoking.len() < before
    }

    /// All revocations are taken back.
    pub(crate) fn forgive(&mut self) {
        for id in self.truth.take_revocations() {
            let unrevoked = self.house().hub.unrevoke(&RevocationId::parse(&id).unwrap());
            assert!(unrevoked.is_some(), "the revocation {id} is in force");
        }
        let left = self.house().hub.revocations();
        assert!(left.is_empty(), "revocations that nobody made: {left:?}");
    }

    fn upset_disk(&mut self) {
        let moods = [Mood::Slow(200), Mood::Slow(2_500), Mood::Away, Mood::Full, Mood::Unsure];
        let mood = *moods.choose(&mut self.rng).unwrap();
        let millis = self.rng.random_range(100..3_500);
        self.counts.add("disk", 1);
        self.note(|| format!("! the disk is {mood:?} for {millis} ms"));
        self.disk.set_mood(mood);
        self.push(self.now_ms + millis, Event::DiskHeals);
    }

    fn upset_clock(&mut self) {
        let off_us = *[HOUR_US, -HOUR_US, 2_000_000, -3_000_000].choose(&mut self.rng).unwrap();
        let millis = self.rng.random_range(100..5_000);
        self.counts.add("clock", 1);
        self.set_clock(off_us);
        self.push(self.now_ms + millis, Event::ClockHeals);
    }
}
