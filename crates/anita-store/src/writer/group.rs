//! What is committed together, and whose it is.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::port::StoreError;
use crate::record::Record;

/// What becomes of records that could not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    /// They are their sender's again.
    Offered,
    /// They stay here.
    Entrusted,
}

/// What was handed in at once.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) records: Vec<Record>,
    pub(super) ticket: Option<oneshot::Sender<Result<(), StoreError>>>,
    pub(super) hand: Hand,
}

/// An entry without its records.
pub(super) struct Slip {
    pub(super) records: usize,
    pub(super) ticket: Option<oneshot::Sender<Result<(), StoreError>>>,
    pub(super) hand: Hand,
}

/// All records of a group in their order, and what is left of the entries.
pub(super) fn joined(entries: Vec<Entry>) -> (Vec<Record>, Vec<Slip>) {
    let mut all = Vec::with_capacity(entries.iter().map(|entry| entry.records.len()).sum());
    let slips = entries.into_iter().map(|Entry { mut records, ticket, hand }| {
        let slip = Slip { records: records.len(), ticket, hand };
        all.append(&mut records);
        slip
    });
    let slips = slips.collect();
    (all, slips)
}

pub(super) fn owned(records: Arc<Vec<Record>>) -> Vec<Record> {
    Arc::try_unwrap(records).unwrap_or_else(|shared| (*shared).clone())
}
