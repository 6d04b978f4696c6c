//! A server, a publisher that keeps to its schedule, and viewers: what a stretch of it cost.

use std::ops::Range;

use serde_json::{Value, json};

use crate::clock::{self, now_us};
use crate::fault::{Fault, Outcome};
use crate::figures::ratio;
use crate::fleet::{Fleet, Wish, Words};
use crate::histogram::Histogram;
use crate::publisher::{Plan, Publisher};
use crate::reader::Listen;
use crate::server::Anita;
use crate::ws::{Compression, Kind};

use super::viewers::{self, Difference, Sample};

/// What viewers ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) request: &'static str,
    pub(crate) compression: Compression,
}

impl View {
    pub(crate) const BATCH: Self = Self {
        request: r#"{"type":"subscribe","payload":{"mode":"batch"}}"#,
        compression: Compression::Unasked,
    };
    /// What comes nearest to a batch in a server without views.
    pub(crate) const TRACKING: Self = Self {
        request: r#"{"type":"start_position_tracking","payload":{"device_ids":[],"update_frequency":0.02}}"#,
        compression: Compression::Unasked,
    };
}

/// Viewers of one server.
pub(crate) struct Audience {
    pub(crate) fleet: Fleet,
    pub(crate) sample: Sample,
    /// Those who read everything.
    pub(crate) readers: Range<usize>,
    /// Those who count.
    pub(crate) others: Range<usize>,
    /// Whether the others hear compressed frames.
    pub(crate) is_deflated: bool,
    /// A client more, with a sample of its own.
    pub(crate) probe: Option<(usize, Sample)>,
}

/// What a stretch of time cost and brought.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) secs: f64,
    pub(crate) cpu_ns: f64,
    pub(crate) fixes: u64,
    /// Positions that all viewers were sent.
    pub(crate) positions: f64,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) age_p50_ms: f64,
    pub(crate) age_p99_ms: f64,
    pub(crate) age_max_ms: f64,
}

impl Stretch {
    pub(crate) fn ns_per_position(&self) -> f64 {
        ratio(self.cpu_ns, self.positions)
    }

    pub(crate) fn us_per_fix(&self) -> f64 {
        ratio(self.cpu_ns / 1e3, self.fixes as f64)
    }

    pub(crate) fn bytes_per_position(&self) -> f64 {
        ratio(self.bytes as f64, self.positions)
    }

    pub(crate) fn cores(&self) -> f64 {
        self.cpu_ns / 1e9 / self.secs
    }

    pub(crate) fn raw(&self) -> Value {
        json!({
            "secs": self.secs, "cpu_ns": self.cpu_ns, "fixes": self.fixes, "positions": self.positions,
            "frames": self.frames, "bytes": self.bytes, "age_p50_ms": self.age_p50_ms,
            "age_p99_ms": self.age_p99_ms, "age_max_ms": self.age_max_ms,
        })
    }
}

