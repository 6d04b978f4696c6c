//! The contract of docs/DELIVERY.md over real sockets, with clients that really stop reading: their receive buffers
//! are small, and nobody reads for them.
//!
//! Every report moves each of its tags, and the height of a tag counts its reports: so a position says which one it is.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod client;
mod crowd;
mod events;
mod gone;
mod house;
mod picture;
mod shadow;
mod slow;
mod together;

use serde_json::Value;

use client::Client;
use picture::{Pictures, Place};

/// Tags of the tests that count.
const TAGS: usize = 200;

/// How often all of them were reported by then.
type Round = i64;

fn tag(number: usize) -> String {
    format!("t{number:03}")
}

/// What is reported of so many tags in a round.
fn round_of(tags: usize, round: Round) -> Vec<Value> {
    let place =
        |number: usize| Place { x_cm: i64::try_from(number).unwrap(), y_cm: round % 100, count: round };
    (0..tags).map(|number| place(number).item(&tag(number))).collect()
}

/// A client with one view that is told each round.
struct Watcher {
    client: Client,
    pictures: Pictures,
    /// Positions that it was told.
    positions: usize,
}

impl Watcher {
    /// One that has heard the snapshot.
    async fn new(client: Client, subscribe: &Value) -> Self {
        let mut it = Self { client, pictures: Pictures::default(), positions: 0 };
        it.client.send("subscribe", subscribe).await;
        loop {
            let message = it.client.next().await;
            it.pictures.hear(&message);
            if message["type"] == "view.snapshot" && message["payload"]["complete"] == true {
                return it;
            }
        }
    }

    /// Hears a round: each tag once, and nothing of another round.
    async fn hear_round(&mut self, tags: usize, round: Round) {
        let mut missing = tags;
        while missing > 0 {
            let message = self.client.next().await;
            for told in self.pictures.hear(&message) {
                assert!(told.has_moved && told.place.unwrap().count == round, "in round {round}: {message}");
                missing -= 1;
            }
        }
        self.positions += tags;
    }
}
