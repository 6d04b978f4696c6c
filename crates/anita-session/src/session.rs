//! The conversation: who is at the other end, what it is in, what it is owed, and when it ends.

mod ending;

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use anita_auth::Principal;
use anita_hub::{Peer, Registration};
use anita_model::{Now, RoomName, SourceName, Timestamp};
use anita_store::AuditRecord;
use anita_views::Slot;
use anita_wire::message::Heartbeat;
use anita_wire::{CloseCode, CloseReason, ErrorCode, Incoming, Refusal, RequestId, Time};
use bytes::Bytes;

use crate::answering::Pending;
use crate::budget::Budget;
use crate::class::ClassBudgets;
use crate::context::{Context, Credentials};
use crate::deliver::PaceNotice;
use crate::handlers::rooms::UwbPositions;
use crate::handlers::views::Subscription;
use crate::handlers::{Answer, Refused};
use crate::parked::Parked;
use crate::playback::Playback;
use crate::router::refusal_frame;

/// How long an answer may be under way; the store and an application's own handlers are what can take long.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// When to try again what was not answered in time, milliseconds.
const OVERDUE_RETRY_AFTER_MS: u64 = 1_000;

/// Whether what is new may be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The peer has read what it has.
    Open,
    /// The peer has not: what is new waits where it is, replaced by what is newer.
    Held,
}

/// How a conversation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The close code.
    pub code: CloseCode,
    /// The reason.
    pub reason: CloseReason,
}

/// How far a client has heard a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The last number that was looked at.
    pub(crate) seq: u64,
    /// The last number that the client knows of. Those between the two were not for it.
    pub(crate) told_seq: u64,
}

impl Heard {
    /// Everything up to a number, and told so.
    pub(crate) fn up_to(seq: u64) -> Self {
        Self { seq, told_seq: seq }
    }
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// Nobody is known yet; until the deadline, by the uptime.
    Waiting { deadline: Duration },
    /// Somebody is.
    Live(Box<Principal>),
}

/// One conversation with one client.
#[derive(Debug)]
pub struct Session {
    pub(crate) context: Arc<Context>,
    registration: Registration,
    pub(crate) phase: Phase,
    /// The rooms it is in, and up to which number it has heard each.
    pub(crate) rooms: BTreeMap<RoomName, Heard>,
    /// Whether the room `uwb` tells it where devices are.
    pub(crate) uwb_positions: UwbPositions,
    /// Its views, by their place in the shard; those that are paused too.
    pub(crate) subscriptions: BTreeMap<Slot, Box<Subscription>>,
    /// Whether there is more to deliver than was taken at once.
    pub(crate) has_more: bool,
    /// What it is to be told of its own slowness.
    pub(crate) pace: PaceNotice,
    /// Complete frames that wait to be written.
    pub(crate) out: Vec<Bytes>,
    /// Answers under way; nothing where there are none, which is nearly always.
    answering: Option<Box<Pending>>,
    /// The token that waits for keys of its issuer; nothing where none does, which is nearly always.
    pub(crate) parked: Option<Box<Parked>>,
    /// What was said while a token waited that is judged now.
    pub(crate) held: VecDeque<String>,
    /// The past that is played back; nothing where there is none, which is nearly always.
    pub(crate) playback: Option<Box<Playback>>,
    /// How many there were: they are named by it.
    pub(crate) playbacks_begun: u32,
    /// What fixes of this connection name as their source.
    pub(crate) source: SourceName,
    pub(crate) budget: Budget,
    /// What may still be asked of each class of requests.
    class_budgets: ClassBudgets,
    /// The pings and pongs that the peer may send.
    controls: Budget,
    /// Requests that were refused as too many, less those that were taken since.
    rate_refusals: u32,
    pub(crate) heard_at: Duration,
    /// The wall clock when something happened last: the time of entries in the audit trail.
    wall: Timestamp,
    pub(crate) heartbeat_at: Duration,
    /// When the token and its leeway run out, by the uptime: a jump of the wall clock ends nobody.
    pub(crate) expires_at: Duration,
    /// Whether it was told when to come back.
    is_told_to_return: bool,
    closing: Option<Closing>,
}

