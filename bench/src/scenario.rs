//! The scenarios, and what several of them do.

pub(crate) mod a;
pub(crate) mod b;
pub(crate) mod c;
pub(crate) mod d;
pub(crate) mod e;
pub(crate) mod f;
pub(crate) mod g;
pub(crate) mod h;
pub(crate) mod i;
mod stream;
mod viewers;

use crate::cli::Bench;
use crate::fault::{Fault, Outcome};

/// All, one after the other; one that fails does not keep the others from running.
pub(crate) fn all(bench: &mut Bench) -> Outcome {
    let mut failed = Vec::new();
    let mut count = |letter: &str, outcome: Outcome| {
        if let Err(fault) = outcome {
            println!("   failed: {fault}");
            failed.push(letter.to_owned());
        }
    };
    count("a", a::run(bench, &a::Options::default()));
    count("b", b::run(bench, &b::Options::default()));
    count("c", c::run(bench, &c::Options::default()));
    count("d", d::run(bench, &d::Options::default()));
    count("e", e::run(bench, &e::Options::default()));
    count("f", f::run(bench, &f::Options::default()));
    count("g", g::run(bench, &g::Options::default()));
    count("h", h::run(bench, &h::Options::default()));
    count("i", i::run(bench, &i::Options::default()));
    if failed.is_empty() { Ok(()) } else { Err(Fault::new(format!("failed: {}", failed.join(", ")))) }
}
