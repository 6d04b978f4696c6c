//! Saying no, saying goodbye.

use std::time::Duration;

use anita_auth::Principal;
use anita_model::Now;
use anita_wire::message::Reconnect;
use anita_wire::{CloseCode, CloseReason, ErrorCode, Incoming, Refusal, RequestId};

use super::{Closing, Phase, Session};
use crate::class::RequestClass;
use crate::router::class_of;

/// How large a message may be whose id is still read when there were too many, bytes.
const RATE_REFUSED_READ_BYTES_MAX: usize = 1_024;

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

impl Session {
    /// All connections together have too much waiting, and this one more than its part.
    pub fn on_memory(&mut self) {
        self.close(CloseCode::OutOfMemory);
    }

    /// A message was begun and not finished in time: the line is as good as dead.
    pub fn on_message_deadline(&mut self) {
        let message = "A message has to be complete within the time for one.";
        self.refuse_and_close(&Refusal::saying(ErrorCode::Timeout, message), None, CloseCode::Silence);
    }

    /// Its user has as many connections as one may have: nothing is said to the client but this.
    pub fn on_too_many_sockets(&mut self, retry_after: Duration) {
        if self.closing.is_some() {
            return;
        }
        self.out.clear();
        let retry_after_ms = millis(retry_after);
        let message = "This user has as many connections as one may have.";
        let refusal = Refusal::saying(ErrorCode::LimitReached, message).with_retry_after_ms(retry_after_ms);
        self.refuse(&refusal, None);
        let reason = CloseReason { retry_after_ms: Some(retry_after_ms), ..CloseReason::after(refusal.code) };
        self.end(Closing { code: CloseCode::TryLater, reason });
    }

    /// The server will stop in a moment: says when to come back. What is asked until the end is still answered.
    pub fn on_drain_notice(&mut self, retry_after: Duration) {
        if self.closing.is_some() || self.is_told_to_return {
            return;
        }
        if matches!(self.phase, Phase::Live(_)) {
            self.is_told_to_return = true;
            let retry_after_ms = millis(retry_after);
            self.say(&Reconnect { retry_after_ms, message: "The server restarts.".to_owned() });
        }
    }

    /// The server stops: says when to come back, unless that was said, and ends.
    pub fn on_drain(&mut self, retry_after: Duration) {
        if self.closing.is_some() {
            return;
        }
        self.on_drain_notice(retry_after);
        self.end(Closing { code: CloseCode::Restart, reason: returning(CloseCode::Restart, retry_after) });
    }

    /// Ends as somebody else asked.
    pub(super) fn end_as_asked(&mut self, code: CloseCode) {
        let reason = match self.peer().retry_after() {
            Some(retry_after) => returning(code, retry_after),
            None => CloseReason::of(code),
        };
        self.end(Closing { code, reason });
    }

    /// Counts a request among those of its class.
    pub(super) fn count_class(
        &mut self,
        incoming: &Incoming<'_>,
        now: Now,
    ) -> Result<(), (RequestClass, Duration)> {
        let Some(class) = class_of(&incoming.name, &self.context.extensions) else { return Ok(()) };
        let rates = self.context.settings.class_rates;
        self.class_budgets.take(class, &rates, now.uptime).map_err(|wait| (class, wait))
    }

    /// Too many: the answer names its request where reading that costs next to nothing.
    pub(super) fn refuse_rate(&mut self, wait: Duration, text: &str) {
        let id = if text.len() <= RATE_REFUSED_READ_BYTES_MAX { RequestId::find(text) } else { None };
        self.context.hub.metrics().count_rate_limited("all");
        self.refuse_too_many(&Refusal::new(ErrorCode::RateLimited), wait, id.as_ref());
    }

    /// Too many of one class; those of others are still welcome.
    pub(super) fn refuse_class(&mut self, class: RequestClass, wait: Duration, id: Option<&RequestId>) {
        self.context.hub.metrics().count_rate_limited(class.as_str());
        let rate = self.context.settings.class_rates.of(class);
        let message = format!("Too many requests of the class `{}`.", class.as_str());
        let details = serde_json::json!({ "class": class.as_str(), "per_second": rate.per_second });
        self.refuse_too_many(
            &Refusal::saying(ErrorCode::RateLimited, message).with_details(details),
            wait,
            id,
        );
    }

    /// Gives up what the other end must not know any more.
    pub(crate) fn refuse_answers(&mut self, principal: &Principal) {
        let forbidden =
            self.answering.as_mut().map(|pending| pending.take_forbidden(principal)).unwrap_or_default();
        for (refusal, id) in forbidden {
            self.refuse(&refusal, id.as_ref());
        }
    }

    /// A request that was taken makes good for one that was too many: who floods is closed also when some get through.
    pub(super) fn pay_back_refusal(&mut self) {
        self.rate_refusals = self.rate_refusals.saturating_sub(1);
    }

    fn refuse_too_many(&mut self, refusal: &Refusal, wait: Duration, id: Option<&RequestId>) {
        self.rate_refusals += 1;
        let wait = wait.max(Duration::from_millis(1));
        self.refuse(&refusal.clone().with_retry_after_ms(millis(wait)), id);
        if self.rate_refusals > self.context.settings.rate_refusals_max {
            let code = CloseCode::RateLimited;
            self.end(Closing { code, reason: returning(code, wait) });
        }
    }
}

/// A reason that says when to come back.
fn returning(code: CloseCode, after: Duration) -> CloseReason {
    CloseReason { retry_after_ms: Some(millis(after)), ..CloseReason::of(code) }
}