impl Session {
    /// Begins a conversation with what the client brought.
    pub fn open(
        context: Arc<Context>,
        registration: Registration,
        credentials: Credentials,
        source: SourceName,
        now: Now,
    ) -> Self {
        let settings = context.settings;
        let mut session = Self {
            registration,
            phase: Phase::Waiting { deadline: now.uptime.saturating_add(settings.auth_deadline) },
            rooms: BTreeMap::new(),
            uwb_positions: UwbPositions::default(),
            subscriptions: BTreeMap::new(),
            has_more: false,
            pace: PaceNotice::default(),
            out: Vec::new(),
            answering: None,
            parked: None,
            held: VecDeque::new(),
            playback: None,
            playbacks_begun: 0,
            source,
            budget: Budget::new(settings.viewer_requests_per_second, now.uptime),
            class_budgets: ClassBudgets::default(),
            controls: Budget::new(settings.pings_per_second, now.uptime),
            rate_refusals: 0,
            heard_at: now.uptime,
            wall: now.wall,
            heartbeat_at: now.uptime.saturating_add(settings.heartbeat_interval),
            expires_at: Duration::MAX,
            is_told_to_return: false,
            closing: None,
            context,
        };
        match credentials {
            Credentials::Token(token) => session.authenticate(&token, None, now),
            Credentials::Session(principal) => session.welcome(*principal, None, now),
            Credentials::None => session.ask_for_token(),
            Credentials::BadTicket => session.refuse_ticket(),
            Credentials::NoSuchEndpoint => {
                let message = "There is no WebSocket at this path; use /ws or /ws/uwb.";
                session.refuse_and_close(
                    &Refusal::saying(ErrorCode::NotFound, message),
                    None,
                    CloseCode::NoSuchEndpoint,
                );
            }
        }
        session
    }

    // --- what the owner of the socket asks

    /// The id of the connection.
    pub fn client_id(&self) -> &str {
        self.peer().id.as_str()
    }

    /// The connection as others see it; its bell rings when [`Session::on_wake`] has something to do.
    pub fn peer(&self) -> &Arc<Peer> {
        self.registration.peer()
    }

    /// The frames that wait to be written, in order.
    pub fn take_frames(&mut self) -> Vec<Bytes> {
        self.peer().sent.fetch_add(self.out.len() as u64, Ordering::Relaxed);
        std::mem::take(&mut self.out)
    }

    /// Whether, and how, the conversation is over. What waits to be written goes before the close frame.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// When [`Session::on_wake`] is due even if nothing happens, by the uptime.
    pub fn wake_at(&self) -> Duration {
        if self.has_more || !self.held.is_empty() {
            return Duration::ZERO;
        }
        match &self.phase {
            Phase::Waiting { .. } if self.parked.is_some() => Duration::MAX,
            Phase::Waiting { deadline } => *deadline,
            Phase::Live(_) => {
                let answer_due = self.answering.as_ref().and_then(|pending| pending.due_at());
                let due = self.heartbeat_at.min(self.silent_at()).min(self.expires_at);
                let due = answer_due.map_or(due, |answer| due.min(answer));
                let due = self.playback.as_ref().map_or(due, |playback| due.min(playback.wake_at()));
                self.pace.due_at().map_or(due, |pace| due.min(pace))
            }
        }
    }

    /// When the peer has been silent for strictly more than two heartbeat intervals, by the uptime.
    fn silent_at(&self) -> Duration {
        if self.parked.is_some() {
            // Nobody listens.
            return Duration::MAX;
        }
        let silence_max = self.context.settings.heartbeat_interval.saturating_mul(2);
        self.heard_at.saturating_add(silence_max).saturating_add(Duration::from_millis(1))
    }

    // --- what happens

    /// A ping or pong of the peer: a sign of life, within reason.
    pub fn on_control(&mut self, now: Now) {
        self.on_heard(now);
        if self.controls.take(now.uptime).is_err() {
            self.close(CloseCode::RateLimited);
        }
    }

    /// Any frame of the peer is a sign of life.
    fn on_heard(&mut self, now: Now) {
        self.heard_at = now.uptime;
        self.wall = now.wall;
    }

