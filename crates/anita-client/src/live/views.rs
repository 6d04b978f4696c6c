//! The views that the application holds: asked for anew on each connection, their messages found. No socket, no clock.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::error::{AskError, Failure};
use super::events::{Gap, GapOf};
use super::requests::Done;
use super::rooms::Place;
use super::view::ViewContents;
use crate::envelope::Envelope;

/// How many views one client holds: more than a server gives to one connection.
const VIEWS_MAX: usize = 100;

/// A view that somebody holds.
#[derive(Debug)]
pub(super) struct Kept {
    /// The payload of `subscribe`.
    pub(super) wanted: Map<String, Value>,
    pub(super) contents: watch::Sender<ViewContents>,
    /// Who waits until it shows something.
    pub(super) opened: Option<Done>,
    /// Whether the question is on its way.
    pub(super) is_asked: bool,
    /// Whether it was changed since it was asked for.
    pub(super) is_changed: bool,
    /// How far its fixes have been heard, in the lane `every`.
    pub(super) place: Option<Place>,
}

/// All of them, by their keys.
#[derive(Debug, Default)]
pub(super) struct Views {
    kept: BTreeMap<u64, Kept>,
    /// Keys by what the server calls them on this connection.
    keys: HashMap<String, u64>,
}

/// What a message means to the views.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ViewHeard {
    pub(super) gap: Option<Gap>,
    /// A subscription that nobody wants any more.
    pub(super) unwanted: Option<String>,
    /// The payload of an `update_subscription`: what was changed while the answer was awaited.
    pub(super) update: Option<Value>,
    pub(super) trouble: Option<Failure>,
}

#[derive(Deserialize)]
struct Subscribed {
    subscription: String,
    epoch: String,
    seq: u64,
    #[serde(default)]
    recovered: bool,
}

#[derive(Deserialize)]
struct Lost {
    epoch: String,
    from_seq: u64,
    to_seq: u64,
}

// === impl Views ===

impl Views {
    /// Takes one more, unless there are too many.
    pub(super) fn add(&mut self, key: u64, mut kept: Kept) {
        if self.kept.len() < VIEWS_MAX {
            self.kept.insert(key, kept);
        } else {
            kept.settle(Err(AskError::QueueFull));
        }
    }

    /// Those that this connection has to be asked for, without those that nobody holds any more.
    pub(super) fn missing(&mut self) -> Vec<u64> {
        self.kept.retain(|_key, kept| kept.contents.receiver_count() > 0);
        let is_missing = |kept: &Kept| !kept.is_asked && kept.contents.borrow().subscription.is_none();
        self.kept.iter().filter(|(_key, kept)| is_missing(kept)).map(|(key, _kept)| *key).collect()
    }

    /// The payload of `subscribe`.
    pub(super) fn ask(&mut self, key: u64) -> Option<Value> {
        let kept = self.kept.get_mut(&key)?;
        kept.is_asked = true;
        kept.is_changed = false;
        let mut wanted = kept.wanted.clone();
        if let Some(Place { epoch, seq }) = &kept.place {
            wanted.insert("since".to_owned(), json!({ "epoch": epoch, "seq": seq }));
        }
        Some(Value::Object(wanted))
    }

    /// The answer to a `subscribe`: what is missing, or the subscription that nobody wants any more.
    pub(super) fn subscribed(&mut self, key: u64, answer: &Envelope) -> ViewHeard {
        let mut heard = ViewHeard::default();
        let told = match answer.payload_as::<Subscribed>() {
            Ok(told) => told,
            Err(error) => {
                heard.trouble = Some(Failure::new("invalid_message", error.to_string()));
                return heard;
            }
        };
        let Some(kept) = self.kept.get_mut(&key) else {
            heard.unwanted = Some(told.subscription);
            return heard;
        };
        kept.is_asked = false;
        let is_every = kept.wanted.get("lane").is_some_and(|lane| lane == "every");
        let has_snapshot = !is_every && kept.wanted.get("snapshot") != Some(&Value::Bool(false));
        // What moved and left while the client was away has to be told, also where no snapshot was wanted at first.
        kept.wanted.remove("snapshot");
        if is_every && !told.recovered {
            let is_other = |place: &Place| place.epoch != told.epoch;
            // Within an epoch the server says which numbers are lost.
            if kept.place.as_ref().is_some_and(is_other) {
                heard.gap = Some(Gap { of: GapOf::View(key), epoch: told.epoch.clone(), seqs: None });
            }
            if kept.place.as_ref().is_none_or(is_other) {
                kept.place = Some(Place { epoch: told.epoch, seq: told.seq });
            }
        }
        if std::mem::take(&mut kept.is_changed) {
            let mut update = kept.wanted.clone();
            update.remove("lane");
            update.entry("max_rate_hz").or_insert(Value::Null);
            update.insert("subscription".to_owned(), told.subscription.clone().into());
            heard.update = Some(Value::Object(update));
        }
        self.keys.insert(told.subscription.clone(), key);
        kept.contents.send_modify(|contents| {
            contents.subscription = Some(told.subscription);
            contents.is_live = !has_snapshot;
        });
        if !has_snapshot {
            kept.settle(Ok(()));
        }
        heard
    }

