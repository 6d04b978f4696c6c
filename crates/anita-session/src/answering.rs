//! Answers under way: a conversation goes on while the store does its part.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use anita_auth::Principal;
use anita_wire::{ErrorCode, Refusal, RequestId};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::handlers::{Answering, Guard, Refused};

/// How many answers of a conversation may be under way.
const PENDING_MAX: usize = 64;

/// An answer that is ready, and the request's id.
pub(crate) type Answered = (Result<Bytes, Refused>, Option<RequestId>);

/// The answers of one conversation that are under way, in the order of their requests.
#[derive(Default)]
pub(crate) struct Pending {
    answers: Vec<UnderWay>,
    /// Handlers that panicked, since that was last asked.
    panics: Arc<AtomicU32>,
}

struct UnderWay {
    answering: BoxFuture<'static, Result<Bytes, Refused>>,
    guard: Guard,
    id: Option<RequestId>,
    /// When it is given up, by the uptime.
    due_at: Duration,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("answers", &self.answers.len()).finish_non_exhaustive()
    }
}

impl Pending {
    pub(crate) fn push(
        &mut self,
        answering: Answering,
        guard: Guard,
        id: Option<RequestId>,
        due_at: Duration,
    ) {
        let panics = Arc::clone(&self.panics);
        let caught = AssertUnwindSafe(answering).catch_unwind().map(move |answered| {
            answered.unwrap_or_else(|_panic| {
                panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!("a handler panicked; its request is refused");
                Err(ErrorCode::Internal.into())
            })
        });
        self.answers.push(UnderWay { answering: caught.boxed(), guard, id, due_at });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.answers.len() >= PENDING_MAX
    }

    /// When the first is given up, by the uptime.
    pub(crate) fn due_at(&self) -> Option<Duration> {
        self.answers.iter().map(|answer| answer.due_at).min()
    }

    /// Those that are ready.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Vec<Answered> {
        let mut done = Vec::new();
        self.answers.retain_mut(|answer| match answer.answering.poll_unpin(context) {
            Poll::Ready(answered) => {
                done.push((answered, answer.id.take()));
                false
            }
            Poll::Pending => true,
        });
        done
    }

    /// How many handlers panicked since this was last asked.
    pub(crate) fn take_panics(&mut self) -> u32 {
        self.panics.swap(0, Ordering::Relaxed)
    }

    /// Gives up those that this principal must not know, and gives their refusals and the ids of their requests.
    pub(crate) fn take_forbidden(&mut self, principal: &Principal) -> Vec<(Refusal, Option<RequestId>)> {
        let mut refused = Vec::new();
        self.answers.retain_mut(|answer| match answer.guard.refusal(principal) {
            Some(refusal) => {
                refused.push((refusal, answer.id.take()));
                false
            }
            None => true,
        });
        refused
    }

    /// Gives up those that take too long, and gives the ids of their requests.
    pub(crate) fn take_overdue(&mut self, uptime: Duration) -> Vec<Option<RequestId>> {
        let overdue = self.answers.extract_if(.., |answer| uptime >= answer.due_at);
        overdue.map(|answer| answer.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn poll(pending: &mut Pending) -> Vec<Answered> {
        pending.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn id() -> Option<RequestId> {
        RequestId::find(r#"{"id":7}"#)
    }

    #[test]
    fn as_many_as_are_allowed_make_it_full_and_one_that_is_done_makes_room() {
        let mut pending = Pending::default();
        for _ in 1..PENDING_MAX {
            pending.push(Box::pin(std::future::pending()), Guard::None, None, SECOND);
        }
        assert!(!pending.is_full());
        pending.push(Box::pin(async { Ok(Bytes::from_static(b"done")) }), Guard::None, id(), SECOND);
        assert!(pending.is_full());
        let done = poll(&mut pending);
        assert_eq!(done, [(Ok(Bytes::from_static(b"done")), id())]);
        assert!(!pending.is_full() && !pending.is_empty());
    }

    #[test]
    fn what_takes_too_long_is_given_up_and_the_others_go_on() {
        let mut pending = Pending::default();
        pending.push(Box::pin(std::future::pending()), Guard::None, None, SECOND * 3);
        pending.push(Box::pin(std::future::pending()), Guard::None, id(), SECOND);
        assert_eq!(pending.due_at(), Some(SECOND));
        assert_eq!(pending.take_overdue(Duration::from_millis(999)), []);
        assert_eq!(pending.take_overdue(SECOND), [id()]);
        assert_eq!(pending.due_at(), Some(SECOND * 3));
    }

    #[test]
    fn a_handler_that_panics_costs_its_own_answer_only() {
        let mut pending = Pending::default();
        pending.push(Box::pin(async { panic!("in the middle") }), Guard::None, id(), SECOND);
        pending.push(Box::pin(async { Ok(Bytes::new()) }), Guard::None, None, SECOND);
        let done = poll(&mut pending);
        assert_eq!(done, [(Err(ErrorCode::Internal.into()), id()), (Ok(Bytes::new()), None)]);
        assert!(pending.is_empty());
    }
}
