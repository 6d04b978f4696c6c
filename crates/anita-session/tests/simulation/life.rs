//! The server's life: it begins, crashes, ends in good order, and begins again.

use std::sync::Arc;
use std::time::Duration;

use anita_hub::NextTurn;
use rand::Rng;

use crate::disk::Mood;
use crate::house::House;
use crate::queue::Event;
use crate::simulation::{Simulation, Stage};
use crate::sources::Source;
use crate::truth::MaySkip;

impl Simulation {
    /// Begins, or begins again.
    pub(crate) async fn open(&mut self) {
        assert!(self.house.is_none());
        if matches!(self.disk.mood(), Mood::Away) {
            self.disk.set_mood(Mood::Well);
        }
        let told = self.folder.path().join("told");
        let house = House::open(self.plan, &self.disk, &told, self.wall(), self.now_ms).await;
        self.truth.reopened(&house.hub, &self.disk, self.now_ms).await;
        self.house = Some(house);
        self.stage = Stage::Open;
        self.next_turn = NextTurn::At(Duration::ZERO);
        self.note(|| "! the server begins".to_owned());
        self.counts.add("starts", 1);
        self.sweep_once();
        for source in 0..self.sources.len() {
            self.begin_source(source);
        }
    }

    pub(crate) fn sweep_once(&mut self) {
        let now = self.now();
        self.house().hub.sweep(now);
        let Self { house, truth, now_ms, .. } = self;
        truth.listen(house.as_ref().unwrap().hub.rooms(), *now_ms, MaySkip::No);
    }

    /// The server is gone from one moment to the next.
    pub(crate) fn crash(&mut self) {
        self.note(|| "! the server crashes".to_owned());
        self.counts.add("crashes", 1);
        if let Some(house) = &self.house {
            house.mount.kill();
        }
        self.go_down();
    }

    /// Nothing is left of the server.
    pub(crate) fn go_down(&mut self) {
        self.revoking.clear();
        for source in &mut self.sources {
            source.lose();
        }
        let ids: Vec<u32> = self.conns.keys().copied().collect();
        for id in ids {
            let is_silent = self.rng.random_bool(0.25);
            let conn = self.conns.get_mut(&id).unwrap();
            conn.session = None;
            conn.socket.break_off();
            conn.is_through = false;
            conn.drain_ms = None;
            if conn.is_client_there && !is_silent {
                let at_ms = self.now_ms + self.rng.random_range(1..100);
                self.push(at_ms, Event::Cut(id));
            }
        }
        if let Stage::Closing(task) = &self.stage {
            task.abort();
        }
        self.stage = Stage::Down;
        self.house = None;
        let at_ms = self.now_ms + self.rng.random_range(50..1_500);
        self.push(at_ms, Event::Restart);
    }

    /// It ends in good order.
    pub(crate) fn stop(&mut self) {
        if self.is_open() {
            self.note(|| "! the server drains".to_owned());
            self.counts.add("drains", 1);
            self.stage = Stage::Draining { since_ms: self.now_ms };
        }
    }

    /// The steps of a good end.
    pub(crate) fn go_on_ending(&mut self) {
        match &self.stage {
            Stage::Draining { .. } if self.conns.values().all(|conn| conn.session.is_none()) => {
                self.note(|| "! the server closes".to_owned());
                self.sources.iter_mut().for_each(Source::stop);
                let hub = Arc::clone(&self.house().hub);
                self.stage = Stage::Closing(tokio::spawn(async move { hub.close().await }));
            }
            Stage::Closing(task) if task.is_finished() => self.go_down(),
            Stage::Open | Stage::Draining { .. } | Stage::Closing(_) | Stage::Down => {}
        }
    }

    pub(crate) fn set_clock(&mut self, off_us: i64) {
        if off_us != self.wall_off_us {
            self.note(|| format!("! the wall clock is {} s off", off_us / 1_000_000));
            self.wall_off_us = off_us;
            self.truth.jumps += 1;
        }
    }
}