    /// A `subscribe` was refused. Whether it will be asked for again; who waits is told in any case.
    pub(super) fn refused(&mut self, key: u64, error: &AskError) -> bool {
        let Some(kept) = self.kept.get_mut(&key) else { return false };
        kept.is_asked = false;
        if kept.opened.is_none() && error.is_retryable() {
            return true;
        }
        kept.settle(Err(error.clone()));
        self.kept.remove(&key);
        false
    }

    /// What the server calls a view on this connection.
    pub(super) fn subscription(&self, key: u64) -> Option<String> {
        self.kept.get(&key).and_then(|kept| kept.contents.borrow().subscription.clone())
    }

    /// What is asked for on the next connection is changed: what is absent stays, `null` is no limit.
    pub(super) fn change(&mut self, key: u64, change: Map<String, Value>) {
        let Some(kept) = self.kept.get_mut(&key) else { return };
        kept.wanted.extend(change);
        kept.wanted.retain(|_name, value| !value.is_null());
        kept.is_changed = kept.is_asked;
    }

    /// Ends one; its subscription, where there is one.
    pub(super) fn remove(&mut self, key: u64) -> Option<String> {
        let kept = self.kept.remove(&key)?;
        let subscription = kept.contents.borrow().subscription.clone()?;
        self.keys.remove(&subscription);
        Some(subscription)
    }

    /// Takes a message of a view, if it is one of ours.
    pub(super) fn hear(&mut self, message: &Envelope) -> ViewHeard {
        let mut heard = ViewHeard::default();
        let Some(subscription) = message.subscription() else { return heard };
        let Some(&key) = self.keys.get(&*subscription) else { return heard };
        let Some(kept) = self.kept.get_mut(&key) else { return heard };
        if kept.contents.receiver_count() == 0 {
            heard.unwanted = self.remove(key);
            return heard;
        }
        if let (Some(place), Some(epoch), Some(seq)) = (&mut kept.place, &message.epoch, message.seq) {
            *place = Place { epoch: epoch.clone(), seq };
        }
        if message.kind == "view.gap" {
            if let Ok(Lost { epoch, from_seq, to_seq }) = message.payload_as::<Lost>() {
                kept.place = Some(Place { epoch: epoch.clone(), seq: to_seq });
                heard.gap = Some(Gap { of: GapOf::View(key), epoch, seqs: Some((from_seq, to_seq)) });
            }
            return heard;
        }
        kept.contents.send_if_modified(|contents| {
            match contents.take(&message.kind, message.payload.get()) {
                Ok(is_changed) => is_changed,
                Err(error) => {
                    heard.trouble = Some(Failure::new("invalid_message", error.to_string()));
                    false
                }
            }
        });
        if kept.contents.borrow().is_live {
            kept.settle(Ok(()));
        }
        heard
    }

    /// The connection is gone. Who was waiting for an answer or a snapshot gets none; who waits for a connection goes on.
    pub(super) fn lose(&mut self) {
        self.keys.clear();
        self.kept.retain(|_key, kept| {
            let is_on_its_way = kept.is_asked || kept.contents.borrow().subscription.is_some();
            kept.is_asked = false;
            kept.contents.send_modify(ViewContents::lose);
            if is_on_its_way && kept.opened.is_some() {
                kept.settle(Err(AskError::Disconnected));
                return false;
            }
            true
        });
    }

    /// There will be no connection: who waits is told. Those that were open are asked for, if there is one after all.
    pub(super) fn end(&mut self, error: &AskError) {
        self.kept.retain(|_key, kept| {
            let is_open = kept.opened.is_none();
            kept.settle(Err(error.clone()));
            is_open
        });
    }
}

// === impl Kept ===

impl Kept {
    fn settle(&mut self, result: Result<(), AskError>) {
        if let Some(done) = self.opened.take() {
            drop(done.send(result));
        }
    }
}

#[cfg(test)]
#[path = "views_tests.rs"]
mod tests;
