//! Placeholder.
use crate::cli::Bench;
use crate::fault::Outcome;
use clap::Args;
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {}
pub(crate) fn run(_bench: &mut Bench, _options: &Options) -> Outcome {
    Ok(())
}
