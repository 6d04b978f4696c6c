//! A whole server in one thread, with virtual time and a network that a seed decides.
//!
//! Conversations, hub, shard, writer and store are the real ones; sockets, the disk and the clock are not. Users come
//! over links that stall, are slow, are cut or end on one side; a source brings reports at least once; the disk fails or
//! takes its time; the wall clock jumps; the server crashes, or drains and begins again. A shadow knows what happened and
//! what each client must have seen, and every client judges every message.
//!
//! `ANITA_SEEDS` says how many seeds, `ANITA_SEED_FIRST` where they begin, `ANITA_SEED` runs one and prints what
//! happened. The same seed gives the same trace, to the byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unchecked_time_subtraction,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed"
)]

mod bytes;
mod client;
mod conn;
mod disk;
mod faults;
mod house;
mod life;
mod link;
mod queue;
mod rights;
mod server;
mod simulation;
mod sources;
mod trace;
mod truth;
mod users;
mod view;
mod wishes;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use simulation::{Counts, Simulation};
use trace::Wanted;

const SEEDS_DEFAULT: u64 = 200;

fn number_of(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a seed to run again")]
    let value = std::env::var(variable).ok()?;
    value.parse().ok()
}

#[expect(clippy::print_stderr, reason = "whoever reads why a run failed")]
fn tell(text: &str) {
    eprintln!("{text}");
}

/// What became of a run.
struct Outcome {
    trace: String,
    counts: Counts,
    fault: Option<Box<dyn std::any::Any + Send>>,
}

fn run(seed: u64, wanted: Wanted) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    let mut simulation = Simulation::new(seed, wanted);
    let fault = catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulation.run()))).err();
    if fault.is_some() {
        let (step, at) = (simulation.steps, simulation.now_ms);
        tell(&format!("seed {seed}: at step {step}, after {at} ms"));
    }
    let (trace, counts) = (std::mem::take(&mut simulation.trace.text), simulation.counts.clone());
    // Its parts may be in any state.
    drop(catch_unwind(AssertUnwindSafe(|| drop(simulation))));
    Outcome { trace, counts, fault }
}

/// The last lines of a trace.
fn last_lines(trace: &str, lines: usize) -> String {
    let all: Vec<&str> = trace.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[test]
fn whatever_happens_every_client_sees_what_it_has_to() {
    if let Some(seed) = number_of("ANITA_SEED") {
        let outcome = run(seed, Wanted::Trace);
        tell(&outcome.trace);
        tell(&format!("{:?}", outcome.counts.0));
        if let Some(fault) = outcome.fault {
            resume_unwind(fault);
        }
        return;
    }
    let first = number_of("ANITA_SEED_FIRST").unwrap_or(0);
    let mut counts = Counts::default();
    for seed in first..first + number_of("ANITA_SEEDS").unwrap_or(SEEDS_DEFAULT) {
        let outcome = run(seed, Wanted::Outcome);
        if let Some(fault) = outcome.fault {
            // The same again, with what happened.
            let again = run(seed, Wanted::Trace);
            tell(&last_lines(&again.trace, 40));
            tell(&format!(
                "the seed {seed} fails; everything that happened: ANITA_SEED={seed} cargo test -p anita-session --test simulation -- --nocapture"
            ));
            assert!(
                again.fault.is_some(),
                "the seed {seed} failed once and not again: something is not by the seed"
            );
            resume_unwind(fault);
        }
        outcome.counts.0.into_iter().for_each(|(what, count)| counts.add(what, count));
    }
    tell(&format!("simulated: {:?}", counts.0));
}

#[test]
fn a_seed_gives_the_same_run_to_the_byte() {
    for seed in 0..4 {
        let (once, again) = (run(seed, Wanted::Trace), run(seed, Wanted::Trace));
        assert!(once.trace.lines().count() > 100, "something happens");
        let differing = once.trace.lines().zip(again.trace.lines()).find(|(a, b)| a != b);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(once.trace.len(), again.trace.len());
    }
}