    /// Whether somebody is known at the other end: until then, only small messages are read.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live(_))
    }

    /// Takes a text message.
    pub fn on_text(&mut self, text: &str, now: Now) {
        self.catch_up(now);
        self.take_text(text, now);
    }

    pub(crate) fn take_text(&mut self, text: &str, now: Now) {
        if self.closing.is_some() || self.hold(text) {
            return;
        }
        self.on_heard(now);
        self.peer().received.fetch_add(1, Ordering::Relaxed);
        if let Phase::Waiting { .. } = self.phase {
            self.on_text_before_auth(text, now);
            return;
        }
        if let Err(wait) = self.budget.take(now.uptime) {
            self.refuse_rate(wait, text);
            return;
        }
        let incoming = match Incoming::decode_within(text, self.context.settings.json_nesting_max) {
            Ok(incoming) => incoming,
            Err(refusal) => {
                self.pay_back_refusal();
                self.context.hub.metrics().count_message("invalid");
                let id = RequestId::find(text);
                self.refuse(&refusal, id.as_ref());
                return;
            }
        };
        if let Err((class, wait)) = self.count_class(&incoming, now) {
            self.refuse_class(class, wait, incoming.id.as_ref());
            return;
        }
        self.pay_back_refusal();
        // A panic in a handler costs its request. The session's own state is only changed by whole statements of
        // handlers, and dropped with the socket at the worst.
        let routed = std::panic::catch_unwind(AssertUnwindSafe(|| self.route(&incoming, now)));
        match routed {
            Ok(Ok(Answer::Now(frame))) => self.out.push(frame),
            Ok(Ok(Answer::Parked)) => {}
            Ok(Ok(Answer::Later(answering, guard))) => {
                let pending = self.answering.get_or_insert_default();
                pending.push(answering, guard, incoming.id, now.uptime.saturating_add(ANSWER_DEADLINE));
                // What is done already is answered at once.
                self.poll_answers(&mut TaskContext::from_waker(Waker::noop()));
            }
            Ok(Err(Refused(refusal))) => self.refuse(&refusal, incoming.id.as_ref()),
            Err(_panic) => {
                tracing::error!(r#type = %incoming.name, "a handler panicked; its request is refused");
                self.context.hub.metrics().count_panic("handler");
                self.refuse(&ErrorCode::Internal.into(), incoming.id.as_ref());
            }
        }
    }

    /// Whether as many answers are under way as may, or a token waits for keys: nothing more is read then.
    pub fn is_full(&self) -> bool {
        self.parked.is_some() || self.answering.as_ref().is_some_and(|pending| pending.is_full())
    }

    /// Done when the store or a handler has done its part of an answer or of a playback: [`Session::on_wake`] has
    /// something to do then. Never, while nothing is under way. Cancel safe.
    pub async fn answered(&mut self) {
        std::future::poll_fn(
            |context| if self.poll_under_way(context) { Poll::Ready(()) } else { Poll::Pending },
        )
        .await;
    }

    /// Lets everything that is under way go on. Says whether something is ready.
    fn poll_under_way(&mut self, context: &mut TaskContext<'_>) -> bool {
        let is_read = self.playback.as_mut().is_some_and(|playback| playback.poll(context));
        let is_judged = self.poll_parked(context);
        self.poll_answers(context) || is_read || is_judged
    }

    /// Done when no answer is under way. Cancel safe.
    pub async fn all_answered(&mut self) {
        // Nothing else is looked at: a token that was judged stays so until the next wake, and would never let this sleep.
        std::future::poll_fn(|context| {
            self.poll_answers(context);
            if self.answering.is_none() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes answers that are ready. Says whether there were any.
    fn poll_answers(&mut self, context: &mut TaskContext<'_>) -> bool {
        let Some(pending) = &mut self.answering else { return false };
        let done = pending.poll(context);
        let panics = pending.take_panics();
        if pending.is_empty() {
            self.answering = None;
        }
        (0..panics).for_each(|_| self.context.hub.metrics().count_panic("handler"));
        let is_any = !done.is_empty();
        for (answered, id) in done {
            match answered {
                Ok(frame) => self.out.push(frame),
                Err(Refused(refusal)) => self.refuse(&refusal, id.as_ref()),
            }
        }
        is_any
    }

    /// Gives up what takes too long.
    fn give_up_answers(&mut self, now: Now) {
        let overdue =
            self.answering.as_mut().map(|pending| pending.take_overdue(now.uptime)).unwrap_or_default();
        for id in overdue {
            tracing::error!(
                client = self.client_id(),
                "an answer did not come in time; its request is refused"
            );
            let refusal = Refusal::new(ErrorCode::Unavailable).with_retry_after_ms(OVERDUE_RETRY_AFTER_MS);
            self.refuse(&refusal, id.as_ref());
        }
    }

    /// A binary message: the protocol has none.
    pub fn on_binary(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let message = "Binary messages are not understood; send JSON as text.";
        self.refuse_and_close(
            &Refusal::saying(ErrorCode::InvalidMessage, message),
            None,
            CloseCode::Unsupported,
        );
    }

    /// Lets time pass, and takes what others left: mail, events, positions.
    pub fn on_wake(&mut self, now: Now, delivery: Delivery) {
        if self.closing.is_some() {
            return;
        }
        if let Some(code) = self.peer().ending() {
            self.end_as_asked(code);
            return;
        }
        if let Some(fresh) = self.peer().take_renewed() {
            self.on_renewed(fresh, now);
        }
        self.catch_up(now);
        self.unpark(now);
        if self.closing.is_some() {
            return;
        }
        if delivery == Delivery::Open {
            let mail = self.peer().take_mail();
            self.out.extend(mail);
        }
        match &self.phase {
            Phase::Waiting { deadline } if now.uptime >= *deadline && self.parked.is_none() => {
                let message = "No `authenticate` came in time.";
                let refusal = Refusal::saying(ErrorCode::Unauthenticated, message);
                self.refuse_and_close(&refusal, None, CloseCode::AuthenticationDeadline);
            }
            Phase::Waiting { .. } => {}
            Phase::Live(_) if now.uptime >= self.expires_at => {
                self.refuse_and_close(&ErrorCode::TokenExpired.into(), None, CloseCode::TokenExpired);
            }
            Phase::Live(_) => self.on_wake_live(now, delivery),
        }
    }

    fn on_wake_live(&mut self, now: Now, delivery: Delivery) {
        if now.uptime >= self.silent_at() {
            self.close(CloseCode::Silence);
            return;
        }
        self.give_up_answers(now);
        if now.uptime >= self.heartbeat_at {
            let interval = self.context.settings.heartbeat_interval;
            self.heartbeat_at = now.uptime.saturating_add(interval);
            self.say(&Heartbeat { server_time: Time(now.wall), uptime_seconds: now.uptime.as_secs_f64() });
            self.out.push(anita_ws::frame::ping(&[]));
        }
        match delivery {
            Delivery::Open => self.deliver(now),
            Delivery::Held => self.has_more = false,
        }
        self.play(now, delivery);
        if let Some(notice) = self.pace.take_due(now.uptime) {
            self.say(&notice);
        }
    }

    // --- saying no

    /// Answers with an `error`; the socket goes on.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, id: Option<&RequestId>) {
        let metrics = self.context.hub.metrics();
        metrics.count_error(refusal.code.as_str());
        if refusal.code == ErrorCode::Forbidden {
            metrics.forbidden.inc();
        }
        self.out.push(refusal_frame(refusal, id));
    }

    /// Answers with an `error` and ends, unless it has ended already: what was decided first stays, and nothing is said
    /// after it.
    pub(crate) fn refuse_and_close(&mut self, refusal: &Refusal, id: Option<&RequestId>, code: CloseCode) {
        if self.closing.is_some() {
            return;
        }
        self.refuse(refusal, id);
        self.end(Closing { code, reason: CloseReason::after(refusal.code) });
    }

    fn close(&mut self, code: CloseCode) {
        self.end(Closing { code, reason: CloseReason::of(code) });
    }

    fn end(&mut self, closing: Closing) {
        self.closing.get_or_insert(closing);
        // A token that waits is not judged any more, and wakes nobody.
        self.parked = None;
    }

    pub(crate) fn audit_forbidden(&self, action: &str, needed: &str) {
        self.audit(action, needed, "forbidden");
    }

    /// Leaves an entry in the audit trail: what was done or tried, with what, and how it ended.
    pub(crate) fn audit(&self, action: &str, object: &str, outcome: &str) {
        let user = self.principal().ok().map(|principal| &principal.identity.user);
        self.context.hub.audit(AuditRecord {
            at: self.wall,
            subject: user.map(|user| user.subject.to_string()).unwrap_or_default(),
            issuer: user.map(|user| user.issuer.to_string()),
            action: action.to_owned(),
            object: object.to_owned(),
            outcome: outcome.to_owned(),
            address: self.peer().address.map(|address| address.to_string()),
        });
    }
}
