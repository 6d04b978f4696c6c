//! `anita tail` and `anita replay`.

use clap::Args;

use super::Failure;

#[derive(Debug, Args)]
pub(crate) struct TailArguments {}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {}

pub(crate) fn tail(_arguments: &TailArguments) -> Result<(), Failure> {
    Err("pending".into())
}

pub(crate) fn replay(_arguments: &ReplayArguments) -> Result<(), Failure> {
    Err("pending".into())
}
