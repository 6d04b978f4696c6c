//! A model of delivery: beside the views runs a shadow of the world, and every client judges every frame it gets.
//!
//! What is always true: nothing outside the rights and the filter of the moment is in a frame; a position is never
//! older than one that the same view told of the device before, and only a device that is said to have come in, or a
//! snapshot, repeats one; a device that moves was said to be inside; with a rate, two positions of a device are as far
//! apart as the rate says, less the gathering; the lane `every` tells each fix that its filter shows, in order and
//! once, or a gap that covers it. What is true as soon as everybody has read and nothing happens: the client knows
//! exactly the devices that the view shows, each where it is; nothing is left to do; and when everybody is gone, so is
//! everything that was kept for them.
//!
//! `ANITA_SEED` runs one seed, `ANITA_SEEDS` that many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod asked;
mod client;
mod many;
mod simulation;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use simulation::Simulation;

const SEEDS_DEFAULT: u64 = 1_000;
const STEPS: usize = 120;

fn number_of(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a seed to run again")]
    let value = std::env::var(variable).ok()?;
    value.parse().ok()
}

fn run(seed: u64, act: impl Fn(&mut Simulation)) -> Simulation {
    let mut simulation = Simulation::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| act(&mut simulation)));
    if let Err(fault) = outcome {
        if number_of("ANITA_SEED").is_some() {
            for client in simulation.clients.values() {
                let heard = client.heard.iter().rev().take(30).rev().cloned().collect::<Vec<_>>().join("\n");
                tell(&format!("--- {} {:?}\n{heard}", client.seat, client.views));
            }
        }
        tell(&format!("to see it again: ANITA_SEED={seed} cargo test -p anita-views --test model"));
        resume_unwind(fault);
    }
    simulation
}

#[expect(clippy::print_stderr, reason = "whoever reads why a run failed")]
fn tell(text: &str) {
    eprintln!("{text}");
}

#[test]
fn every_client_knows_what_it_has_to_whatever_happens() {
    let seeds = match number_of("ANITA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_of("ANITA_SEEDS").unwrap_or(SEEDS_DEFAULT),
    };
    let mut count = std::collections::BTreeMap::<String, u64>::new();
    for seed in seeds {
        for (kind, messages) in run(seed, |simulation| simulation.run(STEPS)).count {
            *count.entry(kind).or_default() += messages;
        }
    }
    if number_of("ANITA_SEED").is_none() {
        assert_eq!(count.len(), 7, "messages of every kind: {count:?}");
    }
}
