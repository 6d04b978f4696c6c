//! Viewers of a server, some of whom read everything to say how old it is.

use std::ops::Range;

use crate::clock::now_us;
use crate::fault::{Fault, Outcome};
use crate::fleet::{Fleet, Wish, Words};
use crate::histogram::Histogram;
use crate::positions;
use crate::reader::{Listen, Tally};
use crate::server::Anita;
use crate::ws::{Compression, Kind};

/// How long answers may take, microseconds.
const ANSWER_MAX_US: i64 = 30_000_000;

/// What viewers who read everything found.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) ages: Histogram,
    pub(crate) positions: u64,
    pub(crate) refusals: u64,
    pub(crate) refusal: Option<String>,
}

impl Sample {
    /// Hears one message.
    pub(crate) fn hear(&mut self, kind: Kind, body: &[u8]) {
        if kind == Kind::Refused {
            self.refusals += 1;
            self.refusal.get_or_insert_with(|| String::from_utf8_lossy(body).into_owned());
        }
        self.positions += positions::read(kind, body, now_us(), &mut self.ages).positions;
    }

    /// Fails when the server refused something.
    pub(crate) fn check(&self) -> Outcome {
        match &self.refusal {
            Some(text) => Err(Fault::new(format!("{} refusals, first: {text}", self.refusals))),
            None => Ok(()),
        }
    }
}

/// Whether the server knows a request: it is asked on a connection of its own.
pub(crate) fn knows(anita: &Anita, token: &str, request: &str) -> Outcome<bool> {
    let mut fleet = Fleet::new()?;
    let mut wish = Wish::new(anita.address, "/ws", token);
    wish.listen = Listen::Words;
    wish.first_words = Words::Same(request);
    let mut answer = None;
    let mut heard = |_index: usize, kind: Kind, body: &[u8]| match kind {
        Kind::Refused => answer = Some(memchr::memmem::find(body, b"unknown_type").is_none()),
        Kind::Subscribed => answer = Some(true),
        _ => {}
    };
    fleet.open(1, &wish, &mut heard)?;
    let until_us = now_us() + ANSWER_MAX_US;
    while answer.is_none() && now_us() < until_us {
        let mut heard = |_index: usize, kind: Kind, body: &[u8]| match kind {
            Kind::Refused => answer = Some(memchr::memmem::find(body, b"unknown_type").is_none()),
            Kind::Subscribed => answer = Some(true),
            _ => {}
        };
        fleet.turn(20, &mut heard)?;
    }
    answer.ok_or_else(|| Fault::new("the server does not answer"))
}

/// What was heard in a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

/// What was heard between two tallies.
pub(crate) fn between(before: &Tally, after: &Tally) -> Difference {
    Difference {
        frames: after.position_frames - before.position_frames,
        bytes: after.position_bytes - before.position_bytes,
    }
}

/// The sum over some clients.
pub(crate) fn tally_of(fleet: &Fleet, range: Range<usize>) -> Outcome<Tally> {
    let mut sum = Tally::default();
    for index in range {
        sum.add(&fleet.member(index)?.tally, &Tally::default());
    }
    Ok(sum)
}

/// Opens viewers: those in `sampled` of them read everything, the others count. Returns (readers, others).
pub(crate) fn open(
    fleet: &mut Fleet,
    wish: &Wish<'_>,
    count: usize,
    sampled: usize,
    sample: &mut Sample,
) -> Outcome<(Range<usize>, Range<usize>)> {
    let mut readers = wish.clone();
    readers.listen = Listen::All;
    readers.compression = Compression::Unasked;
    let sampled = sampled.min(count);
    let mut heard = |_index: usize, kind: Kind, body: &[u8]| sample.hear(kind, body);
    let readers = fleet.open(sampled, &readers, &mut heard)?;
    let others = fleet.open(count - sampled, wish, &mut heard)?;
    Ok((readers, others))
}

/// Waits until so many of a kind were heard by all clients together.
pub(crate) fn wait_for(fleet: &mut Fleet, kind: Kind, count: u64, sample: &mut Sample) -> Outcome {
    let mut heard = |_index: usize, kind: Kind, body: &[u8]| sample.hear(kind, body);
    let until_us = now_us() + ANSWER_MAX_US;
    let is_done = fleet.hear_until(until_us, &mut heard, |fleet| {
        fleet.total.frames(kind) >= count || fleet.total.frames(Kind::Refused) > 0
    })?;
    sample.check()?;
    if fleet.failed() > 0 {
        return Err(Fault::new(format!("{} connections were lost: {}", fleet.failed(), fleet.why())));
    }
    if is_done && fleet.total.frames(kind) >= count {
        return Ok(());
    }
    Err(Fault::new(format!("{} of {count} answers ({kind:?})", fleet.total.frames(kind))))
}
