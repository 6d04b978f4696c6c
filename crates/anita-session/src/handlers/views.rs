//! Subscriptions: a client's views of devices.

use std::sync::atomic::Ordering;

use anita_model::Now;
use anita_views::{Filter, Form, Pace, Slot, Start, ViewSpec};
use anita_wire::message::{ConnectionStats, Subscribed, SubscriptionUpdated, Unsubscribed};
use anita_wire::request::{Since, Subscribe, Unsubscribe, UpdateSubscription};
use anita_wire::view::{Lane, Mode, ViewFilter};
use anita_wire::{ErrorCode, Refusal, RequestId, Time};
use bytes::Bytes;
use serde_json::json;

use crate::handlers::{Refused, answer};
use crate::session::Session;

/// A subscription as the client asked for it, with what it changed since.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    asked: Subscribe,
}

impl Subscription {
    fn filter(&self) -> Result<Filter, Refused> {
        let everything = ViewFilter::default();
        let wire = self.asked.view.as_ref().unwrap_or(&everything);
        Filter::from_wire(wire).map_err(|error| invalid("view.devices", &format!("{error}")))
    }

    fn lane(&self) -> Lane {
        self.asked.lane.unwrap_or_default()
    }

    /// `None` while it is paused.
    fn spec(&self) -> Result<Option<ViewSpec>, Refused> {
        let Subscribe { fields, max_rate_hz, min_move_m, mode, unit, .. } = &self.asked;
        let filter = self.filter()?;
        let pace = match *max_rate_hz {
            Some(0.0) => return Ok(None),
            Some(hz) => Pace::at_most_hz(hz),
            None => Pace::Unlimited,
        };
        let form = match mode.unwrap_or_default() {
            Mode::Single => Form::Single,
            Mode::Batch => Form::Batch,
            Mode::Columns => Form::Columns(unit.unwrap_or_default()),
        };
        let spec = ViewSpec::new(filter, form, pace).with_fields(fields.unwrap_or_default());
        Ok(Some(spec.with_min_move_m(min_move_m.unwrap_or_default())))
    }

    /// Refuses what does not go together.
    fn check(&self) -> Result<(), Refused> {
        let Subscribe { max_rate_hz, min_move_m, mode, since, .. } = &self.asked;
        match self.lane() {
            Lane::Every if max_rate_hz.is_some_and(|hz| hz != 0.0) || min_move_m.is_some() => Err(invalid(
                "lane",
                "the lane `every` tells each fix; it has no max_rate_hz and no min_move_m",
            )),
            Lane::Every if mode.is_some_and(|mode| mode != Mode::Single) => {
                Err(invalid("mode", "the lane `every` tells each fix by itself: mode `single`"))
            }
            Lane::Newest if since.is_some() => Err(invalid(
                "since",
                "only the lane `every` can go on where it was; others begin with a snapshot",
            )),
            Lane::Every | Lane::Newest => Ok(()),
        }
    }
}

fn invalid(path: &str, reason: &str) -> Refused {
    let message = format!("{path}: {reason}.");
    Refusal::saying(ErrorCode::InvalidPayload, message).with_details(json!({ "path": path })).into()
}

fn no_such(name: &str) -> Refused {
    let name: String = name.chars().take(64).collect();
    Refusal::saying(ErrorCode::NotFound, format!("This connection has no subscription {name:?}.")).into()
}

impl Session {
    pub(crate) fn subscribe(
        &mut self,
        asked: Subscribe,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let most = self.context.settings.views_per_connection_max;
        let free = (1..=u8::MAX).take(most).map(Slot::Subscription);
        let slot = free.into_iter().find(|slot| !self.subscriptions.contains_key(slot)).ok_or_else(|| {
            let message = format!("This connection has {most} subscriptions, the most that are allowed.");
            Refusal::saying(ErrorCode::LimitReached, message).with_details(json!({ "limit": most }))
        })?;
        self.check_area(asked.view.as_ref())?;
        let since = asked.since.clone();
        let subscription = Subscription { asked };
        subscription.check()?;
        let start = if subscription.asked.snapshot.unwrap_or(true) { Start::Snapshot } else { Start::Now };
        let recovered = self.begin(slot, &subscription, (start, since.as_ref()), now)?;
        self.subscriptions.insert(slot, Box::new(subscription));
        let (epoch, seq) = self.place(now);
        let subscription = slot.subscription().unwrap_or_default();
        Ok(answer(&Subscribed { subscription, epoch, seq, recovered }, id))
    }