/// Whether the server has views.
pub(crate) fn has_views(anita: &Anita, token: &str) -> Outcome<bool> {
    viewers::knows(anita, token, r#"{"type":"subscribe","payload":{"snapshot":false}}"#)
}

/// Fails, with a sentence, when the server has no views.
pub(crate) fn require_views(anita: &Anita, token: &str) -> Outcome {
    if has_views(anita, token)? {
        return Ok(());
    }
    Err(Fault::new("this server does not know `subscribe`"))
}

/// Starts to publish.
pub(crate) fn publish(anita: &Anita, plan: Plan) -> Outcome<Publisher> {
    let token = anita.token("publisher", None)?;
    let publisher = Publisher::start(anita.address, &token, plan)?;
    // Each tag is known once all have reported.
    let until_us = now_us() + 10_000_000;
    while publisher.sent() < plan.tags as u64 && now_us() < until_us {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(publisher)
}

impl Audience {
    /// Connects viewers of the same view.
    pub(crate) fn open(
        anita: &Anita,
        token: &str,
        count: usize,
        sampled: usize,
        view: View,
    ) -> Outcome<Self> {
        Self::open_each(anita, token, count, sampled, view.compression, Words::Same(view.request))
    }

    /// Connects viewers with words of their own.
    pub(crate) fn open_each(
        anita: &Anita,
        token: &str,
        count: usize,
        sampled: usize,
        compression: Compression,
        words: Words<'_>,
    ) -> Outcome<Self> {
        let (mut fleet, mut sample) = (Fleet::new()?, Sample::default());
        let mut wish = Wish::new(anita.address, "/ws", token);
        (wish.first_words, wish.compression) = (words, compression);
        let (readers, others) = viewers::open(&mut fleet, &wish, count, sampled, &mut sample)?;
        // Those who hear compressed frames can't tell what is in them.
        let is_deflated = compression == Compression::Offered && fleet.member(others.start)?.is_deflated;
        let answered = if is_deflated { readers.len() } else { count };
        viewers::wait_for(&mut fleet, Kind::Subscribed, answered as u64, &mut sample)?;
        Ok(Self { fleet, sample, readers, others, is_deflated, probe: None })
    }

    /// Hears for a while without measuring.
    pub(crate) fn warm_up(&mut self, secs: f64) -> Outcome {
        let until_us = now_us() + clock::secs(secs);
        while now_us() < until_us {
            self.turn()?;
        }
        self.check()
    }

    /// Adds a client that reads everything, into a sample of its own.
    pub(crate) fn add_probe(&mut self, anita: &Anita, token: &str, request: &str) -> Outcome {
        let mut wish = Wish::new(anita.address, "/ws", token);
        (wish.first_words, wish.listen) = (Words::Same(request), Listen::All);
        let sample = &mut self.sample;
        let mut heard = |_: usize, kind: Kind, body: &[u8]| sample.hear(kind, body);
        let index = self.fleet.open(1, &wish, &mut heard)?.start;
        self.probe = Some((index, Sample::default()));
        Ok(())
    }

    /// Hears what there is.
    pub(crate) fn turn(&mut self) -> Outcome {
        let (sample, probe) = (&mut self.sample, &mut self.probe);
        let mut heard = |index: usize, kind: Kind, body: &[u8]| match probe {
            Some((probe, sample)) if *probe == index => sample.hear(kind, body),
            _ => sample.hear(kind, body),
        };
        self.fleet.turn(5, &mut heard)?;
        Ok(())
    }

    /// Fails when the server refused something, or viewers were lost.
    pub(crate) fn check(&self) -> Outcome {
        self.sample.check()?;
        if self.fleet.failed() > 0 {
            let (lost, why) = (self.fleet.failed(), self.fleet.why());
            return Err(Fault::new(format!("{lost} viewers were lost: {why}")));
        }
        Ok(())
    }

    /// Hears for a while; what it cost and brought. `now_and_then` is called many times a second.
    pub(crate) fn measure(
        &mut self,
        anita: &Anita,
        publisher: &Publisher,
        secs: f64,
        mut now_and_then: impl FnMut(&mut Fleet),
    ) -> Outcome<Stretch> {
        self.sample.ages = Histogram::default();
        if let Some((_, sample)) = &mut self.probe {
            sample.ages = Histogram::default();
        }
        let (cpu, from_us) = (anita.process.cpu(), now_us());
        let (fixes, positions, total) = (publisher.sent(), self.sample.positions, self.fleet.total);
        let readers = viewers::tally_of(&self.fleet, self.readers.clone())?;
        let until_us = from_us + clock::secs(secs);
        while now_us() < until_us {
            self.turn()?;
            now_and_then(&mut self.fleet);
        }
        let cpu_ns = anita.process.cpu_ns_since(&cpu);
        let secs = (now_us() - from_us) as f64 / 1e6;
        self.check()?;
        if publisher.has_ended() {
            return Err(Fault::new(
                "the publisher gave up: the server refused a report or took none for 8 s",
            ));
        }
        let all = viewers::between(&total, &self.fleet.total);
        let of_readers = viewers::between(&readers, &viewers::tally_of(&self.fleet, self.readers.clone())?);
        let read = (self.sample.positions - positions) as f64;
        let ages = &self.sample.ages;
        Ok(Stretch {
            secs,
            cpu_ns,
            fixes: publisher.sent() - fixes,
            positions: self.positions(read, of_readers, all),
            frames: all.frames,
            bytes: self.bytes(of_readers, all),
            age_p50_ms: ages.quantile_ms(0.5),
            age_p99_ms: ages.quantile_ms(0.99),
            age_max_ms: ages.max_ms(),
        })
    }

    /// How many bytes all were sent; where the others hear compressed frames, as if the readers did too.
    fn bytes(&self, of_readers: Difference, all: Difference) -> u64 {
        if self.is_deflated {
            let scale = (self.readers.len() + self.others.len()) as f64 / self.others.len().max(1) as f64;
            return ((all.bytes - of_readers.bytes) as f64 * scale) as u64;
        }
        all.bytes
    }

    /// How many positions all were sent, from what the readers found: as many in a byte; compressed, as many a viewer.
    fn positions(&self, read: f64, of_readers: Difference, all: Difference) -> f64 {
        if self.is_deflated {
            return ratio(read, self.readers.len() as f64) * (self.readers.len() + self.others.len()) as f64;
        }
        ratio(read, of_readers.bytes as f64) * all.bytes as f64
    }
}