    pub(crate) fn update_subscription(
        &mut self,
        change: UpdateSubscription,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let found = Slot::from_subscription(&change.subscription).and_then(|slot| {
            self.subscriptions.get(&slot).map(|subscription| (slot, (**subscription).clone()))
        });
        let Some((slot, mut subscription)) = found else { return Err(no_such(&change.subscription)) };
        self.check_area(change.view.as_ref())?;
        let UpdateSubscription { view, fields, max_rate_hz, min_move_m, mode, unit, .. } = change;
        let asked = &mut subscription.asked;
        asked.view = view.or(asked.view.take());
        asked.fields = fields.or(asked.fields);
        asked.max_rate_hz = max_rate_hz.unwrap_or(asked.max_rate_hz);
        asked.min_move_m = min_move_m.or(asked.min_move_m);
        asked.mode = mode.or(asked.mode);
        asked.unit = unit.or(asked.unit);
        asked.since = None;
        subscription.check()?;
        // One that was paused begins with its devices as they are, or what moved meanwhile would be kept from the client.
        self.begin(slot, &subscription, (Start::Snapshot, None), now)?;
        self.subscriptions.insert(slot, Box::new(subscription));
        let (epoch, seq) = self.place(now);
        let subscription = slot.subscription().unwrap_or_default();
        Ok(answer(&SubscriptionUpdated { subscription, epoch, seq }, id))
    }

    /// Refuses an area that is more complex than this server allows.
    fn check_area(&self, view: Option<&ViewFilter>) -> Result<(), Refused> {
        let fault = view.and_then(|view| self.context.settings.area_fault(view));
        fault.map_or(Ok(()), |fault| Err(invalid("view.area", &fault)))
    }

    /// Begins a view, changes it, or pauses it.
    fn begin(
        &self,
        slot: Slot,
        subscription: &Subscription,
        (start, since): (Start, Option<&Since>),
        now: Now,
    ) -> Result<Option<bool>, Refused> {
        let (filter, spec) = (subscription.filter()?, subscription.spec()?);
        let is_every = subscription.lane() == Lane::Every;
        let seat = self.peer().seat;
        Ok(self.peer().shard.with(now, |views| match spec {
            None => {
                views.unwatch(seat, slot);
                None
            }
            Some(_) if is_every => {
                let is_same = since.map(|since| since.epoch == views.place().0);
                let since = since.filter(|_since| is_same == Some(true)).map(|since| since.seq);
                let is_whole = views.read_every(seat, slot, filter, since);
                is_same.map(|is_same| is_same && is_whole)
            }
            Some(spec) => {
                views.watch(seat, slot, spec, start, now);
                None
            }
        }))
    }

    pub(crate) fn unsubscribe(
        &mut self,
        payload: Unsubscribe,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let slot = Slot::from_subscription(&payload.subscription);
        let Some(slot) = slot.filter(|slot| self.subscriptions.remove(slot).is_some()) else {
            return Err(no_such(&payload.subscription));
        };
        let seat = self.peer().seat;
        self.peer().shard.with(now, |views| views.unwatch(seat, slot));
        Ok(answer(&Unsubscribed { subscription: payload.subscription }, id))
    }

    pub(crate) fn connection_stats(&self, id: Option<&RequestId>, now: Now) -> Bytes {
        let peer = self.peer();
        let figures = peer.shard.with(now, |views| views.figures(peer.seat));
        let stats = ConnectionStats {
            client_id: self.client_id().to_owned(),
            since: Time(peer.since.wall),
            received: peer.received.load(Ordering::Relaxed),
            sent: peer.sent.load(Ordering::Relaxed),
            positions_delivered: figures.delivered,
            positions_dropped: figures.dropped,
            queued_bytes: peer.queued_bytes.load(Ordering::Relaxed),
            age_ms: figures.age,
            added_age_ms: figures.added_age,
            subscriptions: figures.subscriptions,
        };
        answer(&stats, id)
    }

    /// The epoch and the number of the last fix.
    fn place(&self, now: Now) -> (String, u64) {
        self.peer().shard.with(now, |views| {
            let (epoch, version) = views.place();
            (epoch.to_owned(), version)
        })
    }
}
